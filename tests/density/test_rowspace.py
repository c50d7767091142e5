"""More features than rows: the reduced problem is the full one, at the mode and in distribution."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

import bayes_softmax as bs
from bayes_softmax.density import rowspace
from bayes_softmax.density.rowspace import row_space
from bayes_softmax.fitting import problem as fitting
from bayes_softmax.fitting.problem import problem_of
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.inference.certificate import STEP_TOLERANCE
from bayes_softmax.inference.laplace import laplace_approximation
from bayes_softmax.inference.newton import newton
from tests.conftest import simulate

PRIORS = {
    "default": {},
    "flat intercept": {"prior": bs.Normal(0.7), "intercept_prior": bs.Flat()},
    "per feature": {"prior": {f"x{j}": bs.Normal(0.1 + 0.01 * j) for j in range(30)}},
    "no intercept": {"prior": bs.Normal(0.5), "intercept": False},
}


def wide_model(n_obs: int = 20, **options: object) -> bs.SoftmaxRegression:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_obs, 30)) * np.geomspace(0.1, 10, 30) + 1.0
    return bs.SoftmaxRegression(X, np.arange(n_obs) % 3, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("name", PRIORS)
def test_the_mode_is_that_of_the_full_density(name: str, coding: str) -> None:
    model = wide_model(coding=coding, **PRIORS[name])
    problem, full = problem_of(model._spec), model.log_density
    assert problem.density.dimension < full.dimension
    estimate = model.map()
    assert estimate.converged
    theta = model._spec.coordinates.from_raw(estimate.intercept.values, estimate.weights.values)
    value, gradient = full.value_gradient(theta)
    assert_allclose(value, estimate.log_posterior, rtol=1e-10)
    assert np.abs(gradient).max() < 1e-7
    exact = newton(full, np.zeros(full.dimension))
    assert_allclose(theta, exact.theta, atol=1e-7)
    assert_allclose(full.log_prior(theta), estimate.log_prior, rtol=1e-10)


@pytest.mark.parametrize("name", PRIORS)
def test_lifted_points_have_the_covariance_of_the_full_laplace_approximation(name: str) -> None:
    """Exact: the reduced covariance, lifted, plus the prior's in the complement, is the full inverse Hessian."""
    model = wide_model(**PRIORS[name])
    spec = model._spec
    reduced = row_space(spec.design, spec.priors, spec.schema.coding)
    assert reduced is not None
    problem, full = problem_of(spec), model.log_density
    small = laplace_approximation(problem.density, newton(problem.density, np.zeros(problem.density.dimension)))
    d, r = full.dimension, problem.density.dimension
    zero = problem.lift(np.zeros((1, r)), None)
    J = (problem.lift(np.eye(r), None) - zero).T
    k_w = full.coordinates.weights_contrast.shape[1]
    of_weights = full.coordinates.split(np.arange(d))[1].ravel()
    projector = np.eye(len(reduced.sd)) - reduced.basis @ reduced.basis.T
    complement = np.zeros((d, d))
    complement[np.ix_(of_weights, of_weights)] = np.kron(np.eye(k_w), reduced.sd[:, None] * projector * reduced.sd)
    expected = np.linalg.inv(full.hessian(problem.lift(small.mode[None], None)[0]))
    inverse = np.linalg.inv(small.factor @ small.factor.T)
    assert_allclose(J @ inverse @ J.T + complement, expected, rtol=1e-6, atol=1e-9)


# Not more than a few columns that their prior leaves free: 30 rows could be separated by those.
SPREADS = {
    "one large": lambda scale: np.r_[scale, np.ones(39)],
    "one small": lambda scale: np.r_[np.ones(39), 1 / scale],
    "three large": lambda scale: np.r_[np.ones(37), scale ** np.array([1, 0.5, 0.8])],
    "graded": lambda scale: np.random.default_rng(1).permutation(np.geomspace(1 / scale, 1, 40)),
    "large and small": lambda scale: np.r_[scale, np.ones(20), np.full(19, 1 / scale)],
}
SCALES = [1.0, 1e4, 1e6, 1e8, 1e12]


