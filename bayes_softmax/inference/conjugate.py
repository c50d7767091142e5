"""Preconditioned conjugate gradients (Nocedal and Wright, *Numerical Optimization*, 2006, algorithms 5.3 and 7.1)."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from bayes_softmax.core.records import FloatArray

MAX_STEPS = 250
PROBE_STEPS = 300
PROBE_ACCURACY = 1e-10  # relative residual at which the smallest Ritz value has converged
NO_CURVATURE = 1e-16  # relative to the preconditioner's curvature


def conjugate_gradients(
    product: Callable[[FloatArray], FloatArray],
    gradient: FloatArray,
    tolerance: float,
    solve: Callable[[FloatArray], FloatArray],
    steps: int = MAX_STEPS,
) -> FloatArray:
    """Approximate ``H^-1 gradient``; stops early along a direction without curvature.

    Parameters
    ----------
    product
        ``H`` times a vector (d,).
    gradient
        (d,) right-hand side.
    tolerance
        Tolerance of the residual in the preconditioner's norm, relative to that of the right-hand side.
    solve
        The preconditioner: approximately ``H^-1`` times a vector.
    steps
        Limit on products.
    """
    solution = np.zeros_like(gradient)
    residual = gradient.copy()
    solved = solve(residual)
    direction = solved.copy()
    squared = start = float(residual @ solved)
    if not squared > 0:
        return solution
    for _ in range(min(len(gradient) + 10, steps)):
        image = product(direction)
        curvature = float(direction @ image)
        if curvature <= NO_CURVATURE * squared:
            return solution if solution.any() else solved
        length = squared / curvature
        solution += length * direction
        residual -= length * image
        solved = solve(residual)
        previous, squared = squared, float(residual @ solved)
        if squared <= tolerance**2 * start:
            break
        direction = solved + (squared / previous) * direction
    return solution


def smallest_curvature(
    product: Callable[[FloatArray], FloatArray],
    solve: Callable[[FloatArray], FloatArray],
    dimension: int,
    steps: int = PROBE_STEPS,
) -> tuple[float, FloatArray]:
    """Estimate of the smallest eigenvalue of ``H`` relative to the preconditioner, without a matrix; and a direction.

    Conjugate gradients from a random right-hand side are the Lanczos process: their coefficients form the tridiagonal
    matrix whose eigenvalues are the Ritz values, and they meet a direction without positive curvature if ``H`` is not
    positive definite (Golub and Van Loan, *Matrix Computations*, 4th ed., 2013, section 10.2).  ``steps`` is the limit
    on products.

    Returns
    -------
    float, ndarray
        The eigenvalue, zero or negative as soon as such a direction is met; and that direction (d,), else the last one.
    """
    residual = np.random.default_rng(0).normal(size=dimension)
    solved = solve(residual)
    direction, squared = solved.copy(), float(residual @ solved)
    start, diagonal, off, carried = squared, [], [], 0.0
    for _ in range(min(dimension, steps)):
        image = product(direction)
        relative = float(direction @ image) / squared
        if not relative > NO_CURVATURE:
            return min(relative, 0.0), direction
        diagonal.append(relative + carried)
        residual -= image / relative
        solved = solve(residual)
        previous, squared = squared, float(residual @ solved)
        if squared <= PROBE_ACCURACY**2 * start:
            break
        ratio = squared / previous
        carried = ratio * relative
        off.append(np.sqrt(ratio) * relative)
        direction = solved + ratio * direction
    return float(eigvalsh_tridiagonal(diagonal, off[: len(diagonal) - 1]).min()), direction
