r"""The scales of a network's priors, one factor for each layer, at which the Laplace evidence of the data is highest.

With the generalised Gauss-Newton curvature ``H`` of minus the log posterior at a point :math:`\theta` near a mode,
:math:`g` the gradient there, and log factors ``x`` of the layers' scales,

.. math:: \log p(y \mid x) \approx \log p(y, \theta \mid x) + \tfrac12 g'H^{-1}g + \tfrac d2 \log 2\pi
          - \tfrac12 \log\det H .

The second term is what is missing to the mode.  A network has many modes; the evidence is that of one.

MacKay, *Neural Computation* 4 (1992), 448; Immer, Bauer, Fortuin, Rätsch and Khan, *ICML* (2021).  The fixed point of
their updates :math:`f_l^2 = |w_l|^2 / \gamma_l`, with :math:`\gamma_l` the number of well-determined coordinates of a
layer, is not the maximum, because it takes the curvature as constant: the updates lead near it, and a search without
derivatives that includes the motion of the mode goes on from there.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from bayes_softmax.core.errors import NotConvergedWarning, warn_caller
from bayes_softmax.core.progress import showing, steps
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.density.network.rescaled import layers_of, prior_precisions, with_scaled_layers
from bayes_softmax.fitting.networks import network_density, random_starts
from bayes_softmax.fitting.problem import MANY_COORDINATES
from bayes_softmax.inference.restarts import lbfgs_restarts
from bayes_softmax.spec.rescaled import layer_names, with_chosen_scale
from bayes_softmax.spec.scale_choice import ScaleChoice
from bayes_softmax.spec.specification import Specification

FARTHEST = float(np.log(1000.0))  # log factors that are tried, either way
MOST_STEPS = 1000  # of L-BFGS to a mode: Gauss-Newton steps follow
ENOUGH = 0.1  # nats that a point may lack of its mode, by the quadratic approximation; they are added
MOST_POLISHES, HALVINGS = 5, 6  # Gauss-Newton steps to a mode, and halvings of each
LONGEST = 1.0  # an update of a log factor: the curvature is taken as constant
WORTH = 0.05  # nats that an update has to gain
MOST_UPDATES = 3  # they gain most at first, and end beside the maximum
FIRST_RADIUS, LAST_RADIUS = 0.5, 0.1  # of the search, in log factors
# Nats per squared log factor, so that where the evidence is flat the factors stay near one.  With nearly linear hidden
# units, halving their weights and doubling those of the next layer changes nothing.
NEAR = 1e-3
FEW_COORDINATES = 500  # up to which every mode found at first is followed, above only the one of the highest evidence
SAME = 1e-3  # nats: points this near in evidence are one mode, or its reflections


class Point(NamedTuple):
    """Log factors of the layers, a mode there, its log evidence, and the updated log factors that MacKay proposes."""

    log_factors: FloatArray
    mode: FloatArray
    log_evidence: float
    proposed: FloatArray

    @property
    def worth(self) -> float:
        """The evidence, less a little where it is far from the factors as given."""
        return self.log_evidence - NEAR * float(np.square(self.log_factors).sum())


class EvidenceSurface:
    """The Laplace evidence as a function of the layers' log factors and of a start for the mode."""

    def __init__(self, density: NetworkPosterior) -> None:
        self.density, self.layers = density, layers_of(density)
        self._precisions = prior_precisions(density)
        self.n_fits = 0

    def modes(self, log_factors: FloatArray, starts: FloatArray) -> FloatArray:
        """Points (R, d) near modes, from starts (R, d), best first: by L-BFGS in units of the priors' scales."""
        density, unit = with_scaled_layers(self.density, self.layers, log_factors), np.ones(starts.shape[1])
        for layer, x in zip(self.layers, log_factors.tolist(), strict=True):
            unit[layer.members] = np.exp(x) / np.sqrt(self._precisions[layer.rows])
        evaluate = density.value_gradient if len(starts) == 1 else density.value_gradient_on_one_thread

        self.n_fits += len(starts)
        return lbfgs_restarts(evaluate, starts, density.total_weight, MOST_STEPS, unit=unit).points

    def at(self, log_factors: FloatArray, start: FloatArray) -> Point:
        """The mode that is found from ``start``, with its evidence."""
        return self.of_mode(log_factors, self.modes(log_factors, start[None])[0])

    def of_mode(self, log_factors: FloatArray, mode: FloatArray) -> Point:
        """The evidence of the mode near a point; minus infinity where the curvature is not positive definite."""
        density = with_scaled_layers(self.density, self.layers, log_factors)
        value, gradient = density.value_gradient(mode)
        for _ in range(1 + MOST_POLISHES):
            try:
                factor = cholesky(density.metric(mode), lower=True, overwrite_a=True, check_finite=False)
            except LinAlgError:
                break
            step = cho_solve((factor, True), gradient, check_finite=False)
            lacking = 0.5 * float(step @ gradient)
            if lacking <= ENOUGH:
                evidence = value + lacking + 0.5 * len(mode) * np.log(2 * np.pi) - float(np.log(np.diag(factor)).sum())
                variances = np.diag(dpotri(factor, lower=1, overwrite_c=1)[0]).copy()
                proposed = self._proposed(log_factors, mode, variances)
                return Point(log_factors, mode, evidence + density.coordinates.last.log_jacobian, proposed)
            mode, value, gradient = _along(density, mode, step, value)
        return Point(log_factors, mode, -np.inf, log_factors)

    def _proposed(self, log_factors: FloatArray, mode: FloatArray, variances: FloatArray) -> FloatArray:
        """MacKay's update of the log factors, of limited length."""
        proposed = np.empty_like(log_factors)
        for i, (layer, x) in enumerate(zip(self.layers, log_factors.tolist(), strict=True)):
            precision = self._precisions[layer.rows] * np.exp(-2.0 * x)
            squares = float(precision @ np.square(mode[layer.members]))
            determined = len(layer.members) - float(precision @ variances[layer.members])
            step = 0.5 * np.log(max(squares, 1e-9) / max(determined, 1e-9))
            proposed[i] = x + np.clip(step, -LONGEST, LONGEST)
        return np.clip(proposed, -FARTHEST, FARTHEST)


