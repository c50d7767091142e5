"""Learned scales piece by piece: hyperpriors, Cholesky derivatives, the marginal posterior, where to whiten."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.integrate import dblquad, quad

import bayes_softmax as bs
from bayes_softmax.density.scales.cholesky import cholesky_diagonal_adjoint, cholesky_with_inverse, mix
from bayes_softmax.density.scales.conditional import ConditionalNormal, log_marginal_posterior
from bayes_softmax.density.scales.hyperpriors import HyperpriorData, conditional_scales, hyperprior_data, log_hyperprior
from bayes_softmax.density.scales.marginal import marginal_mode, marginal_root
from bayes_softmax.spec.scales.shared import SharedScale
from tests.cases import SHRINKAGE, build
from tests.conftest import simulate


def hyperpriors(name: str) -> tuple[tuple[SharedScale, ...], HyperpriorData]:
    model = build(name, "default", "zero-sum")
    return model._spec.priors.learned, hyperprior_data(model._spec.priors.learned, model._spec.coordinates)


def unconstrained(hyper: HyperpriorData, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=hyper.first_hyper[-1])


def conditional(hyper: HyperpriorData, seed: int = 0) -> ConditionalNormal:
    """One block of all coordinates, of a likelihood that determines them all."""
    rng, d = np.random.default_rng(seed), len(hyper.scale_of_coordinate)
    root = rng.normal(size=(d, 2 * d))
    return ConditionalNormal((root @ root.T)[None], 3 * rng.normal(size=(1, d)), np.eye(1))


def stencil(function: object, x: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Gradient by a five-point stencil."""
    weights = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    return np.array([sum(w * function(x + i * e) for i, w in weights.items()) for e in step * np.eye(len(x))]) / step  # type: ignore[operator]


@pytest.mark.parametrize("name", SHRINKAGE)
def test_compiled_scales_are_those_of_the_families(name: str) -> None:
    shared, hyper = hyperpriors(name)
    coordinates = build(name, "default", "zero-sum")._spec.coordinates
    h = unconstrained(hyper)
    found = np.split(conditional_scales(hyper, h), hyper.first_scale[1:-1])
    for scale, part, ours in zip(shared, np.split(h, hyper.first_hyper[1:-1]), found, strict=True):
        expected = scale.raw_sds(scale.constrain(part)) * coordinates.scale[list(scale.features)]
        assert_allclose(ours, expected, rtol=1e-13)


def log_density(shared: tuple[SharedScale, ...], hyper: HyperpriorData, h: np.ndarray) -> float:
    """Normalised log density of unconstrained hyperparameters."""
    value = log_hyperprior(hyper, h, np.empty(len(hyper.log_unit)), np.empty(len(h)))
    return value + sum(scale.hyperprior.log_normaliser for scale in shared)


@pytest.mark.parametrize("name", ["learned", "learned, half-t"])
def test_the_prior_of_a_common_scale_integrates_to_one(name: str) -> None:
    shared, hyper = hyperpriors(name)
    mass = quad(lambda h: math.exp(log_density(shared, hyper, np.array([h]))), -40, 12)[0]
    assert_allclose(mass, 1.0, rtol=1e-7)


