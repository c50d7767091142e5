r"""Averages of probabilities and of their slopes over a population, with their uncertainty.

Let one unit of a variable move the logits of row n by :math:`\delta_n`; then

.. math:: \frac{\partial p_{nk}}{\partial v} = f_{nk} = p_{nk}\,(\delta_{nk} - \textstyle\sum_l p_{nl}\delta_{nl}).

Where :math:`\delta` is the same in every row, the average needs only the averages of :math:`p_k` and :math:`p_k p_l`,
which serve all such variables at once.  For the delta method, the Jacobian with respect to the logits is
:math:`\mathrm{diag}(p) - pp'` for the probabilities and :math:`\mathrm{diag}(f) - fp' - pf'` for the slopes; the
Jacobian of the slopes with respect to :math:`\delta` is :math:`\mathrm{diag}(p) - pp'` again.  The logit function pulls
these back to its parameters.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.average_jacobian import estimate_and_jacobian
from bayes_softmax.answers.cautions import both_cautions
from bayes_softmax.answers.changes import Change, encoded_rows, of_block, passes, settings_of, slopes_of
from bayes_softmax.answers.fitted import Answering, Fitted, alone, quadratic_form
from bayes_softmax.answers.levels import AtLevels, affordable_nodes, at_levels, nodes_note
from bayes_softmax.answers.nodes import NODES
from bayes_softmax.answers.perturbed import moved
from bayes_softmax.answers.population import Population
from bayes_softmax.answers.probabilities import HasLogits, sum_over_blocks
from bayes_softmax.answers.quantities import Quantities
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.parameters import ends_of_step
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.spec.network.logits import NetworkLogits

PAIRS_PAY = 4  # operations per class that one slope alone takes, relative to one per pair of classes


class Averages(NamedTuple):
    """Averages with their uncertainty, and cautions about the rows."""

    quantities: Quantities
    cautions: list[str]
    note: str | None = None


def average_changes(fit: Fitted, rows: Population, changes: Sequence[Change], draws: HasLogits) -> Averages:
    """Each change of each class probability, averaged over the rows: quantities in the order (change, class).

    ``draws`` are the draws of the fit to use.  Standard errors of an estimate averaged over a population of levels are
    by differences (:mod:`bayes_softmax.answers.perturbed`), others by the exact Jacobian.

    Where the optimum of an estimate lies at infinity, the averages are those of the limiting model: NaN where a row is
    unknown or a slope infinite, and without a standard error where a row is not determined or all rows are certain.
    """
    if fit.delta_covariance is None or rows.asked.averaged:
        return _by_draws(fit, draws, rows, changes)
    cautions: list[str] = []
    with blas_on_one_thread():  # products of few columns: a second thread costs more than it saves
        estimate, jacobian = estimate_and_jacobian(fit, rows, changes, cautions)
    variance = quadratic_form(jacobian.reshape(-1, *jacobian.shape[2:]), fit.delta_covariance)
    if fit.limits is not None:
        # A probability that is certain only in the limit has no standard error, nor has a NaN.
        variance[(variance == 0) | np.isnan(estimate.ravel())] = np.nan
    return Averages(Quantities(estimate.reshape(1, -1), np.sqrt(variance)), cautions)


def _by_draws(fit: Fitted, draws: HasLogits, rows: Population, changes: Sequence[Change]) -> Averages:
    """Averages of draws, or of an estimate that is moved as if by draws."""
    asked, covariance, cautions, near = rows.asked, fit.delta_covariance, list[str](), None
    if covariance is not None:
        near = moved(fit.logits, fit.parameters, covariance, asked.averaged)
        draws = near.draws
    S, K, n_nodes = draws.parameters.n_draws, fit.logits.n_classes, NODES
    if asked.averaged:
        n_nodes = affordable_nodes(rows.n_rows, S, K, passes=passes(changes))
    at = at_levels(draws, fit.schema, asked, rows.n_levels, n_nodes=n_nodes, shifted=near is None)
    values, note = _average_draws(fit, at, rows, changes, cautions), nodes_note(at.nodes)
    if near is not None:
        return Averages(Quantities(values[:1], near.errors(values)), cautions, note)
    return Averages(Quantities(values, np.full(values.shape[1], np.nan) if fit.is_estimate else None), cautions, note)


class SumsOfDraws(NamedTuple):
    """Weighted sums over rows: values (changes, K, S), weights, and cautions."""

    values: FloatArray
    total: float
    cautions: tuple[str, ...]


def _average_draws(
    fit: Fitted, at_draws: AtLevels, rows: Population, changes: Sequence[Change], cautions: list[str]
) -> FloatArray:
    """(S, changes x K)."""
    bare = alone(fit, at_draws.draws.parameters)
    sums = rows.total(partial(_sums_of_draws, bare, at_draws, tuple(changes)), _added)
    cautions.extend(sums.cautions)
    out = sums.values / sums.total
    return np.ascontiguousarray(out.reshape(-1, out.shape[2]).T)


def _added(a: SumsOfDraws, b: SumsOfDraws) -> SumsOfDraws:
    return SumsOfDraws(a.values + b.values, a.total + b.total, both_cautions(a.cautions, b.cautions))


def _sums_of_draws(fit: Answering, at_draws: AtLevels, changes: Sequence[Change], rows: Population) -> SumsOfDraws:
    """The sums over some rows."""
    draws, cautions = at_draws.draws, list[str]()
    out = np.zeros((len(changes), draws.logits.n_classes, draws.parameters.n_draws))
    total = 0.0
    for chunk in rows.chunks():
        weights, slopes = chunk.weights, slopes_of(fit.schema, chunk, changes)
        total += weights.sum()
        if slopes:
            here = at_draws.place(encoded_rows(fit, rows, chunk, {}, cautions))
            add = _add_slopes if here.nodes is None else _add_averaged_slopes
            add(draws, here, weights, slopes, out)
        for setting, parts in settings_of(changes):
            at = at_draws.place(encoded_rows(fit, rows, chunk, setting, cautions))
            mean = sum_over_blocks(draws, at, lambda P, block: np.matmul(weights[block], P))  # noqa: B023
            for i, sign in parts:
                out[i] += sign * mean
    return SumsOfDraws(out, float(total), tuple(cautions))


def _add_averaged_slopes(
    draws: HasLogits, rows: Rows, row_weights: FloatArray, slopes: Mapping[int, FloatArray], out: FloatArray
) -> None:
    """The same where probabilities are averages over nodes: by differences of these, with the same nodes."""
    scale = np.abs(rows.X).max(axis=0)
    for i, D in slopes.items():
        if np.isnan(D).any():
            out[i] = np.nan
            continue
        upper, lower, width = ends_of_step(rows.X, D, scale)
        w = row_weights / width
        for X, sign in ((upper, 1.0), (lower, -1.0)):
            out[i] += sign * sum_over_blocks(
                draws,
                rows._replace(X=X),
                lambda P, block: np.matmul(w[block], P),  # noqa: B023
            )


def _add_slopes(
    draws: HasLogits, rows: Rows, row_weights: FloatArray, slopes: Mapping[int, FloatArray], out: FloatArray
) -> None:
    """Add weighted sums of slopes to ``out`` (changes, K, S)."""
    K, logits, parameters = out.shape[1], draws.logits, draws.parameters
    constant = [i for i, D in slopes.items() if len(D) == 1 and logits.is_linear]
    if PAIRS_PAY * len(constant) < K:  # pair products serve all slopes at once
        constant = []
    varying = [i for i in slopes if i not in constant]
    at_once = len(varying) > 1 and isinstance(logits, NetworkLogits) and not logits.holds_hidden(parameters)
    together = [i for i in varying if len(slopes[i]) == 1] if at_once else []
    varying = [i for i in varying if i not in together]
    pairs = [(k, l) for k in range(K) for l in range(k, K)] if constant else []

    def moments(P: FloatArray, block: slice) -> FloatArray:
        w, X = row_weights[block], rows.X[block]
        products = [np.matmul(w, P[k] * P[l])[None] for k, l in pairs]
        deltas = (logits.slope(parameters, X, of_block(slopes[i], block)) for i in varying)
        own = [_weighted_slope(P, w, delta) for delta in deltas]
        if together:
            assert isinstance(logits, NetworkLogits)
            gradients = logits.sum_of_gradients(parameters, X, P, w)
            own += [np.tensordot(slopes[i][0], gradients, axes=1) for i in together]
        return np.concatenate([np.matmul(w, P), *products, *own])

    total = sum_over_blocks(draws, rows, moments)
    mean, products, own = np.split(total, [K, K + len(pairs)])
    for i, sums in zip([*varying, *together], own.reshape(-1, *out.shape[1:]), strict=True):
        out[i] += sums
    for i in constant:
        delta = logits.slope(parameters, rows.X[:1], slopes[i])[:, 0]  # (K, S)
        out[i] += mean * delta
        for (k, l), product in zip(pairs, products, strict=True):
            out[i, k] -= product * delta[l]
            if k != l:
                out[i, l] -= product * delta[k]


def _weighted_slope(P: FloatArray, w: FloatArray, delta: FloatArray) -> FloatArray:
    """Weighted sum (K, S) of the slopes of probabilities whose logits move by ``delta`` (K, rows or 1, S)."""
    slope = delta - (P * delta).sum(axis=0)
    slope *= P
    total: FloatArray = np.matmul(w, slope)
    return total