class Search:
    """The way up the surface, from random starts and along updates and trial points, each counted by ``step``."""

    def __init__(self, surface: EvidenceSurface, step: Callable[[int], None]) -> None:
        self._surface, self._step = surface, step
        n = len(surface.layers)
        self._most_trials = 8 + 8 * n

    def most_fits(self, restarts: int, n_followed: int) -> int:
        """Most modes that are looked for."""
        return 2 * restarts + (n_followed + 1) * (MOST_UPDATES + self._most_trials)

    def from_random_starts(self, log_factors: FloatArray, restarts: int, rng: np.random.Generator) -> list[Point]:
        """Different modes at these log factors, that of the highest evidence first."""
        coordinates = self._surface.density.coordinates
        starts = random_starts(coordinates, restarts, rng)
        modes = self._surface.modes(log_factors, starts)
        self._step(restarts)
        points = sorted((self._surface.of_mode(log_factors, mode) for mode in modes), key=lambda p: -p.worth)
        return [p for p, before in zip(points, [None, *points], strict=False) if before is None or _differ(p, before)]

    def up_from(self, point: Point) -> Point:
        """The best point on the way up from one."""
        for _ in range(MOST_UPDATES):
            updated = self._at(point.proposed, point)
            if not updated.worth > point.worth + WORTH:
                break
            point = updated
        tried = [point]

        def lacking(log_factors: FloatArray) -> float:
            near = min(tried, key=lambda p: float(np.abs(p.log_factors - log_factors).max()))
            same = np.array_equal(near.log_factors, log_factors)  # the first one is where the search begins
            trial = near if same else self._at(log_factors.copy(), near)
            if not np.isfinite(trial.worth):
                return 100.0  # nats below where the search began: the model of the surface must stay finite
            tried.append(trial)
            return point.worth - trial.worth

        if np.isfinite(point.worth):
            n, options = len(point.log_factors), {"initial_tr_radius": FIRST_RADIUS, "final_tr_radius": LAST_RADIUS}
            bounds = [(-FARTHEST, FARTHEST)] * n
            minimize(lacking, point.log_factors, method="COBYQA", bounds=bounds,
                     options=options | {"maxfev": self._most_trials})  # fmt: skip
        return max(tried, key=lambda p: p.worth)

    def _at(self, log_factors: FloatArray, near: Point) -> Point:
        found = self._surface.at(log_factors, near.mode)
        self._step(1)
        return found


