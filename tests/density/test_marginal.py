"""Marginal likelihoods of models with effects: against integrals on a grid, and their derivatives against stencils."""

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp
from scipy.stats import multivariate_normal

import bayes_softmax as bs
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.marginal import CoordinatesOf, MarginalPosterior, signed, unconstrained
from bayes_softmax.density.groups.one_grouping import OneGrouping
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.density.groups.several_groupings import SeveralGroupings
from bayes_softmax.fitting.problem import density_of
from tests.density.grouped import covariance_data, stencil

N, G = 60, 7


def marginal(
    coding="zero-sum", K=3, slopes=(False,), n_nodes=15, coordinates: CoordinatesOf = signed, priors=True, **options
):
    """A model with one grouping, or several; some levels have no rows."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(N, 2)), rng.integers(0, K, N)
    weak = {"prior": bs.Normal(2.0), "intercept_prior": bs.Normal(2.0), "coding": coding}
    spec = bs.SoftmaxRegression(X, options.pop("y", y), **weak, **options)._spec
    C, levels, covariances = spec.coordinates.weights_contrast, [], []
    for j, slope in enumerate(slopes):
        terms = np.column_stack([np.ones(N), X[:, 0]]) if slope else np.ones((N, 1))
        levels.append(LevelRows(rng.integers(0, G - 1 - j, N), G - j, terms))
        covariances.append(covariance_data(terms.shape[1], C, coding))
    design = spec.design
    integral = OneGrouping(design, levels[0], C, n_nodes) if len(levels) == 1 else SeveralGroupings(design, levels, C)
    base = density_of(spec)
    own = tuple(map(coordinates, covariances))
    density = MarginalPosterior(base, design, integral, tuple(covariances), own, priors, design.standardised())
    return density, levels, 0.5 * np.clip(rng.normal(size=density.dimension), -1.5, 1.5)


def on_a_grid(density: MarginalPosterior, levels: LevelRows, point: FloatArray) -> float:
    """The integrals over the effects of one grouping, by the trapezoidal rule over twelve sds."""
    sigma, C = density.sigmas(point)[0], density.base.coordinates.weights_contrast
    m, eta = len(sigma), density.logits(point[: density.n_weights])
    axes = np.meshgrid(*[np.linspace(-12, 12, 161 if m == 2 else 2001)] * m, indexing="ij")
    z = np.stack([axis.ravel() for axis in axes], axis=1)
    u = z @ np.linalg.cholesky(sigma).T
    cell = np.log((24 / (len(axes[0]) - 1)) ** m)
    log_prior = multivariate_normal(np.zeros(m)).logpdf(z) + cell
    counts, total = density.design.dense_counts(), 0.0
    for g in range(levels.n_levels):
        log_f = log_prior.copy()
        for i in np.flatnonzero(levels.codes == g):
            shift = levels.terms[i] @ u.reshape(len(u), levels.n_terms, -1) @ C.T
            log_f += log_softmax(eta[i] + shift, axis=1)[:, counts[i] > 0] @ counts[i][counts[i] > 0]
        total += logsumexp(log_f)
    return float(total)


@pytest.mark.parametrize(
    ("coding", "K", "slope"),
    [
        ("zero-sum", 3, False),
        ("reference", 3, False),
        ("zero-sum", 2, False),
        ("full", 2, False),
        ("reference", 2, True),
    ],
)
def test_quadrature_equals_an_integral_on_a_grid(coding, K, slope):
    density, levels, point = marginal(coding, K, (slope,), priors=False, n_nodes=21)
    assert density.value(point) == pytest.approx(on_a_grid(density, levels[0], point), abs=1e-6)


def test_quadrature_with_counts_offsets_and_choice_sets():
    rng = np.random.default_rng(5)
    offered = rng.random((N, 3)) < 0.8
    offered[:, 0] = True
    counts = rng.integers(0, 4, (N, 3)) * offered
    counts[0] = 0
    density, levels, point = marginal(
        y=counts, offset=rng.normal(size=(N, 3)), available=offered, priors=False, n_nodes=21
    )
    assert density.value(point) == pytest.approx(on_a_grid(density, levels[0], point), abs=1e-6)


# With few nodes the sum over them changes as they turn with a root.
@pytest.mark.parametrize("coordinates", [signed, unconstrained])
@pytest.mark.parametrize(
    ("coding", "slopes", "n_nodes"),
    [
        ("zero-sum", (False,), 1),
        ("zero-sum", (True,), 1),
        ("zero-sum", (True, False), 1),
        ("zero-sum", (False,), 3),
        ("reference", (False,), 5),
    ],
)
def test_gradients_against_stencils(coordinates, coding, slopes, n_nodes):
    density, _, point = marginal(coding, slopes=slopes, n_nodes=n_nodes, coordinates=coordinates)
    value, gradient = density.value_gradient(point)
    assert value == pytest.approx(density.value(point), rel=1e-12)
    found = [stencil(lambda z: density.value_gradient(z)[0], point, e) for e in np.eye(len(point))]
    np.testing.assert_allclose(gradient, found, rtol=1e-6, atol=1e-7 * np.abs(gradient).max())


def test_two_groupings_of_which_one_does_not_vary_are_one():
    both, levels, point = marginal(slopes=(False, True), priors=False)
    one = MarginalPosterior(
        both.base, both.design, OneGrouping(both.design, levels[1], both.base.coordinates.weights_contrast, 1),
        both.covariances[1:], both.coordinates[1:], False, both.features,
    )  # fmt: skip
    point[both.n_weights : both.n_weights + 3] = 0.0  # sds of the first
    alone = np.concatenate([point[: both.n_weights], point[both.n_weights + 6 :]])
    assert both.value(point) == pytest.approx(one.value(alone), rel=1e-12)
    modes, covariances = both.normals(point)
    alone_at = one.normals(alone)
    np.testing.assert_allclose(modes[0], 0.0)
    np.testing.assert_allclose(modes[1], alone_at.modes[0], atol=1e-9)
    np.testing.assert_allclose(covariances[1], alone_at.covariances[0], atol=1e-9)


@pytest.mark.parametrize("slopes", [(False,), (True, False)])
def test_without_variance_the_likelihood_is_that_of_the_weights_alone(slopes):
    density, _, point = marginal(slopes=slopes, priors=False)
    for cov, at in zip(density.covariances, density.slices, strict=True):
        point[density.n_weights :][at][: len(cov.scale)] = 0.0
    theta = point[: density.n_weights]
    expected = density.base.value(theta) - density.base.log_prior(theta)
    assert density.value(point) == pytest.approx(expected, rel=1e-12)
    _, gradient = density.value_gradient(point)
    assert np.abs(gradient[density.n_weights :]).max() < 1e-10  # a stationary point of the signed sds


def test_covariances_of_all_levels_are_blocks_of_one_inverse():
    density, levels, point = marginal(slopes=(True, False))
    modes, covariances = density.normals(point)
    whole, at = density.joint_covariance(point), 0
    for rows, own in zip(levels, covariances, strict=True):
        m = own.shape[1]
        for g in range(rows.n_levels):
            block = slice(at + g * m, at + (g + 1) * m)
            np.testing.assert_allclose(whole[block, block], own[g], atol=1e-10)
        at += rows.n_levels * m
    assert at == len(whole)
    assert [len(own) for own in modes] == [rows.n_levels for rows in levels]
    sigma = density.sigmas(point)[0]
    np.testing.assert_allclose(covariances[0][G - 1], sigma, atol=1e-12)  # a level without rows


def test_the_prior_of_the_two_coordinates_differs_by_the_jacobian_alone():
    of_sds, _, point = marginal(slopes=(True,), coordinates=signed)
    of_logs, _, _ = marginal(slopes=(True,), coordinates=unconstrained)
    d, n, rng = of_sds.n_weights, len(of_sds.covariances[0].scale), np.random.default_rng(3)

    def density_of_h(h: FloatArray) -> float:
        """The log density of sds and correlations, plus the log Jacobian of both by differences."""
        x = np.concatenate([np.exp(h[:n]), np.arcsin(np.tanh(h[n:]))])

        def correlations(h: FloatArray) -> FloatArray:
            at = np.concatenate([np.ones(n), np.arcsin(np.tanh(h))])
            R = of_sds._roots(at)[3][0]
            return (R @ R.T)[np.tril_indices(n, -1)]

        J = np.array([stencil(correlations, h[n:], e) for e in np.eye(len(h) - n)])
        log_jacobian = h[:n].sum() + np.linalg.slogdet(J)[1]
        return of_sds.log_prior(np.concatenate([point[:d], x])) + log_jacobian

    first, second = (np.concatenate([rng.normal(size=n), 0.4 * rng.normal(size=n * (n - 1) // 2)]) for _ in range(2))
    of_h = [of_logs.log_prior(np.concatenate([point[:d], h])) for h in (first, second)]
    assert of_h[0] - of_h[1] == pytest.approx(density_of_h(first) - density_of_h(second), abs=1e-8)


def test_identified_jacobian_against_stencils():
    density, _, point = marginal(slopes=(True, False))

    def identified(x: FloatArray) -> FloatArray:
        return np.concatenate([x[: density.n_weights], *(sigma.ravel() for sigma in density.sigmas(x))])

    found = np.array([stencil(identified, point, e) for e in np.eye(len(point))]).T
    np.testing.assert_allclose(density.identified_jacobian(point), found, atol=1e-9)
