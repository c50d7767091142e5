"""Compiled hyperpriors: log density and log scales as functions of unconstrained hyperparameters.

The transformations are those in the table of :mod:`bayes_softmax.spec.scales`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.coding import Coordinates, free_vectors
from bayes_softmax.spec.scales.common import CommonScale
from bayes_softmax.spec.scales.r2d2 import VarianceShares
from bayes_softmax.spec.scales.shared import SharedScale

COMMON_SCALE, VARIANCE_SHARES = 0, 1
CODES = {CommonScale: COMMON_SCALE, VarianceShares: VARIANCE_SHARES}
N_PARAMETERS = 3


class HyperpriorData(NamedTuple):
    """Hyperpriors of G shared scales, in the form of compiled code.

    ``family`` (G,) and ``parameters`` (G, 3) describe each; ``first_scale`` and ``first_hyper`` (G + 1,) delimit its
    scales and hyperparameters.  ``log_unit`` (R,) is the log ratio of a scale on the standardised feature to that of
    the prior; ``scale_of_coordinate`` (d,) is the index of each free coordinate's scale, -1 where none is learned.
    Each scale applies to ``n_columns`` coordinates.
    """

    family: IntArray
    parameters: FloatArray
    first_scale: IntArray
    first_hyper: IntArray
    log_unit: FloatArray
    scale_of_coordinate: IntArray
    n_columns: int


def hyperprior_data(shared: Sequence[SharedScale], coordinates: Coordinates) -> HyperpriorData:
    """Hyperprior data of a model's shared scales, on its standardised features."""
    hyperpriors = [scale.hyperprior for scale in shared]
    features = [j for scale in shared for j in scale.features]
    n_columns = int(coordinates.weights_contrast.shape[1])
    scale_of_feature = np.full(coordinates.n_features, -1, dtype=np.int64)
    scale_of_feature[features] = np.arange(len(features))
    intercept = np.full(coordinates.n_free_intercept, -1, dtype=np.int64)
    return HyperpriorData(
        family=np.array([CODES[type(hyperprior)] for hyperprior in hyperpriors], dtype=np.int64),
        parameters=np.array([hyperprior.parameters for hyperprior in hyperpriors]),
        first_scale=np.cumsum([0, *(len(scale.features) for scale in shared)], dtype=np.int64),
        first_hyper=np.cumsum([0, *(len(hyperprior.initial) for hyperprior in hyperpriors)], dtype=np.int64),
        log_unit=np.log(coordinates.scale[features] / np.concatenate([scale.units for scale in shared])),
        scale_of_coordinate=free_vectors(intercept, np.tile(scale_of_feature, (n_columns, 1))),
        n_columns=n_columns,
    )


def conditional_scales(hyper: HyperpriorData, h: FloatArray) -> FloatArray:
    """Scales (R,) of the shrunk features given ``h``, on standardised features."""
    s = np.empty(len(hyper.log_unit))
    log_hyperprior(hyper, h, s, np.empty(len(h)))
    return np.exp(s + hyper.log_unit)


def log_normaliser(shared: Sequence[SharedScale], coordinates: Coordinates) -> float:
    """Constants omitted by compiled code: those of hyperpriors, and of the normal priors of raw coefficients."""
    k = coordinates.weights_contrast.shape[1]
    total = 0.0
    for scale in shared:
        sd = coordinates.scale[list(scale.features)]
        total += k * float((np.log(sd) - 0.5 * math.log(2 * math.pi)).sum()) + scale.hyperprior.log_normaliser
    return total


@nb.njit(**nb.OPTIONS)
def log_half_t(x, scale, df):  # type: ignore[no-untyped-def]
    """Log density of ``x = log tau``, ``tau`` half-t (df = 0: half-normal), up to a constant, and its derivative."""
    r = math.exp(2.0 * x) / scale**2
    if df == 0.0:
        return x - 0.5 * r, 1.0 - r
    return x - 0.5 * (df + 1.0) * math.log1p(r / df), 1.0 - (df + 1.0) / (1.0 + df / r)


@nb.njit(**nb.OPTIONS)
def log_hyperprior(hyper, h, s, gradient):  # type: ignore[no-untyped-def]
    """``log p(h)`` up to a constant; fills its gradient (H,) and the log scales ``s`` (R,) of the prior."""
    value = 0.0
    for shared in range(hyper.family.shape[0]):
        family, a = hyper.family[shared], hyper.parameters[shared]
        first, end, g = hyper.first_scale[shared], hyper.first_scale[shared + 1], hyper.first_hyper[shared]
        if family == COMMON_SCALE:
            log_p, gradient[g] = log_half_t(h[g], a[0], a[1])
            value += log_p
            for i in range(first, end):
                s[i] = h[g]
        elif family == VARIANCE_SHARES:
            R2 = 1.0 / (1.0 + math.exp(-h[g]))
            value -= a[0] * math.log1p(math.exp(-h[g])) + a[1] * (h[g] + math.log1p(math.exp(-h[g])))
            gradient[g] = a[0] * (1.0 - R2) - a[1] * R2
            total = 0.0
            for i in range(end - first):
                gamma = math.exp(h[g + 1 + i])
                total += gamma
                value += a[2] * h[g + 1 + i] - gamma
                gradient[g + 1 + i] = a[2] - gamma
            for i in range(end - first):
                s[first + i] = 0.5 * (h[g] + h[g + 1 + i] - math.log(total))
        else:
            value = math.nan
    return value


@nb.njit(**nb.OPTIONS)
def log_scales_vjp(hyper, h, ds, gradient):  # type: ignore[no-untyped-def]
    """Vector-Jacobian product of the log scales: adds the pull-back of ``ds`` (R,) to ``gradient`` (H,)."""
    for shared in range(hyper.family.shape[0]):
        family, g = hyper.family[shared], hyper.first_hyper[shared]
        first, end = hyper.first_scale[shared], hyper.first_scale[shared + 1]
        if family == COMMON_SCALE:
            for i in range(first, end):
                gradient[g] += ds[i]
        elif family == VARIANCE_SHARES:
            total, gammas = 0.0, 0.0
            for i in range(end - first):
                total += ds[first + i]
                gammas += math.exp(h[g + 1 + i])
            gradient[g] += 0.5 * total
            for i in range(end - first):
                gradient[g + 1 + i] += 0.5 * (ds[first + i] - total * math.exp(h[g + 1 + i]) / gammas)
