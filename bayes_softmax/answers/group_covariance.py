r"""The covariance of the effects of levels: what the data identify of it.

Softmax depends on differences of logits, so only covariances of contrasts have a meaning: with the covariance
:math:`\Sigma` of a level's effects over the classes, that of contrasts c and d is :math:`c'\Sigma d`.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_softmax.answers.cautions import noted
from bayes_softmax.answers.contrasts import View
from bayes_softmax.answers.fitted import Fitted, quadratic_form
from bayes_softmax.answers.groupings import Versus, build_views, chosen_groupings, covariance_of_parameters
from bayes_softmax.answers.intervals import Interval, normal_quantile, resolve_interval
from bayes_softmax.answers.quantities import Quantities, summary_columns
from bayes_softmax.answers.tables import index_of
from bayes_softmax.core.checks import check_flags
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.grouping import INTERCEPT, Grouping
from bayes_softmax.display.digits import estimates
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.groups.structure import covariance_name

INDEX = ("group", "statistic", "effect", "with")
SD, CORRELATION, INTRACLASS = "sd", "correlation", "icc"
RESIDUAL = np.pi**2 / 6  # variance of a standard Gumbel variable
FIXED = 1e-6  # range or standard error of a correlation that is known beforehand
DEPENDENT = 1.0 - 1e-9  # cosine of two contrasts of which one is a multiple of the other


class Effects(NamedTuple):
    """Effects of a level of one grouping: contrasts of the classes in each term.

    ``vectors`` (E, qK) give them from the level's effects, and ``names`` call them.
    """

    grouping: Grouping
    vectors: FloatArray
    names: tuple[str, ...]

    def pairs(self, products: FloatArray) -> list[tuple[int, int]]:
        """Pairs whose correlation is not known beforehand, of covariances (S, E, E)."""
        length = np.linalg.norm(self.vectors, axis=1)
        cosine = np.abs(self.vectors @ self.vectors.T) / np.outer(length, length)
        free = (cosine < DEPENDENT) & (products != 0).any(axis=0)
        return [(i, j) for i, j in combinations(range(len(self.names)), 2) if free[i, j]]


def group_covariance(
    fit: Fitted,
    group: str | Sequence[str] | None = None,
    vs: Versus = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    *,
    draws: bool = False,
) -> pd.DataFrame | xr.DataArray:
    r"""How effects vary over the levels of a grouping: standard deviations, correlations, intraclass correlations.

    Only covariances of contrasts are identified, and only these are shown: :math:`c'\Sigma d` for contrasts c and d and
    the covariance :math:`\Sigma` of a level's effects.  Its decomposition into a standard deviation of each class and
    correlations of classes is internal, and not identified.

    Parameters
    ----------
    group
        Groupings to show, by name; default all.
    vs
        The reference of the contrasts, as in :meth:`summary`: a class, a pair ``("a", "b")``, or ``"average"``; also
        several pairs, ``[("a", "b"), ("c", "d")]``, for the correlation of any two contrasts.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    draws
        Return draws of the covariance of the contrasts, (chain, draw, effect, effect_other), of one grouping.

    Returns
    -------
    DataFrame
        Rows ``(group, statistic, effect, with)``: ``sd`` of each contrast in each term, ``correlation`` of two of them,
        and ``icc``, the intraclass correlation of the intercepts.  For draws mean, sd and interval; for an estimate
        its standard error by the delta method, and intervals on the scales of log sd (of a sd below its error, of the
        sd itself), of artanh of a correlation and of the logit of an intraclass correlation.  Correlations that the
        model or the choice of contrasts fixes are left out.

    Notes
    -----
    The intraclass correlation of a contrast c is :math:`v_c / (v_c + |c|^2 \pi^2/6)`, with :math:`v_c` its variance
    over the levels: the correlation of the latent utilities of two observations of one level, where x = 0.  The
    residual variance is that of independent standard Gumbel variables, one for each class, whose largest utility is
    the class chosen (McFadden 1974): :math:`\pi^2/3` for two classes, as in logistic models (Hedeker, *Statistics in
    Medicine* 22, 2003).  With several groupings the denominator has the variances of all.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ body_mass_g + (1 | year)", penguins)
    >>> post = model.sample(draws=100, chains=2, random_seed=1, progressbar=False)
    >>> table = post.group_covariance(vs=("Gentoo", "Adelie"))
    >>> table.index.tolist()
    [('year', 'sd', 'Gentoo vs Adelie', ''), ('year', 'icc', 'Gentoo vs Adelie', '')]
    """
    check_flags(draws=draws)
    groupings, view = chosen_groupings(fit.schema, group), build_views(fit.schema, vs)
    interval = resolve_interval(ci_prob, ci_kind)
    effects = [effects_of(grouping, view) for grouping in groupings]
    if draws:
        return _labelled_draws(fit, effects)
    places: list[tuple[str, str, str, str]] = []
    columns: list[dict[str, FloatArray]] = []
    for own in effects:
        for statistic, found, labels in _statistics(fit, own, view):
            places += [(own.grouping.name, statistic, *label) for label in labels]
            columns.append(_columns(fit, statistic, found, interval))
    table = pd.DataFrame(
        {name: np.concatenate([part[name] for part in columns]) for name in columns[0]},
        index=index_of(places, INDEX),
    )
    return noted(table_of(table, estimates(*table.columns)), fit.caution)


def effects_of(grouping: Grouping, view: View) -> Effects:
    """Contrasts of the classes in each term of a grouping."""
    vectors = np.asarray(np.kron(np.eye(len(grouping.terms)), view.matrix.T), dtype=np.float64)
    alone = grouping.terms == (INTERCEPT,)
    names = tuple(name if alone else f"{term}: {name}" for term in grouping.terms for name in view.names)
    return Effects(grouping, vectors, names)


class Statistic(NamedTuple):
    """Values (S, m) of one statistic, and for an estimate their derivatives in the covariances, by grouping."""

    values: FloatArray
    derivatives: dict[str, FloatArray]

    def only(self, kept: NDArray[np.bool_]) -> "Statistic":
        """Some of the values."""
        return Statistic(self.values[:, kept], {name: slope[kept] for name, slope in self.derivatives.items()})


def _covariance(fit: Fitted, grouping: Grouping) -> FloatArray:
    """(S, qK, qK) covariance of a level's effects."""
    values = fit.parameters[covariance_name(grouping.name)]
    n = values.shape[1] * values.shape[2]
    return values.reshape(len(values), n, n)


