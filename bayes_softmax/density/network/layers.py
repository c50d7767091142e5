r"""Kronecker factors of a network's Gauss-Newton curvature, layer by layer.

The curvature of the coefficients of inputs ``a`` in outputs with roots ``r``, :math:`\sum_i \Sigma_i \otimes a_i a_i'`
with :math:`\Sigma_i = r_i r_i'`, is approximated by

.. math:: \Bigl(\sum_i \Sigma_i\Bigr) \otimes \frac{\sum_i w_i\, a_i a_i'}{\sum_i w_i},
          \qquad w_i = \mathrm{tr}\,\Sigma_i,

which has the same trace, and is exact where all :math:`\Sigma_i` are multiples of one matrix.  (The usual weights are
those of the observations: Martens and Grosse, *ICML* 2015.)  Curvature between layers is left out.  In the last layer
``w`` is the trace over the classes, as in :mod:`bayes_softmax.density.kronecker`.
"""

from collections.abc import Iterator

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel, ranges
from bayes_softmax.density.network.gauss_newton import Rows


def kronecker_factors(
    rows: Iterator[Rows], groups: IntArray, contrasts: FloatArray, n_units: int
) -> list[tuple[FloatArray, FloatArray]]:
    """Factors (m, m) of inputs and (h, h) of outputs for each group of outputs.

    ``rows`` hold the roots of the ``n_units`` hidden units alone; ``contrasts`` (K, c) are those of the other outputs.
    """
    K = len(contrasts)
    inputs = [np.zeros((m, m)) for m in groups[:, 3].tolist()]
    units = [np.zeros((h, h)) for h in groups[groups[:, 0] < n_units, 1].tolist()]
    totals, classes = np.zeros(len(groups)), np.zeros((K, K))
    with blas_on_one_thread():
        for some in rows:
            inverse = 1.0 / np.maximum(some.counts.sum(axis=0), np.finfo(float).tiny)
            _add_products(classes, some.counts, some.counts * inverse)
            spread = (some.counts * (1.0 - some.counts * inverse)).sum(axis=0)
            for number, (first, h, start, m, _) in enumerate(groups.tolist()):
                weight = np.maximum(spread, 0.0)
                if first < n_units:
                    roots = some.roots[first : first + h]
                    weight = np.einsum("hki,hki->i", roots, roots)
                    _add_products(units[number], *[roots.reshape(h, -1)] * 2)
                a = some.inputs[start : start + m]
                _add_products(inputs[number], a, a * weight)
                totals[number] += weight.sum()
    np.fill_diagonal(classes, 0.0)
    np.fill_diagonal(classes, -classes.sum(axis=1))  # of minus the products between classes: nothing cancels
    outputs = [*units]
    for first, h in groups[len(units) :, :2].tolist():
        C = contrasts[:, first - n_units : first - n_units + h]
        outputs.append(-(C.T @ classes @ C))
    means = [_symmetric(a) / max(float(w), np.finfo(float).tiny) for a, w in zip(inputs, totals, strict=True)]
    return list(zip(means, [_symmetric(each) for each in outputs], strict=True))


def _add_products(total: FloatArray, left: FloatArray, right: FloatArray) -> None:
    """Add ``left right'`` to ``total``, rows of it in parallel."""

    def add(first: int, end: int) -> None:
        total[first:end] += left[first:end] @ right.T

    in_parallel(add, ranges(len(total), float(total.size * left.shape[1])))


def _symmetric(matrix: FloatArray) -> FloatArray:
    """The symmetric part: rounding of products need not be symmetric."""
    half: FloatArray = 0.5 * (matrix + matrix.T)
    return half
