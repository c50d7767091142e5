"""Models that learn scales: PyMC model, compiled density and oracle are equal, in hyperparameters too.

All three are compared as densities of raw free coefficients and named hyperparameters.  The compiled density works in
other coordinates; the Jacobians between are written down here, by hand for the hyperparameters and numerically for the
whitening.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from bayes_softmax.density.scales.posterior import HierarchicalPosterior
from bayes_softmax.model import SoftmaxRegression
from bayes_softmax.spec.pymc_priors import free_variables
from bayes_softmax.spec.scales.hyperpriors import R2D2, HierarchicalNormal
from bayes_softmax.spec.scales.shared import SharedScale, hyperparameter_dims
from tests import oracle
from tests.cases import build, shrinkage_cases

POINTS = 3
# At weights of one per unit of a feature of sd 1e6 the PyMC model's probabilities underflow.
PYMC_CASES = [case for case in shrinkage_cases() if case[3] != "tiny and huge"]
STENCIL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}


def slope(function: object, x: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Derivatives by a five-point stencil, in the last axis."""
    units = step * np.eye(len(x))
    parts = [sum(c * np.asarray(function(x + i * unit)) for i, c in STENCIL.items()) / step for unit in units]  # type: ignore[operator]
    return np.stack(parts, axis=-1)


def unconstrained(scale: SharedScale, hyper: dict) -> tuple[np.ndarray, float]:
    """Unconstrained hyperparameters of a shared scale for named ones (Gamma variables that sum to one).

    And the log density that the named ones lack against these: the Jacobian, and for R2D2 the prior of the sum.
    """
    value = {name: hyper[scale.named(name)] for name in oracle._names(scale)}
    if isinstance(scale.prior, HierarchicalNormal):
        tau = float(value["weights_scale"])
        return np.array([np.log(tau)]), np.log(tau)
    R2, phi = float(value["R2"]), value["phi"]
    of_sum = stats.gamma.logpdf(1.0, len(phi) * scale.prior.concentration)
    h = np.concatenate([[np.log(R2 / (1 - R2))], np.log(phi)])
    return h, np.log(R2 * (1 - R2)) + np.log(phi).sum() + of_sum


def named_density(model: SoftmaxRegression, density: HierarchicalPosterior, raw: dict) -> float:
    """Our log density of raw free coefficients and named hyperparameters."""
    K, p = model._spec.coordinates.n_classes, model._spec.coordinates.n_features
    theta = model._spec.coordinates.from_raw(raw.get("intercept", np.zeros(K)), raw.get("weights", np.zeros((p, K))))
    parts = [unconstrained(scale, raw) for scale in density.shared]
    return density.log_joint(theta, np.concatenate([h for h, _ in parts])) - sum(j for _, j in parts)


class PyMCDensity:
    """The log density of a ``pm.Model`` in its own unconstrained vector, as one of its named variables."""

    def __init__(self, model: SoftmaxRegression) -> None:
        pm = model.pymc_model
        names = ["intercept", "weights", *hyperparameter_dims(model._spec.priors.learned, model.feature_names)]
        self.names = [name for name in names if name in pm.named_vars]
        outputs = pm.replace_rvs_by_values([pm[name] for name in self.names])
        self._outputs = pm.compile_fn(outputs, mode="FAST_COMPILE", on_unused_input="ignore")
        self._logp = pm.compile_logp(jacobian=False, mode="FAST_COMPILE")
        self._dlogp = pm.compile_dlogp(jacobian=False, mode="FAST_COMPILE")
        start = pm.initial_point()
        self.shapes = {v.name: start[v.name].shape for v in pm.value_vars}
        self.dimension = sum(int(np.prod(shape)) for shape in self.shapes.values())

    def point(self, q: np.ndarray) -> dict[str, np.ndarray]:
        point, first = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            point[name] = q[first : first + size].reshape(shape)
            first += size
        return point

    def raw(self, q: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self._outputs(self.point(q)), strict=True))

    def value(self, q: np.ndarray) -> float:
        return float(self._logp(self.point(q)))

    def gradient(self, q: np.ndarray) -> np.ndarray:
        return self._dlogp(self.point(q))


def log_scales(model: SoftmaxRegression, raw: dict) -> float:
    """Log determinant of the map from PyMC's standard normal variables to raw free coefficients."""
    total = 0.0
    for scale in model._spec.priors.learned:
        scales = oracle._scales(scale, {name: raw[scale.named(name)] for name in oracle._names(scale)})[0]
        total += np.log(np.broadcast_to(scales / scale.units, len(scale.features))).sum()
    return model._spec.coordinates.weights_contrast.shape[1] * total


