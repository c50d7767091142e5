"""The heart of the package: one specification, two realisations (PyMC model, compiled density), one oracle."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.model import SoftmaxRegression
from tests import oracle
from tests.cases import all_cases, build

POINTS = 3


def differences(values: list[float]) -> np.ndarray:
    """Differences from the first value: what a log density known up to a constant has to say."""
    return np.array(values[1:]) - values[0]


class PyMCDensity:
    """The log density of a ``pm.Model`` as a function of the free vector of the compiled one.

    The PyMC model's own variables are an affine function of ours; its matrix is read off by evaluating the raw
    coefficients at unit vectors, so nothing about PyMC's parametrisation is assumed.
    """

    def __init__(self, model: SoftmaxRegression, mode: str | None = "FAST_COMPILE") -> None:
        self.pm = model.pymc_model
        self.coordinates = model._spec.coordinates
        named = [name for name in ("intercept", "weights") if name in self.pm.named_vars]
        outputs = self.pm.replace_rvs_by_values([self.pm[name] for name in named])
        self._raw = self.pm.compile_fn(outputs, mode="FAST_COMPILE", on_unused_input="ignore")
        self._logp = self.pm.compile_logp(mode=mode)
        self._dlogp = self.pm.compile_dlogp(mode=mode) if mode == "FAST_COMPILE" else None
        self._names = named
        start = self.pm.initial_point()
        self._shapes = {v.name: start[v.name].shape for v in self.pm.value_vars}
        self.origin = self._theta(np.zeros(self.coordinates.dimension))
        columns = [self._theta(unit) - self.origin for unit in np.eye(self.coordinates.dimension)]
        self.matrix = np.array(columns).T

    def _point(self, u: np.ndarray) -> dict[str, np.ndarray]:
        point, first = {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            point[name] = u[first : first + size].reshape(shape)
            first += size
        assert first == len(u), "the PyMC model has another number of free coordinates"
        return point

    def _theta(self, u: np.ndarray) -> np.ndarray:
        raw = dict(zip(self._names, self._raw(self._point(u)), strict=True))
        K, p = self.coordinates.n_classes, self.coordinates.n_features
        return self.coordinates.from_raw(raw.get("intercept", np.zeros(K)), raw.get("weights", np.zeros((p, K))))

    def value(self, theta: np.ndarray) -> float:
        return float(self._logp(self._point(np.linalg.solve(self.matrix, theta - self.origin))))

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        point = self._point(np.linalg.solve(self.matrix, theta - self.origin))
        return np.linalg.solve(self.matrix.T, self._dlogp(point))


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: " / ".join(case))
def test_compiled_density_equals_pymc_model_and_oracle(case: tuple[str, str, str, str]) -> None:
    model = build(*case)
    density, pymc = model.log_density, PyMCDensity(model)
    rng = np.random.default_rng(3)
    thetas = 0.7 * rng.normal(size=(POINTS, density.dimension))
    ours = [density.value(theta) for theta in thetas]
    assert_allclose(differences(ours), differences([pymc.value(theta) for theta in thetas]), rtol=1e-10)
    gradients = np.array([density.value_gradient(theta)[1] for theta in thetas])
    theirs = np.array([pymc.gradient(theta) for theta in thetas])
    assert_allclose(gradients, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())
    raw = zip(*density.coordinates.to_raw(thetas), strict=True)
    assert_allclose(ours, [oracle.log_posterior(model, b, W) for b, W in raw], rtol=1e-11)


def test_equal_at_extreme_logits() -> None:
    """At logits of about 1e3 both realisations are finite and equal (PyMC in its default mode)."""
    model = build("normal", "normal", "zero-sum")
    density, pymc = model.log_density, PyMCDensity(model, mode=None)
    thetas = 400.0 * np.random.default_rng(1).normal(size=(2, density.dimension))
    logits = density.coordinates.to_engine(thetas)[0] @ model._spec.design.standardised().T
    assert np.abs(logits).max() > 1000
    ours = [density.value(theta) for theta in thetas]
    assert_allclose(ours, [pymc.value(theta) for theta in thetas], rtol=1e-10)


def test_the_comparison_sees_a_wrong_prior_scale() -> None:
    """A planted bug, a prior sd off by 1 %, is caught by the same comparison."""
    model, wrong = build("normal", "normal", "zero-sum"), build("normal", "normal", "zero-sum")
    priors = bs.SoftmaxRegression(
        model._spec.design.X, model._spec.design.response.codes, prior=bs.Normal(0.707), intercept_prior=bs.Normal(2.0)
    )._spec.priors
    wrong._spec = replace(wrong._spec, priors=priors)
    density, pymc = model.log_density, PyMCDensity(wrong)
    thetas = 0.7 * np.random.default_rng(3).normal(size=(POINTS, density.dimension))
    ours, theirs = [density.value(t) for t in thetas], [pymc.value(t) for t in thetas]
    assert np.abs(differences(ours) / differences(theirs) - 1).max() > 1e-6
