"""The Laplace prior's MAP as lasso and group lasso: scikit-learn, proximal gradients in raw NumPy, and limits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression

import bayes_softmax as bs
from tests.conftest import simulate


def standardised(X: np.ndarray) -> np.ndarray:
    return (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.fixture(scope="module")
def wine() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_wine(return_X_y=True)
    return standardised(X), y


def objective(X, y, intercept, weights, b, *, grouped: bool) -> float:
    """Negative log-likelihood plus the norms over b, from raw coefficients (K,) and (p, K) in NumPy."""
    norms = np.linalg.norm(weights, axis=1) if grouped else np.abs(weights)
    return float(-bs.log_likelihood(intercept + X @ weights, y) + norms.sum() / b)


def kkt(X, y, intercept, weights, b, *, grouped: bool) -> float:
    """KKT residual per observation, from raw coefficients."""
    residual = np.eye(weights.shape[1])[y] - bs.softmax(intercept + X @ weights)
    rows, gradient = (weights, X.T @ residual) if grouped else (weights.reshape(-1, 1), (X.T @ residual).reshape(-1, 1))
    norms, pulls = np.linalg.norm(rows, axis=1), np.linalg.norm(gradient, axis=1)
    away = norms > 0
    moving = np.linalg.norm(gradient[away] - rows[away] / norms[away, None] / b, axis=1)
    worst = max(moving.max(initial=0), (pulls[~away] - 1 / b).max(initial=0), np.abs(residual.sum(axis=0)).max())
    return float(worst) / len(y)


@pytest.mark.parametrize("b", [0.05, 0.5, 5.0])
def test_full_coding_is_scikit_learns_lasso(wine, b: float) -> None:
    """Objective, probabilities and KKT residual; coefficients are unique only up to a shift of each feature's."""
    X, y = wine
    found = bs.SoftmaxRegression(X, y, prior=bs.Laplace(b), intercept_prior=bs.Flat(), coding="full").map()
    peer = LogisticRegression(l1_ratio=1, C=b, solver="saga", tol=1e-10, max_iter=100_000, random_state=0).fit(X, y)
    ours = objective(X, y, found.intercept.values, found.weights.values, b, grouped=False)
    theirs = objective(X, y, peer.intercept_, peer.coef_.T, b, grouped=False)
    assert ours <= theirs + 1e-10
    assert ours == pytest.approx(theirs, rel=1e-8)
    assert_allclose(found.predict_proba(X), peer.predict_proba(X), atol=1e-5)
    assert found.gradient_norm < 1e-10
    assert kkt(X, y, found.intercept.values, found.weights.values, b, grouped=False) < 1e-10
    assert (found.weights.values == 0).sum() > 0


@pytest.mark.parametrize(("coding", "factor"), [("reference", 1.0), ("full", 1.0), ("zero-sum", np.sqrt(2))])
def test_two_classes_are_the_binary_lasso(coding: str, factor: float) -> None:
    """scikit-learn penalises the one difference of the two columns: ``|g| = |w| / sqrt(2)`` under zero-sum coding."""
    X, y = simulate(80, 4, 2)
    found = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.06), intercept_prior=bs.Flat(), coding=coding).map()
    peer = LogisticRegression(l1_ratio=1, C=0.06 * factor, solver="saga", tol=1e-12, max_iter=100_000).fit(X, y)
    difference = found.weights.values[:, 1] - found.weights.values[:, 0]
    assert_allclose(difference, peer.coef_[0], atol=1e-6)
    assert ((difference == 0) == (peer.coef_[0] == 0)).all()
    assert (difference == 0).any()


def fista(X: np.ndarray, y: np.ndarray, b: float, steps: int = 30_000) -> tuple[np.ndarray, np.ndarray]:
    """Group lasso by accelerated proximal gradients (Beck and Teboulle, 2009) on zero-sum weights, intercept free."""
    Y = np.eye(y.max() + 1)[y]
    Z = np.column_stack([np.ones(len(X)), X])
    length = 2 / np.linalg.norm(Z, 2) ** 2  # the softmax's Hessian is at most 1/2
    V = ahead = np.zeros((Z.shape[1], Y.shape[1]))
    for t in range(steps):
        new = ahead - length * Z.T @ (bs.softmax(Z @ ahead) - Y)
        norms = np.maximum(np.linalg.norm(new[1:], axis=1, keepdims=True), 1e-300)
        new[1:] *= np.maximum(1 - length / b / norms, 0)
        ahead, V = new + t / (t + 3) * (new - V), new
    return V[0], V[1:]


@pytest.mark.parametrize("b", [0.05, 0.3])
def test_zero_sum_coding_is_the_group_lasso(wine, b: float) -> None:
    X, y = wine
    found = bs.SoftmaxRegression(X, y, prior=bs.Laplace(b), intercept_prior=bs.Flat()).map()
    intercept, weights = fista(X, y, b)
    ours = objective(X, y, found.intercept.values, found.weights.values, b, grouped=True)
    assert ours <= objective(X, y, intercept, weights, b, grouped=True) + 1e-9
    assert_allclose(found.weights, weights, atol=1e-5)
    assert kkt(X, y, found.intercept.values, found.weights.values, b, grouped=True) < 1e-10
    dropped = (found.weights.values == 0).all(axis=1)
    assert 0 < dropped.sum() < 13
    assert (found.weights.values[~dropped] != 0).all()


