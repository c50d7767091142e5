"""Fisher scoring with secant corrections, for densities whose ``hessian`` only approximates the true one.

Scoring alone converges linearly, and slowly if a penalty contributes as much curvature as the data (separated classes
under Jeffreys' prior).  The limited-memory BFGS update estimates the difference from successive gradients: its
two-loop recursion starts from the inverse of the ``hessian`` at the current point.  Nocedal and Wright, *Numerical
Optimization* (2nd ed., 2006), algorithm 7.4.
"""

from collections import deque

import numpy as np

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode
from bayes_softmax.inference.certificate import newton_step
from bayes_softmax.inference.newton import RIDGE, Stop, ascend

MEMORY = 30
CURVED = 1e-10  # relative to |s||y|: less curvature along a step is rounding error, or of the wrong sign
TARGET = 1e-11  # gradient per observation: a determinant has fewer correct digits than a likelihood


def scoring(density: LogDensity, start: FloatArray, max_iterations: int = 500) -> Mode:
    """Maximise by steps ``B^-1 gradient``, ``B`` the density's ``hessian`` corrected by the last 30 secants."""
    pairs: deque[tuple[FloatArray, FloatArray]] = deque(maxlen=MEMORY)
    previous: tuple[FloatArray, FloatArray] | None = None

    def direction(theta: FloatArray, gradient: FloatArray, damping: float) -> FloatArray | None:
        nonlocal previous
        if previous is not None:
            s, y = theta - previous[0], previous[1] - gradient
            if float(s @ y) > CURVED * float(np.linalg.norm(s) * np.linalg.norm(y)):
                pairs.append((s, y))
        previous = (theta, gradient)
        H = density.hessian(theta)
        if damping:
            H = H + damping * (density.total_weight * np.eye(len(H)) + np.diag(np.diag(H)))
        step = _corrected(H, gradient, list(pairs))
        return _corrected(H + np.diag(RIDGE * np.diag(H)), gradient, list(pairs)) if step is None else step

    return ascend(density, start, direction, max_iterations, Stop(TARGET))


def _corrected(H: FloatArray, gradient: FloatArray, pairs: list[tuple[FloatArray, FloatArray]]) -> FloatArray | None:
    """``B^-1 gradient`` for ``H`` updated by the secants ``y = B s``."""
    step, factors = gradient.copy(), []
    for s, y in reversed(pairs):
        factors.append(float(s @ step) / float(s @ y))
        step -= factors[-1] * y
    solved = newton_step(H, step)
    if solved is None:
        return None
    for (s, y), factor in zip(pairs, reversed(factors), strict=True):
        solved += (factor - float(y @ solved) / float(s @ y)) * s
    return solved
