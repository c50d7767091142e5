"""The table of the parameters of a user's own logit function, by their names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.fitted import Sampled
from bayes_softmax.answers.intervals import Interval
from bayes_softmax.answers.quantities import Quantities, summary_columns
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.display.digits import COMMON, chance, estimates
from bayes_softmax.display.table import table_of


def parameter_summary(fit: Sampled, vs: Any, interval: Interval, chosen: Any) -> pd.DataFrame:
    """One row per number of each parameter, or of the chosen ones; columns as of coefficients."""
    if vs is not None:
        raise ValueError(
            f"vs={shown(vs)}: contrasts are of coefficients of the classes, and this fit has the parameters of a "
            "function of your own; effects() and contrast() compare classes"
        )
    places, parts = [], []
    for name in _names(fit, chosen):
        own, values = _labelled(fit, name)
        places += own
        parts.append(values)
    draws = np.concatenate(parts, axis=1)
    columns = summary_columns(Quantities(draws), interval)
    names = list(columns)
    quality = fit.draw_quality(draws)
    if quality is not None:
        columns |= {str(name): quality[name].to_numpy() for name in quality}
    index = pd.MultiIndex.from_tuples(places, names=["parameter", "place"])
    formats = COMMON | estimates(*names[:4], noise="mcse_mean") | {"p_positive": chance(len(draws))}
    return table_of(pd.DataFrame(columns, index=index), formats)


def _names(fit: Sampled, chosen: Any) -> list[str]:
    """Names of the chosen parameters in the order of the function, all by default."""
    known = list(fit.logits.shapes)
    if chosen is None:
        return known
    given = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(given, Sequence):
        raise TypeError(f"features={shown(chosen)} must be the name of a parameter, or a sequence of names")
    for name in given:
        if name not in known:
            raise ValueError(
                f"features: {shown(name)} is no parameter of this fit ({listed(known)}){did_you_mean(name, known)}"
            )
    if not given:
        raise ValueError("features is empty; name at least one")
    return [name for name in known if name in given]


def _labelled(fit: Sampled, name: str) -> tuple[list[tuple[str, str]], FloatArray]:
    """Name and place of each number of a parameter, and its draws (S, m)."""
    array, dims = fit.idata[fit.group].dataset[name], fit.logits.dims[name]
    labels = [array[dim].values.tolist() for dim in dims]
    places = [", ".join(str(own[i]) for own, i in zip(labels, at, strict=True)) for at in np.ndindex(*map(len, labels))]
    return [(name, place) for place in places], fit.parameters[name].reshape(fit.parameters.n_draws, -1)
