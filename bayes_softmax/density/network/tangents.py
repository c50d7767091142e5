r"""Products of a network's curvature with directions, compiled.

The gradient that back-propagation computes is differentiated forwards along a direction (Pearlmutter, *Neural
Computation* 6, 1994).  With a dot for the derivative along the direction, and notation of
:mod:`bayes_softmax.density.network.kernel`,

.. math:: \dot u_l = \dot W_l A_{l-1} + W_l \dot A_{l-1}, \quad \dot A_l = \varphi'_l \dot u_l, \quad
          \dot P_k = P_k\,(\dot\eta_k - \textstyle\sum_m p_m\dot\eta_m), \\
          \dot\Delta_{l-1} = (W_l'\dot\Delta_l + \dot W_l'\Delta_l)\,\varphi'_{l-1}
          + (W_l'\Delta_l)\,\varphi''_{l-1}\,\dot u_{l-1}, \quad
          \dot\nabla W_l = -\dot\Delta_l A_{l-1}' - \Delta_l \dot A_{l-1}'.

Without the terms that contain :math:`\Delta` it is the generalised Gauss-Newton product.
"""

import math

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.kernel import block_logits, block_totals, softmax_block
from bayes_softmax.density.linear import differences, logits, products, workspace
from bayes_softmax.density.network.activations import GELU, RELU, TANH, WORK_ROWS, activate
from bayes_softmax.density.network.kernel import n_hidden, residuals, tiles, transposes, unit_rows

_DENSITY = 1.0 / math.sqrt(2 * math.pi)


@nb.njit(**nb.OPTIONS)
def _bends(code, before, units, slopes, out):  # type: ignore[no-untyped-def]
    """Second derivatives of the activation, ``out`` (H, B), from pre-activations, activations and slopes."""
    for h in range(out.shape[0]):
        u, a, s, bend = before[h], units[h], slopes[h], out[h]
        for i in range(out.shape[1]):
            if code == TANH:
                bend[i] = -2.0 * a[i] * s[i]
            elif code == RELU:
                bend[i] = 0.0
            elif code == GELU:
                bend[i] = (2.0 - u[i] * u[i]) * _DENSITY * math.exp(-0.5 * u[i] * u[i])
            else:
                bend[i] = s[i] * (1.0 - s[i])


@nb.njit(**nb.OPTIONS)
def _forward(theta, Z, sizes, options, A, slopes, bends, scratch):  # type: ignore[no-untyped-def]
    """Fill units ``A``, ``slopes`` and ``bends`` of a block; returns the first row of the last layer's units."""
    at, row, unit, source = 0, 0, 0, Z[: 1 + sizes[0]]
    for l in range(1, sizes.shape[0]):
        H, fan_in = sizes[l], 1 + sizes[l - 1]
        W, units = theta[at : at + H * fan_in].reshape(H, fan_in), A[row + 1 : row + 1 + H]
        own, bend = slopes[unit : unit + H], bends[unit : unit + H]
        logits(W, source, units, H)
        before = units.copy()
        activate(options[0], units, own, scratch)
        _bends(options[0], before, units, own, bend)
        source = A[row : row + 1 + H]
        at, row, unit = at + H * fan_in, row + 1 + H, unit + H
    if options[1]:
        A[row:] = Z[options[1] : options[1] + sizes[0]]
    return row - sizes[sizes.shape[0] - 1]


@nb.njit(**nb.OPTIONS)
def _pulled(transposed, deltas, spare, out, slope):  # type: ignore[no-untyped-def]
    """``out = T deltas`` and ``spare = out * slope`` for transposed weights ``T``, (H, B)."""
    H, outputs = out.shape[0], deltas.shape[0]
    logits(transposed.reshape(H, outputs), deltas, out, H)
    for h in range(H):
        pulled, own, target = out[h], slope[h], spare[h]
        for i in range(own.shape[0]):
            target[i] = pulled[i] * own[i]


