"""A network in two realisations, PyMC model and compiled density, both held equal to an oracle in NumPy."""

import ctypes
import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import block_diag

import bayes_softmax as bs
from bayes_softmax.core.records import BlockMetric, Whitening
from bayes_softmax.density.network.posterior import NetworkPosterior, build_network_posterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.inference.layer_whitening import layer_whitening, unwhiten_layers, whiten_layer_gradient
from bayes_softmax.spec.network.activations import ACTIVATIONS
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from bayes_softmax.spec.pymc_model import build_pymc_model
from bayes_softmax.spec.specification import Specification
from tests import cases
from tests.conftest import simulate
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


def unusual(name: str) -> Specification:
    """Designs that no case of linear models has."""
    X, y = simulate(40, 3, 3)
    far = np.column_stack([X * np.array([1e-6, 1.0, 1e6]) + np.array([3e-6, 5.0, -4e6]), np.full(40, 3.0)])
    linear = {
        "no features": lambda: bs.SoftmaxRegression(np.empty((40, 0)), y),
        "constant and far from zero, without an intercept": lambda: bs.SoftmaxRegression(far, y, intercept=False),
        "many classes": lambda: bs.SoftmaxRegression(X, y, classes=range(26)),
        "weights of zero": lambda: bs.SoftmaxRegression(X, y, weights=np.arange(40) % 3),
    }[name]()._spec
    activation = {"no features": "softplus", "many classes": "relu"}.get(name, "gelu")
    return network_specification(linear, MLP((3, 2), activation, skip=True))


@pytest.mark.parametrize(
    "name", ["no features", "constant and far from zero, without an intercept", "many classes", "weights of zero"]
)
def test_unusual_designs_are_equal_in_both(name: str) -> None:
    held_equal(unusual(name))


@pytest.mark.parametrize("coding", cases.CODINGS)
def test_without_hidden_layers_it_is_the_linear_model(coding: str) -> None:
    linear = cases.build("normal", "normal", coding)._spec
    for skip in (False, True):
        spec = network_specification(linear, MLP((), "relu", skip))
        assert spec is linear
        assert isinstance(density_of(spec), SoftmaxPosterior)


@pytest.mark.parametrize("form", ["labels", "weighted counts", "offset", "available", "two classes"])
def test_any_cut_into_parts_and_ranges_is_the_whole(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = specified("gelu", (5, 3), form, "zero-sum", way=1)
    whole = network_density(spec)
    cut = build_network_posterior(spec.distinct, spec.network_coordinates, "gelu", spec.priors, parts=3)
    monkeypatch.setattr(NetworkPosterior, "work", 1e9)  # ranges, each of them a task
    for theta in points(whole):
        value, gradient = whole.value_gradient_on_one_thread(theta)
        for d in (whole, cut):
            assert_allclose(d.value_gradient(theta)[0], value, rtol=1e-12)
            assert_allclose(d.value_gradient(theta)[1], gradient, rtol=1e-11, atol=1e-12 * abs(gradient).max())
        assert_allclose(cut.value_gradient_on_one_thread(theta)[0], value, rtol=1e-12)


def test_many_blocks_of_rows_and_many_classes_equal_the_oracle() -> None:
    """More rows than a block holds, the last block not full, and 26 classes."""
    X, y = simulate(3001, 4, 26)
    linear = bs.SoftmaxRegression(X, y)._spec
    spec = network_specification(linear, MLP((7, 6), "tanh", skip=True))
    d = network_density(spec)
    assert d._n_blocks[0] > 2
    theta = points(d)[0]
    named = {name: a[0] for name, a in d.coordinates.to_parameters(theta[None]).items()}
    assert_allclose(d.value(theta), network_oracle.log_posterior(spec, named), rtol=1e-12)
    some = np.random.default_rng(1).choice(d.dimension, 12, replace=False)
    steps = 1e-4 * np.eye(d.dimension)[some]
    near = np.array([d.value(theta + s) - d.value(theta - s) for s in steps])
    far = np.array([d.value(theta + 2 * s) - d.value(theta - 2 * s) for s in steps])
    assert_allclose(d.value_gradient(theta)[1][some], (8 * near - far) / 12e-4, rtol=1e-6)


def test_equal_rows_collapsed_are_the_rows() -> None:
    X, y = simulate(300, 2, 3)
    X = X.round()
    both = [bs.SoftmaxRegression(X, y, collapse=collapse)._spec for collapse in (True, False)]
    first, second = (network_density(network_specification(linear, MLP((4,)))) for linear in both)
    assert first.parts[0].n_obs < second.parts[0].n_obs == 300
    for theta in points(first):
        assert_allclose(first.value(theta), second.value(theta), rtol=1e-12)
        assert_allclose(first.value_gradient(theta)[1], second.value_gradient(theta)[1], rtol=1e-10, atol=1e-10)


def called(native, z: np.ndarray) -> tuple[int, float, np.ndarray]:
    """A C callback, called as a sampler calls it."""
    double = ctypes.POINTER(ctypes.c_double)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, double, double, double, ctypes.c_void_p)
    out, value, z = np.full(len(z), np.nan), np.zeros(1), np.ascontiguousarray(z)
    pointers = (a.ctypes.data_as(double) for a in (z, out, value))
    status = kind(native.logp_address)(len(z), *pointers, native.user_address)
    return status, float(value[0]), out


