r"""Compiled parts of a network's generalised Gauss-Newton curvature.

With the Jacobian ``J_i`` (K, d) of a row's logits and its expected counts :math:`P_{ki} = n_i p_{ki}`, it is

.. math:: \sum_i J_i'\,(\mathrm{diag}(P_i) - P_iP_i'/n_i)\,J_i = \sum_i\sum_k P_{ki}\,(J_{ki} - \bar J_i)
          (J_{ki} - \bar J_i)', \qquad \bar J_i = \sum_k p_{ki} J_{ki}.

A coefficient is that of an input in an output, ``a_j`` of unit ``h`` or of a free column of the last layer, and
:math:`\partial\eta_k / \partial\theta_{hj} = \delta_{hk}\,a_j`.  So the sum over classes is taken first, for each pair
of outputs: with ``roots`` :math:`r_{hki} = \sqrt{P_{ki}}\,(\delta_{hki} - \bar\delta_{hi})` the curvature of two
coefficients is :math:`\sum_i (\sum_k r_{hki} r_{h'ki})\, a_{ji} a_{j'i}`.  Differences from the mean, not of
products, leave no cancellation where a probability rounds to 1.

Shapes, in columns of n rows:

=============  =============  =========================================================
``S``          (m, n)         inputs: ones and features, then each layer's ones and units,
                              then the features of ``skip``
``roots``      (o, K, n)      of the units of each hidden layer, then of the free columns
                              of the last layer
``counts``     (K, n)         expected counts ``P``
``groups``     (g, 5)         of outputs with the same inputs: first output, number of
                              outputs, first input, number of inputs, and the position of
                              the group's coefficients, output by output
=============  =============  =========================================================
"""

import math

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.kernel import block_logits, block_totals, softmax_block
from bayes_softmax.density.linear import differences, workspace
from bayes_softmax.density.network.activations import WORK_ROWS
from bayes_softmax.density.network.kernel import forward, tiles, unit_rows


@nb.njit(**nb.OPTIONS)
def fill_rows(part, theta, V, contrasts, layout, out, blocks):  # type: ignore[no-untyped-def]
    """Fill inputs ``S``, ``roots`` and ``counts`` of the blocks ``first_block <= b < end``.

    ``base`` is the block of the first columns; ``contrasts`` (K, c) are those of the last layer's outputs.  Roots and
    counts are zero where padded.
    """
    (K, q), rows, (sizes, options), (S, roots, counts) = V.shape, part.rows, layout, out
    base, first_block, end = blocks
    p1, B, n_units = 1 + sizes[0], rows.Z.shape[2], unit_rows(sizes)
    first = q - (sizes[sizes.shape[0] - 1] + (sizes[0] if options[1] else 0))
    D, P, work, slopes = np.empty((K - 1, q)), workspace(K, B), workspace(3, B), workspace(n_units, B)
    A, scratch = tiles(sizes, options, B), workspace(WORK_ROWS, B)
    scratch[0] = 0.0
    differences(V, D)
    for b in range(first_block, end):
        start = forward(theta, rows.Z[b], sizes, options, A, slopes, scratch)
        block_logits(D, A[start - first : start - first + q], rows.offset, rows.available, b, P)
        totals, c = block_totals(rows.totals, b), min(B, rows.n_obs - b * B)
        softmax_block(P, work, totals, rows.available, b, c, K)
        to = (b - base) * B
        columns = slice(to, to + B)
        S[:p1, columns] = rows.Z[b][:p1]
        S[p1:, columns] = A
        counts[:, columns] = P
        _roots_of_last(P, contrasts, work, roots[n_units:, :, columns])
        H = sizes[sizes.shape[0] - 1]
        units = roots[n_units - H : n_units, :, columns]
        _roots_of_last(P, V[:, first : first + H], work, units)
        _times(units, slopes[n_units - H :])
        _pull_back(theta, sizes, slopes, roots, columns)