@pytest.mark.parametrize("case", PYMC_CASES, ids=lambda case: " / ".join(case))
def test_compiled_density_equals_pymc_model_and_oracle(case: tuple[str, str, str, str]) -> None:
    model = build(*case)
    density, pymc = model.log_density, PyMCDensity(model)
    points = 0.7 * np.random.default_rng(3).normal(size=(POINTS, pymc.dimension))
    raws = [pymc.raw(q) for q in points]
    ours = np.array([named_density(model, density, raw) for raw in raws])
    zeros = np.zeros(model._spec.coordinates.n_classes)
    held = [oracle.log_joint(model, raw.get("intercept", zeros), raw["weights"], raw) for raw in raws]
    assert_allclose(ours, held, rtol=1e-11)

    def as_pymc(q: np.ndarray) -> float:
        return named_density(model, density, pymc.raw(q)) + log_scales(model, pymc.raw(q))

    theirs = np.array([pymc.value(q) for q in points])
    of_z = np.array([as_pymc(q) for q in points])
    assert_allclose(of_z[1:] - of_z[0], theirs[1:] - theirs[0], rtol=1e-10)
    expected = pymc.gradient(points[0])
    assert_allclose(slope(as_pymc, points[0]), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "blocks"])
@pytest.mark.parametrize("case", shrinkage_cases(), ids=lambda case: " / ".join(case))
def test_whitened_density_is_the_joint_one_with_its_jacobian(
    case: tuple[str, str, str, str], dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Jacobian is taken numerically from ``unpack``, the gradient from the values; the joint is the oracle's."""
    if not dense:
        monkeypatch.setattr("bayes_softmax.density.scales.whitening.DENSE_DIMENSION", 0)
    model = build(*case)
    density = model.log_density
    d = density.n_coefficients

    def coordinates(u: np.ndarray) -> np.ndarray:
        return np.concatenate([part[0] for part in density.unpack(u[None])])

    for u in np.random.default_rng(4).normal(size=(POINTS, density.dimension)):
        value, gradient = density.value_gradient(u)
        x, jacobian = coordinates(u), np.linalg.slogdet(slope(coordinates, u))[1]
        assert_allclose(value, density.log_joint(x[:d], x[d:]) + jacobian, rtol=1e-9)
        raw = dict(
            zip(("intercept", "weights"), (a[0] for a in density.base.coordinates.to_raw(x[None, :d])), strict=True)
        )
        raw |= density.constrain(x[d:])
        held = oracle.log_joint(model, raw["intercept"], raw["weights"], raw)
        assert_allclose(named_density(model, density, raw), held, rtol=1e-11)
        numerical = slope(lambda u: density.value_gradient(u)[0], u)
        assert_allclose(gradient, numerical, rtol=1e-8, atol=1e-8 * np.abs(numerical).max())


@pytest.mark.parametrize("case", PYMC_CASES, ids=lambda case: " / ".join(case))
def test_posteriors_carry_every_random_variable(case: tuple[str, str, str, str]) -> None:
    """For points of the PyMC model: from coefficients and hyperparameters alone its own variables come back."""
    model = build(*case)
    pymc = PyMCDensity(model)
    q = np.random.default_rng(0).normal(size=pymc.dimension)
    raw = pymc.raw(q)
    zeros = np.zeros(model._spec.coordinates.n_classes)
    names = hyperparameter_dims(model._spec.priors.learned, model.feature_names)
    hyper = {name: np.asarray(raw[name]) for name in names if name in raw}
    values = free_variables(model._spec.priors, model._spec.coordinates, {"intercept": zeros, **raw}, hyper)
    values |= raw
    free = model.pymc_model.free_RVs
    theirs = model.pymc_model.compile_fn(
        model.pymc_model.replace_rvs_by_values(free), mode="FAST_COMPILE", on_unused_input="ignore"
    )(pymc.point(q))
    for rv, expected in zip(free, theirs, strict=True):
        assert_allclose(values[rv.name], expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


def test_names_follow_the_unconstrained_hyperparameters() -> None:
    """From unconstrained to named ones and back (the Gamma variables of R2D2 up to their sum)."""
    for case in shrinkage_cases():
        density = build(*case).log_density
        h = np.random.default_rng(1).normal(size=len(density.coordinates.location))
        named = density.constrain(h)
        again = np.concatenate([unconstrained(scale, named)[0] for scale in density.shared])
        for scale, first in zip(density.shared, density.hyper.first_hyper, strict=False):
            if isinstance(scale.prior, R2D2):
                shares = slice(first + 1, first + 1 + len(scale.features))
                h[shares] -= np.log(np.exp(h[shares]).sum())
        assert_allclose(again, h, rtol=1e-12, atol=1e-12)
