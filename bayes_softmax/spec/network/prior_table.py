"""The priors of a network as a self-explanatory table, a row for the weights and one for the biases of each layer."""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.autoscale import DEFAULT_INTERCEPT_SCALE, DEFAULT_TOTAL_SCALE
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.activations import ACTIVATIONS, NODES, unit_rms
from bayes_softmax.spec.network.logits import SKIP, NetworkLogits, hidden_names
from bayes_softmax.spec.network.priors import PRE_ACTIVATION_SD
from bayes_softmax.spec.prior_draws import coordinate_sds
from bayes_softmax.spec.prior_table import chosen_factor, feature_moments, feature_rows
from bayes_softmax.spec.specification import Specification

ROWS = 10_000  # of the data, evenly spaced, over which standard deviations are averaged
FORMULA = (
    "Default: over the rows of the data every unit's input has a prior sd of about {unit:.2g}, as a logit of a linear "
    "model has: weights {total:g}, bias {bias:g}. So weights of H units are Normal({total:g} / (r sqrt(H))), where r "
    "is the root mean square of a unit whose input has that sd. "
)
SHARED = "Units and features share the weights' sd of {total:g} in the last layer. "
CHOSEN = "Scales of layers are multiplied by {factors}: chosen from these data by the evidence. "
TOTAL = "A logit then has a prior sd of {logit:.3g}, averaged as variance over the rows of the data."


class Row(NamedTuple):
    """A row of the table."""

    parameter: str
    shape: str
    prior: str
    measured: str
    autoscaled: bool
    scale_from: str
    sd_over_rows: float


def network_prior_table(spec: Specification) -> pd.DataFrame:
    """One row for the weights and one for the biases of each layer, and with ``skip`` one for each feature.

    ``sd_over_rows`` is the prior standard deviation of what these parameters add to a unit's input or to a logit, the
    root of its variance averaged over the rows of the data; of a feature (``skip``), per standard deviation of it.
    ``attrs`` as in :func:`~bayes_softmax.spec.prior_table.prior_table`.  Beyond the first hidden layer the inputs of
    units are taken as normal, which they are as layers grow wide.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"], logits=bs.MLP(hidden=4))
    >>> table = model.describe_prior()
    >>> table.loc["hidden_1", "prior"], table.loc["weights", "scale_from"], round(table.attrs["total_logit_sd"], 1)
    ('Normal(2)', '2 / (0.8367 sqrt(4))', 2.5)
    """
    rows, square = _hidden_rows(spec)
    last, total = _last_rows(spec, square)
    table = pd.DataFrame([*rows, *last]).set_index("parameter")
    table.attrs["total_logit_sd"] = total
    text = ""
    if table["autoscaled"].any():
        text = FORMULA.format(unit=PRE_ACTIVATION_SD, total=DEFAULT_TOTAL_SCALE, bias=DEFAULT_INTERCEPT_SCALE)
        text += SHARED.format(total=DEFAULT_TOTAL_SCALE) if _is_shared(spec) else ""
    if spec.priors.choice is not None:
        factors = ", ".join(f"{factor:.4g} ({name})" for name, factor in spec.priors.choice.factors.items())
        text += CHOSEN.format(factors=factors)
    text += TOTAL.format(logit=total) if math.isfinite(total) else ""
    table.attrs["formula"] = table.attrs["note"] = text.rstrip()
    return table_of(table, {"sd_over_rows": Format("ratio")})


def _is_shared(spec: Specification) -> bool:
    """Whether units and features of the last layer both take the default, which they then share."""
    assert spec.hidden is not None
    units, features = np.split(spec.priors.by_default, [spec.hidden.n_units])
    return bool(units.all() and features.any())


def _rows_of_data(spec: Specification) -> tuple[FloatArray, FloatArray]:
    """Squares (n, p) of the first layer's inputs, and shares (n,) of the rows in an average."""
    design = spec.design
    assert spec.hidden is not None
    used = np.flatnonzero(design.totals > 0)
    used = used[np.linspace(0, len(used) - 1, min(len(used), ROWS)).astype(np.int64)]
    centre, scale = spec.hidden.inputs
    return np.square((design.X[used] - centre) / scale), design.totals[used] / design.totals[used].sum()