@nb.njit(**nb.OPTIONS)
def _back(transposed, sizes, slopes, R, pulled, deltas):  # type: ignore[no-untyped-def]
    """Fill ``pulled`` and ``deltas``, like ``slopes``, with the derivatives in units and in pre-activations."""
    unit, to, above = slopes.shape[0], transposed.shape[0], R
    for step in range(sizes.shape[0] - 1):
        H = sizes[sizes.shape[0] - 1 - step]
        unit, to = unit - H, to - H * above.shape[0]
        own = slice(unit, unit + H)
        _pulled(transposed[to : to + H * above.shape[0]], above, deltas[own], pulled[own], slopes[own])
        above = deltas[own]


@nb.njit(**nb.OPTIONS)
def _moved_units(theta, direction, Z, sizes, A, slopes, M, moved, spare):  # type: ignore[no-untyped-def]
    """Fill ``moved`` (pre-activations) and ``M`` (units, like ``A``) with derivatives along a direction."""
    at, row, unit = 0, 0, 0
    for l in range(1, sizes.shape[0]):
        H, fan_in = sizes[l], 1 + sizes[l - 1]
        W = theta[at : at + H * fan_in].reshape(H, fan_in)
        change, target = direction[at : at + H * fan_in].reshape(H, fan_in), moved[unit : unit + H]
        if l == 1:
            logits(change, Z[:fan_in], target, H)
        else:
            below = slice(row - fan_in, row)
            logits(change, A[below], target, H)
            logits(W, M[below], spare, H)
            for h in range(H):
                for i in range(target.shape[1]):
                    target[h, i] += spare[h, i]
        for h in range(H):
            for i in range(target.shape[1]):
                M[row + 1 + h, i] = slopes[unit + h, i] * target[h, i]
        at, row, unit = at + H * fan_in, row + 1 + H, unit + H


@nb.njit(**nb.OPTIONS)
def _moved_counts(P, totals, moved_logits, mean):  # type: ignore[no-untyped-def]
    """Replace derivatives of logits (K - 1, B) by those of the expected counts ``P`` (K, B)."""
    K1, B = moved_logits.shape
    for i in range(B):
        mean[i] = 0.0
    for k in range(K1):
        expected, change = P[k], moved_logits[k]
        for i in range(B):
            mean[i] += expected[i] * change[i]
    if totals.shape[0] > 0:
        for i in range(B):
            mean[i] = mean[i] / totals[i] if totals[i] > 0.0 else 0.0
    for k in range(K1):
        expected, change = P[k], moved_logits[k]
        for i in range(B):
            change[i] = expected[i] * (change[i] - mean[i])


@nb.njit(**nb.OPTIONS)
def _moved_back(T, dT, Z, sizes, block, R, full, moved, work, out):  # type: ignore[no-untyped-def]
    """Subtract from ``out`` the hidden layers' derivatives along a direction, from those of the counts, ``R[1]``.

    ``block`` holds ``A``, ``slopes``, ``bends``, ``pulled`` and ``deltas``; ``moved`` what :func:`_moved_units` filled.
    """
    (A, slopes, bends, pulled, deltas), (M, changes), (spare, other) = block, moved, work
    n_layers = sizes.shape[0] - 1
    at, row, unit, to = out.shape[0], 0, slopes.shape[0], T.shape[0]
    for l in range(1, n_layers):
        row += 1 + sizes[l]
    fixed, change = R
    for step in range(n_layers):
        l = n_layers - step
        H, outputs, fan_in = sizes[l], change.shape[0], 1 + sizes[l - 1]
        at, unit, to = at - H * fan_in, unit - H, to - H * outputs
        logits(T[to : to + H * outputs].reshape(H, outputs), change, spare, H)
        if full:
            logits(dT[to : to + H * outputs].reshape(H, outputs), fixed, other, H)
        for h in range(H):
            target, slope = spare[h], slopes[unit + h]
            for i in range(slope.shape[0]):
                target[i] *= slope[i]
            if full:
                more, bend, back, before = other[h], bends[unit + h], pulled[unit + h], changes[unit + h]
                for i in range(slope.shape[0]):
                    target[i] += more[i] * slope[i] + back[i] * bend[i] * before[i]
        for h in range(H):  # the pre-activations' derivatives are not needed any more: theirs take the place
            changes[unit + h] = spare[h]
        change, fixed = changes[unit : unit + H], deltas[unit : unit + H]
        row -= 1 + sizes[l - 1] if l > 1 else 0
        target_of_layer = out[at : at + H * fan_in].reshape(H, fan_in)
        products(change, A[row : row + fan_in] if l > 1 else Z[:fan_in], target_of_layer, H, False)
        if full and l > 1:
            products(fixed, M[row : row + fan_in], target_of_layer, H, False)


