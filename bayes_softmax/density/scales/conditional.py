"""The compiled conditional normal approximation given the hyperparameters, and their marginal posterior.

Formulae are at the top of :mod:`bayes_softmax.density.scales`.
"""

import math
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.scales.cholesky import (
    cholesky_diagonal_adjoint,
    cholesky_with_inverse,
    lower_product,
    lower_transposed_product,
)
from bayes_softmax.density.scales.hyperpriors import log_hyperprior, log_scales_vjp


class ConditionalNormal(NamedTuple):
    """``N(A(h)^-1 c, A(h)^-1)`` with ``A(h) = P + D(h)``, in k mixed columns of m coordinates.

    ``precision`` (k, m, m) is ``P`` and ``information`` (k, m) is ``c``; coordinates are those of
    ``mixing' theta.reshape(k, m)``.
    """

    precision: FloatArray
    information: FloatArray
    mixing: FloatArray


@nb.njit(**nb.OPTIONS)
def factor_conditional_precision(hyper, normal, s, e, A, X):  # type: ignore[no-untyped-def]
    """Block e of ``A(h) = LL'`` for log scales ``s`` on standardised features: ``X = L^-1``; returns ``log det L``."""
    m = A.shape[0]
    A[:] = normal.precision[e]
    for i in range(m):
        r = hyper.scale_of_coordinate[i]
        if r >= 0:
            A[i, i] += math.exp(-2.0 * s[r])
    return cholesky_with_inverse(A, X)


@nb.njit(**nb.OPTIONS)
def log_marginal_posterior(hyper, normal, h, gradient):  # type: ignore[no-untyped-def]
    """Laplace approximation of ``log p(h | y)``: log evidence plus log hyperprior; fills its gradient (H,)."""
    n_scales, (k, m) = hyper.log_unit.shape[0], normal.information.shape
    s, ds = np.empty(n_scales), np.zeros(n_scales)
    A, X, y, mean, half_diagonal = np.empty((m, m)), np.empty((m, m)), np.empty(m), np.empty(m), np.empty(m)
    value = log_hyperprior(hyper, h, s, gradient)
    nothing = np.zeros(m)
    for r in range(n_scales):
        s[r] += hyper.log_unit[r]
        value -= hyper.n_columns * s[r]
        ds[r] = -float(hyper.n_columns)
    for e in range(k):
        value -= factor_conditional_precision(hyper, normal, s, e, A, X)
        lower_product(X, normal.information[e], y)
        lower_transposed_product(X, y, mean)
        cholesky_diagonal_adjoint(X, nothing, nothing, half_diagonal)  # half the diagonal of A^-1
        for i in range(m):
            value += 0.5 * y[i] * y[i]
            r = hyper.scale_of_coordinate[i]
            if r >= 0:
                ds[r] += 2.0 * math.exp(-2.0 * s[r]) * (0.5 * mean[i] ** 2 + half_diagonal[i])
    log_scales_vjp(hyper, h, ds, gradient)
    return value
