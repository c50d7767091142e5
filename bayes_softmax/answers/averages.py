r"""Averages of probabilities and of their slopes over a population, with their uncertainty.

Let one unit of a variable move the logits of row n by :math:`\delta_n`; then

.. math:: \frac{\partial p_{nk}}{\partial v} = f_{nk} = p_{nk}\,(\delta_{nk} - \textstyle\sum_l p_{nl}\delta_{nl}).

Where :math:`\delta` is the same in every row, the average needs only the averages of :math:`p_k` and :math:`p_k p_l`,
which serve all such variables at once.  For the delta method, the Jacobian with respect to the logits is
:math:`\mathrm{diag}(p) - pp'` for the probabilities and :math:`\mathrm{diag}(f) - fp' - pf'` for the slopes; the
Jacobian of the slopes with respect to :math:`\delta` is :math:`\mathrm{diag}(p) - pp'` again.  The logit function pulls
these back to its parameters.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.answers.cautions import in_the_limit, row_cautions
from bayes_softmax.answers.fitted import Fitted, quadratic_form
from bayes_softmax.answers.population import Population, derivative, encode_variables
from bayes_softmax.answers.probabilities import HasLogits, over_blocks, sum_over_blocks
from bayes_softmax.answers.quantities import Quantities
from bayes_softmax.answers.rows import Rows, block_ranges
from bayes_softmax.answers.training import VariableRows
from bayes_softmax.answers.variables import Covariate, Setting, level_name
from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.schema import Schema
from bayes_softmax.separation.limits import Limits, moving_pairs
from bayes_softmax.spec.network.logits import NetworkLogits

SHOWN_VALUES = 6  # of a row that a message names
PAIRS_PAY = 4  # operations per class that one slope alone takes, relative to one per pair of classes


class Slope(NamedTuple):
    """Average derivative of the probabilities with respect to a numeric variable, times the size of a step."""

    variable: Covariate
    size: float = 1.0


class Difference(NamedTuple):
    """Average probability with variables set to ``to``, minus the one with them set to ``base``."""

    to: Setting
    base: Setting


class Level(NamedTuple):
    """Average probability with variables set to ``to``."""

    to: Setting


Change = Slope | Difference | Level


class Averages(NamedTuple):
    """Averages with their uncertainty, and cautions about the rows."""

    quantities: Quantities
    cautions: list[str]


def average_changes(fit: Fitted, rows: Population, changes: Sequence[Change], draws: HasLogits) -> Averages:
    """Each change of each class probability, averaged over the rows: quantities in the order (change, class).

    ``draws`` are the draws of the fit to use.

    Where the optimum of an estimate lies at infinity, the averages are those of the limiting model: NaN where a row is
    unknown or a slope infinite, and without a standard error where a row is not determined or all rows are certain.
    """
    cautions: list[str] = []
    if fit.delta_covariance is None:
        values = _average_draws(fit, draws, rows, changes, cautions)
        return Averages(Quantities(values, np.full(values.shape[1], np.nan) if fit.is_estimate else None), cautions)
    with blas_on_one_thread():  # products of few columns: a second thread costs more than it saves
        estimate, jacobian = _estimate_and_jacobian(fit, rows, changes, cautions)
    variance = quadratic_form(jacobian.reshape(-1, *jacobian.shape[2:]), fit.delta_covariance)
    if fit.limits is not None:
        # A probability that is certain only in the limit has no standard error, nor has a NaN.
        variance[(variance == 0) | np.isnan(estimate.ravel())] = np.nan
    return Averages(Quantities(estimate.reshape(1, -1), np.sqrt(variance)), cautions)


def _encoded(fit: Fitted, population: Population, rows: VariableRows, setting: Setting, cautions: list[str]) -> Rows:
    """Features of rows with variables set, in the limit of the fit; appends cautions about the rows."""
    at = population.with_values(rows, setting)
    encoded = in_the_limit(fit, encode_variables(fit.schema, at))
    cautions.extend(row_cautions(fit, encoded, partial(rows_in_words, at)))
    return encoded


def rows_in_words(rows: VariableRows, positions: IntArray) -> str:
    """Name rows by the values of the first: averages run over distinct rows, which have no labels."""
    first = rows.frame.iloc[int(positions[0])].items()
    values = ", ".join(f"{name}={level_name(value)}" for name, value in itertools.islice(first, SHOWN_VALUES))
    more = f" and {len(positions) - 1} more rows" if len(positions) > 1 else ""
    return f"the row {values}{', ...' if rows.frame.shape[1] > SHOWN_VALUES else ''}{more}"


def _settings(changes: Sequence[Change]) -> list[tuple[Setting, list[tuple[int, float]]]]:
    """Distinct settings of variables, each with the positions of the changes that use it and their signs."""
    found: dict[tuple[tuple[str, object], ...], tuple[Setting, list[tuple[int, float]]]] = {}
    for i, change in enumerate(changes):
        if isinstance(change, Slope):
            continue
        parts = [(change.to, 1.0)] + ([(change.base, -1.0)] if isinstance(change, Difference) else [])
        for setting, sign in parts:
            found.setdefault(tuple(sorted(setting.items())), (setting, []))[1].append((i, sign))
    return list(found.values())


def _slopes(schema: Schema, rows: VariableRows, changes: Sequence[Change]) -> dict[int, FloatArray]:
    """Change of the features over one step, by the position of the slope."""
    return {i: c.size * derivative(schema, rows, c.variable) for i, c in enumerate(changes) if isinstance(c, Slope)}


# ---------------------------------------------------------------------- draws


def _average_draws(
    fit: Fitted, draws: HasLogits, rows: Population, changes: Sequence[Change], cautions: list[str]
) -> FloatArray:
    """(S, changes x K)."""
    out = np.zeros((len(changes), draws.logits.n_classes, draws.parameters.n_draws))
    total = 0.0
    for chunk in rows.chunks():
        weights, slopes = chunk.weights, _slopes(fit.schema, chunk, changes)
        total += weights.sum()
        if slopes:
            _add_slopes(draws, _encoded(fit, rows, chunk, {}, cautions), weights, slopes, out)
        for setting, parts in _settings(changes):
            at = _encoded(fit, rows, chunk, setting, cautions)
            mean = sum_over_blocks(draws, at, lambda P, block: np.matmul(weights[block], P))  # noqa: B023
            for i, sign in parts:
                out[i] += sign * mean
    out /= total
    return np.ascontiguousarray(out.reshape(-1, out.shape[2]).T)


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
        deltas = (logits.slope(parameters, X, _of_block(slopes[i], block)) for i in varying)
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


def _of_block(D: FloatArray, block: slice) -> FloatArray:
    """Changes of the features in a block; a single row holds for all rows."""
    return D[block] if len(D) > 1 else D


def _weighted_slope(P: FloatArray, w: FloatArray, delta: FloatArray) -> FloatArray:
    """Weighted sum (K, S) of the slopes of probabilities whose logits move by ``delta`` (K, rows or 1, S)."""
    slope = delta - (P * delta).sum(axis=0)
    slope *= P
    total: FloatArray = np.matmul(w, slope)
    return total


# ---------------------------------------------------------------------- an estimate and its Jacobian


def _estimate_and_jacobian(
    fit: Fitted, rows: Population, changes: Sequence[Change], cautions: list[str]
) -> tuple[FloatArray, FloatArray]:
    """Averages (changes, K), and their Jacobian (changes, K, d) with respect to the parameters."""
    K, d = fit.logits.n_classes, size_of(fit.logits.shapes)
    value, jacobian, total = np.zeros((len(changes), K)), np.zeros((len(changes), K, d)), 0.0
    for chunk in rows.chunks():
        weights, slopes = chunk.weights, _slopes(fit.schema, chunk, changes)
        total += weights.sum()
        if slopes:
            base = _encoded(fit, rows, chunk, {}, cautions)
            for block in estimate_blocks(base, K):
                _add_slope_jacobians(fit, base, weights, slopes, block, value, jacobian)
            if fit.limits is not None:
                for i, D in slopes.items():
                    infinite = _infinite_slopes(fit.limits, base, weights, D)
                    value[i, infinite] = np.nan
                    if infinite.any():
                        name = cast(Slope, changes[i]).variable.name
                        cautions.append(f"the slope in {name!r} is not determined, or infinite: NaN")
        for setting, parts in _settings(changes):
            at = _encoded(fit, rows, chunk, setting, cautions)
            for block in estimate_blocks(at, K):
                mean, J = level_jacobian(fit, at, weights, block)
                for i, sign in parts:
                    value[i] += sign * mean
                    jacobian[i] += sign * J
    return value / total, jacobian / total


def estimate_blocks(rows: Rows, K: int) -> list[slice]:
    """Blocks of rows whose K x K matrices and Jacobians fit into memory together."""
    return [slice(*ends) for ends in block_ranges(rows.n_rows, 8 * (K + 2) * (K + rows.X.shape[1] + 1))]


def _probabilities(fit: HasLogits, rows: Rows, block: slice) -> FloatArray:
    """Probabilities (rows, K) at the estimate."""
    return np.concatenate([P[:, :, 0].T for P in over_blocks(fit, rows.take(block), lambda P, _: P)])


def level_jacobian(fit: HasLogits, rows: Rows, row_weights: FloatArray, block: slice) -> tuple[FloatArray, FloatArray]:
    """Weighted sum (K,) of the probabilities in one block of rows, and its Jacobian (K, d)."""
    w, P = row_weights[block, None], _probabilities(fit, rows, block)
    B = _softmax_jacobian(P) * w[:, :, None]
    if rows.loose is not None:
        B[rows.loose[block] & (w > 0)] = np.nan
    return (w * P).sum(axis=0), fit.logits.pull_back(fit.parameters, rows.X[block], B)


def _softmax_jacobian(P: FloatArray) -> FloatArray:
    """Jacobian ``diag(p) - p p'`` (n, K, K) of the softmax."""
    result: FloatArray = P[:, :, None] * (np.eye(P.shape[1]) - P[:, None, :])
    return result


