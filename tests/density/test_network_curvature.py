"""A network's curvature: Gauss-Newton against a Jacobian in NumPy, for every kind of case."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.datasets import make_moons

import bayes_softmax as bs
from bayes_softmax.density.network import gauss_newton, second_order
from bayes_softmax.density.network.posterior import NetworkPosterior, build_network_posterior
from bayes_softmax.fitting.networks import network_density, network_modes
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from bayes_softmax.spec.specification import Specification
from tests import cases
from tests.conftest import simulate
from tests.density import network_oracle
from tests.density.test_network import FORMS, NETWORKS, points, smooth_point, specified

ACTIVATIONS = ("tanh", "relu", "gelu", "softplus")
CASES = [
    (activation, hidden, form, coding, way)
    for (form, coding), (activation, hidden), way in zip(
        itertools.product(FORMS, cases.CODINGS),
        itertools.cycle(itertools.product(ACTIVATIONS, NETWORKS)),
        itertools.cycle(range(5)),
        strict=False,
    )
]


def named(d: NetworkPosterior, theta: np.ndarray) -> dict[str, np.ndarray]:
    return {name: a[0] for name, a in d.coordinates.to_parameters(theta[None]).items()}


def probabilities(spec: Specification, eta: np.ndarray) -> np.ndarray:
    """Class probabilities (N, K) of logits, with offsets and choice sets."""
    if spec.design.offset is not None:
        eta = eta + spec.design.offset
    return special.softmax(eta if spec.design.available is None else np.where(spec.design.available, eta, -np.inf), 1)


def jacobian(spec: Specification, d: NetworkPosterior, theta: np.ndarray, h: float = 2e-4) -> np.ndarray:
    """Derivatives (N, K, d) of the oracle's logits, by five-point differences."""

    def eta(step: np.ndarray) -> np.ndarray:
        return network_oracle.logits(spec, named(d, theta + step))

    steps = h * np.eye(d.dimension)
    return np.stack([(8 * (eta(s) - eta(-s)) - (eta(2 * s) - eta(-2 * s))) / (12 * h) for s in steps], axis=2)


def oracle_metric(spec: Specification, d: NetworkPosterior, theta: np.ndarray) -> np.ndarray:
    """``J' diag(W) (diag p - pp') J``, with products in NumPy."""
    p = probabilities(spec, network_oracle.logits(spec, named(d, theta)))
    W = np.einsum("nk,kl->nkl", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None]
    J = jacobian(spec, d, theta)
    return np.einsum("nka,n,nkl,nlb->ab", J, spec.design.totals, W, J, optimize=True)


