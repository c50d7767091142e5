"""The log posterior from the textbook, and an optimiser that knows nothing of the package's own.

Parameters are free coordinates of standardised features: row j of ``theta`` is ``g_j / unit_j``.  Zero-sum and
reference coding have K - 1 columns, full coding K for the weights.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import helmert
from scipy.optimize import minimize
from scipy.special import logsumexp

import bayes_softmax as bs

RELATIVE = 1e-8
HUGE = 1e4
STEPS = 1000  # of the proximal gradient, which needs more than L-BFGS


class Problem(NamedTuple):
    """Data and priors of a model as plain arrays; ``priors`` are pairs of family and row, the intercept's is row 0."""

    X: np.ndarray
    Y: np.ndarray
    offset: np.ndarray
    on_offer: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    to_classes: np.ndarray
    intercept_to_classes: np.ndarray | None
    weights_priors: tuple[Any, ...]
    intercept_prior: Any
    intercept_at_means: bool
    spherical: bool


def problem_of(model: bs.SoftmaxRegression, kind: str) -> Problem | None:
    """None where the estimate is not the maximum of a density that is written here."""
    design, priors = model._spec.design, model._spec.priors
    if kind == "map" and (priors.is_jeffreys or priors.learns_scales):
        return None
    K, p = design.n_classes, design.n_features
    coding = model._spec.schema.coding if kind == "map" else "zero-sum"
    contrast = {"zero-sum": helmert(K).T, "reference": np.eye(K)[:, 1:], "full": np.eye(K)}[coding]
    flat = kind == "mle"
    intercept = None if not design.has_intercept else (bs.Flat() if flat else priors.intercept)
    to_intercept = None if intercept is None else contrast
    if coding == "full" and isinstance(intercept, bs.Flat):
        to_intercept = helmert(K).T
    used = design.totals > 0
    X, Y = design.X[used], design.dense_counts()[used]
    w = Y.sum(axis=1) / Y.sum()
    centre = w @ X if design.has_intercept else np.zeros(p)
    scale = np.sqrt(w @ np.square(X - centre)) if p else np.ones(0)
    available = getattr(design, "available", None)
    return Problem(
        X,
        Y,
        np.zeros_like(Y) if design.offset is None else design.offset[used],
        np.ones(Y.shape, dtype=bool) if available is None else available[used],
        centre,
        np.where(scale > 0, scale, 1.0),
        contrast,
        to_intercept,
        tuple(bs.Flat() for _ in range(p)) if flat else priors.weights,
        intercept,
        flat or priors.intercept_at == "means",
        coding == "zero-sum",
    )


