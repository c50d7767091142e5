"""Class probabilities for new data, from a point estimate or from draws, in blocks of bounded memory."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.textbook import softmax
from bayes_softmax.results.intervals import Interval, draws_interval, normal_quantile
from bayes_softmax.spec.schema import Schema

BLOCK_BYTES = 64 * 2**20  # probabilities of all draws for a block of rows


class Coefficients(NamedTuple):
    """Draws of raw coefficients: intercept (S, K), weights (S, p, K); a point estimate is one draw."""

    intercept: FloatArray
    weights: FloatArray


class Rows(NamedTuple):
    """New data, encoded: features (N, p), row index, offset (N, K) or None."""

    X: FloatArray
    index: Any
    offset: FloatArray | None


def encode_rows(schema: Schema, data: Any, offset: Any = None) -> Rows:
    """Encode new data; errors name column and row."""
    X, index = schema.encode(data)
    return Rows(X, index, schema.encode_offset(data, offset, len(X)))


def probability_blocks(coefficients: Coefficients, rows: Rows) -> Iterator[tuple[slice, FloatArray]]:
    """Probabilities (S, rows, K) of one block of rows after the other."""
    S, p, K = coefficients.weights.shape
    stacked = np.ascontiguousarray(coefficients.weights.transpose(1, 0, 2)).reshape(p, S * K)
    size = max(1, BLOCK_BYTES // (8 * S * K))
    for start in range(0, len(rows.X), size):
        block = slice(start, start + size)
        X = rows.X[block]
        logits = (X @ stacked).reshape(len(X), S, K) + coefficients.intercept
        if rows.offset is not None:
            logits += rows.offset[block, None, :]
        yield block, softmax(logits).transpose(1, 0, 2)


def mean_probabilities(coefficients: Coefficients, rows: Rows) -> FloatArray:
    """Probabilities (N, K) averaged over the draws."""
    mean = np.empty((len(rows.X), coefficients.weights.shape[2]))
    for block, probabilities in probability_blocks(coefficients, rows):
        mean[block] = probabilities.mean(axis=0)
    return mean


def draw_intervals(coefficients: Coefficients, rows: Rows, interval: Interval) -> FloatArray:
    """Mean, lower and upper end (3, N, K) of the probabilities over the draws."""
    out = np.empty((3, len(rows.X), coefficients.weights.shape[2]))
    for block, probabilities in probability_blocks(coefficients, rows):
        out[0, block] = probabilities.mean(axis=0)
        out[1, block], out[2, block] = draws_interval(probabilities, interval)
    return out


def delta_intervals(coefficients: Coefficients, covariance: FloatArray, rows: Rows, interval: Interval) -> FloatArray:
    r"""Estimate, lower and upper end (3, N, K) by the delta method on :math:`\log p_k/(1-p_k)`.

    With :math:`\partial\,\mathrm{logit}(p_k)/\partial\eta_j = (\delta_{jk} - p_j)/(1 - p_k)`; the ends are mapped
    back, so they stay inside (0, 1).  ``covariance`` is (q, K, q, K) of the raw coefficients, intercept first.
    """
    K = coefficients.weights.shape[2]
    out = np.empty((3, len(rows.X), K))
    X1 = np.column_stack([np.ones(len(rows.X)), rows.X])
    z = normal_quantile(interval)
    for start in range(0, len(X1), 1024):
        block = slice(start, start + 1024)
        part = Rows(rows.X[block], None, None if rows.offset is None else rows.offset[block])
        p = mean_probabilities(coefficients, part)
        logit_covariance = np.einsum("ni,ikjl,nj->nkl", X1[block], covariance, X1[block], optimize=True)
        jacobian = np.eye(K) - p[:, None, :]
        variance = np.einsum("nkj,njl,nkl->nk", jacobian, logit_covariance, jacobian, optimize=True)
        odds_error = z * np.sqrt(np.maximum(variance, 0.0)) / np.maximum(1.0 - p, 1e-300)
        with np.errstate(divide="ignore", over="ignore"):
            logit = np.log(p) - np.log1p(-p)
            out[:, block] = p, 1 / (1 + np.exp(odds_error - logit)), 1 / (1 + np.exp(-odds_error - logit))
    return out


def probability_frame(schema: Schema, rows: Rows, probabilities: FloatArray) -> pd.DataFrame:
    """(N, K) probabilities with the data's row index and class names as columns."""
    columns = pd.Index(list(schema.classes), name=schema.response_name)
    return pd.DataFrame(probabilities, index=rows.index, columns=columns)


def interval_frame(schema: Schema, rows: Rows, values: FloatArray, center: str, ends: tuple[str, str]) -> pd.DataFrame:
    """(3, N, K) estimates and ends as columns ``(class, statistic)``."""
    stats = (center, *ends)
    columns = pd.MultiIndex.from_product([list(schema.classes), stats], names=[schema.response_name, "statistic"])
    flat = values.transpose(1, 2, 0).reshape(values.shape[1], len(columns))
    return pd.DataFrame(flat, index=rows.index, columns=columns)


def label_series(schema: Schema, rows: Rows, probabilities: FloatArray) -> pd.Series:
    """Most probable class of each row, as a series with the data's row index."""
    labels = pd.Series(list(schema.classes))
    chosen = labels.iloc[probabilities.argmax(axis=1)]
    return pd.Series(chosen.to_numpy(), index=rows.index, name=schema.response_name)