def test_many_more_features_than_rows() -> None:
    """100 x 500 x 3: certified, sparse, and the three features that matter are found."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 500))
    y = (X[:, :3] @ np.array([[3.0, 0, -3], [0, 3, -3], [-3, 3, 0]]) + rng.gumbel(size=(100, 3))).argmax(axis=1)
    for coding, grouped in (("zero-sum", True), ("full", False)):
        found = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.1), intercept_prior=bs.Flat(), coding=coding).map()
        assert found.converged
        assert kkt(X, y, found.intercept.values, found.weights.values, 0.1, grouped=grouped) < 1e-10
        used = (found.weights.values != 0).any(axis=1)
        assert used[:3].all()
        assert used.sum() < 60


def test_digits_in_every_coding() -> None:
    X, y = load_digits(return_X_y=True)
    for coding, grouped in (("zero-sum", True), ("reference", False), ("full", False)):
        found = bs.SoftmaxRegression(
            X, y, prior=bs.Laplace(0.1), intercept_prior=bs.Flat(), coding=coding, constant="drop"
        ).map()
        assert found.converged
        assert found.gradient_norm < 1e-10
        kept = X[:, X.std(axis=0) > 0]
        if coding != "reference":
            assert kkt(kept, y, found.intercept.values, found.weights.values, 0.1, grouped=grouped) < 1e-10
        assert (found.weights.values == 0).mean() > 0.2


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_everything_is_zero_up_to_the_analytic_scale(coding: str) -> None:
    """At zero weights the intercept fits the class shares; then a feature enters when its gradient exceeds 1/b."""
    X, y = simulate(120, 6, 4)
    X = X * [1, 1e3, 1e-2, 1, 1, 5] + 3
    gradient = (X - X.mean(axis=0)).T @ np.eye(4)[y]
    if coding == "zero-sum":
        pulls = np.linalg.norm(gradient - gradient.mean(axis=1, keepdims=True), axis=1)
    else:
        pulls = np.abs(gradient[:, 1:] if coding == "reference" else gradient).max(axis=1)
    smallest = 1 / pulls.max()
    below, above = (
        bs.SoftmaxRegression(X, y, prior=bs.Laplace(b), intercept_prior=bs.Flat(), coding=coding).map()
        for b in (smallest * (1 - 1e-6), smallest * (1 + 1e-3))
    )
    assert below.converged
    assert above.converged
    assert (below.weights.values == 0).all()
    assert_allclose(below.predict_proba(X[:1]).to_numpy()[0], np.bincount(y) / 120, atol=1e-8)
    entered = (above.weights.values != 0).any(axis=1)
    assert entered.sum() == 1
    assert entered[pulls.argmax()]


@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_a_huge_scale_is_maximum_likelihood(coding: str) -> None:
    X, y = simulate(200, 3, 3)
    model = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1e9), intercept_prior=bs.Flat(), coding=coding)
    mle, found = model.mle(), model.map()
    assert_allclose(found.weights, mle.weights, atol=1e-7)
    assert_allclose(found.std_error["weights"], mle.std_error["weights"], rtol=1e-6)
    assert found.notes == mle.notes == ()


def test_relabelling_changes_nothing_under_zero_sum_coding(wine) -> None:
    X, y = wine
    a, b = (
        bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.2), classes=classes).map() for classes in ([0, 1, 2], [2, 0, 1])
    )
    assert_allclose(a.predict_proba(X)[[0, 1, 2]], b.predict_proba(X)[[0, 1, 2]], rtol=1e-8)
    assert ((a.weights.sel(category=[0, 1, 2]) == 0).values == (b.weights.sel(category=[0, 1, 2]) == 0).values).all()
    assert a.log_posterior == pytest.approx(b.log_posterior, rel=1e-12)


def test_counts_and_weights_are_repeated_rows(wine) -> None:
    X, y = wine
    weights = np.random.default_rng(0).integers(1, 4, size=len(y))
    a = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.2), weights=weights).map()
    rows = np.repeat(np.arange(len(y)), weights)
    b = bs.SoftmaxRegression(X[rows], y[rows], prior=bs.Laplace(0.2), collapse=False)
    shifted = b.map()
    assert_allclose(a.weights, shifted.weights, atol=1e-9)
    assert a.log_posterior == pytest.approx(shifted.log_posterior, rel=1e-12)


def test_units_of_a_feature_change_nothing_when_its_scale_goes_along() -> None:
    X, y = simulate(100, 2, 3)
    a = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.3)).map()
    units = np.array([1e-5, 1e5])
    b = bs.SoftmaxRegression(X * units, y, prior={"x0": bs.Laplace(0.3e5), "x1": bs.Laplace(0.3e-5)}).map()
    assert_allclose(b.weights * units[:, None], a.weights, rtol=1e-7, atol=1e-10)
