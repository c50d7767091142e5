r"""Averages of probabilities and of their slopes over a population, with their uncertainty.

For a variable that changes the features by :math:`d_n` per unit, the logits move by :math:`\delta_n = d_n W` and

.. math:: \frac{\partial p_{nk}}{\partial v} = f_{nk} = p_{nk}\,(\delta_{nk} - \textstyle\sum_l p_{nl}\delta_{nl}).

Where :math:`\delta` is the same in every row, its average needs the averages of :math:`p_k` and :math:`p_k p_l` only,
which serve all such variables at once.  The Jacobians of the delta method are, in the logits,
:math:`\mathrm{diag}(p) - pp'` of the probabilities and :math:`\mathrm{diag}(f) - fp' - pf'` of the slopes.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.answers.cautions import in_the_limit, row_cautions
from bayes_softmax.answers.fitted import Fitted, quadratic_form
from bayes_softmax.answers.limits import Limits, moving_pairs
from bayes_softmax.answers.probabilities import Coefficients, Rows, block_ranges, over_blocks, sum_over_blocks
from bayes_softmax.answers.quantities import Quantities
from bayes_softmax.answers.variables import Population, Setting, Variable, derivative, encode, level_name
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.schema import Schema

SHOWN_VALUES = 6  # of a row in words
PAIRS_PAY = 4  # a slope alone costs about so many operations for each class, a pair of classes one


class Slope(NamedTuple):
    """Average derivative of the probabilities in a numeric variable."""

    variable: Variable


class Difference(NamedTuple):
    """Average probability with variables set to ``to``, less that with them set to ``base``."""

    to: Setting
    base: Setting


class Level(NamedTuple):
    """Average probability with variables set to ``to``."""

    to: Setting


Change = Slope | Difference | Level


class Averages(NamedTuple):
    """What was averaged, and what must be said about the rows."""

    quantities: Quantities
    cautions: list[str]


def average_changes(fit: Fitted, rows: Population, changes: Sequence[Change], coefficients: Coefficients) -> Averages:
    """Each change of each class probability, averaged over the rows: quantities in the order (change, class).

    Where the optimum of an estimate lies at infinity these are of the limiting model: not a number where a row is
    unknown, or a slope infinite, and without an error where a row is not determined, or all are certain.
    """
    cautions: list[str] = []
    if fit.delta_covariance is None:
        return Averages(Quantities(_draws(fit, coefficients, rows, changes, cautions)), cautions)
    with blas_on_one_thread():  # products of few columns: a second thread costs more than it brings
        estimate, jacobian = _estimate(fit, coefficients, rows, changes, cautions)
    variance = quadratic_form(jacobian.reshape(-1, *jacobian.shape[2:]), fit.delta_covariance)
    if fit.limits is not None:
        # Certain in the limit is not certain to be true, and what is not a number has no error.
        variance[(variance == 0) | np.isnan(estimate.ravel())] = np.nan
    return Averages(Quantities(estimate.reshape(1, -1), np.sqrt(variance)), cautions)


def _encoded(fit: Fitted, rows: Population, setting: Setting, cautions: list[str]) -> Rows:
    """Features of the rows with variables set, in the limit of the fit; adds what must be said about them."""
    encoded = in_the_limit(fit, encode(fit.schema, rows.with_values(setting) if setting else rows))
    cautions.extend(row_cautions(fit, encoded, partial(_in_words, rows.with_values(setting))))
    return encoded


def _in_words(rows: Population, positions: IntArray) -> str:
    """Rows by the values of the first of them: averages run over distinct rows, which have no labels."""
    first = rows.frame.iloc[int(positions[0])].items()
    values = ", ".join(f"{name}={level_name(value)}" for name, value in itertools.islice(first, SHOWN_VALUES))
    more = f" and {len(positions) - 1} more rows" if len(positions) > 1 else ""
    return f"the row {values}{', ...' if rows.frame.shape[1] > SHOWN_VALUES else ''}{more}"


def _settings(changes: Sequence[Change]) -> list[tuple[Setting, list[tuple[int, float]]]]:
    """Distinct settings of variables, each with the changes it is part of and their signs."""
    found: dict[tuple[tuple[str, object], ...], tuple[Setting, list[tuple[int, float]]]] = {}
    for i, change in enumerate(changes):
        if isinstance(change, Slope):
            continue
        parts = [(change.to, 1.0)] + ([(change.base, -1.0)] if isinstance(change, Difference) else [])
        for setting, sign in parts:
            found.setdefault(tuple(sorted(setting.items())), (setting, []))[1].append((i, sign))
    return list(found.values())


def _slopes(schema: Schema, rows: Population, changes: Sequence[Change]) -> dict[int, FloatArray]:
    return {i: derivative(schema, rows, c.variable) for i, c in enumerate(changes) if isinstance(c, Slope)}


# ---------------------------------------------------------------------- draws


def _draws(
    fit: Fitted, coefficients: Coefficients, rows: Population, changes: Sequence[Change], cautions: list[str]
) -> FloatArray:
    """(S, changes x K)."""
    schema = fit.schema
    S, _, K = coefficients.weights.shape
    out = np.zeros((len(changes), K, S))
    for chunk in rows.chunks():
        slopes = _slopes(schema, chunk, changes)
        if slopes:
            _add_slopes(coefficients, _encoded(fit, chunk, {}, cautions), chunk.weights, slopes, out)
        for setting, parts in _settings(changes):
            at = _encoded(fit, chunk, setting, cautions)
            mean = sum_over_blocks(coefficients, at, lambda P, block: np.matmul(chunk.weights[block], P))  # noqa: B023
            for i, sign in parts:
                out[i] += sign * mean
    out /= rows.weights.sum()
    return np.ascontiguousarray(out.reshape(-1, S).T)


def _add_slopes(
    coefficients: Coefficients, rows: Rows, row_weights: FloatArray, slopes: Mapping[int, FloatArray], out: FloatArray
) -> None:
    """Add weighted sums of slopes to ``out`` (changes, K, S)."""
    _, K, S = out.shape
    constant = [i for i, D in slopes.items() if len(D) == 1]
    if PAIRS_PAY * len(constant) < K:  # products of all pairs of classes serve all of them, and few are cheaper alone
        constant = []
    varying = [i for i in slopes if i not in constant]
    pairs = [(k, l) for k in range(K) for l in range(k, K)] if constant else []

    def moments(P: FloatArray, block: slice) -> FloatArray:
        w = row_weights[block]
        products = [np.matmul(w, P[k] * P[l])[None] for k, l in pairs]
        own = [
            _varying_slope(P, w, slopes[i][block] if len(slopes[i]) > 1 else slopes[i], coefficients) for i in varying
        ]
        return np.concatenate([np.matmul(w, P), *products, *own])

    total = sum_over_blocks(coefficients, rows, moments)
    mean, products, own = np.split(total, [K, K + len(pairs)])
    out[varying] += own.reshape(len(varying), K, S)
    for i in constant:
        delta = (slopes[i] @ coefficients.weights)[:, 0].T  # (K, S)
        out[i] += mean * delta
        for (k, l), product in zip(pairs, products, strict=True):
            out[i, k] -= product * delta[l]
            if k != l:
                out[i, l] -= product * delta[k]


def _varying_slope(P: FloatArray, w: FloatArray, D: FloatArray, coefficients: Coefficients) -> FloatArray:
    """Weighted sum (K, S) of slopes whose features change by ``D``, (rows, p) or (1, p) for all rows."""
    used = np.flatnonzero(D.any(axis=0))
    weights = np.ascontiguousarray(coefficients.weights[:, used].transpose(2, 1, 0))
    delta = np.matmul(D[:, used], weights)
    slope = delta - (P * delta).sum(axis=0)
    slope *= P
    total: FloatArray = np.matmul(w, slope)
    return total


# ---------------------------------------------------------------------- an estimate and its Jacobian


def _estimate(
    fit: Fitted, coefficients: Coefficients, rows: Population, changes: Sequence[Change], cautions: list[str]
) -> tuple[FloatArray, FloatArray]:
    """Averages (changes, K) and their Jacobians (changes, K, q, K) in the coefficients, intercept first."""
    schema, (_, p, K) = fit.schema, coefficients.weights.shape
    value, jacobian = np.zeros((len(changes), K)), np.zeros((len(changes), K, p + 1, K))
    for chunk in rows.chunks():
        slopes = _slopes(schema, chunk, changes)
        if slopes:
            base = _encoded(fit, chunk, {}, cautions)
            for first, end in block_ranges(len(base.X), 8 * (K + 2) * (K + p + 1)):
                _add_slope_jacobians(coefficients, base, chunk.weights, slopes, slice(first, end), value, jacobian)
            if fit.limits is not None:
                for i, D in slopes.items():
                    infinite = _infinite_slopes(fit.limits, base, chunk.weights, D)
                    value[i, infinite] = np.nan
                    if infinite.any():
                        name = cast(Slope, changes[i]).variable.name
                        cautions.append(f"the slope in {name!r} is not determined, or infinite: NaN")
        for setting, parts in _settings(changes):
            at = _encoded(fit, chunk, setting, cautions)
            for first, end in block_ranges(len(at.X), 8 * (K + 2) * (K + p + 1)):
                mean, J = _level_jacobian(coefficients, at, chunk.weights, slice(first, end))
                for i, sign in parts:
                    value[i] += sign * mean
                    jacobian[i] += sign * J
    total = rows.weights.sum()
    return value / total, jacobian / total


def _probabilities(coefficients: Coefficients, rows: Rows, block: slice) -> FloatArray:
    """Probabilities (rows, K) at the estimate."""
    return np.concatenate([P[:, :, 0].T for P in over_blocks(coefficients, rows.take(block), lambda P, _: P)])


def _weighted(X: FloatArray, B: FloatArray) -> FloatArray:
    """``sum_n x_n B_n`` for ``X`` (n, p) and ``B`` (n, K, K), as (K, p, K)."""
    n, K = B.shape[:2]
    product: FloatArray = (X.T @ B.reshape(n, K * K)).reshape(X.shape[1], K, K)
    return product.transpose(1, 0, 2)


def _level_jacobian(
    coefficients: Coefficients, rows: Rows, row_weights: FloatArray, block: slice
) -> tuple[FloatArray, FloatArray]:
    w, P = row_weights[block, None], _probabilities(coefficients, rows, block)
    B = _covariance(P) * w[:, :, None]
    if rows.loose is not None:
        B[rows.loose[block] & (w > 0)] = np.nan
    return (w * P).sum(axis=0), np.concatenate([B.sum(axis=0)[:, None], _weighted(rows.X[block], B)], axis=1)


def _covariance(P: FloatArray) -> FloatArray:
    """``diag(p) - p p'`` (n, K, K)."""
    result: FloatArray = P[:, :, None] * (np.eye(P.shape[1]) - P[:, None, :])
    return result


