r"""Compiled stretch of weights and effects with the sds of effects, where levels have too few rows to hold them.

Averaged over effects of variance v, the slope of a logit shrinks by about :math:`\sqrt{1 + c v}`, c = 0.346 (Zeger,
Liang and Albert, *Biometrics* 44, 1988).  What the data of levels with few rows determine is that average: weights and
effects grow with the sds.  So the whitened coordinates are multiplied by

.. math:: \kappa(h) = \Bigl(\frac{1 + c\, v(h)}{1 + c\, v(h_0)}\Bigr)^{\omega / 2}

with :math:`\omega` the share of the prior in the precision of a level's effects at the reference: 1 for levels of one
row, 0 where the data determine the effects.  In the units of the map covariances are :math:`\Sigma(h) / \kappa^2`.
"""

import math

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.groups.covariance import pull_back_root
from bayes_softmax.density.groups.table import line, prior_work, read_covariance

ATTENUATION = (16.0 * math.sqrt(3.0) / (15.0 * math.pi)) ** 2
FIRST = 2  # place of the terms' mean squares, after the share and v(h_0)


@nb.njit(**nb.OPTIONS)
def effects_variance(groupings, stretch, work):  # type: ignore[no-untyped-def]
    """Variance ``v`` of the effects in a contrast of logits, averaged over contrasts and rows."""
    variance, first = 0.0, FIRST
    for j in range(groupings.shape[0]):
        t = line(groupings, j)
        root = prior_work(t, work).root
        for a in range(root.shape[0]):
            square = 0.0
            for i in range(root.shape[1]):
                square += root[a, i] * root[a, i]
            variance += stretch[first + a // t.k] * square / t.k
        first += t.q
    return variance


@nb.njit(**nb.OPTIONS)
def stretch_of(stretch, variance):  # type: ignore[no-untyped-def]
    """The factor ``kappa``."""
    return math.exp(0.5 * stretch[0] * math.log((1.0 + ATTENUATION * variance) / (1.0 + ATTENUATION * stretch[1])))


@nb.njit(**nb.OPTIONS)
def scale_precisions(groupings, factor, work):  # type: ignore[no-untyped-def]
    """Multiply the precisions of all groupings."""
    for j in range(groupings.shape[0]):
        prior_work(line(groupings, j), work).precision[:] *= factor


@nb.njit(**nb.OPTIONS)
def scale_adjoints(groupings, factor, work):  # type: ignore[no-untyped-def]
    """Multiply the adjoints of all groupings' precisions."""
    for j in range(groupings.shape[0]):
        prior_work(line(groupings, j), work).adjoint[:] *= factor


@nb.njit(**nb.OPTIONS)
def precision_products(groupings, work):  # type: ignore[no-untyped-def]
    """Sum of the products of precisions and their adjoints."""
    total = 0.0
    for j in range(groupings.shape[0]):
        own = prior_work(line(groupings, j), work)
        for i in range(own.precision.shape[0]):
            for l in range(own.precision.shape[0]):
                total += own.precision[i, l] * own.adjoint[i, l]
    return total


@nb.njit(**nb.OPTIONS)
def pull_back_stretch(groupings, stretch, variance, adjoint, h, of_h, work):  # type: ignore[no-untyped-def]
    """Add the derivatives in ``h``, from that in the logarithm of ``kappa``."""
    by_variance, first = 0.5 * stretch[0] * ATTENUATION / (1.0 + ATTENUATION * variance) * adjoint, FIRST
    for j in range(groupings.shape[0]):
        t = line(groupings, j)
        own, end = prior_work(t, work), t.first_hyper + t.n_hyper
        of_root = own.root.copy()
        for a in range(of_root.shape[0]):
            of_root[a] *= 2.0 * by_variance * stretch[first + a // t.k] / t.k
        pull_back_root(read_covariance(t), h[t.first_hyper : end], own.R, of_root, of_h[t.first_hyper : end])
        first += t.q
