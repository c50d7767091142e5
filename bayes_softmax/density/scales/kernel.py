r"""The compiled joint posterior of coefficients and hyperparameters, in coordinates whitened given the latter.

Formulae and shapes are at the top of :mod:`bayes_softmax.density.scales`.  With the gradient ``g`` of the log density
in ``theta~``, :math:`w = L^{-1} g` and :math:`X = L^{-1}`, the derivatives of the density of ``z`` and ``h`` are

.. math:: \frac{\partial}{\partial z} = w, \qquad
          \frac{\partial}{\partial D_i} = -(A^{-1}g)_i m_i - X_i' M X_i - \tfrac12 |X_i|^2, \qquad
          M_{ab} = z_a w_b\ (b < a),\ \tfrac12 z_a w_a\ (b = a),

for column :math:`X_i` of X (the differential of a Cholesky factor, Murray, 2016; the last term is from the Jacobian),
plus the derivative of the prior itself.  This costs as much as two factorisations, and the rest as a product with L.
The factor r scales every shrunk coordinate, and ``r^2 D`` with it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.callbacks import transposed_product, upper_product
from bayes_softmax.density.kernel import log_posterior_gradient
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.scales.cholesky import (
    cholesky_diagonal_adjoint,
    lower_product,
    lower_transposed_product,
    mix,
)
from bayes_softmax.density.scales.conditional import factor_conditional_precision
from bayes_softmax.density.scales.hyperpriors import log_hyperprior, log_scales_vjp


class WhitenedCoordinates(NamedTuple):
    """Change of variables from ``u = [v, e]`` to ``z`` and ``h``.

    ``location`` (H,) and ``root`` (H, H): ``h = location + root e``.  ``exponent`` (2,) holds the exponent of partial
    non-centring and the mean log scale at the reference.  ``residual`` (d, d) is upper triangular, ``z = residual v``,
    in single precision; if empty it is the identity.
    """

    location: FloatArray
    root: FloatArray
    exponent: FloatArray
    residual: NDArray[np.float32]


@nb.njit(**nb.OPTIONS)
def log_non_centring(coordinates, s):  # type: ignore[no-untyped-def]
    """``log r`` for log scales ``s`` on standardised features."""
    return coordinates.exponent[0] * (s.mean() - coordinates.exponent[1])


@nb.njit(**nb.OPTIONS)
def change_of_variables(hyper, normal, coordinates, u, h, s, z, X, theta):  # type: ignore[no-untyped-def]
    """Fill ``h``, the log scales ``s`` on standardised features, ``z``, the blocks ``X`` (k, m, m), and ``theta``.

    Returns the log determinant of the change of variables, without its constant linear parts, and the conditional
    means ``m`` (k, m) of ``theta~``.
    """
    k, m = normal.information.shape
    unused, A, y = np.empty(h.shape[0]), np.empty((m, m)), np.empty(m)
    columns, means = np.empty((k, m)), np.empty((k, m))
    for i in range(h.shape[0]):
        h[i] = coordinates.location[i]
        for j in range(h.shape[0]):
            h[i] += coordinates.root[i, j] * u[k * m + j]
    if coordinates.residual.shape[0] > 0:
        upper_product(coordinates.residual, u[: k * m], z)
    else:
        z[:] = u[: k * m]
    log_hyperprior(hyper, h, s, unused)
    for r in range(s.shape[0]):
        s[r] += hyper.log_unit[r]
    log_r = log_non_centring(coordinates, s)
    log_determinant = hyper.n_columns * s.shape[0] * log_r
    for e in range(k):
        log_determinant -= factor_conditional_precision(hyper, normal, s - log_r, e, A, X[e])
        lower_product(X[e], normal.information[e], y)
        lower_transposed_product(X[e], y, means[e])
        for i in range(m):
            y[i] += z[e * m + i]
        lower_transposed_product(X[e], y, columns[e])
    scale_shrunk(hyper, math.exp(log_r), columns)
    mix(normal.mixing, columns, theta.reshape(k, m))
    return log_determinant, means


@nb.njit(**nb.OPTIONS)
def scale_shrunk(hyper, factor, columns):  # type: ignore[no-untyped-def]
    """Multiply the shrunk coordinates of mixed columns (k, m) by a factor."""
    for e in range(columns.shape[0]):
        for i in range(columns.shape[1]):
            if hyper.scale_of_coordinate[i] >= 0:
                columns[e, i] *= factor


@nb.njit(**nb.OPTIONS)
def log_conditional_prior(hyper, s, theta, gradient, ds):  # type: ignore[no-untyped-def]
    """``log p(theta | h)`` of shrunk coordinates for log scales ``s``; adds to ``gradient`` (d,), fills ``ds`` (R,)."""
    value = 0.0
    for r in range(s.shape[0]):
        value -= hyper.n_columns * s[r]
        ds[r] = -float(hyper.n_columns)
    for i in range(theta.shape[0]):
        r = hyper.scale_of_coordinate[i]
        if r >= 0:
            scaled = theta[i] * math.exp(-2.0 * s[r])
            value -= 0.5 * scaled * theta[i]
            gradient[i] -= scaled
            ds[r] += scaled * theta[i]
    return value


@nb.njit(**nb.OPTIONS)
def radial_derivative(hyper, theta, gradient):  # type: ignore[no-untyped-def]
    """Derivative with respect to ``log r`` of a function of ``r theta`` with this gradient, in shrunk coordinates."""
    total = 0.0
    for i in range(theta.shape[0]):
        if hyper.scale_of_coordinate[i] >= 0:
            total += theta[i] * gradient[i]
    return total


@nb.njit(**nb.OPTIONS | KEPT)
def log_conditional_posterior(data, hyper, theta, s, gradient, ds):  # type: ignore[no-untyped-def]
    """``log p(y | theta) + log p(theta | h)`` for log scales ``s``; fills ``gradient`` (d,) and ``ds`` (R,)."""
    value = log_posterior_gradient(data, theta, gradient)
    return value + log_conditional_prior(hyper, s, theta, gradient, ds)


@nb.njit(**nb.OPTIONS | KEPT)
def whitened_joint_gradient(data, hyper, normal, coordinates, u, out):  # type: ignore[no-untyped-def]
    """Log density of ``u = [v, e]``, up to a constant; fills ``out`` (d + H,) with its gradient."""
    (k, m), n_scales, n_hyper = normal.information.shape, hyper.log_unit.shape[0], coordinates.location.shape[0]
    d = k * m
    h, s, ds, dh = np.empty(n_hyper), np.empty(n_scales), np.empty(n_scales), np.empty(n_hyper)
    X, z, theta, gradient = np.empty((k, m, m)), np.empty(d), np.empty(d), np.empty(d)
    value, means = change_of_variables(hyper, normal, coordinates, u, h, s, z, X, theta)
    value += log_conditional_posterior(data, hyper, theta, s, gradient, ds)
    log_r = log_non_centring(coordinates, s)
    dr = float(hyper.n_columns * n_scales) + radial_derivative(hyper, theta, gradient)
    columns, image, adjoint, dz = np.empty((k, m)), np.empty(m), np.empty(m), np.empty(d)
    mix(normal.mixing.T, gradient.reshape(k, m), columns)
    scale_shrunk(hyper, math.exp(log_r), columns)
    for e in range(k):
        w = dz[e * m : (e + 1) * m]
        lower_product(X[e], columns[e], w)
        lower_transposed_product(X[e], w, image)
        cholesky_diagonal_adjoint(X[e], z[e * m : (e + 1) * m], w, adjoint)
        for i in range(m):
            r = hyper.scale_of_coordinate[i]
            if r >= 0:
                through_factor = 2.0 * math.exp(2.0 * (log_r - s[r])) * (image[i] * means[e, i] + adjoint[i])
                ds[r] += through_factor
                dr -= through_factor
    for r in range(n_scales):
        ds[r] += coordinates.exponent[0] * dr / n_scales
        s[r] -= hyper.log_unit[r]
    value += log_hyperprior(hyper, h, s, dh)
    log_scales_vjp(hyper, h, ds, dh)
    if coordinates.residual.shape[0] > 0:
        transposed_product(coordinates.residual, dz, out[:d])
    else:
        out[:d] = dz
    for j in range(n_hyper):
        out[d + j] = 0.0
        for i in range(n_hyper):
            out[d + j] += coordinates.root[i, j] * dh[i]
    return value