def choose_layer_scales(
    spec: Specification, restarts: int, rng: np.random.Generator, *, progressbar: bool = False
) -> Specification:
    """The network with the scales of each layer's priors multiplied by the factors of the highest evidence.

    Warns if a factor is at an end of the range.
    """
    density = network_density(spec)
    _refuse_many(density.dimension)
    surface = EvidenceSurface(density)
    few = density.dimension <= FEW_COORDINATES
    with blas_on_one_thread(), showing("prior scales", wanted=progressbar):
        most = Search(surface, lambda _: None).most_fits(restarts, restarts if few else 1)
        with steps("fits at most", most) as step:
            search = Search(surface, step)
            first = search.from_random_starts(np.zeros(len(surface.layers)), restarts, rng)
            best = max((search.up_from(point) for point in (first if few else first[:1])), key=lambda p: p.worth)
            again = search.from_random_starts(best.log_factors, restarts, rng)[0]
            if again.worth > best.worth + WORTH:
                best = search.up_from(again)
    if not np.isfinite(best.log_evidence):
        raise ValueError(
            "choose_prior_scale(): no mode with a positive definite curvature was found at any scale of the priors, so "
            "there is no evidence to compare; model.map() says more"
        )
    return _chosen(spec, best, first[0], surface.n_fits)


def _along(
    density: NetworkPosterior, mode: FloatArray, step: FloatArray, value: float
) -> tuple[FloatArray, float, FloatArray]:
    """A higher point along a step, halved until there is one, with its value and gradient."""
    for _ in range(HALVINGS):
        found, gradient = density.value_gradient(mode + step)
        if found > value:
            return mode + step, found, gradient
        step = 0.5 * step
    return mode, *density.value_gradient(mode)


def _differ(point: Point, before: Point) -> bool:
    return not abs(point.log_evidence - before.log_evidence) <= SAME


def _chosen(spec: Specification, best: Point, own: Point, n_fits: int) -> Specification:
    """The model of the best point; its factors are relative to the scales as they were given."""
    names, before = layer_names(spec), spec.priors.choice
    factors = dict(zip(names, np.exp(best.log_factors).tolist(), strict=True))
    as_given = own.log_evidence if np.isfinite(own.log_evidence) else np.nan
    if before is not None:
        factors = {name: factor * before.factors[name] for name, factor in factors.items()}
        as_given = before.log_evidence_as_given
    at_end = np.abs(best.log_factors) >= FARTHEST - LAST_RADIUS
    choice = ScaleChoice(factors, best.log_evidence, as_given, bool(at_end.any()), n_fits)
    if at_end.any():
        ends = [f"{name} {factors[name]:.4g}" for name, end in zip(names, at_end.tolist(), strict=True) if end]
        warn_caller(
            "choose_prior_scale() found no maximum: the evidence is highest at an end of the factors that were tried, "
            f"times as given: {', '.join(ends)}. A smaller network may do",
            NotConvergedWarning,
        )
    return with_chosen_scale(spec, choice)


def _refuse_many(d: int) -> None:
    """Raise if there are too many coefficients for the determinant of their curvature."""
    if d > MANY_COORDINATES:
        raise ValueError(
            f"choose_prior_scale() needs the determinant of the curvature of {d} weights, and forms it up to "
            f"{MANY_COORDINATES}; choose the scale by cross-validation, kfold(), or take fewer hidden units"
        )
