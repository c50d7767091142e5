r"""Softmax regression in plain NumPy, as a textbook derives it.

1. *Logits.*  For observation ``n`` with features :math:`x_n` and weights :math:`W`, intercept :math:`b`:
   :math:`\eta_n = b + x_n W` (K numbers).
2. *Softmax.*  :math:`P(y_n = k) = e^{\eta_{nk}} / \sum_j e^{\eta_{nj}}`.
3. *Likelihood.*  Observations are independent given the weights: :math:`L = \prod_n P(y_n)`.
4. *Logarithm.*  :math:`\log L = \sum_n \bigl(\eta_{n y_n} - \log\sum_j e^{\eta_{nj}}\bigr)`.
5. *Negative and average.*  :math:`-\log L / N` is the categorical cross-entropy: maximising the likelihood
   *is* minimising the cross-entropy.  With one-hot rows :math:`Y`, its gradient in :math:`W` is
   :math:`X'(\mathrm{softmax}(XW) - Y)/N`.

These functions are the reference for tests of the compiled kernel, and predictions use them.
"""

import numpy as np
from numpy.typing import ArrayLike

from bayes_softmax.core.checks import counted
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.real_numbers import real_numbers


def _numbers(values: ArrayLike, argument: str) -> FloatArray:
    """Real numbers as float64; masked entries become NaN."""
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    return real_numbers(to_pandas_or_numpy(values, argument), argument)


def log_softmax(logits: ArrayLike) -> FloatArray:
    """Logarithm of the softmax over the last axis, exact for logits of any size.

    Parameters
    ----------
    logits
        (..., K) real numbers.

    Returns
    -------
    ndarray
        (..., K) log probabilities.

    Examples
    --------
    >>> log_softmax([1000.0, 0.0]).tolist()
    [0.0, -1000.0]
    """
    eta = _numbers(logits, "logits")
    shifted = eta - eta.max(axis=-1, keepdims=True)
    normaliser: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normaliser


def softmax(logits: ArrayLike) -> FloatArray:
    r"""Softmax over the last axis, :math:`e^{\eta_k} / \sum_j e^{\eta_j}`.

    The largest logit is subtracted first, which changes nothing and prevents overflow.

    Parameters
    ----------
    logits
        (..., K) real numbers.

    Returns
    -------
    ndarray
        (..., K) probabilities, each row summing to one.

    Examples
    --------
    >>> softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    >>> softmax([1000.0, 0.0]).tolist()
    [1.0, 0.0]
    """
    eta = _numbers(logits, "logits")
    exponentials = np.exp(eta - eta.max(axis=-1, keepdims=True))
    probabilities: FloatArray = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def _as_counts(y: ArrayLike, shape: tuple[int, ...], weights: ArrayLike | None) -> FloatArray:
    """Responses as (N, K) counts, multiplied by the weights."""
    if len(shape) != 2:
        raise ValueError(f"logits has shape {shape}; expected (N, K)")
    labels = np.asarray(to_pandas_or_numpy(y, "y"))
    labels = np.array(labels.tolist()) if labels.dtype == object else labels
    n_obs, n_classes = shape
    if labels.ndim == 1:
        if labels.shape[0] != n_obs:
            raise ValueError(
                f"y has {counted(len(labels), 'entry', 'entries')}, the logits have {counted(n_obs, 'row')}"
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise TypeError(f"y has dtype {labels.dtype}; give integer codes 0..{n_classes - 1} or (N, K) counts")
        bad = np.flatnonzero((labels < 0) | (labels >= n_classes))
        if bad.size:
            raise ValueError(f"y[{bad[0]}]={labels[bad[0]]} is outside 0..{n_classes - 1}")
        counts: FloatArray = np.eye(n_classes)[labels]
    else:
        counts = real_numbers(labels, "y")
        if counts.shape != (n_obs, n_classes):
            raise ValueError(f"y has shape {counts.shape}; one-hot rows or counts must be {(n_obs, n_classes)}")
    if weights is None:
        return counts
    row_weights = _numbers(weights, "weights")
    if row_weights.shape != (n_obs,):
        raise ValueError(f"weights has shape {row_weights.shape}, expected ({n_obs},)")
    weighted: FloatArray = counts * row_weights[:, None]
    return weighted


def log_likelihood(logits: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> float:
    r"""Log-likelihood :math:`\sum_n w_n \sum_k y_{nk} \log\mathrm{softmax}(\eta_n)_k`.

    Parameters
    ----------
    logits
        (N, K) logits.
    y
        (N,) integer codes ``0..K-1``, or (N, K) one-hot rows or counts (no multinomial coefficient is added).
    weights
        (N,) frequency weights; a row of weight 2 counts as two rows.

    Raises
    ------
    ValueError, TypeError
        If shapes disagree or a code is outside ``0..K-1``.

    Examples
    --------
    >>> round(log_likelihood([[0.0, 0.0], [0.0, 0.0]], [0, 1]), 6)
    -1.386294
    """
    log_probabilities = log_softmax(logits)
    counts = _as_counts(y, log_probabilities.shape, weights)
    used = np.where(counts == 0, 0.0, log_probabilities)
    return float((counts * used).sum())


def cross_entropy(logits: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Categorical cross-entropy: minus the mean log-likelihood per observation, with its weight.

    Parameters as in :func:`log_likelihood`.

    Examples
    --------
    >>> round(cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1]), 6)
    0.693147
    """
    logits = _numbers(logits, "logits")
    counts = _as_counts(y, logits.shape, weights)
    return -log_likelihood(logits, counts) / float(counts.sum())


def cross_entropy_gradient(X: ArrayLike, W: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    r"""Gradient of the cross-entropy of the logits ``X @ W`` in ``W``: :math:`X'(\mathrm{softmax}(XW) - Y)/N`.

    Parameters
    ----------
    X
        (N, p) features; add a column of ones for an intercept.
    W
        (p, K) weights.
    y, weights
        As in :func:`log_likelihood`.

    Returns
    -------
    ndarray
        (p, K).

    Examples
    --------
    >>> cross_entropy_gradient([[1.0], [1.0]], [[0.0, 0.0]], [0, 0]).tolist()
    [[-0.5, 0.5]]
    """
    features, coefficients = _numbers(X, "X"), _numbers(W, "W")
    if features.ndim != 2 or coefficients.shape[:-1] != features.shape[1:]:
        raise ValueError(f"X has shape {features.shape} and W {coefficients.shape}; expected (N, p) and (p, K)")
    logits = features @ coefficients
    counts = _as_counts(y, logits.shape, weights)
    totals = counts.sum(axis=1, keepdims=True)
    gradient: FloatArray = features.T @ (totals * softmax(logits) - counts) / totals.sum()
    return gradient