def spread_models(spread: str, scale: float, **options: object) -> tuple[bs.SoftmaxRegression, bs.SoftmaxRegression]:
    """30 rows and 40 features; and the same with 11 rows of weight zero, which is not reduced."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 40)) * SPREADS[spread](scale), rng.integers(0, 3, 30)
    reduced = bs.SoftmaxRegression(X, y, **options)  # type: ignore[arg-type]
    full = bs.SoftmaxRegression(
        np.vstack([X, X[:1].repeat(11, axis=0)]),
        np.r_[y, np.zeros(11, dtype=int)],
        weights=np.r_[np.ones(30), np.zeros(11)],
        collapse=False,
        **options,  # type: ignore[arg-type]
    )
    assert problem_of(reduced._spec).reduced is not None
    assert problem_of(full._spec).reduced is None
    return reduced, full


def scipy_optimum(model: bs.SoftmaxRegression, prior_sd: np.ndarray) -> tuple[float, np.ndarray]:
    """Largest log posterior, up to constants, and weights (p, K); zero-sum, intercept Normal(1.5) at the means."""
    X, y, K = model._spec.design.X, model._spec.design.response.codes, model._spec.design.n_classes
    sd = X.std(axis=0)
    Z = np.column_stack([np.ones(len(X)), (X - X.mean(axis=0)) / sd])
    C = np.linalg.svd(np.eye(K) - 1 / K)[0][:, : K - 1]
    precision = np.repeat(np.r_[1.5, prior_sd * sd] ** -2, K - 1)
    # Coordinates in which the prior or the data, whichever is stronger, has unit curvature.
    unit = 1 / np.sqrt(precision + len(X) / K)

    def parts(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        G = (t * unit).reshape(-1, K - 1)
        eta = Z @ G @ C.T
        top = eta.max(axis=1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(eta - top).sum(axis=1))
        value = (eta[np.arange(len(y)), y] - log_sum).sum() - 0.5 * (precision * (t * unit) ** 2).sum()
        return G, np.exp(eta - log_sum[:, None]), value

    def gradient(t: np.ndarray) -> np.ndarray:
        _, P, _ = parts(t)
        return unit * (-(Z.T @ (np.eye(K)[y] - P) @ C).ravel() + precision * t * unit)

    def hessian(t: np.ndarray) -> np.ndarray:
        _, P, _ = parts(t)
        S = np.einsum("nk,kl->nkl", P, np.eye(K)) - P[:, :, None] * P[:, None]
        S = np.einsum("ka,nkl,lb->nab", C, S, C)
        H = np.einsum("ni,nab,nj->iajb", Z, S, Z).reshape(len(t), len(t)) + np.diag(precision)
        return unit[:, None] * H * unit

    found = minimize(
        lambda t: -parts(t)[2], np.zeros(len(unit)), jac=gradient, hess=hessian, method="trust-exact",
        options={"gtol": 1e-9, "maxiter": 500},
    )  # fmt: skip
    t = found.x - np.linalg.solve(hessian(found.x), gradient(found.x))
    G, _, value = parts(t)
    return value, (G @ C.T)[1:] / sd[:, None]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("spread", SPREADS)
def test_columns_of_any_sizes(spread: str, scale: float) -> None:
    """The mode of the full density and of an independent optimiser, though prior sd times column sd varies by 1e24."""
    reduced, full = spread_models(spread, scale, prior=bs.Normal(1.0))
    a, b = reduced.map(), full.map()
    assert a.converged
    assert b.converged
    assert_allclose(a.log_posterior, b.log_posterior, rtol=1e-10)
    sd = reduced._spec.design.standardisation.scale
    logits = np.abs(b.weights.values * sd[:, None]).max()
    promised = STEP_TOLERANCE * (1 + logits)  # what the certificate says of each
    assert_allclose(a.weights.values * sd[:, None], b.weights.values * sd[:, None], rtol=0, atol=2 * promised)
    best, weights = scipy_optimum(reduced, np.ones(40))
    density = reduced.log_density
    theta = density.coordinates.from_raw(a.intercept.values, a.weights.values)
    value = density.value(theta) - density.log_prior_constant
    assert value >= best - 1e-8 * abs(best)
    assert_allclose(a.weights.values * sd[:, None], weights * sd[:, None], rtol=0, atol=2 * promised)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("engine", ["nuts", "laplace"])
def test_draws_with_columns_of_any_sizes(engine: str, scale: float) -> None:
    """Means and sds of 120 weights, reduced and not, from 4000 draws each of effective sizes above 700.

    Means within 5.5 standard errors, sds within 5.5 times 1 / sqrt(2 700) sqrt(2): false alarms below 2e-5.
    """
    fits = []
    for model in spread_models("three large", scale, prior=bs.Normal(0.3)):
        if engine == "laplace":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bs.NotReliableWarning)
                fits.append(model.laplace(draws=4000, random_seed=1, progressbar=False))
        else:
            fits.append(model.sample(engine="nuts", random_seed=1, progressbar=False))
    moments = [(w.mean(axis=0), w.std(axis=0)) for w in (fit._fitted.parameters["weights"] for fit in fits)]
    (mean_a, sd_a), (mean_b, sd_b) = moments
    size = 700 if engine == "nuts" else min(fit.ess for fit in fits)
    assert np.abs((mean_a - mean_b) / sd_b).max() < 5.5 * np.sqrt(2 / size)
    assert np.abs(sd_a / sd_b - 1).max() < 5.5 / np.sqrt(size)


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e12])
def test_no_row_sees_the_complement(scale: float) -> None:
    """Logits of lifted points, complement drawn, are the reduced model's, to a rounding of the largest."""
    reduced, _ = spread_models("one large", scale, prior=bs.Normal(1.0))
    problem = problem_of(reduced._spec)
    rng = np.random.default_rng(0)
    thetas = rng.normal(size=(50, problem.density.dimension)) / problem.reduced.coordinates.scale.max()
    full = (
        problem.coordinates.to_engine(problem.lift(thetas, rng))[:, :, 1:]
        @ reduced._spec.design.standardised()[:, 1:].T
    )
    F = problem.reduced.design.X / problem.reduced.coordinates.scale
    expected = problem.reduced.coordinates.to_engine(thetas)[:, :, 1:] @ F.T
    assert_allclose(full, expected, rtol=0, atol=1e-9)


