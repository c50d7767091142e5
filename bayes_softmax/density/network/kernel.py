r"""The compiled log posterior of a network: the forward pass and back-propagation, block by block.

Shapes beside those of :mod:`bayes_softmax.density.kernel` (float64 unless said otherwise, C-contiguous):

=============  =============  =========================================================
*of a part*
``Z``          (n, p + 1, B)  features as there, always centred and with feature 0 always
                              1: hidden units have biases whether or not the model has
                              an intercept; if not, p more for ``skip``, not centred
``codes``      (n, B)         int64 class of each row; (0, B) where counts are given
``counts``     (n, K, B)      weighted counts, zero where padded; (0, K, B) for labels
*of all parts*
``responses``  (n_parts, 4)   addresses of ``codes`` and ``counts``, and their n
``sizes``      (L + 1,)       int64, number of features p and of units of each layer
``options``    (2,)           int64, code of the activation, and where in ``Z`` the
                              features for ``skip`` begin: 1 or p + 1, 0 without
``precision``  (m,)           inverse prior variances of a unit's bias and weights, for
                              each layer 1 + H_{l-1}; zero for a flat prior
``last``                      ``KernelData`` of the last layer, whose features are its
                              inputs: no parts, ``YZ`` only for its shape
``theta``      (d,)           [bias, weights] of each hidden unit, layer by layer; then
                              the free vector of the last layer
=============  =============  =========================================================

Units are (H, B), unit-major, below a row of ones: each layer is the linear tile of logits
(:mod:`bayes_softmax.density.linear`), and so are the products that pull residuals back.  With :math:`R = np - y` for
the first K-1 classes, whose differences from the last class's coefficients are ``D``, and slopes :math:`\varphi'_l`,

.. math:: \Delta_L = (D'R)\,\varphi'_L, \quad \Delta_{l-1} = (W_l'\Delta_l)\,\varphi'_{l-1}, \quad
          \nabla W_l = -\Delta_l A_{l-1}'.
"""

from typing import NamedTuple

import numpy as np
from numba import carray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.kernel import KernelData, RowData, block_logits, block_totals, read_part, softmax_block
from bayes_softmax.density.linear import (
    close_rows,
    differences,
    engine_coefficients,
    free_gradient,
    logits,
    products,
    workspace,
)
from bayes_softmax.density.log_prior import KEPT, log_prior_gradient
from bayes_softmax.density.network.activations import WORK_ROWS, activate
from bayes_softmax.density.simd import pointer


class NetworkRows(NamedTuple):
    """Rows of one part in memory, with their responses; see the table at the top of the module."""

    rows: RowData
    codes: IntArray
    counts: FloatArray


class NetworkData(NamedTuple):
    """The kernel's inputs; see the table at the top of the module."""

    parts: IntArray
    responses: IntArray
    sizes: IntArray
    options: IntArray
    precision: FloatArray
    last: KernelData


RESPONSE_SIZE = 4


@nb.njit(**nb.OPTIONS)
def _read_network_part(parts, responses, i, K):  # type: ignore[no-untyped-def]
    """The rows and responses behind line ``i`` of both tables."""
    rows, line = read_part(parts, i), responses[i]
    B = rows.Z.shape[2]
    codes = carray(pointer(line[0]), (line[2], B), np.int64)
    return NetworkRows(rows, codes, carray(pointer(line[1]), (line[3], K, B), np.float64))


@nb.njit(**nb.OPTIONS)
def n_hidden(sizes):  # type: ignore[no-untyped-def]
    """Number of hidden weights and biases."""
    total = 0
    for l in range(1, sizes.shape[0]):
        total += sizes[l] * (1 + sizes[l - 1])
    return total


@nb.njit(**nb.OPTIONS)
def unit_rows(sizes):  # type: ignore[no-untyped-def]
    """Number of hidden units in all layers."""
    total = 0
    for l in range(1, sizes.shape[0]):
        total += sizes[l]
    return total


@nb.njit(**nb.OPTIONS)
def tiles(sizes, options, B):  # type: ignore[no-untyped-def]
    """Workspace of the units, each layer below a row of ones, the last one above the features of ``skip``."""
    units, extra = unit_rows(sizes), sizes[0] if options[1] else 0
    A = workspace(units + sizes.shape[0] - 1 + extra, B)
    row = 0
    for l in range(1, sizes.shape[0]):
        for i in range(B):
            A[row, i] = 1.0
        row += 1 + sizes[l]
    return A