def prior_curvature(d: NetworkPosterior, theta: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Second derivatives of minus the log prior, by differences of values."""

    def slope(at: np.ndarray) -> np.ndarray:
        steps = h * np.eye(d.dimension)
        return np.array([d.log_prior(at - s) - d.log_prior(at + s) for s in steps]) / (2 * h)

    steps = h * np.eye(d.dimension)
    return np.array([(slope(theta + s) - slope(theta - s)) / (2 * h) for s in steps])


@pytest.mark.parametrize("case", CASES, ids=lambda case: " / ".join(map(str, case)))
def test_metric_is_gauss_newton_of_the_oracles_jacobian(case) -> None:
    spec = specified(*case)
    d = network_density(spec)
    theta = smooth_point(spec, d)
    expected, found = oracle_metric(spec, d, theta), d.likelihood_metric(theta)
    scale = np.sqrt(np.outer(*[np.diag(expected) + 1e-3 * np.diag(expected).max()] * 2))
    assert_allclose(found / scale, expected / scale, atol=3e-8)
    assert_array_equal(found, found.T)
    own = d.prior.add_to(np.zeros_like(found), theta, convex=True)
    assert_array_equal(d.metric(theta), found + own)
    assert np.linalg.eigvalsh(own).min() >= 0


@pytest.mark.parametrize("way", [0, 1, 3])
@pytest.mark.parametrize("coding", cases.CODINGS)
def test_prior_is_in_the_metric(coding: str, way: int) -> None:
    spec = specified("tanh", (4,), "labels", coding, way)
    d = network_density(spec)
    theta = 0.1 * points(d)[0]
    own = d.prior.add_to(np.zeros((d.dimension,) * 2), theta, convex=False)
    assert_allclose(own, prior_curvature(d, theta), atol=1e-5 * abs(own).max())


def test_parts_and_stacks_of_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(1500, 3, 4)
    spec = network_specification(bs.SoftmaxRegression(X, y)._spec, MLP((6, 5), "gelu", skip=True))
    whole = network_density(spec)
    theta = points(whole)[0]
    expected = whole.metric(theta)
    cut = build_network_posterior(spec.distinct, spec.network_coordinates, "gelu", spec.priors, parts=3)
    assert_allclose(cut.metric(theta), expected, rtol=1e-10, atol=1e-12 * abs(expected).max())
    monkeypatch.setattr(gauss_newton, "NUMBERS", 1)
    assert_allclose(whole.metric(theta), expected, rtol=1e-10, atol=1e-12 * abs(expected).max())


def test_certain_probabilities_keep_their_curvature() -> None:
    """Where a probability rounds to one its neighbours' tiny ones still carry the curvature."""
    X, y = simulate(40, 2, 3)
    spec = network_specification(bs.SoftmaxRegression(X, y)._spec, MLP((3,)))
    d = network_density(spec)
    theta = points(d)[0]
    theta[d.coordinates.hidden.dimension :: 4] = 0.0
    theta[d.coordinates.hidden.dimension] = 45.0  # the first contrast's intercept
    eta = network_oracle.logits(spec, named(d, theta))
    p = special.softmax(eta, axis=1)
    assert (p.max(axis=1) > 1.0 - 1e-13).all()
    J, W = jacobian(spec, d, theta), np.zeros((len(p), 3, 3))
    for k, l in itertools.combinations(range(3), 2):  # by pairs, in which nothing cancels
        e = np.eye(3)[k] - np.eye(3)[l]
        W += (p[:, k] * p[:, l])[:, None, None] * np.outer(e, e)
    expected = np.einsum("nka,nkl,nlb->ab", J, W, J, optimize=True)
    assert_allclose(np.diag(d.likelihood_metric(theta)), np.diag(expected), rtol=1e-6)


def blocks_of(d: NetworkPosterior, theta: np.ndarray) -> list[np.ndarray]:
    """Diagonal blocks of the likelihood's metric, layer by layer."""
    G = d.likelihood_metric(theta)[np.ix_(d.layer_order, d.layer_order)]
    ends = np.cumsum([0, *(len(f.inputs) * len(f.outputs) for f in d.layer_factors(theta))])
    assert ends[-1] == d.dimension
    return [G[a:b, a:b] for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: " / ".join(map(str, case)))
def test_factors_have_the_trace_of_their_block(case) -> None:
    d = network_density(specified(*case))
    theta = points(d)[0]
    factors = d.layer_factors(theta)
    hidden = len(d.coordinates.hidden.sizes) - 1
    for block, own in zip(blocks_of(d, theta)[:hidden], factors[:hidden], strict=True):
        assert_allclose(np.trace(own.inputs) * np.trace(own.outputs), np.trace(block), rtol=1e-10)
    for own in factors:
        assert_array_equal(own.inputs, own.inputs.T)
        assert np.linalg.eigvalsh(own.outputs).min() > -1e-12 * np.trace(own.outputs)


@pytest.mark.parametrize("form", ["labels", "weighted counts", "two classes"])
@pytest.mark.parametrize("coding", cases.CODINGS)
def test_factors_are_exact_where_the_outputs_curvature_has_one_shape(coding: str, form: str) -> None:
    """Layers of one unit; and a last layer whose probabilities are the same in all rows."""
    d = network_density(specified("tanh", (1, 1), form, coding, way=4))
    theta = points(d)[0]
    for block, own in list(zip(blocks_of(d, theta), d.layer_factors(theta), strict=True))[:2]:
        assert_allclose(np.kron(own.outputs, own.inputs), block, rtol=1e-9, atol=1e-12 * abs(block).max())
    d = network_density(specified("gelu", (4,), form, coding, way=0))
    last, n = d.coordinates.last, d.coordinates.hidden.dimension
    theta = points(d)[0]
    _, weights = last.split(np.arange(n, d.dimension))
    theta[weights] = 0.0
    block, own = blocks_of(d, theta)[-1], d.layer_factors(theta)[-1]
    assert_allclose(np.kron(own.outputs, own.inputs), block, rtol=1e-9, atol=1e-12 * abs(block).max())
    found = d.layer_metrics(theta)[-1]
    dense = np.zeros((len(block),) * 2)
    for precision, u in zip(found.precisions, found.mixing.T, strict=True):
        dense += np.kron(np.outer(u, u), precision)
    at = d.layer_order[-len(block) :]
    assert_allclose(dense, d.metric(theta)[np.ix_(at, at)], rtol=1e-7, atol=1e-7 * abs(block).max())


def test_factors_of_parts_and_of_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(2000, 3, 26)
    spec = network_specification(bs.SoftmaxRegression(X, y)._spec, MLP((6, 5), "relu", skip=True))
    whole = network_density(spec)
    theta = points(whole)[0]
    expected = whole.layer_factors(theta)
    cut = build_network_posterior(spec.distinct, spec.network_coordinates, "relu", spec.priors, parts=3)
    monkeypatch.setattr(gauss_newton, "NUMBERS", 1)
    for found in (whole.layer_factors(theta), cut.layer_factors(theta)):
        for a, b in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
            assert_allclose(a, b, rtol=1e-9, atol=1e-12 * abs(b).max())


def differenced(d: NetworkPosterior, theta: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Hessian of minus the log posterior by five-point differences of the gradient."""
    steps = h * np.eye(d.dimension)

    def gradient(step: np.ndarray) -> np.ndarray:
        return d.value_gradient(theta + step)[1]

    return -np.array(
        [(8 * (gradient(s) - gradient(-s)) - (gradient(2 * s) - gradient(-2 * s))) / (12 * h) for s in steps]
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: " / ".join(map(str, case)))
def test_hessian_is_the_derivative_of_the_gradient(case) -> None:
    spec = specified(*case)
    if case[2] == "tiny and huge":  # where the prior's precision of 1e12 would be all that differences see
        spec = spec.without_priors()
    d = network_density(spec)
    theta = smooth_point(spec, d)
    found, expected = d.hessian(theta), differenced(d, theta, 1e-3 if case[0] != "relu" else 1e-5)
    scale = np.sqrt(np.outer(*[np.maximum(np.diag(d.metric(theta)), 1e-2)] * 2))
    assert_allclose(found / scale, expected / scale, atol=1e-7 if case[0] != "relu" else 1e-5)
    assert_array_equal(found, found.T)
    v = np.random.default_rng(0).normal(size=d.dimension)
    for convex, matrix in ((False, found), (True, d.metric(theta))):
        image = d.hessian_vector(theta, convex=convex)(v)
        assert_allclose(image, matrix @ v, rtol=1e-9, atol=1e-10 * abs(matrix @ v).max())


def test_hessian_is_the_sum_over_any_parts_and_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(1500, 3, 4)
    spec = network_specification(bs.SoftmaxRegression(X, y)._spec, MLP((6, 5), "gelu", skip=True))
    whole = network_density(spec)
    theta, v = points(whole)[:2]
    H = whole.hessian(theta)
    cut = build_network_posterior(spec.distinct, spec.network_coordinates, "gelu", spec.priors, parts=3)
    monkeypatch.setattr(NetworkPosterior, "work", 1e9)
    for d in (whole, cut):
        assert_allclose(d.hessian_vector(theta, convex=False)(v), H @ v, rtol=1e-9, atol=1e-11 * abs(H @ v).max())
    monkeypatch.setattr(second_order, "NUMBERS", 1)
    assert_allclose(cut.hessian(theta), H, rtol=1e-9, atol=1e-11 * abs(H).max())


def test_hessian_is_definite_at_a_mode_and_not_at_a_symmetric_point() -> None:
    """At zero, units are alike, and the log posterior rises where they part."""
    X, y = make_moons(400, noise=0.3, random_state=0)
    spec = network_specification(bs.SoftmaxRegression(X, y)._spec, MLP((4,)))
    d, found = network_density(spec), network_modes(spec, 4, np.random.default_rng(0))
    assert np.linalg.eigvalsh(d.hessian(found.points[0])).min() > 0
    assert np.linalg.eigvalsh(d.hessian(np.zeros(d.dimension))).min() < 0
    assert np.linalg.eigvalsh(d.metric(np.zeros(d.dimension))).min() > 0
