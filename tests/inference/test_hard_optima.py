"""Optima that are hard to reach or to certify: saddles, several modes, collinear columns, saturated starts."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.datasets import load_iris

import bayes_softmax as bs
from bayes_softmax.core.records import Status
from bayes_softmax.inference.newton import newton
from bayes_softmax.inference.saddles import away_from_saddles, negative_curvature
from tests.conftest import simulate
from tests.printed import said


def two_classes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(150, 2))
    return X, (rng.random(150) < 1 / (1 + np.exp(-3 * X[:, 0]))).astype(int)


def standard_iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def best_of_many(model: bs.SoftmaxRegression, n_starts: int = 60) -> float:
    """Largest log posterior that SciPy finds from seeded random starts."""
    density, rng = model.log_density, np.random.default_rng(8)

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density.value_gradient(theta)
        return -value, -gradient

    starts = (size * rng.normal(size=density.dimension) for size in np.resize([0.1, 1.0, 4.0], n_starts))
    return max(-minimize(negative, s, jac=True, method="BFGS", options={"gtol": 1e-8}).fun for s in starts)


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
def test_a_symmetric_start_does_not_end_at_a_saddle(solver: str) -> None:
    X, y = two_classes()
    model = bs.SoftmaxRegression(X, y, prior=bs.StudentT(1.0, 0.5), coding="full")
    found = model.map(solver=solver)
    assert found.converged
    assert found.log_posterior == pytest.approx(-63.5663, abs=1e-4)
    density = model.log_density
    theta = density.coordinates.from_raw(found.intercept.values, found.weights.values)
    assert np.linalg.eigvalsh(density.hessian(theta)).min() > 0  # the true Hessian, not the metric
    assert any("others may exist" in note for note in found.notes)
    assert "others may exist" in said(found)


def test_a_saddle_is_seen_and_named() -> None:
    X, y = two_classes()
    density = bs.SoftmaxRegression(X, y, prior=bs.StudentT(1.0, 0.5), coding="full").log_density
    saddle = newton(density, np.zeros(density.dimension))
    assert saddle.status is Status.SINGULAR
    direction = negative_curvature(density, saddle.theta)
    assert direction @ density.hessian(saddle.theta) @ direction < -1e-3
    stuck = away_from_saddles(density, lambda start: saddle, saddle)
    assert stuck.status is Status.SADDLE
    left = away_from_saddles(density, lambda start: newton(density, start), saddle)
    assert left.converged
    assert left.value > saddle.value + 0.5
    assert (np.diff(left.history) > -1e-9).all()


def test_a_flat_direction_is_no_saddle() -> None:
    X, y = simulate(100, 2, 3)
    density = bs.SoftmaxRegression(np.column_stack([X, X.sum(axis=1)]), y, prior=bs.Flat()).log_density
    mode = newton(density, np.zeros(density.dimension))
    assert mode.status is Status.SINGULAR
    assert negative_curvature(density, mode.theta) is None


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("scale", [0.1, 0.3])
def test_the_best_of_several_modes(coding: str, scale: float) -> None:
    X, y = standard_iris()
    model = bs.SoftmaxRegression(X, y, prior=bs.StudentT(1.0, scale), coding=coding)
    found = model.map()
    assert found.converged
    assert found.log_posterior >= best_of_many(model) - 1e-6
    if (coding, scale) == ("reference", 0.1):
        assert found.log_posterior == pytest.approx(-34.1931, abs=1e-4)


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs", "gradient-descent"])
def test_advice_does_not_name_the_solver_that_was_used(solver: str) -> None:
    X, y = simulate(100, 3, 3)
    with pytest.warns(bs.NotConvergedWarning, match="raise max_iterations") as caught:
        bs.SoftmaxRegression(X, y).map(solver=solver, max_iterations=1)
    text = str(caught[0].message).partition(")")[2]
    assert ("solver='newton'" in text) == (solver != "newton")


@pytest.mark.parametrize("ratio", [3e4, 1e5, 3e5])
@pytest.mark.parametrize("kind", ["mle", "map"])
def test_features_far_from_zero_without_an_intercept(kind: str, ratio: float) -> None:
    """Certified; equal to the optimum in coordinates that are not collinear, found by SciPy."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(200, 3)) + ratio, rng.integers(0, 3, 200)
        model = bs.SoftmaxRegression(X, y, intercept=False)
        found = getattr(model, kind)()
        assert found.converged, (seed, found.status)
        if kind == "mle" and seed < 3:
            basis = np.linalg.qr(X)[0] * np.sqrt(200)
            best = bs.SoftmaxRegression(basis, y, intercept=False).mle()
            assert_allclose(found.log_likelihood, best.log_likelihood, rtol=1e-10)
            assert_allclose(X @ found.weights.values, basis @ best.weights.values, atol=1e-5)


@pytest.mark.parametrize("case", ["separated", "collinear", "wide", "offset", "huge offset", "large"])
@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
def test_jeffreys_speaks_in_its_own_words_only(solver: str, case: str) -> None:
    """Certified, or a warning that says why not; nothing from NumPy (warnings are errors here)."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    given = {
        "separated": (np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]), None),
        "collinear": (np.column_stack([X, X[:, 0]]), y, None),
        "wide": (rng.normal(size=(5, 9)), np.array([0, 1, 2, 0, 1]), None),
        "offset": (X, y, 800 * rng.normal(size=(40, 3))),
        "huge offset": (X, y, 1e5 * rng.normal(size=(40, 3))),
        "large": (1e8 * X, y, None),
    }[case]
    model = bs.SoftmaxRegression(*given[:2], offset=given[2], prior=bs.Jeffreys())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = model.map(solver=solver)
    assert {w.category for w in caught} <= {bs.NotConvergedWarning}
    assert found.converged == (not caught)
    assert np.isfinite(found.weights).all()
    if case in ("collinear", "wide"):
        assert "linear combinations of the others" in str(caught[0].message)
    if case in ("separated", "large") and solver == "newton":
        assert found.converged


@pytest.mark.parametrize("sd", [50.0, 200.0, 1e3, 1e4])
def test_offsets_that_saturate_every_start(sd: float) -> None:
    """Found from zero, where probabilities are 0 or 1 to rounding; no better point near by nor from SciPy."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y, offset = rng.normal(size=(200, 3)), rng.integers(0, 3, 200), rng.normal(size=(200, 3)) * sd
        model = bs.SoftmaxRegression(X, y, offset=offset)
        found = model.mle()
        assert found.converged, (seed, found.status)
        if seed < 3:
            flat = bs.SoftmaxRegression(X, y, offset=offset, prior=bs.Flat(), intercept_prior=bs.Flat()).log_density
            theta = flat.coordinates.from_raw(found.intercept.values, found.weights.values)
            value = flat.value(theta)

            def negative(t: np.ndarray, density=flat, size=sd) -> tuple[float, np.ndarray]:
                v, g = density.value_gradient(t * size)
                return -v, -g * size

            polished = minimize(negative, theta / sd, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-9})
            assert -polished.fun <= value + 1e-8 * abs(value)
