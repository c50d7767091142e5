"""The priors of a model as a table that explains itself."""

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.design import Design
from bayes_softmax.spec.hyperpriors import ShrinkagePrior
from bayes_softmax.spec.priors import DEFAULT_INTERCEPT_SCALE, DEFAULT_TOTAL_SCALE, Flat, Prior, PriorTable
from bayes_softmax.spec.shrinkage import describe, shrinkage_groups

FORMULA = (
    "Weights on standardised features: scale {total} / sqrt(p) per sd of the feature, with p = {p}; the sd of a column "
    "with two values is taken to be at least half their distance. Intercept: {intercept} at the feature means. Over "
    "the rows of the data a logit then has a prior sd of about {logit:.1f}, whatever the features' number and units."
)


def prior_table(priors: PriorTable, design: Design) -> pd.DataFrame:
    r"""One row per coefficient row: the prior, the numbers it was made from, and what it does to a logit.

    ``logit_sd`` is the prior scale of the free coordinates times the sd of the feature: how much one standard
    deviation of the feature moves a logit a priori.  In ``attrs``, ``total_logit_sd`` is the root mean square over the
    rows of the data of a logit's prior sd, :math:`\sqrt{s_b^2 + \sum_j s_j^2 \overline{(x_j - m_j)^2}}` with the mean
    ``m`` where the intercept's prior is there, else 0; ``formula`` is the default in words.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> table = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"]).describe_prior()
    >>> table.loc["x0", "scale_from"], table.attrs["total_logit_sd"]
    ('2 / (sqrt(1) * 0.8165)', 2.5)
    """
    mean, sd = _moments(design)
    total = DEFAULT_TOTAL_SCALE / np.sqrt(max(design.n_features, 1))
    rows = []
    if priors.intercept is not None:
        at_means = priors.intercept_at == "means"
        where = "at the feature means" if at_means else "at x = 0"
        made = "default" if at_means else "given"
        rows.append(("intercept", str(priors.intercept), where, at_means, made, _scale(priors.intercept)))
    learned = {j: describe(group) for group in shrinkage_groups(priors) for j in group.members}
    for j, (name, family, auto, spread) in enumerate(
        zip(design.feature_names, priors.weights, priors.autoscaled, sd, strict=True)
    ):
        if j in learned:
            rows.append((name, str(family), learned[j], auto, "learned", np.nan))
            continue
        scale = _scale(family)
        made = f"{DEFAULT_TOTAL_SCALE:g} / (sqrt({design.n_features}) * {total / scale:.4g})" if auto else "given"
        rows.append((name, str(family), "per unit of the feature", auto, made, scale * spread))
    if priors.is_jeffreys:
        rows = [(name, "Jeffreys()", "all coefficients together", False, "given", np.nan) for name, *_ in rows]
    table = pd.DataFrame(rows, columns=["feature", "prior", "measured", "autoscaled", "scale_from", "logit_sd"])
    table = table.set_index("feature")
    scales = np.array([_scale(family) for family in priors.weights])
    around = np.square(sd) + (0.0 if priors.intercept_at == "means" else np.square(mean))
    start = 0.0 if priors.intercept is None else _scale(priors.intercept) ** 2
    table.attrs["total_logit_sd"] = float(np.sqrt(start + (np.square(scales) * around).sum()))
    table.attrs["formula"] = FORMULA.format(
        total=DEFAULT_TOTAL_SCALE,
        p=design.n_features,
        intercept=DEFAULT_INTERCEPT_SCALE,
        logit=np.hypot(DEFAULT_TOTAL_SCALE, DEFAULT_INTERCEPT_SCALE),
    )
    return table


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