def _add_slope_jacobians(
    coefficients: Coefficients,
    rows: Rows,
    row_weights: FloatArray,
    slopes: Mapping[int, FloatArray],
    block: slice,
    value: FloatArray,
    jacobian: FloatArray,
) -> None:
    """Add weighted sums of slopes and of their Jacobians over one block of rows."""
    w, P, X = row_weights[block, None], _probabilities(coefficients, rows, block), rows.X[block]
    B, eye = _covariance(P) * w[:, :, None], np.eye(P.shape[1])
    for i, D in slopes.items():
        d = D[block] if len(D) == len(rows.X) else D
        delta = d @ coefficients.weights[0]
        f = w * P * (delta - (P * delta).sum(axis=1, keepdims=True))
        A = f[:, :, None] * (eye - P[:, None, :]) - P[:, :, None] * f[:, None, :]
        if rows.loose is not None:
            A[rows.loose[block] & (w > 0)] = np.nan
        value[i] += f.sum(axis=0)
        jacobian[i, :, 0] += A.sum(axis=0)
        jacobian[i, :, 1:] += _weighted(X, A)
        jacobian[i, :, 1:] += _weighted(np.broadcast_to(d, X.shape), B)


def _infinite_slopes(limits: Limits, rows: Rows, row_weights: FloatArray, D: FloatArray) -> NDArray[np.bool_]:
    """(K,) classes whose slope is infinite in some row: one between two that are possible there moves without end."""
    K = limits.rows.shape[1]
    out = np.zeros(K, dtype=bool)
    if rows.loose is None:
        return out
    possible = ~(rows.excluded | rows.loose) & (row_weights > 0)[:, None]
    if rows.available is not None:
        possible &= rows.available
    for first, end in block_ranges(len(rows.X), 8 * len(limits.rows) * K * K):
        block = slice(first, end)
        moving = moving_pairs(limits, D[block] if len(D) == len(rows.X) else D)
        out |= (moving & possible[block, :, None] & possible[block, None, :]).any(axis=(0, 2))
    return out
