"""Networks that learn the scales of their layers: PyMC model and compiled density are equal, and equal to the oracle.

Both are compared as densities of the variables of the ``pm.Model``: weights over their scale, and scales.
"""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import bayes_softmax as bs
from bayes_softmax.density.network.learned import LearnedScalesPosterior
from bayes_softmax.fitting.learned_layers import learned_density
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from bayes_softmax.spec.pymc_model import build_pymc_model
from bayes_softmax.spec.specification import Specification
from tests import cases
from tests.density import network_oracle
from tests.density.test_shrinkage_realisations import slope

HALF, HALF_T = bs.HalfNormal(0.7), bs.HalfStudentT(4, 0.5)
# Network, priors of layers, whether features have a learned scale too (``skip``), response form, coding.
CASES = {
    "one for all": (MLP(3), bs.Normal(HALF), None, "labels", "zero-sum"),
    "two kinds": (MLP((3, 2), "gelu"), {"hidden_2": bs.Normal(HALF_T), "weights": bs.Normal(HALF)}, None,
                  "counts", "reference"),
    "hidden alone": (MLP(4, "softplus", skip=True), {"hidden_1": bs.Normal(HALF)}, "normal", "no intercept",
                     "zero-sum"),
    "skip too": (MLP(3, skip=True), bs.Normal(HALF), "learned", "available", "zero-sum"),
    "full": (MLP(3, skip=True), {"weights": bs.Normal(HALF_T)}, "normal", "offset", "full"),
    "common unit": (MLP(3, common_unit=True), bs.Normal(HALF), None, "uncentred", "reference"),
    "two classes": (MLP(3), bs.Normal(HALF), None, "two classes", "zero-sum"),
}  # fmt: skip


def specified(name: str) -> Specification:
    network, layers, features, form, coding = CASES[name]
    intercept = "default" if form == "no intercept" else "normal"
    linear = cases.build(features or "default", intercept, coding, form)._spec
    return network_specification(linear, network, layers)


def points(density: LearnedScalesPosterior, n: int = 3) -> np.ndarray:
    return 0.6 * np.random.default_rng(3).normal(size=(n, density.dimension))