def test_the_prior_of_variance_shares_integrates_to_one() -> None:
    """One feature: logit of R2 and logarithm of one Gamma variable."""
    shared, hyper = hyperpriors("r2d2 and fixed")
    mass = dblquad(lambda a, b: math.exp(log_density(shared, hyper, np.array([a, b]))), -60, 5, -20, 20)[0]
    assert_allclose(mass, 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", SHRINKAGE)
def test_prior_draws_of_scales_are_from_the_hyperprior(name: str) -> None:
    """Quantiles of 20 000 draws against those of the scales at draws of ``tau``, or of ``R2`` and ``phi``, by SciPy."""
    for scale in hyperpriors(name)[0]:
        ours = scale.draw_raw_sds(20_000, np.random.default_rng(1))[:, 0]
        rng, prior, m = np.random.default_rng(2), scale.prior, len(scale.features)
        if isinstance(prior, bs.R2D2):
            R2 = stats.beta.rvs(*scale.hyperprior.parameters[:2], size=20_000, random_state=rng)
            gamma = rng.gamma(prior.concentration, size=(20_000, m))
            values = {"R2": R2, "phi": gamma / gamma.sum(axis=1, keepdims=True)}
        else:
            half = prior.scale_prior
            family = stats.t(half.df) if isinstance(half, bs.HalfStudentT) else stats.norm
            values = {"weights_scale": half.scale * np.abs(family.rvs(size=20_000, random_state=rng))}
        theirs = scale.raw_sds({scale.named(n): v for n, v in values.items()})[:, 0]
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-4


@pytest.mark.parametrize("name", SHRINKAGE)
def test_marginal_posterior_is_the_evidence_times_the_hyperprior(name: str) -> None:
    """The integral of a normal likelihood times the conditional prior is the density of a sum of normals."""
    _, hyper = hyperpriors(name)
    normal = conditional(hyper)
    shrunk = hyper.scale_of_coordinate >= 0
    P, mean = normal.precision[0], np.linalg.solve(normal.precision[0], normal.information[0])
    covariance = np.linalg.inv(P)[np.ix_(shrunk, shrunk)]  # coordinates with flat priors are integrated out

    def value(h: np.ndarray) -> float:
        return float(log_marginal_posterior(hyper, normal, h, np.empty(len(h))))

    def expected(h: np.ndarray) -> float:
        D = np.diag(conditional_scales(hyper, h)[hyper.scale_of_coordinate[shrunk]] ** 2)
        evidence = stats.multivariate_normal.logpdf(mean[shrunk], cov=covariance + D)
        return float(evidence + log_hyperprior(hyper, h, np.empty(len(hyper.log_unit)), np.empty(len(h))))

    one, other = unconstrained(hyper, 1), unconstrained(hyper, 2)
    assert_allclose(value(one) - value(other), expected(one) - expected(other), rtol=1e-10)
    gradient = np.empty(len(one))
    log_marginal_posterior(hyper, normal, one, gradient)
    assert_allclose(gradient, stencil(value, one), rtol=1e-8, atol=1e-8 * np.abs(gradient).max())


def test_marginal_mode_and_root() -> None:
    """At the mode the gradient vanishes; the root's square is the inverse of the curvature there."""
    _, hyper = hyperpriors("two of each")
    normal, middle = conditional(hyper), np.zeros(hyper.first_hyper[-1])
    h = marginal_mode(hyper, normal, middle, middle)
    gradient = np.empty(len(h))
    log_marginal_posterior(hyper, normal, h, gradient)
    assert np.abs(gradient).max() < 1e-3

    def slope(x: np.ndarray) -> np.ndarray:
        out = np.empty(len(x))
        log_marginal_posterior(hyper, normal, x, out)
        return out

    root = marginal_root(hyper, normal, h)
    curvature = -stencil(slope, h)
    assert_allclose(root @ root @ curvature, np.eye(len(h)), atol=1e-4)


def test_cholesky_diagonal_adjoint_is_the_derivative() -> None:
    """Of ``log det L - g' L^-T z`` in the diagonal of ``A = LL'``."""
    rng = np.random.default_rng(0)
    root, z, g = rng.normal(size=(6, 9)), rng.normal(size=6), rng.normal(size=6)
    X, out = np.empty((6, 6)), np.empty(6)

    def value(diagonal: np.ndarray) -> float:
        X = np.empty((6, 6))
        log_determinant = cholesky_with_inverse(root @ root.T + np.diag(diagonal), X)
        return float(log_determinant - g @ (X.T @ z))

    cholesky_with_inverse(root @ root.T, X)
    cholesky_diagonal_adjoint(X, z, X @ g, out)
    assert_allclose(out, stencil(value, np.zeros(6)), rtol=1e-8)


def test_mixing_is_a_matrix_product() -> None:
    rng = np.random.default_rng(0)
    mixing, columns, out = rng.normal(size=(3, 3)), rng.normal(size=(3, 5)), np.empty((3, 5))
    mix(mixing, columns, out)
    assert_allclose(out, mixing @ columns, rtol=1e-14)
    mix(mixing.T, columns, out)
    assert_allclose(out, mixing.T @ columns, rtol=1e-14)


def test_exponent_of_non_centring_follows_the_information_in_the_data() -> None:
    """Many rows that overlap: none of it; classes that a feature separates: much of it."""
    X, y = simulate(2000, 2, 3, seed=1)
    line = np.linspace(-1, 1, 30)[:, None]
    overlapping = bs.SoftmaxRegression(X, y, prior=SHRINKAGE["learned"]).log_density
    separated = bs.SoftmaxRegression(line, line[:, 0] > 0, prior=SHRINKAGE["learned"]).log_density
    assert overlapping.coordinates.exponent[0] < 0.05
    assert separated.coordinates.exponent[0] > 0.3
