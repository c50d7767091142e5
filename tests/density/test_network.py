"""A network in two realisations, PyMC model and compiled density, both held equal to an oracle in NumPy."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.spec.network.activations import ACTIVATIONS
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from bayes_softmax.spec.pymc_model import build_pymc_model
from bayes_softmax.spec.specification import Specification
from tests import cases
from tests.density import network_oracle

NETWORKS = ((4,), (5, 3), (2, 3, 4))
FORMS = tuple(form for form in cases.FORMS if form != "intercept only")
ALL = list(itertools.product(ACTIVATIONS, NETWORKS, FORMS, cases.CODINGS))
# What takes long is run on every activation x depth x coding, and on every form x coding, the others in turn.
FEW = [
    *((a, h, f, c) for (a, h, c), f in zip(itertools.product(ACTIVATIONS, NETWORKS, cases.CODINGS),
                                           itertools.cycle(FORMS), strict=False)),
    *((a, h, f, c) for (f, c), (a, h) in zip(itertools.product(FORMS, cases.CODINGS),
                                             itertools.cycle(itertools.product(ACTIVATIONS, NETWORKS)), strict=False)),
]  # fmt: skip
# Skip connections, and priors of the last layer, in turn.
WAYS = (
    (False, "default", "default", None),
    (True, "normal", "normal", bs.Normal(0.8)),
    (True, "default", "default", {"weights": bs.StudentT(4, 0.7), "hidden_1": bs.Normal(1.3)}),
    (True, "mixed", "normal", None),
    (False, "normal", "flat", None),
)


def specified(
    activation: str, hidden: tuple[int, ...], form: str, coding: str, way: int | None = None
) -> Specification:
    """A network on the cases of linear models; skip and priors vary with the case, or as ``way`` says."""
    number = len(form) + len(hidden) + len(activation) if way is None else way
    skip, prior, intercept, layers = WAYS[number % len(WAYS)]
    intercept = "default" if form == "no intercept" else intercept
    linear = cases.build(prior, intercept, coding, form)._spec
    return network_specification(linear, MLP(hidden, activation, skip), layers)


def points(d: NetworkPosterior, n: int = 3) -> np.ndarray:
    return 0.7 * np.random.default_rng(3).normal(size=(n, d.dimension))


def smooth_point(spec: Specification, d: NetworkPosterior) -> np.ndarray:
    """The point, of many, whose pre-activations are farthest from the kink of ``relu``."""
    thetas = points(d, 100)
    named = d.coordinates.to_parameters(thetas)
    distances = [network_oracle.distance_to_kink(spec, {n: a[s] for n, a in named.items()}) for s in range(len(thetas))]
    return thetas[int(np.argmax(distances))]


def stencil(d: NetworkPosterior, theta: np.ndarray, h: float = 1e-4) -> np.ndarray:
    """Gradient by five-point differences."""
    steps = h * np.eye(len(theta))
    near = np.array([d.value(theta + s) - d.value(theta - s) for s in steps])
    far = np.array([d.value(theta + 2 * s) - d.value(theta - 2 * s) for s in steps])
    return (8 * near - far) / (12 * h)


@pytest.mark.parametrize("case", ALL, ids=lambda case: " / ".join(map(str, case)))
def test_value_is_that_of_the_oracle_and_gradient_that_of_stencils(case) -> None:
    spec = specified(*case)
    d = network_density(spec)
    thetas = points(d)
    named = d.coordinates.to_parameters(thetas)
    assert {name: a.shape[1:] for name, a in named.items()} == dict(spec.logits.shapes)
    ours = [d.value(theta) for theta in thetas]
    theirs = [network_oracle.log_posterior(spec, {n: a[s] for n, a in named.items()}) for s in range(len(thetas))]
    assert_allclose(ours, theirs, rtol=1e-11)
    assert_allclose([d.value_gradient(theta)[0] for theta in thetas], ours, rtol=1e-12)
    assert_allclose(d.values(thetas), ours, rtol=0)
    at = smooth_point(spec, d)
    gradient = d.value_gradient(at)[1]
    assert_allclose(gradient, stencil(d, at), atol=2e-8 * max(abs(gradient).max(), 1.0))
    if spec.schema.coding != "full":  # its projection onto zero-sum intercepts is not one to one
        back = d.coordinates.from_parameters({n: a[0] for n, a in named.items()})
        assert_allclose(back, thetas[0], atol=1e-9 * (1e7 if case[2] == "tiny and huge" else 1))


class PyMCDensity:
    """The log density of a ``pm.Model`` as a function of our free vector, an affine function of its variables."""

    def __init__(self, spec: Specification) -> None:
        self.pm, self.coordinates = build_pymc_model(spec), spec.network_coordinates
        self._names = [name for name in spec.logits.shapes if name in self.pm.named_vars]
        outputs = self.pm.replace_rvs_by_values([self.pm[name] for name in self._names])
        self._raw = self.pm.compile_fn(outputs, mode="FAST_COMPILE", on_unused_input="ignore")
        self._logp = self.pm.compile_logp(mode="FAST_COMPILE")
        self._dlogp = self.pm.compile_dlogp(mode="FAST_COMPILE")
        self._missing = {n: np.zeros(s) for n, s in spec.logits.shapes.items() if n not in self._names}
        start = self.pm.initial_point()
        self._shapes = {v.name: start[v.name].shape for v in self.pm.value_vars}
        d = self.coordinates.dimension
        assert d == sum(int(np.prod(shape)) for shape in self._shapes.values())
        self.origin = self._theta(np.zeros(d))
        self.matrix = np.array([self._theta(unit) - self.origin for unit in np.eye(d)]).T

    def _point(self, u: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes.values()])
        parts = np.split(u, ends[:-1])
        return {name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def _theta(self, u: np.ndarray) -> np.ndarray:
        named = dict(zip(self._names, self._raw(self._point(u)), strict=True))
        return self.coordinates.from_parameters(named | self._missing)

    def value_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        point = self._point(np.linalg.solve(self.matrix, theta - self.origin))
        return float(self._logp(point)), np.linalg.solve(self.matrix.T, self._dlogp(point))


def held_equal(spec: Specification) -> None:
    """Differences of values between points to 1e-10, and gradients to 1e-8."""
    d, pymc = network_density(spec), PyMCDensity(spec)
    ours, theirs = ([each.value_gradient(theta) for theta in points(d)] for each in (d, pymc))
    values, others = (np.array([value for value, _ in found]) for found in (ours, theirs))
    assert_allclose(values[1:] - values[0], others[1:] - others[0], rtol=1e-10, atol=1e-10 * abs(values).max())
    for (_, gradient), (_, other) in zip(ours, theirs, strict=True):
        assert_allclose(gradient, other, rtol=1e-8, atol=1e-8 * abs(other).max())


@pytest.mark.parametrize("case", FEW, ids=lambda case: " / ".join(map(str, case)))
def test_compiled_density_equals_pymc_model(case) -> None:
    held_equal(specified(*case))


@pytest.mark.verify
@pytest.mark.parametrize("case", ALL, ids=lambda case: " / ".join(map(str, case)))
def test_compiled_density_equals_pymc_model_in_every_case(case) -> None:
    held_equal(specified(*case))