def coordinates(problem: Problem, intercept: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The flat vector of raw coefficients (K,), (p, K)."""
    gammas = weights @ np.linalg.pinv(problem.to_classes).T * problem.scale[:, None]
    if problem.intercept_to_classes is None:
        return gammas.ravel()
    at_centre = (intercept + problem.centre @ weights) @ np.linalg.pinv(problem.intercept_to_classes).T
    return np.concatenate([at_centre, gammas.ravel()])


def value_gradient(problem: Problem, theta: np.ndarray, smooth: bool = False) -> tuple[float, np.ndarray]:
    """Minus the log posterior, without constants, and its gradient; ``smooth``: without the Laplace priors."""
    p, m = len(problem.scale), problem.to_classes.shape[1]
    first = 0 if problem.intercept_to_classes is None else problem.intercept_to_classes.shape[1]
    a, gammas = theta[:first], theta[first:].reshape(p, m)
    Z = (problem.X - problem.centre) / problem.scale
    eta = Z @ gammas @ problem.to_classes.T + problem.offset
    if first:
        eta = eta + a @ problem.intercept_to_classes.T  # type: ignore[union-attr]
    top = np.where(problem.on_offer, eta, -np.inf).max(axis=1, keepdims=True)
    shifted = np.where(problem.on_offer, eta - top, -np.inf)
    log_p = shifted - logsumexp(shifted, axis=1, keepdims=True)
    value = -np.where(problem.Y > 0, problem.Y * np.where(problem.Y > 0, log_p, 0.0), 0.0).sum()
    R = problem.Y.sum(axis=1, keepdims=True) * np.exp(log_p) - problem.Y
    d_gammas = Z.T @ R @ problem.to_classes
    d_a = R.sum(axis=0) @ problem.intercept_to_classes if first else np.empty(0)
    raw = gammas / problem.scale[:, None]
    for j, family in enumerate(problem.weights_priors):
        if smooth and isinstance(family, bs.Laplace):
            continue
        v, d = _prior(family, raw[j], problem.spherical)
        value, d_gammas[j] = value + v, d_gammas[j] + d / problem.scale[j]
    if first and not isinstance(problem.intercept_prior, bs.Flat):
        assert problem.intercept_to_classes is not None
        move = np.zeros(p) if problem.intercept_at_means else problem.centre
        link = np.linalg.pinv(problem.intercept_to_classes) @ problem.to_classes
        v, d = _prior(problem.intercept_prior, a - link @ (move @ raw), problem.spherical)
        value, d_a = value + v, d_a + d
        d_gammas -= np.outer(move / problem.scale, d @ link)
    return float(value), np.concatenate([d_a, d_gammas.ravel()])


def _prior(family: Any, g: np.ndarray, spherical: bool) -> tuple[float, np.ndarray]:
    """Minus log density and gradient of one row of free coordinates."""
    if isinstance(family, bs.Flat):
        return 0.0, np.zeros_like(g)
    s = float(family.scale)
    if isinstance(family, bs.Normal):
        return float(g @ g) / (2 * s * s), g / (s * s)
    if isinstance(family, bs.StudentT):
        df = float(family.df)
        if spherical:
            total = 1 + g @ g / (df * s * s)
            return (df + len(g)) / 2 * float(np.log(total)), (df + len(g)) * g / (df * s * s * total)
        each = 1 + g * g / (df * s * s)
        return (df + 1) / 2 * float(np.log(each).sum()), (df + 1) * g / (df * s * s * each)
    length = np.sqrt(g @ g) if spherical else np.abs(g)
    return float(np.sum(length)) / s, g / np.where(length > 0, length, 1.0) / s


def _shrunk(problem: Problem, theta: np.ndarray, step: float) -> np.ndarray:
    """Soft thresholding: the proximal map of the Laplace priors."""
    p, m = len(problem.scale), problem.to_classes.shape[1]
    theta = theta.copy()
    gammas = theta[len(theta) - p * m :].reshape(p, m)
    for j, family in enumerate(problem.weights_priors):
        if isinstance(family, bs.Laplace):
            length = np.linalg.norm(gammas[j]) if problem.spherical else np.abs(gammas[j])
            threshold = step / (float(family.scale) * problem.scale[j])
            gammas[j] *= np.maximum(length - threshold, 0) / np.where(length > 0, length, 1.0)
    return theta


def _proximal(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Accelerated proximal gradient with backtracking and restarts (Beck and Teboulle, 2009)."""
    ahead, step, t = theta, 1.0, 1.0
    best = value_gradient(problem, theta)[0]
    for _ in range(STEPS):
        f, d = value_gradient(problem, ahead, smooth=True)
        while step > 1e-300:
            new = _shrunk(problem, ahead - step * d, step)
            move = new - ahead
            if value_gradient(problem, new, smooth=True)[0] <= f + d @ move + move @ move / (2 * step) + 1e-13 * abs(f):
                break
            step /= 2
        value = value_gradient(problem, new)[0]
        if not value <= best:  # momentum led astray
            if t == 1.0:
                break
            ahead, t = theta, 1.0
            continue
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        ahead, theta, best, t = new + (t - 1) / following * (new - theta), new, value, following
        step *= 1.2
    return theta


def better(problem: Problem, intercept: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Minus the log posterior at the estimate, and the least that another optimiser finds from there or from zero."""
    start = coordinates(problem, intercept, weights)
    here = value_gradient(problem, start)[0]
    best = here
    families = (*problem.weights_priors, problem.intercept_prior)
    starts = [start] if any(isinstance(f, bs.StudentT) for f in families) else [start, np.zeros_like(start)]
    for x0 in starts:
        if not x0.size or not np.isfinite(x0).all():
            continue
        with np.errstate(all="ignore"):
            if any(isinstance(f, bs.Laplace) for f in families):
                found = _proximal(problem, x0)
            else:
                options = {"maxiter": 500, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-10}
                result = minimize(partial(value_gradient, problem), x0, jac=True, method="L-BFGS-B", options=options)
                found = result.x
            candidate = value_gradient(problem, found)[0]
        best = min(best, candidate) if np.isfinite(candidate) else best
    return here, best


def tolerance(problem: Problem, value: float, intercept: np.ndarray, weights: np.ndarray) -> float:
    """1e-8 relative, and what the rounding of raw coefficients may cost; huge offsets rule classes out, exactly."""
    terms = np.abs(problem.X) @ np.abs(weights) + np.abs(intercept) + np.minimum(np.abs(problem.offset), HUGE)
    rounding = 8 * np.finfo(float).eps * (problem.Y.sum(axis=1, keepdims=True) * terms).sum()
    return RELATIVE * (1.0 + abs(value)) + float(rounding)
