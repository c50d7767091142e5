"""The certificate with which every solver ends: whether the point is the optimum, and how far it may be from it."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import lapack

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode, Status
from bayes_softmax.inference.block_metric import preconditioner_at
from bayes_softmax.inference.conjugate import conjugate_gradients, smallest_curvature

GRADIENT_TOLERANCE = 1e-8  # per observation, on standardised features
# The coordinate-free counterpart: tolerance of the Newton decrement over the root of the number of observations.  With
# nearly collinear columns, such as features far from zero without an intercept, rounding of the coefficients keeps the
# gradient above its tolerance.
DECREMENT_TOLERANCE = 3e-8
STEP_TOLERANCE = 1e-5  # logits per sd of a feature; the step is near 1 if the optimum is at infinity
# A pivot this much smaller than its diagonal is rounding error: the direction is not determined by the data.
PIVOT_TOLERANCE = 1e-14
# Above, no matrix of all coordinates is formed: a factor (d^3 / 3) and products with it (d^2 per leapfrog step) cost
# more than approximations lose, and d x d entries begin to matter in memory.
DENSE_DIMENSION = 1500
# Smallest curvature, relative to a preconditioner, accepted as definite when it is found without a matrix.
DEFINITE = 1e-6
# Cholesky factors are faster than conjugate gradients while a Hessian costs less than this many evaluations.
CHEAP_HESSIAN = 12.0
Solve = Callable[[FloatArray], FloatArray]
STEP_ACCURACY = 0.1  # relative, of a Newton step by conjugate gradients, which is only compared with a tolerance


def newton_step(H: FloatArray, gradient: FloatArray) -> FloatArray | None:
    """Solve ``H step = gradient`` after scaling ``H`` to a unit diagonal; None if ``H`` is not positive definite."""
    if not len(gradient):
        return gradient.copy()  # no coordinates, as if all weights are held at zero; LAPACK refuses them
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


def forms_hessian(density: LogDensity) -> bool:
    """Whether a matrix of all coordinates is formed: if it is not too large, or comes with every gradient anyway."""
    return density.dimension <= DENSE_DIMENSION or density.hessian_work == 0


def cheap_hessian(density: LogDensity) -> bool:
    """Whether to form Hessians: if not too large, and either cheap or needed to prove definiteness."""
    if not forms_hessian(density):
        return False
    return not density.definite or density.hessian_work <= CHEAP_HESSIAN * density.work


def final_step(
    density: LogDensity, theta: FloatArray, gradient: FloatArray, solve: Solve | None = None
) -> FloatArray | None:
    """Newton step at ``theta``, None if the Hessian is not positive definite.

    If the density declares it positive definite, or is large, conjugate gradients find the step without forming a
    matrix, preconditioned by ``solve`` if given.
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
    """Compute gradient norm, Newton decrement and Newton step at ``theta``, and the status that they imply.

    Parameters
    ----------
    density
        The density that was maximised.
    theta
        (d,) point where the solver stopped.
    n_iterations
        Its number of iterations.
    history
        Log density at each iterate.
    stopped
        Why the solver stopped, reported if the point is not the optimum.
    solve
        Preconditioner for the Newton step of a density whose Hessian is known to be positive definite.

    Returns
    -------
    Mode
        ``status`` is ``CONVERGED`` only if the Hessian is positive definite, the gradient is at most 1e-8 per
        observation or the Newton decrement at most 3e-8 times the root of the number of observations, and the Newton
        step is at most 1e-5 relative to the coefficients.  A small gradient alone proves nothing: on separated data it
        vanishes on the way to infinity while the Newton step stays near 1.
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