@pytest.mark.parametrize("form", ["labels", "weighted counts", "available", "no intercept"])
def test_the_native_callback_is_the_whitened_density(form: str) -> None:
    spec = specified("softplus", (4, 3), form, "reference", way=2)
    d = build_network_posterior(spec.distinct, spec.network_coordinates, "softplus", spec.priors, parts=2)
    rng = np.random.default_rng(5)
    T = np.triu(0.1 * rng.normal(size=(d.dimension,) * 2)).astype(np.float32)
    mode = 0.3 * rng.normal(size=d.dimension)
    native = d.native(Whitening(mode, T[None].copy(), np.eye(1), 0.0))
    for z in rng.normal(size=(3, d.dimension)):
        status, value, out = called(native, z)
        expected, gradient = d.value_gradient(mode + T.astype(float) @ z)
        assert status == 0
        assert_allclose(value + d.log_prior_constant, expected, rtol=1e-12)
        assert_allclose(out, T.T.astype(float) @ gradient, rtol=1e-9, atol=1e-10 * abs(out).max())
    status, value, _ = called(native, np.full(d.dimension, np.nan))
    assert status == 4
    assert np.isnan(value)


@pytest.mark.parametrize(("coding", "way"), [("zero-sum", 1), ("full", 4), ("reference", 0)])
@pytest.mark.parametrize("structure", ["layers", "dense"])
def test_the_native_callback_is_the_density_whitened_by_layers(structure: str, coding: str, way: int) -> None:
    d = network_density(specified("tanh", (4, 3), "labels", coding, way))
    rng = np.random.default_rng(5)
    mode = 0.3 * rng.normal(size=d.dimension)
    metrics = d.layer_metrics(mode)
    if structure == "dense":
        metrics = (BlockMetric((d.metric(mode) + 0.1 * np.eye(d.dimension))[None], np.eye(1)),)
    whitening = layer_whitening(mode, d.layer_order, metrics)
    native = d.native(whitening)
    for z in rng.normal(size=(3, d.dimension)):
        status, value, out = called(native, z)
        expected, gradient = d.value_gradient(unwhiten_layers(whitening, z[None])[0])
        assert status == 0
        assert_allclose(value + d.log_prior_constant, expected, rtol=1e-12)
        assert_allclose(out, whiten_layer_gradient(whitening, gradient), rtol=1e-9, atol=1e-10 * abs(out).max())
    status, value, _ = called(native, np.full(d.dimension, np.nan))
    assert status == 4
    assert np.isnan(value)


