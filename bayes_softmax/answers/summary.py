"""The table of coefficients of draws or of an estimate, for any contrast."""

from collections.abc import Sequence

import pandas as pd

from bayes_softmax.answers.chosen import chosen_rows
from bayes_softmax.answers.contraction import contraction
from bayes_softmax.answers.contrasts import View, build_view
from bayes_softmax.answers.fitted import Fitted, Sampled
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.layers import layer_table
from bayes_softmax.answers.parameter_summary import parameter_summary
from bayes_softmax.answers.quantities import Quantities, summary_columns
from bayes_softmax.core.checks import shown
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.digits import COMMON, chance, estimates
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.linear import INTERCEPT
from bayes_softmax.spec.network.linearised import network_in
from bayes_softmax.spec.network.logits import NetworkLogits


def summary(
    fit: Fitted,
    vs: Label | Sequence[Label] | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    *,
    features: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Table of coefficients with their intervals, in logits per unit of the feature.

    Parameters
    ----------
    vs
        The reference of the contrasts: a class, a pair ``("a", "b")``, or ``"average"``.  Default: the
        average of all classes, or the first class under reference coding.  Never refits.
    ci_prob, ci_kind
        Probability and kind (``"eti"``, ``"hdi"``) of the interval; defaults are ArviZ's.  An estimate has a Wald
        interval, for which both kinds coincide.
    features
        Which coefficients to show: features, terms of the formula, variables, ``"intercept"``; default all.  Of
        ``CustomLogits`` names of parameters, which then are the rows.

    Returns
    -------
    DataFrame
        Rows ``(feature, contrast)``, laid out as described in :mod:`bayes_softmax.display`.  For draws: mean, sd,
        interval, the probability of being positive, and last effective sample sizes, R-hat and the Monte Carlo error of
        the mean.  For an estimate: the estimate, its standard error and interval.  ``estimate`` is inf or -inf where
        the likelihood approaches its supremum only as the contrast diverges (separated classes), and NaN where the data
        do not determine it (collinear features, or directions of both signs); such rows have no standard error.  The
        others keep theirs.  With a proper prior ``contraction`` is the share of its variance that the data remove: near
        1 the data determine the answer, near 0 the prior does.  Of a network, whose single weights mean nothing:
        its layers, as :func:`bayes_softmax.answers.layers.layer_table` describes them.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
    >>> model.mle().summary(vs="a", ci_prob=0.9).columns.tolist()
    ['estimate', 'std_error', 'wald90_lb', 'wald90_ub']
    """
    network = network_in(fit.logits)
    if network is not None:
        return _layers(fit, network, vs=vs, ci_prob=ci_prob, ci_kind=ci_kind, features=features)
    interval = resolve_interval(ci_prob, ci_kind)
    if isinstance(fit, Sampled) and fit.logits.kind == CUSTOM:
        return parameter_summary(fit, vs, interval, features)
    view, rows = build_view(fit.schema, vs), chosen_rows(fit.schema, features)
    values, error = fit.contrast_values(view)
    columns = contrast_statistics(values, error, interval)
    _, spread, *_ = columns.values()
    if error is not None:
        del columns["p_positive"]
    names = list(columns)
    flat = {name: column[rows].ravel() for name, column in columns.items()}
    contracted = None if fit.is_prior else contraction(fit.schema, view.matrix, spread**2)
    if contracted is not None:
        flat["contraction"] = contracted[rows].ravel()
    quality = fit.draw_quality(values[:, rows])
    if quality is not None:
        flat |= {str(name): quality[name].to_numpy() for name in quality}
    chances = {"p_positive": chance(len(values) if error is None else None)}
    formats = COMMON | estimates(*names[:4], noise="mcse_mean") | chances
    return table_of(pd.DataFrame(flat, index=coefficient_index(fit.schema, view, rows)), formats)


def _layers(fit: Fitted, logits: NetworkLogits, **asked: object) -> pd.DataFrame:
    """The table of a network's layers; raises for questions about its coefficients."""
    for name, value in asked.items():
        if value is not None:
            raise ValueError(f"{name}={shown(value)} is for coefficients, and summary() of a network lists its layers")
    return layer_table(fit.schema, logits, fit.parameters, fit.effective)


def coefficient_table(fit: Fitted, view: View, interval: Interval, rows: IntArray) -> pd.DataFrame:
    """Centre, spread, interval and probability of being positive of some coefficients; rows as in :func:`summary`."""
    columns = contrast_statistics(*fit.contrast_values(view), interval)
    flat = {name: column[rows].ravel() for name, column in columns.items()}
    return pd.DataFrame(flat, index=coefficient_index(fit.schema, view, rows))


def contrast_statistics(values: FloatArray, error: FloatArray | None, interval: Interval) -> dict[str, FloatArray]:
    """The columns (q, m) of :func:`summary_columns`, of the contrasts of a fit and their standard errors."""
    quantities = Quantities(values.reshape(len(values), -1), None if error is None else error.ravel())
    return {name: column.reshape(values.shape[1:]) for name, column in summary_columns(quantities, interval).items()}


def coefficient_index(schema: Schema, view: View, rows: IntArray | None = None) -> pd.MultiIndex:
    """A row for each contrast of some coefficients, by position; default all, the intercept's only if there is one."""
    chosen = chosen_rows(schema, None) if rows is None else rows
    names = [INTERCEPT, *schema.feature_names]
    return pd.MultiIndex.from_product([[names[j] for j in chosen], view.names], names=["feature", "contrast"])