@nb.njit(**nb.OPTIONS)
def _roots_of_last(P, C, work, out):  # type: ignore[no-untyped-def]
    """``out[c, k] = sqrt(P_k) (C_kc - sum_l p_l C_lc)`` for a block ``P`` (K, B); ``out`` (c, K, B)."""
    K, B = P.shape
    inverse, mean = work[0], work[1]
    for i in range(B):
        inverse[i] = 0.0
    for k in range(K):
        expected = P[k]
        for i in range(B):
            inverse[i] += expected[i]
    for i in range(B):
        inverse[i] = 1.0 / inverse[i] if inverse[i] > 0.0 else 0.0
    for c in range(out.shape[0]):
        for i in range(B):
            mean[i] = 0.0
        for k in range(K):
            expected, contrast = P[k], C[k, c]
            for i in range(B):
                mean[i] += expected[i] * contrast
        for k in range(K):
            expected, contrast, root = P[k], C[k, c], out[c, k]
            for i in range(B):
                root[i] = math.sqrt(expected[i]) * (contrast - mean[i] * inverse[i])


@nb.njit(**nb.OPTIONS)
def _times(roots, slopes):  # type: ignore[no-untyped-def]
    """Multiply ``roots`` (h, K, B) by the ``slopes`` (>= h, B) of their units."""
    for h in range(roots.shape[0]):
        slope = slopes[h]
        for k in range(roots.shape[1]):
            root = roots[h, k]
            for i in range(root.shape[0]):
                root[i] *= slope[i]


@nb.njit(**nb.OPTIONS)
def _pull_back(theta, sizes, slopes, roots, columns):  # type: ignore[no-untyped-def]
    """Roots of all hidden layers but the last, from those of the layer above."""
    n_layers = sizes.shape[0] - 1
    at, unit = theta.shape[0], slopes.shape[0]
    for step in range(n_layers - 1):
        l = n_layers - step
        H, fan_in = sizes[l], sizes[l - 1]
        at, unit = at - H * (1 + fan_in), unit - H
        W, above = theta[at : at + H * (1 + fan_in)].reshape(H, 1 + fan_in), roots[unit : unit + H, :, columns]
        below = roots[unit - fan_in : unit, :, columns]
        for j in range(fan_in):
            for k in range(roots.shape[1]):
                total = below[j, k]
                for i in range(total.shape[0]):
                    total[i] = 0.0
                for h in range(H):
                    weight, root = W[h, 1 + j], above[h, k]
                    for i in range(total.shape[0]):
                        total[i] += weight * root[i]
        _times(below, slopes[unit - fan_in :])


@nb.njit(**nb.OPTIONS)
def scaled_inputs(S, roots, groups, group, output, X):  # type: ignore[no-untyped-def]
    """Fill the rows of ``X`` (d, n) from ``output`` on: inputs of an output, times its roots' products with this one's.

    ``group`` is the one of ``output``.
    """
    n = S.shape[1]
    sigma, own = np.empty(n), roots[output]
    for g in range(group, groups.shape[0]):
        first, n_outputs, start, q, at = groups[g]
        for o in range(max(output, first), first + n_outputs):
            for i in range(n):
                sigma[i] = 0.0
            for k in range(own.shape[0]):
                root, other = own[k], roots[o, k]
                for i in range(n):
                    sigma[i] += root[i] * other[i]
            to = at + (o - first) * q
            for j in range(q):
                source, target = S[start + j], X[to + j]
                for i in range(n):
                    target[i] = sigma[i] * source[i]


@nb.njit(**nb.OPTIONS)
def mirror(G):  # type: ignore[no-untyped-def]
    """Copy the upper triangle of ``G`` (d, d) to the lower one, tile by tile."""
    d, size = G.shape[0], 32
    for a in range(0, d, size):
        for b in range(a, d, size):
            for i in range(a, min(a + size, d)):
                for j in range(max(b, i + 1), min(b + size, d)):
                    G[j, i] = G[i, j]