@nb.njit(**nb.OPTIONS)
def forward(theta, Z, sizes, options, A, slopes, work):  # type: ignore[no-untyped-def]
    """Fill ``A`` and ``slopes`` for a block of features ``Z`` (p + 1, B); returns the first row of the last units."""
    at, row, unit, source = 0, 0, 0, Z[: 1 + sizes[0]]
    for l in range(1, sizes.shape[0]):
        H, fan_in = sizes[l], 1 + sizes[l - 1]
        W, units = theta[at : at + H * fan_in].reshape(H, fan_in), A[row + 1 : row + 1 + H]
        logits(W, source, units, H)
        activate(options[0], units, slopes[unit : unit + H], work)
        source = A[row : row + 1 + H]
        at, row, unit = at + H * fan_in, row + 1 + H, unit + H
    if options[1]:
        for j in range(sizes[0]):
            inputs, feature = A[row + j], Z[options[1] + j]
            for i in range(Z.shape[1]):
                inputs[i] = feature[i]
    return row - sizes[sizes.shape[0] - 1]


@nb.njit(**nb.OPTIONS)
def _observed(L, codes, counts, totals, b, c):  # type: ignore[no-untyped-def]
    """``sum_i sum_k y_ki eta_ki`` over the first ``c`` rows of a block of logits ``L`` (K, B)."""
    total = 0.0
    if codes.shape[0] > 0:
        row = codes[b]
        for i in range(c):
            total += L[row[i], i] * (totals[i] if totals.shape[0] > 0 else 1.0)
        return total
    for k in range(L.shape[0]):
        y, eta = counts[b, k], L[k]
        for i in range(c):
            total += y[i] * eta[i]
    return total


@nb.njit(**nb.OPTIONS)
def residuals(L, codes, counts, totals, b, c):  # type: ignore[no-untyped-def]
    """Subtract the responses from the expected counts in the first K-1 rows of ``L`` (K, B)."""
    last = L.shape[0] - 1
    if codes.shape[0] > 0:
        row = codes[b]
        for i in range(c):
            if row[i] < last:
                L[row[i], i] -= totals[i] if totals.shape[0] > 0 else 1.0
        return
    for k in range(last):
        y, expected = counts[b, k], L[k]
        for i in range(L.shape[1]):
            expected[i] -= y[i]