class PyMCDensity:
    """The log density of a ``pm.Model`` in its variables, without the Jacobian of the scales, and our point for it."""

    def __init__(self, spec: Specification, density: LearnedScalesPosterior) -> None:
        self.spec, self.ours, self.pm = spec, density, build_pymc_model(spec)
        self._names = [name for name in spec.logits.shapes if name in self.pm.named_vars]
        self._scales = [layer.hyperparameter for layer in density.layers]
        outputs = self.pm.replace_rvs_by_values([self.pm[name] for name in (*self._names, *self._scales)])
        self._outputs = self.pm.compile_fn(outputs, mode="FAST_COMPILE", on_unused_input="ignore")
        self._logp = self.pm.compile_logp(jacobian=False, mode="FAST_COMPILE")
        self._dlogp = self.pm.compile_dlogp(jacobian=False, mode="FAST_COMPILE")
        start = self.pm.initial_point()
        self._shapes = {v.name: start[v.name].shape for v in self.pm.value_vars}
        self.dimension = sum(int(np.prod(shape)) for shape in self._shapes.values())

    def _point(self, q: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes.values()])
        parts = np.split(q, ends[:-1])
        return {name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def value_gradient(self, q: np.ndarray) -> tuple[float, np.ndarray]:
        return float(self._logp(self._point(q))), self._dlogp(self._point(q))

    def in_ours(self, q: np.ndarray) -> float:
        """Our density of the same variables: the scales' own, not their logarithms'."""
        found = self._outputs(self._point(q))
        named = dict(zip((*self._names, *self._scales), found, strict=True))
        h = np.log([float(named[name]) for name in self._scales])
        zero = {name: np.zeros(shape) for name, shape in self.spec.logits.shapes.items() if name not in named}
        theta = self.spec.network_coordinates.from_parameters(named | zero)
        logs = np.where(self.ours.learned.scale_of >= 0, h[self.ours.learned.scale_of], 0.0)
        return self.ours.value_gradient(np.concatenate([theta * np.exp(-logs), h]))[0] - float(h.sum())


@pytest.mark.parametrize("name", ["one for all", "two kinds", "skip too", "full"])
def test_compiled_density_equals_the_pymc_model(name: str) -> None:
    spec = specified(name)
    density = learned_density(spec)
    pymc = PyMCDensity(spec, density)
    assert pymc.dimension == density.dimension
    qs = 0.6 * np.random.default_rng(5).normal(size=(3, pymc.dimension))
    theirs = [pymc.value_gradient(q) for q in qs]
    ours, values = np.array([pymc.in_ours(q) for q in qs]), np.array([value for value, _ in theirs])
    assert_allclose(ours[1:] - ours[0], values[1:] - values[0], rtol=1e-10)
    expected = theirs[0][1]
    assert_allclose(slope(pymc.in_ours, qs[0]), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_given_the_scales_it_is_the_network_with_these_scales(name: str) -> None:
    """The oracle's density of the weights, times that of the scales, with the Jacobian of their logarithms."""
    spec = specified(name)
    density = learned_density(spec)
    theta, h = points(density)[0][: density.n_weights], np.array([0.3, -0.4, 0.2, 0.1])[: len(density.layers)]
    tau = {layer.name: float(np.exp(x)) for layer, x in zip(density.layers, h, strict=True)}
    hidden = spec.hidden
    scales = [tau.get(f"hidden_{i}", 1.0) * scale for i, scale in enumerate(hidden.scales, 1)]
    of_rows = np.full(len(spec.priors.features.scale), tau.get("weights", 1.0))
    of_rows[hidden.n_units :] = tau.get("skip", 1.0)
    features = spec.priors.features._replace(scale=spec.priors.features.scale * of_rows)
    fixed = replace(spec, hidden=replace(hidden, scales=tuple(scales)), priors=replace(spec.priors, features=features))
    named = {n: a[0] for n, a in spec.network_coordinates.to_parameters(theta[None]).items()}
    expected = network_oracle.log_posterior(fixed, named)
    for layer, x in zip(density.layers, h, strict=True):
        prior = layer.scale_prior
        half = stats.norm(0, prior.scale) if isinstance(prior, bs.HalfNormal) else stats.t(prior.df, 0, prior.scale)
        expected += np.log(2) + half.logpdf(np.exp(x)) + x
    assert density.log_joint(theta, h) == pytest.approx(expected, rel=1e-11)
    back, logs = density.unpack(np.concatenate([theta, h])[None])
    assert_allclose(logs[0], h)
    scale_of = density.learned.scale_of
    assert_allclose(back[0], np.where(scale_of >= 0, np.exp(h)[scale_of], 1.0) * theta)


@pytest.mark.parametrize("name", ["two kinds", "skip too", "full"])
def test_gradient_is_that_of_stencils_and_of_the_callback(name: str) -> None:
    density = learned_density(specified(name))
    callbacks = density.callbacks()
    double = ctypes.POINTER(ctypes.c_double)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, double, double, double, ctypes.c_void_p)
    logp = call(callbacks.logp_address)
    for u in points(density):
        value, gradient = density.value_gradient(u)
        assert_allclose(slope(lambda x: density.value_gradient(x)[0], u), gradient, rtol=1e-7, atol=1e-7)
        out, found = np.empty(len(u)), np.empty(1)
        code = logp(len(u), *(a.ctypes.data_as(double) for a in (u, out, found)), callbacks.user_address)
        assert code == 0
        assert_allclose(found[0], value - density.log_constant, rtol=1e-12)
        assert_allclose(out, gradient, rtol=1e-12)
    u = np.full(density.dimension, np.nan)
    assert logp(len(u), *(a.ctypes.data_as(double) for a in (u, out, found)), callbacks.user_address) == 4