def _add_slope_jacobians(
    fit: HasLogits,
    rows: Rows,
    row_weights: FloatArray,
    slopes: Mapping[int, FloatArray],
    block: slice,
    value: FloatArray,
    jacobian: FloatArray,
) -> None:
    """Add weighted sums of slopes and of their Jacobians over one block of rows."""
    w, P, X = row_weights[block, None], _probabilities(fit, rows, block), rows.X[block]
    logits, parameters = fit.logits, fit.parameters
    B, eye = _softmax_jacobian(P) * w[:, :, None], np.eye(P.shape[1])
    for i, D in slopes.items():
        d = _of_block(D, block)
        delta = logits.slope(parameters, X, d)[:, :, 0].T
        f = w * P * (delta - (P * delta).sum(axis=1, keepdims=True))
        A = f[:, :, None] * (eye - P[:, None, :]) - P[:, :, None] * f[:, None, :]
        if rows.loose is not None:
            A[rows.loose[block] & (w > 0)] = np.nan
        value[i] += f.sum(axis=0)
        jacobian[i] += logits.pull_back(parameters, X, A)
        jacobian[i] += logits.pull_back_slope(parameters, X, d, B)


def _infinite_slopes(limits: Limits, rows: Rows, row_weights: FloatArray, D: FloatArray) -> NDArray[np.bool_]:
    """(K,) classes whose slope is infinite in some row: a logit difference to another possible class diverges."""
    K = limits.rows.shape[1]
    out = np.zeros(K, dtype=bool)
    if rows.loose is None:
        return out
    possible = ~(rows.excluded | rows.loose) & (row_weights > 0)[:, None]
    if rows.available is not None:
        possible &= rows.available
    for block in (slice(*ends) for ends in block_ranges(rows.n_rows, 8 * len(limits.rows) * K * K)):
        moving = moving_pairs(limits, _of_block(D, block))
        out |= (moving & possible[block, :, None] & possible[block, None, :]).any(axis=(0, 2))
    return out