def test_a_wrong_reduction_is_not_called_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is the full problem's: a basis that leaves out a direction is seen, and the optimum mended."""
    exact = wide_model().map()
    factorise = rowspace._factorise
    monkeypatch.setattr(rowspace, "_factorise", lambda scaled: tuple(a[:, 1:] for a in factorise(scaled)))
    mended = wide_model().map()
    assert_allclose(mended.log_posterior, exact.log_posterior, rtol=1e-12)
    monkeypatch.setattr(fitting, "POLISHING", 0)
    spec = wide_model()._spec
    problem = problem_of(spec)
    mode = solve(problem.density, SolverOptions())
    assert mode.converged
    assert not fitting.certified(spec, problem, mode, max_iterations=0).converged
    with pytest.warns(bs.NotConvergedWarning, match="the mode: stopped"):
        wide_model().sample(draws=10, tune=10, chains=1, random_seed=1, progressbar=False)


def test_draws_fill_the_complement_with_the_prior() -> None:
    """A feature orthogonal to all rows keeps its prior sd: 4000 draws, tolerance 6 standard errors (4 %)."""
    n_obs = 12
    X = np.zeros((n_obs, 40))
    rng = np.random.default_rng(0)
    X[:, :39] = rng.normal(size=(n_obs, 39))
    X[:, 39] = 1e-9 * rng.normal(size=n_obs)
    model = bs.SoftmaxRegression(X, np.arange(n_obs) % 3, prior=bs.Normal(0.5))
    post = model.sample(random_seed=1, progressbar=False)
    sd = float(post._fitted.parameters["weights"][:, 39].std(axis=0).mean())
    assert_allclose(sd, 0.5 * np.sqrt(2 / 3), rtol=0.05)  # one of three zero-sum columns
    assert post.diagnostics.ok
    again = model.sample(random_seed=1, progressbar=False)
    assert_allclose(post._fitted.draws, again._fitted.draws, rtol=0)


def test_evidence_is_that_of_the_full_model() -> None:
    """The same model with and without reduction (N <= p against N > p by empty rows); 4 standard errors."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 8)), np.arange(6) % 3
    small = bs.SoftmaxRegression(X, y, prior=bs.Normal(0.3), intercept=False)
    weights = np.r_[np.ones(6), np.full(3, 1e-12)]
    large = bs.SoftmaxRegression(
        np.r_[X, X[:3] + 1e-3], np.r_[y, y[:3]], weights=weights, prior=bs.Normal(0.3), intercept=False
    )
    spec = large._spec
    assert row_space(spec.design, spec.priors, "zero-sum") is None
    a, b = (m.laplace(draws=8000, random_seed=1, progressbar=False) for m in (small, large))
    assert a.log_evidence is not None
    assert b.log_evidence is not None
    assert abs(a.log_evidence - b.log_evidence) < 0.05


def test_what_cannot_be_reduced_is_not() -> None:
    for options in ({"prior": bs.StudentT(4, 1.0)}, {"prior": bs.Normal(1.0), "intercept_prior": bs.Normal(2.0)}):
        model = wide_model(**options)
        assert problem_of(model._spec).density.dimension == model.log_density.dimension
        assert model.map().converged
    X, y = simulate(50, 3, 3)
    model = bs.SoftmaxRegression(X, y)
    assert problem_of(model._spec).density.dimension == model.log_density.dimension