@pytest.mark.parametrize(("coding", "way"), [("zero-sum", 1), ("full", 4)])
def test_layers_are_whitened_by_their_own_metric(coding: str, way: int) -> None:
    """``T' M T = I`` for the metric ``M`` of the layers, in their order, up to the single precision of ``T``."""
    d = network_density(specified("gelu", (4, 3), "labels", coding, way))
    mode = points(d)[0]
    metrics = d.layer_metrics(mode)
    whitening = layer_whitening(mode, d.layer_order, metrics)
    T = unwhiten_layers(whitening._replace(mode=np.zeros_like(mode)), np.eye(d.dimension))
    M = block_diag(*[
        sum(np.kron(np.outer(u, u), P) for P, u in zip(metric.precisions, metric.mixing.T, strict=True))
        for metric in metrics
    ])  # fmt: skip
    T = T[:, d.layer_order].T
    assert_allclose(T.T @ M @ T, np.eye(d.dimension), atol=2e-5)
    assert_allclose(whitening.log_determinant, np.linalg.slogdet(T)[1], rtol=1e-6)
    z = np.random.default_rng(0).normal(size=d.dimension)
    _, gradient = d.value_gradient(mode)
    slope = unwhiten_layers(whitening, z[None])[0] - mode
    assert_allclose(whiten_layer_gradient(whitening, gradient) @ z, gradient @ slope, rtol=1e-9)


def test_whitenings_that_do_not_fit_are_refused() -> None:
    d = network_density(specified("tanh", (4,), "labels", "zero-sum", way=0))
    whitening = layer_whitening(np.zeros(d.dimension), d.layer_order, d.layer_metrics(np.zeros(d.dimension)))
    with pytest.raises(ValueError, match="blocks has 16 coordinates in all, not 26"):
        d.native(whitening._replace(blocks=whitening.blocks[:1], mixings=whitening.mixings[:1]))
    with pytest.raises(ValueError, match="order is no permutation of 26 coordinates"):
        d.native(whitening._replace(order=np.zeros(26, dtype=np.int64)))
    with pytest.raises(TypeError, match=r"WhiteningData\.blocks is <f8, not <f4"):
        d.native(whitening._replace(blocks=tuple(block.astype(float) for block in whitening.blocks)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_not_a_number_and_infinity_do_not_pass_for_a_density(activation: str) -> None:
    d = network_density(specified(activation, (4,), "labels", "zero-sum", way=0))
    for bad in (np.nan, np.inf):
        for at in (1, d.dimension - 1):
            theta = np.zeros(d.dimension)
            theta[at] = bad
            assert not np.isfinite(d.value(theta))
            assert not np.isfinite(d.value_gradient(theta)[0])


def test_tables_that_do_not_fit_are_refused_before_their_addresses_are_used() -> None:
    d = network_density(specified("tanh", (4,), "labels", "zero-sum", way=0))
    with pytest.raises(ValueError, match="has shape"):
        replace(d, data=d.data._replace(precision=d.data.precision[1:].copy()))
    other = d.data._replace(sizes=np.array([4, 4]), precision=np.ones(5))
    with pytest.raises(ValueError, match="parts has parts of other than 4 features"):
        replace(d, data=other)
    with pytest.raises(TypeError, match=r"NetworkData\.options is <f8, not <i8"):
        replace(d, data=d.data._replace(options=np.zeros(2)))
    part = d.parts[0]
    with pytest.raises(ValueError, match="codes has classes beyond 0 to 2"):
        replace(part, data=part.data._replace(codes=part.data.codes + 2))


def test_under_flat_priors_the_value_is_the_log_likelihood() -> None:
    spec = specified("tanh", (4,), "labels", "zero-sum", way=0)
    d = network_density(spec.without_priors())
    theta = points(d)[0]
    named = {name: a[0] for name, a in d.coordinates.to_parameters(theta[None]).items()}
    assert d.log_prior(theta) == 0.0
    expected = network_oracle.log_posterior(spec, named) - network_oracle.log_prior(spec, named)
    assert_allclose(d.value(theta), expected, rtol=1e-12)
