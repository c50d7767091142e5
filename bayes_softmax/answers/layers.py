"""The table of a network's layers: sizes, scales of the priors and of what was found, effective numbers of parameters.

In place of the table of coefficients: hidden units can change places, and with them their signs, without a change of
any prediction, so that a weight alone says nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.cautions import noted
from bayes_softmax.answers.effective import P_WAIC
from bayes_softmax.core.checks import counted
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.coding import contrast_matrix
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.logits import SKIP, NetworkLogits

ALL = "all"
WHY = (
    "single weights are not listed: hidden units can change places and signs without a change of any prediction, so a "
    "weight alone has no meaning; effects() and predict_proba() say what the network does"
)


def layers_in_words(logits: NetworkLogits) -> str:
    """Sizes of a network's layers, from features to classes.

    >>> layers_in_words(NetworkLogits(2, 3, (10,), "tanh", False, (0.0, 0.0), (1.0, 1.0)))
    'network: 2 features -> 10 tanh units -> 3 classes'
    """
    units = [counted(n, f"{logits.activation} unit") for n in logits.hidden]
    steps = [counted(logits.n_features, "feature"), *units, counted(logits.n_classes, "class", "classes")]
    return f"network: {' -> '.join(steps)}{', beside linear logits' if logits.skip else ''}"


def layer_table(
    schema: Schema, logits: NetworkLogits, parameters: Parameters, effective: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """One row for each matrix of weights and each vector of biases, and one for all together.

    Parameters
    ----------
    schema
        Holds the prior standard deviations, as root mean squares over the entries.
    logits, parameters
        The network, and draws of its parameters or an estimate as one draw.
    effective
        Effective number of parameters by name of the parameter, where it is known, or of :data:`ALL` together.

    Returns
    -------
    DataFrame
        Rows are named as the parameters: ``inputs`` and ``outputs`` are sizes, ``free`` is the number of free
        coordinates, ``prior_sd`` the root mean square of their prior standard deviations, ``rms`` that of their values,
        averaged over draws, and ``effective`` the part of ``free`` that the data determine.  Weights of the features in
        the last layer count per standard deviation of the feature.
    """
    rows = {name: _row(name, schema, logits, parameters[name]) for name in _in_order(schema, logits)}
    n_free = sum(row["free"] for row in rows.values())
    total = {"inputs": "", "outputs": "", "free": n_free, "prior_sd": np.nan, "rms": np.nan}
    table = pd.DataFrame.from_dict(rows | {ALL: total}, orient="index").rename_axis("parameter")
    if effective is not None:
        found = [effective.get(name, np.nan) for name in rows]
        table["effective"] = [*found, effective.get(ALL, float(np.sum(found)))]
    note = f"{WHY}; {P_WAIC}" if effective is not None and ALL in effective else WHY
    return noted(table_of(table, {"free": Format("count")}, Format("ratio")), note)


def _in_order(schema: Schema, logits: NetworkLogits) -> list[str]:
    """Names of the parameters, layer by layer, each intercept after its weights."""
    names = [name for name in logits.shapes if name not in (INTERCEPT, WEIGHTS, SKIP)]
    names += [WEIGHTS, *([SKIP] if logits.skip else []), *([INTERCEPT] if schema.has_intercept else [])]
    return names


def _row(name: str, schema: Schema, logits: NetworkLogits, values: FloatArray) -> dict[str, Any]:
    """Sizes and scales of one parameter with draws (S, *shape)."""
    shape, dims = logits.shapes[name], logits.dims[name]
    sd = dict(schema.layer_sd).get(name)
    free = int(np.prod(shape))
    if dims[-1] == "category":
        K = shape[-1]
        per_row = contrast_matrix(schema.coding, K).shape[1]
        free = free // K * (K - 1 if name == INTERCEPT and sd is None else per_row)
    if name == SKIP:
        values = values * np.array(logits.scale)[:, None]
    squares = float(np.square(values).sum()) / len(values)
    return {
        "inputs": _inputs(shape, dims),
        "outputs": counted(shape[-1], "class", "classes") if dims[-1] == "category" else counted(shape[-1], "unit"),
        "free": free,
        "prior_sd": np.inf if sd is None else sd,
        "rms": np.sqrt(squares / free) if free else np.nan,
    }


def _inputs(shape: tuple[int, ...], dims: tuple[str, ...]) -> str:
    """What a matrix multiplies; a bias multiplies nothing."""
    if len(shape) == 1:
        return ""
    return counted(shape[0], "feature" if dims[0] == "feature" else "unit")