@nb.njit(**nb.OPTIONS)
def curvature_products(part, at, layout, directions, full, out, blocks):  # type: ignore[no-untyped-def]
    """Subtract products with the curvature of minus the log-likelihood of some blocks.

    ``at`` holds hidden weights and the last layer's ``V`` (K, q); ``directions`` and ``out`` the same for each of S
    directions, (S, h) and (S, K, q), of which the first K - 1 rows of each matrix are filled.  ``full`` is the Hessian,
    else the generalised Gauss-Newton matrix.
    """
    (theta, V), (changes, dVs), (of_hidden, of_last), (sizes, options) = at, directions, out, layout
    (K, q), rows = V.shape, part.rows
    B, n_units, H = rows.Z.shape[2], unit_rows(sizes), sizes[sizes.shape[0] - 1]
    first = q - (H + (sizes[0] if options[1] else 0))
    n_T = n_hidden(sizes) - n_units - sizes[1] * sizes[0] + (K - 1) * H
    D, dD, T, dT = np.empty((K - 1, q)), np.empty((K - 1, q)), np.empty(n_T), np.empty(n_T)
    A, M, P, work = tiles(sizes, options, B), tiles(sizes, options, B), workspace(K, B), workspace(3, B)
    M[:] = 0.0
    slopes, bends, pulled = workspace(n_units, B), workspace(n_units, B), workspace(n_units, B)
    deltas, moved, widest = workspace(n_units, B), workspace(n_units, B), max(sizes[1:].max(), K)
    spare, other, R, change = workspace(widest, B), workspace(widest, B), workspace(K, B), workspace(K, B)
    scratch = workspace(WORK_ROWS, B)
    scratch[0] = 0.0
    differences(V, D)
    transposes(theta, D, sizes, first, T)
    of_units = D[:, first : first + H].copy()
    for b in range(blocks[0], blocks[1]):
        Z, totals, c = rows.Z[b], block_totals(rows.totals, b), min(B, rows.n_obs - b * B)
        start = _forward(theta, Z, sizes, options, A, slopes, bends, scratch)
        inputs, moved_inputs = A[start - first : start - first + q], M[start - first : start - first + q]
        block_logits(D, inputs, rows.offset, rows.available, b, P)
        softmax_block(P, work, totals, rows.available, b, c, K)
        R[:] = P
        residuals(R, part.codes, part.counts, totals, b, c)
        _back(T, sizes, slopes, R[: K - 1], pulled, deltas)
        state = (A, slopes, bends, pulled, deltas)
        for s in range(changes.shape[0]):
            differences(dVs[s], dD)
            transposes(changes[s], dD, sizes, first, dT)
            _moved_units(theta, changes[s], Z, sizes, A, slopes, M, moved, spare)
            logits(dD, inputs, change, K - 1)
            logits(of_units, M[start : start + H], spare, K - 1)
            for k in range(K - 1):
                for i in range(B):
                    change[k, i] += spare[k, i]
            _moved_counts(P, totals, change[: K - 1], work[0])
            products(change, inputs, of_last[s], K - 1, False)
            if full:
                products(R, moved_inputs, of_last[s], K - 1, False)
            found = (R[: K - 1], change[: K - 1])
            _moved_back(T, dT, Z, sizes, state, found, full, (M, moved), (spare, other), of_hidden[s])
