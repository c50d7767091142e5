"""The priors of a model as a table that explains itself."""

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.spec.autoscale import DEFAULT_INTERCEPT_SCALE, DEFAULT_TOTAL_SCALE
from bayes_softmax.spec.prior_draws import coordinate_sd
from bayes_softmax.spec.priors import Flat, Jeffreys, Prior, PriorTable
from bayes_softmax.spec.scales.hyperpriors import ShrinkagePrior

WEIGHTS_FORMULA = (
    "Weights that take the default ({taking} of {p}): scale c / unit, with c = {constant:.4g}; the unit of a column is "
    "its root mean square {about}, for a column with two values at least half their distance. c is the smaller of "
    "{total:g} and {total:g} / sqrt(sum of (rms / unit)^2 over these columns): together they move a logit with a prior "
    "sd of {together:.3g} over the rows of the data. "
)
INTERCEPT_FORMULA = "Intercept: {intercept:g} at the feature means. "
TOTAL_FORMULA = "A logit then has a prior sd of {logit:.3g}, averaged as variance over the rows of the data."


def prior_table(priors: PriorTable, design: Design) -> pd.DataFrame:
    r"""One row per coefficient row: the prior, the numbers it was made from, and what it does to a logit.

    ``logit_sd`` is the prior scale of the free coordinates times the sd of the feature (without an intercept, its root
    mean square): how much one standard deviation of the feature moves a logit a priori.  In ``attrs``,
    ``total_logit_sd`` is the prior sd of a free logit coordinate that really results, the root of its variance
    averaged over the rows of the data, :math:`\sqrt{s_b^2 + \sum_j s_j^2 \overline{(x_j - m_j)^2}}` with the priors'
    standard deviations ``s`` and the mean ``m`` where the intercept's prior is there, else 0 (a zero-sum logit has
    1 - 1/K of that variance); ``formula`` is the default in words.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> table = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"]).describe_prior()
    >>> table.loc["x0", "scale_from"], table.attrs["total_logit_sd"]
    ('2 / 0.8165', 2.5)
    """
    mean, rms = _moments(design)
    rows = []
    if priors.intercept is not None:
        at_means = priors.intercept_at == "means"
        where = "at the feature means" if at_means else "at x = 0"
        made = "default" if at_means else "given"
        rows.append(("intercept", str(priors.intercept), where, at_means, made, _scale(priors.intercept)))
    learned = {j: scale.in_words() for scale in priors.shared_scales for j in scale.features}
    for j, (name, family, auto, spread) in enumerate(
        zip(design.feature_names, priors.weights, priors.autoscaled, rms, strict=True)
    ):
        if j in learned:
            rows.append((name, str(family), learned[j], auto, "learned", np.nan))
            continue
        scale = _scale(family)
        made = f"{priors.constant:.4g} / {priors.constant / scale:.4g}" if auto else "given"
        rows.append((name, str(family), "per unit of the feature", auto, made, scale * spread))
    if priors.is_jeffreys:
        rows = [(name, "Jeffreys()", "all coefficients together", False, "given", np.nan) for name, *_ in rows]
    table = pd.DataFrame(rows, columns=["feature", "prior", "measured", "autoscaled", "scale_from", "logit_sd"])
    table = table.set_index("feature")
    at_mean = priors.intercept is not None and priors.intercept_at == "means"
    variances = _coordinate_variances(priors, np.square(rms) + (0.0 if at_mean else np.square(mean)), design.n_classes)
    total = float(np.sqrt(variances.sum()))
    table.attrs["total_logit_sd"] = total
    table.attrs["formula"] = _in_words(priors, variances[1:], total)
    return table


def _coordinate_variances(priors: PriorTable, mean_squares: FloatArray, n_classes: int) -> FloatArray:
    """(1 + p,) what intercept and features add to the prior variance of a free logit coordinate, over the rows."""
    size = n_classes - 1 if priors.spherical else 1
    start = 0.0 if priors.intercept is None else _sd(priors.intercept, size)
    sds = np.array([start, *(_sd(family, size) for family in priors.weights)])
    variances: FloatArray = np.square(sds) * np.append(1.0, mean_squares)
    return variances


def _in_words(priors: PriorTable, variances: FloatArray, total: float) -> str:
    """The default as far as it was taken, and what results."""
    taking = np.array(priors.autoscaled, dtype=bool)
    text = ""
    if taking.any():
        text = WEIGHTS_FORMULA.format(
            taking=int(taking.sum()),
            p=len(taking),
            constant=priors.constant,
            total=DEFAULT_TOTAL_SCALE,
            about="about zero, as there is no intercept" if priors.intercept is None else "about the mean",
            together=float(np.sqrt(variances[taking].sum())),
        )
    if priors.intercept is not None and priors.intercept_at == "means" and not priors.is_jeffreys:
        text += INTERCEPT_FORMULA.format(intercept=DEFAULT_INTERCEPT_SCALE)
    return text + TOTAL_FORMULA.format(logit=total) if np.isfinite(total) else text.rstrip()


def _sd(family: Prior, size: int) -> float:
    """Standard deviation of a free coordinate: infinite if there is none, NaN where it is not known."""
    return np.nan if isinstance(family, ShrinkagePrior | Jeffreys) else coordinate_sd(family, size)


def _scale(family: Prior) -> float:
    """Scale of a family, infinite for a flat one."""
    if isinstance(family, ShrinkagePrior):
        return np.nan
    return np.inf if isinstance(family, Flat) else float(getattr(family, "scale", np.inf))


def _moments(design: Design) -> tuple[FloatArray, FloatArray]:
    """Mean and root mean square deviation of the features; from zero where there is no intercept."""
    centre, sd = design.standardisation
    if design.has_intercept or not design.n_features:
        return centre, sd
    w = design.totals / design.total_weight
    return np.zeros_like(centre), np.sqrt(w @ np.square(design.X))
