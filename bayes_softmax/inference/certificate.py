"""The certificate every solver ends with: whether this is the optimum, and how far from it it can be."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import lapack

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode, Status
from bayes_softmax.inference.block_metric import preconditioner_at
from bayes_softmax.inference.conjugate import conjugate_gradients, smallest_curvature

GRADIENT_TOLERANCE = 1e-8  # per unit of data, standardised features
# The same without coordinates: of the Newton decrement, per root of a unit of data.  Nearly collinear columns, as of
# features far from zero without an intercept, keep the gradient above its tolerance by the rounding of coefficients.
DECREMENT_TOLERANCE = 3e-8
STEP_TOLERANCE = 1e-5  # logits per sd of a feature; near 1 when the optimum is at infinity
# A pivot this much smaller than its diagonal is rounding: the direction is not determined by the data.
PIVOT_TOLERANCE = 1e-14
# Above, no matrix of all coordinates is formed: a factor (d^3 / 3) and products with it (d^2 a leapfrog) cost more than
# approximations lose, and d x d numbers begin to count in memory.
DENSE_DIMENSION = 1500
# Smallest curvature relative to a preconditioner that counts as definite, found without a matrix.
DEFINITE = 1e-6
# Cholesky factors beat conjugate gradients while a Hessian costs less than this many evaluations.
CHEAP_HESSIAN = 12.0
Solve = Callable[[FloatArray], FloatArray]
STEP_ACCURACY = 0.1  # of a Newton step found by conjugate gradients, relative: it is compared, not taken


def newton_step(H: FloatArray, gradient: FloatArray) -> FloatArray | None:
    """Solve ``H step = gradient`` after scaling ``H`` to a unit diagonal; None if ``H`` is not positive definite."""
    if not len(gradient):
        return gradient.copy()  # nothing to move, as where all weights are held at zero; LAPACK refuses it
    diagonal = np.diag(H)
    if not np.isfinite(H).all() or (diagonal <= 0).any():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    factor, failed = lapack.dpotrf(H * scale * scale[:, None], lower=1)
    if failed or factor.diagonal().min() ** 2 < PIVOT_TOLERANCE:
        return None
    solved, _ = lapack.dpotrs(factor, scale * gradient, lower=1)
    step: FloatArray = scale * solved
    return step


def cheap_hessian(density: LogDensity) -> bool:
    """Whether to form Hessians: not too large, and cheap or needed to show whether they are definite."""
    if density.dimension > DENSE_DIMENSION:
        return False
    return not density.definite or density.hessian_work <= CHEAP_HESSIAN * density.work


def final_step(
    density: LogDensity, theta: FloatArray, gradient: FloatArray, solve: Solve | None = None
) -> FloatArray | None:
    """Newton step at ``theta``, None if the Hessian is not positive definite.

    Where the density says that it is, or is large, conjugate gradients find the step without forming a matrix,
    preconditioned by ``solve`` where that is given.
    """
    if solve is None:
        if cheap_hessian(density):
            return newton_step(density.hessian(theta), gradient)
        solve = preconditioner_at(density, theta)
    product = density.hessian_vector(theta, convex=False)
    if not density.definite and not smallest_curvature(product, solve, density.dimension)[0] > DEFINITE:
        return None
    return conjugate_gradients(product, gradient, STEP_ACCURACY, solve)


def certify(
    density: LogDensity,
    theta: FloatArray,
    n_iterations: int,
    history: list[float],
    *,
    stopped: Status = Status.MAX_ITERATIONS,
    solve: Solve | None = None,
) -> Mode:
    """Measure gradient, Newton decrement and Newton step at ``theta``, and say in words what they prove.

    Parameters
    ----------
    density
        What was maximised.
    theta
        (d,) where the solver stopped.
    n_iterations
        Iterations it took.
    history
        Log density at each iterate.
    stopped
        Why the solver stopped, should the point turn out not to be the optimum.
    solve
        Preconditioner for the Newton step of a density whose Hessian is known to be positive definite.

    Returns
    -------
    Mode
        ``status`` is ``CONVERGED`` only if the Hessian is positive definite, the gradient is at most 1e-8 per unit
        of data or the Newton decrement at most 3e-8 per root of a unit, and the Newton step is at most 1e-5 relative to
        the coefficients.  A small gradient alone proves
        nothing: on separated data it vanishes on the way to infinity while the Newton step stays near 1.
    """
    value, gradient = density.value_gradient(theta)
    gradient_norm = float(np.abs(gradient).max(initial=0.0)) / density.total_weight
    step = final_step(density, theta, gradient, solve)
    if step is None:
        decrement, length = np.nan, np.nan
        status = Status.SINGULAR if gradient_norm <= GRADIENT_TOLERANCE else stopped
    else:
        decrement = float(np.sqrt(max(float(gradient @ step), 0.0)))
        length = float(np.abs(step).max(initial=0.0))
        small_step = length <= STEP_TOLERANCE * (1.0 + np.abs(theta).max(initial=0.0))
        stationary = min(
            gradient_norm / GRADIENT_TOLERANCE, decrement / np.sqrt(density.total_weight) / DECREMENT_TOLERANCE
        )
        status = stopped if not stationary <= 1.0 else Status.CONVERGED if small_step else Status.UNBOUNDED
    if not np.isfinite(value):
        status = stopped
    return Mode(theta, value, gradient_norm, decrement, length, n_iterations, status, np.array([*history, value]))
