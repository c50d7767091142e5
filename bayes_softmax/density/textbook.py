r"""Softmax regression in plain NumPy, as a textbook derives it.

1. *Logits.*  For observation ``n`` with features :math:`x_n` and weights :math:`W`, intercept :math:`b`:
   :math:`\eta_n = b + x_n W` (K numbers).
2. *Softmax.*  :math:`P(y_n = k) = e^{\eta_{nk}} / \sum_j e^{\eta_{nj}}`.
3. *Likelihood.*  Observations are independent given the weights: :math:`L = \prod_n P(y_n)`.
4. *Logarithm.*  :math:`\log L = \sum_n \bigl(\eta_{n y_n} - \log\sum_j e^{\eta_{nj}}\bigr)`.
5. *Negative and average.*  :math:`-\log L / N` is the categorical cross-entropy: maximising the likelihood
   *is* minimising the cross-entropy.  With one-hot rows :math:`Y`, its gradient in :math:`W` is
   :math:`X'(\mathrm{softmax}(XW) - Y)/N`.

These functions are the reference the compiled kernel is tested against, and what predictions use.
"""

import numpy as np
from numpy.typing import ArrayLike

from bayes_softmax.core.records import FloatArray


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
    eta = np.asarray(logits, dtype=np.float64)
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
    eta = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp(eta - eta.max(axis=-1, keepdims=True))
    probabilities: FloatArray = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def _as_counts(y: ArrayLike, shape: tuple[int, ...], weights: ArrayLike | None) -> FloatArray:
    """Responses as (N, K) counts, multiplied by the weights."""
    labels = np.asarray(y)
    n_obs, n_classes = shape
    if labels.ndim == 1:
        if labels.shape[0] != n_obs:
            raise ValueError(f"y has {labels.shape[0]} entries, the logits have {n_obs} rows")
        if not np.issubdtype(labels.dtype, np.integer):
            raise TypeError(f"y has dtype {labels.dtype}; give integer codes 0..{n_classes - 1} or (N, K) counts")
        bad = np.flatnonzero((labels < 0) | (labels >= n_classes))
        if bad.size:
            raise ValueError(f"y[{bad[0]}]={labels[bad[0]]} is outside 0..{n_classes - 1}")
        counts: FloatArray = np.eye(n_classes)[labels]
    else:
        counts = labels.astype(np.float64)
        if counts.shape != (n_obs, n_classes):
            raise ValueError(f"y has shape {counts.shape}; one-hot rows or counts must be {(n_obs, n_classes)}")
    if weights is None:
        return counts
    row_weights = np.asarray(weights, dtype=np.float64)
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
        (N,) frequency weights; weight 2 is the same as the row twice.

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
    """Categorical cross-entropy: minus the log-likelihood per unit of weight.

    Parameters as in :func:`log_likelihood`.

    Examples
    --------
    >>> round(cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1]), 6)
    0.693147
    """
    counts = _as_counts(y, np.shape(logits), weights)
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
    features, coefficients = np.asarray(X, dtype=np.float64), np.asarray(W, dtype=np.float64)
    logits = features @ coefficients
    counts = _as_counts(y, logits.shape, weights)
    totals = counts.sum(axis=1, keepdims=True)
    gradient: FloatArray = features.T @ (totals * softmax(logits) - counts) / totals.sum()
    return gradient