def _statistics(fit: Fitted, own: Effects, view: View) -> list[tuple[str, Statistic, list[tuple[str, str]]]]:
    """Standard deviations, correlations and intraclass correlations of one grouping, with the names of the rows."""
    products = own.vectors @ _covariance(fit, own.grouping) @ own.vectors.T
    sds = np.sqrt(np.einsum("see->se", products))
    outer = np.einsum("ei,ej->eij", own.vectors, own.vectors).reshape(len(own.names), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_sd = outer / (2 * sds[0][:, None])
    found = [(SD, Statistic(sds, {own.grouping.name: by_sd}), [(name, "") for name in own.names])]
    pairs = own.pairs(products)
    if pairs:
        correlations = _correlations(own, products, sds, pairs)
        varies = _varies(fit, correlations)
        if varies.any():
            labels = [(own.names[i], own.names[j]) for (i, j), kept in zip(pairs, varies, strict=True) if kept]
            found.append((CORRELATION, correlations.only(varies), labels))
    if INTERCEPT in own.grouping.terms:
        m = len(view.names)
        first = own.grouping.terms.index(INTERCEPT) * m
        labels = [(name, "") for name in own.names[first : first + m]]
        found.append((INTRACLASS, _intraclass(fit, own, view, products, slice(first, first + m)), labels))
    return found


def _varies(fit: Fitted, found: Statistic) -> NDArray[np.bool_]:
    """(m,) whether a statistic is learned: those of exchangeable classes have fixed correlations."""
    if not fit.is_estimate:
        return np.ptp(found.values, axis=0) > FIXED if len(found.values) > 1 else np.ones(found.values.shape[1], bool)
    error = _errors(fit, found)
    return ~(error < FIXED)


def _correlations(own: Effects, products: FloatArray, sds: FloatArray, pairs: list[tuple[int, int]]) -> Statistic:
    i, j = np.array(pairs).T
    a, b = own.vectors[i], own.vectors[j]
    with np.errstate(divide="ignore", invalid="ignore"):
        r = products[:, i, j] / (sds[:, i] * sds[:, j])
        u, v = a / sds[0, i, None], b / sds[0, j, None]
    # derivative of u'Sv, less what the scaling of both to variance 1 takes away
    both = 0.5 * (np.einsum("ei,ej->eij", u, v) + np.einsum("ei,ej->eij", v, u))
    alone = np.einsum("ei,ej->eij", u, u) + np.einsum("ei,ej->eij", v, v)
    slope = both - 0.5 * r[0][:, None, None] * alone
    return Statistic(r, {own.grouping.name: slope.reshape(len(pairs), -1)})


def _intraclass(fit: Fitted, own: Effects, view: View, products: FloatArray, at: slice) -> Statistic:
    """Share of the variance of the intercepts of one grouping in that of the latent utilities' contrasts."""
    variance = np.einsum("see->se", products)[:, at]
    total = RESIDUAL * (view.matrix**2).sum(axis=0) + np.zeros_like(variance)
    vectors = {}
    for grouping in fit.schema.groups:
        if INTERCEPT in grouping.terms:
            each, m = effects_of(grouping, view).vectors, len(view.names)
            first = grouping.terms.index(INTERCEPT) * m
            vectors[grouping.name] = each[first : first + m]
            S = _covariance(fit, grouping)
            total += np.einsum("mi,sij,mj->sm", vectors[grouping.name], S, vectors[grouping.name])
    slopes = {}
    for name, c in vectors.items():
        factor = (float(name == own.grouping.name) - variance[0] / total[0]) / total[0]
        slopes[name] = (factor[:, None, None] * np.einsum("mi,mj->mij", c, c)).reshape(len(c), -1)
    return Statistic(variance / total, slopes)


def _columns(fit: Fitted, statistic: str, found: Statistic, interval: Interval) -> dict[str, FloatArray]:
    """Centre, spread and interval of a statistic."""
    error = _errors(fit, found) if fit.is_estimate else None
    columns = summary_columns(Quantities(found.values, error), interval)
    del columns["p_positive"]
    if error is not None:
        columns |= dict(zip(interval.columns("wald"), _ends(statistic, found.values[0], error, interval), strict=True))
    return columns


def _errors(fit: Fitted, found: Statistic) -> FloatArray:
    """Standard errors (m,) by the delta method; NaN where the estimate has none."""
    names = list(found.derivatives)
    covariance = covariance_of_parameters(fit, [covariance_name(name) for name in names])
    if covariance is None:
        return np.full(found.values.shape[1], np.nan)
    jacobian = np.hstack([found.derivatives[name] for name in names])
    with np.errstate(invalid="ignore"):  # a standard deviation of zero has no derivative
        variance = quadratic_form(jacobian, covariance)
        error: FloatArray = np.sqrt(np.where(variance >= 0, variance, np.nan))
    return error


def _ends(statistic: str, value: FloatArray, error: FloatArray, interval: Interval) -> tuple[FloatArray, FloatArray]:
    """Ends of a normal interval on a scale without ends: log sd, artanh of a correlation, logit of a share."""
    z = normal_quantile(interval)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if statistic == SD:
            factor, near_zero = np.exp(z * error / value), error > value  # whose logarithm means nothing
            low = np.where(near_zero, np.maximum(value - z * error, 0.0), value / factor)
            return low, np.where(near_zero, value + z * error, value * factor)
        if statistic == CORRELATION:
            half = z * error / (1 - value**2)
            return np.tanh(np.arctanh(value) - half), np.tanh(np.arctanh(value) + half)
        factor = np.exp(z * error / (value * (1 - value)))
        return value / (value + (1 - value) * factor), value / (value + (1 - value) / factor)


def _labelled_draws(fit: Fitted, effects: list[Effects]) -> xr.DataArray:
    """Draws of the covariance of the contrasts as a labelled array."""
    if fit.is_estimate:
        raise ValueError("draws=True: a point estimate has no draws; use model.laplace() or model.sample()")
    if len(effects) > 1:
        names = ", ".join(repr(own.grouping.name) for own in effects)
        raise ValueError(f"draws=True: the draws are of one grouping; name it by group= ({names})")
    (own,) = effects
    products = own.vectors @ _covariance(fit, own.grouping) @ own.vectors.T
    values = products.reshape(fit.n_chains, -1, *products.shape[1:])
    coords = {"effect": list(own.names), "effect_other": list(own.names)}
    return xr.DataArray(values, dims=("chain", "draw", "effect", "effect_other"), coords=coords, name="covariance")
