"""The priors of a model as a self-explanatory table."""

from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.rows_in_short import RowsInShort
from bayes_softmax.data.sources.rows import RowSummary
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.autoscale import DEFAULT_INTERCEPT_SCALE, DEFAULT_TOTAL_SCALE
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.linear import WEIGHTS
from bayes_softmax.spec.prior_draws import coordinate_sds
from bayes_softmax.spec.priors import FamilyRows, Jeffreys, PriorTable, repeated

WEIGHTS_FORMULA = (
    "Weights that take the default ({taking} of {p}): scale c / unit, with c = {constant:.4g}; the unit of a column is "
    "its root mean square {about}, for a column with two values at least half their distance. c is the smaller of "
    "{total:g} and {total:g} / sqrt(sum of (rms / unit)^2 over these columns): together they move a logit with a prior "
    "sd of {together:.3g} over the rows of the data. "
)
INTERCEPT_FORMULA = "Intercept: {intercept:g} at the feature means. "
CHOSEN_FORMULA = "All scales of weights are multiplied by {factor:.4g}: chosen from these data by the evidence. "
TOTAL_FORMULA = "A logit then has a prior sd of {logit:.3g}, averaged as variance over the rows of the data."


def prior_table(priors: PriorTable, design: RowsInShort) -> pd.DataFrame:
    r"""One row per coefficient row: the prior, the numbers it was made from, and its effect on a logit.

    ``logit_sd`` is the prior scale of the free coordinates times the sd of the feature (without an intercept, its root
    mean square): how much one standard deviation of the feature moves a logit a priori.  In ``attrs``,
    ``total_logit_sd`` is the resulting prior sd of a free logit coordinate, the root of its variance averaged over
    the rows of the data, :math:`\sqrt{s_b^2 + \sum_j s_j^2 \overline{(x_j - m_j)^2}}` with the priors'
    standard deviations ``s`` and the mean ``m`` where the intercept's prior is there, else 0 (a zero-sum logit has
    1 - 1/K of that variance); ``formula`` is the default in words.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> table = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"]).describe_prior()
    >>> table.loc["x0", "scale_from"], table.attrs["total_logit_sd"]
    ('2 / 0.8165', 2.5)
    """
    mean, rms = feature_moments(design)
    if priors.is_jeffreys:
        names = [*(["intercept"] if design.has_intercept else []), *design.feature_names]
        columns = _of_jeffreys(len(names))
    else:
        columns = feature_rows(priors, rms)
        names = list(design.feature_names)
        if priors.intercept is not None:
            names = ["intercept", *names]
            columns = {name: [first, *columns[name]] for name, first in _of_intercept(priors).items()}
    table = pd.DataFrame({"feature": names} | columns).set_index("feature")
    at_mean = priors.intercept is not None and priors.intercept_at == "means"
    variances = _coordinate_variances(priors, np.square(rms) + (0.0 if at_mean else np.square(mean)), design.n_classes)
    total = float(np.sqrt(variances.sum()))
    table.attrs["total_logit_sd"] = total
    table.attrs["formula"] = table.attrs["note"] = _in_words(priors, variances[1:], total)
    return table_of(table, {"logit_sd": Format("ratio")})


def feature_rows(priors: PriorTable, rms: FloatArray, layer: str = WEIGHTS) -> dict[str, list[Any]]:
    """Columns of the table for the features."""
    p, default, factor = len(rms), priors.by_default, chosen_factor(priors, layer)
    scales = np.full(p, np.nan)
    scales[priors.fixed] = _scales(priors.features.of(priors.fixed))
    measured, made = ["per unit of the feature"] * p, ["given"] * p
    for j in np.flatnonzero(default).tolist():
        made[j] = f"{priors.constant:.4g} / {priors.constant * factor / scales[j]:.4g}"
    if priors.choice is not None:
        for j in np.flatnonzero(np.isfinite(scales)).tolist():
            made[j] = f"{factor:.4g} * {made[j] if default[j] else format(scales[j] / factor, '.4g')}"
    for scale in priors.learned:
        for j in scale.features:
            measured[j], made[j] = scale.in_words(), "learned"
    return {
        "prior": [str(prior) for prior in priors.weights],
        "measured": measured,
        "autoscaled": default.tolist(),
        "scale_from": made,
        "logit_sd": (scales * rms).tolist(),
    }


def _of_intercept(priors: PriorTable) -> dict[str, Any]:
    """The row of the intercept."""
    assert priors.intercept is not None
    at_means = priors.intercept_at == "means"
    return {
        "prior": str(priors.intercept),
        "measured": "at the feature means" if at_means else "at x = 0",
        "autoscaled": at_means,
        "scale_from": "default" if at_means else "given",
        "logit_sd": float(_scales(repeated(priors.intercept, 1))[0]),
    }


def _of_jeffreys(n: int) -> dict[str, list[Any]]:
    """Columns of the table where one prior is of all n coefficient rows together."""
    return {
        "prior": [str(Jeffreys())] * n,
        "measured": ["all coefficients together"] * n,
        "autoscaled": [False] * n,
        "scale_from": ["given"] * n,
        "logit_sd": [np.nan] * n,
    }


def _coordinate_variances(priors: PriorTable, mean_squares: FloatArray, n_classes: int) -> FloatArray:
    """(1 + p,) terms of intercept and features in the prior variance of a free logit coordinate, over the rows."""
    intercept, weights = coordinate_sds(priors, n_classes)
    start = 0.0 if priors.intercept is None else intercept
    variances: FloatArray = np.square(np.append(start, weights)) * np.append(1.0, mean_squares)
    return variances


def _scales(rows: FamilyRows) -> FloatArray:
    """Scales (rows,), infinite for a flat prior."""
    return np.where(registry.that_are(rows.family, "proper"), rows.scale, np.inf)


def _in_words(priors: PriorTable, variances: FloatArray, total: float) -> str:
    """The default, as far as it was taken, and the resulting sd of a logit."""
    taking = priors.by_default
    text = ""
    if taking.any():
        text = WEIGHTS_FORMULA.format(
            taking=int(taking.sum()),
            p=len(taking),
            constant=priors.constant,
            total=DEFAULT_TOTAL_SCALE,
            about="about zero, as there is no intercept" if priors.intercept is None else "about the mean",
            together=float(np.sqrt(variances[taking].sum())) / chosen_factor(priors, WEIGHTS),
        )
    if priors.intercept is not None and priors.intercept_at == "means" and not priors.is_jeffreys:
        text += INTERCEPT_FORMULA.format(intercept=DEFAULT_INTERCEPT_SCALE)
    if priors.choice is not None:
        text += CHOSEN_FORMULA.format(factor=priors.choice.factors[WEIGHTS])
    return text + TOTAL_FORMULA.format(logit=total) if np.isfinite(total) else text.rstrip()


def chosen_factor(priors: PriorTable, layer: str) -> float:
    """What the scales of the weights were multiplied by, since the evidence chose so."""
    return 1.0 if priors.choice is None else priors.choice.factors.get(layer, 1.0)


def feature_moments(design: RowsInShort) -> tuple[FloatArray, FloatArray]:
    """Mean and root mean square deviation of the features; both about zero where there is no intercept."""
    centre, sd = design.standardisation
    if design.has_intercept or not design.n_features:
        return centre, sd
    if isinstance(design, RowSummary):
        return np.zeros_like(centre), np.hypot(design.mean, design.sd)
    assert isinstance(design, Design)
    w = design.totals / design.total_weight
    return np.zeros_like(centre), np.sqrt(w @ np.square(design.X))