@nb.njit(**nb.OPTIONS)
def transposes(theta, D, sizes, first, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with the transposed weights, without biases, of layers 2 to L, then of the last layer's units."""
    at, to = 0, 0
    for l in range(1, sizes.shape[0]):
        H, fan_in = sizes[l], sizes[l - 1]
        if l > 1:
            W, T = theta[at : at + H * (1 + fan_in)].reshape(H, 1 + fan_in), out[to : to + H * fan_in]
            for j in range(fan_in):
                for h in range(H):
                    T[j * H + h] = W[h, 1 + j]
            to += H * fan_in
        at += H * (1 + fan_in)
    H, K1 = sizes[sizes.shape[0] - 1], D.shape[0]
    for j in range(H):
        for k in range(K1):
            out[to + j * K1 + k] = D[k, first + j]


@nb.njit(**nb.OPTIONS)
def _backward(transposed, Z, sizes, A, slopes, R, spare, gradient):  # type: ignore[no-untyped-def]
    """Back-propagate residuals ``R`` (K-1, B) of a block; *adds* to the ``gradient`` of the hidden layers.

    ``slopes`` become the derivatives in the pre-activations; ``spare`` has as many rows as the widest layer.
    """
    n_layers = sizes.shape[0] - 1
    at, row, unit, to = gradient.shape[0], 0, slopes.shape[0], transposed.shape[0]
    for l in range(1, n_layers):
        row += 1 + sizes[l]
    deltas = R
    for step in range(n_layers):
        l = n_layers - step
        H, outputs, fan_in = sizes[l], deltas.shape[0], 1 + sizes[l - 1]
        at, unit, to = at - H * fan_in, unit - H, to - H * outputs
        logits(transposed[to : to + H * outputs].reshape(H, outputs), deltas, spare, H)
        deltas = slopes[unit : unit + H]
        for h in range(H):
            own, pulled = deltas[h], spare[h]
            for i in range(own.shape[0]):
                own[i] *= pulled[i]
        row -= 1 + sizes[l - 1] if l > 1 else 0
        source = A[row : row + fan_in] if l > 1 else Z[:fan_in]
        products(deltas, source, gradient[at : at + H * fan_in].reshape(H, fan_in), H, False)


@nb.njit(**nb.OPTIONS)
def log_likelihood_gradient(part, theta, V, layout, gradient, G, first_block, end):  # type: ignore[no-untyped-def]
    """Log-likelihood of some blocks, at hidden weights ``theta`` and the last layer's coefficients ``V`` (K, q).

    ``layout`` holds ``sizes`` and ``options``.
    Its gradient is *added* to that of the hidden weights, and to the first K-1 rows of ``G`` (K, q); without rows in
    ``G`` only the value is computed.
    """
    (K, q), rows, (sizes, options) = V.shape, part.rows, layout
    B, n_units = rows.Z.shape[2], unit_rows(sizes)
    first = q - (sizes[sizes.shape[0] - 1] + (sizes[0] if options[1] else 0))  # 1 with an intercept
    D, L, work, slopes = np.empty((K - 1, q)), workspace(K, B), workspace(3, B), workspace(n_units, B)
    A, spare, scratch = tiles(sizes, options, B), workspace(sizes[1:].max(), B), workspace(WORK_ROWS, B)
    scratch[0] = 0.0
    differences(V, D)
    T = np.empty(n_hidden(sizes) - n_units - (sizes[1] * sizes[0]) + (K - 1) * sizes[sizes.shape[0] - 1])
    transposes(theta, D, sizes, first, T)
    value, needed = 0.0, G.shape[0] > 0
    for b in range(first_block, end):
        start = forward(theta, rows.Z[b], sizes, options, A, slopes, scratch)
        inputs = A[start - first : start - first + q]
        block_logits(D, inputs, rows.offset, rows.available, b, L)
        totals, c = block_totals(rows.totals, b), min(B, rows.n_obs - b * B)
        value += _observed(L, part.codes, part.counts, totals, b, c)
        value -= softmax_block(L, work, totals, rows.available, b, c, K - 1 if needed else 0)
        if needed:
            residuals(L, part.codes, part.counts, totals, b, c)
            products(L, inputs, G, K - 1, False)
            _backward(T, rows.Z[b], sizes, A, slopes, L[: K - 1], spare, gradient)
    return value


@nb.njit(**nb.OPTIONS)
def hidden_prior_gradient(theta, sizes, precision, gradient):  # type: ignore[no-untyped-def]
    """Log prior of the hidden weights up to its constant; *adds* its gradient."""
    at, first, value = 0, 0, 0.0
    for l in range(1, sizes.shape[0]):
        fan_in = 1 + sizes[l - 1]
        own = precision[first : first + fan_in]
        for _ in range(sizes[l]):
            w, g = theta[at : at + fan_in], gradient[at : at + fan_in]
            for j in range(fan_in):
                value -= 0.5 * own[j] * w[j] * w[j]
                g[j] -= own[j] * w[j]
            at += fan_in
        first += fan_in
    return value


@nb.njit(**nb.OPTIONS | KEPT)
def log_posterior_gradient(data, theta, gradient):  # type: ignore[no-untyped-def]
    """Log posterior for parts in memory, without its constants; fills its gradient (d,)."""
    V, G, n = np.empty_like(data.last.YZ), np.zeros_like(data.last.YZ), n_hidden(data.sizes)
    hidden, of_hidden = theta[:n], gradient[:n]
    of_hidden[:] = 0.0
    engine_coefficients(data.last, theta[n:], V)
    value = 0.0 if data.parts.shape[0] > 0 else np.nan
    for i in range(data.parts.shape[0]):
        part = _read_network_part(data.parts, data.responses, i, V.shape[0])
        n_blocks = part.rows.Z.shape[0]
        value += log_likelihood_gradient(part, hidden, V, (data.sizes, data.options), of_hidden, G, 0, n_blocks)
    close_rows(G)
    free_gradient(data.last, G, gradient[n:])
    value += hidden_prior_gradient(hidden, data.sizes, data.precision, of_hidden)
    return value + log_prior_gradient(data.last, theta[n:], gradient[n:])