def _hidden_rows(spec: Specification) -> tuple[list[Row], float]:
    """Rows of the hidden layers, and the mean square of a unit of the last one, over rows and prior."""
    hidden, logits = spec.hidden, spec.logits
    assert hidden is not None
    assert isinstance(logits, NetworkLogits)
    squares, share = _rows_of_data(spec)
    square = np.empty(0)
    rows: list[Row] = []
    for layer, (fan_in, units) in enumerate(itertools.pairwise(hidden.sizes), 1):
        names, scale = hidden_names(layer), hidden.scales[layer - 1]
        inputs = "standardised features" if layer == 1 else f"units of hidden_{layer - 1}"
        at = "the feature means" if layer == 1 else "units of zero"
        default = hidden.by_default[layer - 1]
        made = ("default", "default") if default else ("given", "given")
        if default and layer > 1:
            made = (_in_words(logits.activation, fan_in), "default")
        made = (_chosen(made[0], spec, names[0]), _chosen(made[1], spec, names[0]))
        learned = _learned(spec, names[0])
        if learned:
            scale, made = np.full_like(scale, np.nan), ("learned", "learned")
        added = squares @ np.square(scale[1:]) if layer == 1 else square * np.square(scale[1:]).sum()
        rows += [
            Row(names[0], f"{fan_in} x {units}", learned or _prior(scale[1:]), f"on {inputs}", default, made[0],
                float(np.sqrt(share @ added))),
            Row(names[1], f"{units}", learned or _prior(scale[:1]), f"at {at}", default, made[1], float(scale[0])),
        ]  # fmt: skip
        square = _mean_square(logits.activation, added + scale[0] ** 2)
    return rows, float(share @ square)


def _last_rows(spec: Specification, square: float) -> tuple[list[Row], float]:
    """Rows of the last layer, whose units have this mean square, and the resulting sd of a logit."""
    hidden, priors, logits = spec.hidden, spec.priors, spec.logits
    assert hidden is not None
    assert isinstance(logits, NetworkLogits)
    H, K, skip = hidden.n_units, spec.design.n_classes, hidden.skip and spec.design.n_features > 0
    at_intercept, sds = coordinate_sds(priors, K)
    default = bool(priors.by_default[0])
    of_units, last = float(np.sqrt(H * square) * sds[0]), f"units of hidden_{len(hidden.scales)}"
    made = _in_words(logits.activation, 2 * H if _is_shared(spec) else H) if default else "given"
    made, learned = _chosen(made, spec, WEIGHTS), _learned(spec, WEIGHTS)
    if learned:
        made, of_units = "learned", math.nan
    rows = [Row(WEIGHTS, f"{H} x {K}", learned or str(priors.features.at(0)), f"on {last}", default, made, of_units)]
    total = of_units**2
    if priors.intercept is not None:
        at_means = priors.intercept_at == "means"
        where = "at units of zero" + ((", feature means" if at_means else ", x = 0") if skip else "")
        made = "default" if at_means else "given"
        rows.append(Row(INTERCEPT, f"{K}", str(priors.intercept), where, at_means, made, at_intercept))
        total += at_intercept**2
    if skip:
        mean, rms = feature_moments(spec.design)
        columns = feature_rows(priors.of(np.arange(hidden.n_inputs) >= H), rms, SKIP)
        columns["sd_over_rows"] = columns.pop("logit_sd")
        for j, name in enumerate(spec.schema.feature_names):
            own: dict[str, Any] = {column: values[j] for column, values in columns.items()}
            if _learned(spec, SKIP):
                own |= {"prior": _learned(spec, SKIP), "scale_from": "learned", "sd_over_rows": math.nan}
            rows.append(Row(f"{SKIP}[{name}]", f"{K}", **own))
        at_zero = priors.intercept is not None and priors.intercept_at == "zero"
        total += float(np.square(sds[H:]) @ (np.square(rms) + (np.square(mean) if at_zero else 0.0)))
    return rows, math.nan if _learned(spec, SKIP) else math.sqrt(total)


def _chosen(made: str, spec: Specification, layer: str) -> str:
    """What a scale was made from, with the factor that the evidence chose."""
    return made if spec.priors.choice is None else f"{chosen_factor(spec.priors, layer):.4g} * {made}"


def _learned(spec: Specification, layer: str) -> str:
    """The prior of a layer whose scale is learned, in words; empty for others."""
    assert spec.hidden is not None
    return next((str(own.prior) for own in spec.hidden.learned if own.name == layer), "")


def _mean_square(activation: str, variance: FloatArray) -> FloatArray:
    """Mean square of a unit whose input is normal with mean zero and these variances (n,)."""
    phi, (nodes, weights) = ACTIVATIONS[activation], np.polynomial.hermite_e.hermegauss(NODES)
    finite = np.isfinite(variance)
    found: FloatArray = np.square(phi.bound(np.full(variance.shape, np.inf)))
    found[np.isnan(variance)] = np.nan  # of a learned scale
    u = np.sqrt(variance[finite])[:, None] * nodes
    found[finite] = np.square(phi.value(u)) @ (weights / weights.sum())
    return found


def _prior(scale: FloatArray) -> str:
    """The priors of these scales, in words; those of features may differ."""
    if not len(scale):
        return "none"
    low, high = float(scale.min()), float(scale.max())
    if math.isinf(high):
        return str(Flat())
    return str(Normal(high)) if high - low <= 1e-12 * high else f"Normal({low:.4g} to {high:.4g})"


def _in_words(activation: str, n_units: int) -> str:
    """Default scale of the weights of units."""
    return f"{DEFAULT_TOTAL_SCALE:g} / ({unit_rms(activation, PRE_ACTIVATION_SD):.4g} sqrt({n_units}))"
