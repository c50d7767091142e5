"""Preconditioned conjugate gradients (Nocedal and Wright, *Numerical Optimization*, 2006, algorithms 5.3 and 7.1)."""

from collections.abc import Callable

import numpy as np

from bayes_softmax.core.records import FloatArray

MAX_STEPS = 250
NO_CURVATURE = 1e-16  # relative to the preconditioner's


def conjugate_gradients(
    product: Callable[[FloatArray], FloatArray],
    gradient: FloatArray,
    tolerance: float,
    solve: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Approximate ``H^-1 gradient``; stops early where ``H`` shows no curvature.

    Parameters
    ----------
    product
        ``H`` times a vector (d,).
    gradient
        (d,) right-hand side.
    tolerance
        Of the residual in the preconditioner's norm, relative to the right-hand side's.
    solve
        The preconditioner: about ``H^-1`` times a vector.
    """
    solution = np.zeros_like(gradient)
    residual = gradient.copy()
    solved = solve(residual)
    direction = solved.copy()
    squared = start = float(residual @ solved)
    if not squared > 0:
        return solution
    for _ in range(min(len(gradient) + 10, MAX_STEPS)):
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
