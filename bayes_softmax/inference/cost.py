"""The cost of a run, from a few timed evaluations."""

import ctypes
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Whitening
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.inference.certificate import DENSE_DIMENSION, cheap_hessian

BUDGET = 0.3  # seconds for timing each kind of evaluation, after a first call
# Typical of whitened posteriors (tests/benchmarks): trajectories of 2^n - 1 leapfrogs grow slowly with dimension.
LEAPFROGS = ((100, 7.0), (DENSE_DIMENSION, 15.0), (np.inf, 63.0))
NEWTON_STEPS = 10.0
CG_PRODUCTS = 100.0
STACK = 16  # points timed together, as the importance sampler evaluates them


class Cost(NamedTuple):
    """Seconds per elementary step on this machine, and the dimension of the density.

    ``gradient`` is the time of one leapfrog step on one core, ``value`` that of one proposal among many on one core,
    ``mode`` that of finding the mode and whitening there.
    """

    dimension: int
    gradient: float
    value: float
    mode: float
    leapfrogs: float


def measure(density: LogDensity) -> Cost:
    """Time evaluations as the samplers make them, and extrapolate the mode from its number of multiplications."""
    d = density.dimension
    with blas_on_one_thread():
        gradient = seconds_per_call(_leapfrog(density))
        points = np.random.default_rng(0).normal(size=(STACK, d)) / np.sqrt(d)
        value = seconds_per_call(lambda: density.values(points)) / STACK
        both = seconds_per_call(lambda: density.value_gradient(points[0]))
    second_per_multiplication = gradient / (2 * density.work + d)
    hessian = density.hessian_work * second_per_multiplication
    factor = d**3 / 3 * second_per_multiplication
    mode = NEWTON_STEPS * (hessian + factor + both) if cheap_hessian(density) else 2 * CG_PRODUCTS * both
    if d <= DENSE_DIMENSION:
        mode += hessian + 3 * factor
    leapfrogs = next(steps for limit, steps in LEAPFROGS if d <= limit)
    return Cost(d, gradient, value, mode, leapfrogs)


def _leapfrog(density: LogDensity) -> Callable[[], object]:
    """One evaluation as in NUTS: whitened, on one core, without Python's global lock if there are callbacks."""
    d = density.dimension
    callbacks = density.native(_trivial_whitening(density))
    if callbacks is None:
        return lambda: density.value_gradient(np.zeros(d))
    double = ctypes.POINTER(ctypes.c_double)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, double, double, double, ctypes.c_void_p)
    call = kind(callbacks.logp_address)
    arrays: list[FloatArray] = [np.zeros(d), np.empty(d), np.empty(1)]
    pointers = [a.ctypes.data_as(double) for a in arrays]
    # The arrays and the callbacks must outlive the call.
    return lambda: (call(d, *pointers, callbacks.user_address), arrays, callbacks)


def _trivial_whitening(density: LogDensity) -> Whitening:
    """The identity, with the structure of the whitening to be used."""
    d = density.dimension
    metric = density.block_metric(np.zeros(d)) if d > DENSE_DIMENSION else None
    if metric is None:
        return Whitening(np.zeros(d), np.eye(d, dtype=np.float32)[None], np.ones((1, 1)), 0.0)
    k, m = metric.precisions.shape[:2]
    return Whitening(
        np.zeros(d),
        np.ascontiguousarray(np.broadcast_to(np.eye(m, dtype=np.float32), (k, m, m))),
        np.eye(k),
        0.0,
    )


def seconds_per_call(function: Callable[[], object]) -> float:
    """Median seconds per call, after a first call that may compile."""
    function()
    seconds: list[float] = []
    while sum(seconds) < BUDGET and len(seconds) < 50:
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
