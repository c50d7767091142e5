"""The priors of a model with group-level effects as a self-explanatory table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.data.groups.grouping import parts_of
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.autoscale import DEFAULT_INTERCEPT_SCALE
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.prior_table import TOTAL_FORMULA, prior_table
from bayes_softmax.spec.scales.hyperpriors import HalfNormal, ScalePrior
from bayes_softmax.spec.specification import Specification

GROUPS_FORMULA = (
    "Standard deviations of levels' effects that take the default: HalfStudentT(3, s), s = {intercept:g} for an "
    "intercept and {intercept:g} / unit for a slope, the unit as of a weight. "
)


def group_prior_table(spec: Specification) -> pd.DataFrame:
    """The table of a linear model, then one row for each term of each grouping, ``"person[intercept]"``.

    Their ``prior`` is that of a level's effects: the prior of the standard deviations of all classes, and of the
    correlations.  ``logit_sd`` is the scale of the former times the root mean square of the term over the rows.
    ``total_logit_sd`` in ``attrs`` includes them.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "b", "a"], groups={"g": [1, 1, 2, 2]})
    >>> model.describe_prior().loc["g[intercept]", ["prior", "measured"]].tolist()
    ['GroupNormal(HalfStudentT(3, 1.5), LKJ(2))', 'over 2 levels']
    """
    linear, design = prior_table(spec.priors, spec.design), spec.design
    assert design.group_columns is not None
    share, variance = design.totals / design.total_weight, 0.0
    rows: dict[str, dict[str, Any]] = {}
    for own, (_, _, terms) in zip(spec.groups, parts_of(spec.schema.groups, design.group_columns), strict=True):
        squares = share @ np.square(terms)
        for t, (term, prior) in enumerate(zip(own.grouping.terms, own.scales, strict=True)):
            rows[f"{own.name}[{term}]"] = _row(own, t, float(np.sqrt(squares[t])))
            variance += _mean_square(prior) * squares[t]
    table = pd.concat([pd.DataFrame(linear), pd.DataFrame.from_dict(rows, orient="index")]).astype({"autoscaled": bool})
    table.index.name = linear.index.name
    total = float(np.sqrt(linear.attrs["total_logit_sd"] ** 2 + variance))
    text = linear.attrs["formula"].removesuffix(TOTAL_FORMULA.format(logit=linear.attrs["total_logit_sd"])).rstrip()
    if any(own.prior.scale is None for own in spec.groups):
        text = f"{text} {GROUPS_FORMULA.format(intercept=DEFAULT_INTERCEPT_SCALE)}".strip()
    text += f" {TOTAL_FORMULA.format(logit=total)}" if np.isfinite(total) else ""
    table.attrs = {**linear.attrs, "total_logit_sd": total, "formula": text.strip(), "note": text.strip()}
    return table_of(table, {"logit_sd": Format("ratio")})


def _row(own: GroupEffects, t: int, rms: float) -> dict[str, Any]:
    """The row of one term, whose root mean square over the rows is given."""
    scale, default, q = own.scales[t], own.prior.scale is None, own.n_terms
    correlated = own.prior.covariance == "unstructured" and not own.grouping.coupled and q > 1
    made = "given"
    if default:
        unit = DEFAULT_INTERCEPT_SCALE / scale.scale
        made = "default" if own.grouping.terms[t] == "intercept" else f"{DEFAULT_INTERCEPT_SCALE:g} / {unit:.4g}"
    return {
        "prior": str(replace(own.prior, scale=scale)) + (", by term" if correlated else ""),
        "measured": f"over {own.grouping.n_levels} levels",
        "autoscaled": default,
        "scale_from": made,
        "logit_sd": scale.scale * rms,
    }


def _mean_square(prior: ScalePrior) -> float:
    """Mean of the square of a standard deviation."""
    if isinstance(prior, HalfNormal):
        return prior.scale**2
    return prior.scale**2 * prior.df / (prior.df - 2.0) if prior.df > 2 else float("inf")
