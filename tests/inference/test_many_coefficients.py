"""More than 1500 coefficients: no matrix of all of them, and the same answers as with one."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.fitting.problem import Problem, problem_of
from bayes_softmax.inference import certificate, saddles
from bayes_softmax.inference.block_metric import preconditioner, preconditioner_at
from bayes_softmax.inference.conjugate import smallest_curvature
from tests.conftest import simulate
from tests.density.test_rowspace import spread_models

MEMORY = """
import sys, warnings
import numpy as np
import bayes_softmax as bs
from tests.benchmarks.workers.common import peak_mb
warnings.simplefilter("ignore", bs.NotConvergedWarning)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 20_000)), rng.integers(0, 3, 200)
small = bs.SoftmaxRegression(X[:, :3], y)
small.map(), small.mle(), small.map().summary()
before = peak_mb()
options = {
    "mle": {},
    "normal": {},
    "student": {"prior": bs.StudentT(4, 1)},
    "intercept at zero": {"intercept_prior": bs.Normal(2)},
    "laplace": {"prior": bs.Laplace(.005)},
}[sys.argv[1]]
model = bs.SoftmaxRegression(X, y, **options)
found = model.mle() if sys.argv[1] == "mle" else model.map()
found.summary()
print(found.converged, (peak_mb() - before) / 2**10)
"""


@pytest.mark.parametrize("case", ["mle", "normal", "student", "intercept at zero"])
def test_twenty_thousand_features_in_one_gigabyte(case: str) -> None:
    """40 000 coefficients, whose square would be 12 GiB; the data are 0.03."""
    done = subprocess.run([sys.executable, "-c", MEMORY, case], capture_output=True, text=True, check=True)
    converged, gigabytes = done.stdout.split()
    assert converged == str(case != "mle")
    assert float(gigabytes) < 1.0


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e12])
@pytest.mark.parametrize("spread", ["one large", "graded", "large and small"])
@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_variances_in_the_row_space_are_those_of_the_inverse_hessian(
    coding: str, spread: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if coding == "full" and scale > 1 and spread != "graded":
        pytest.skip("a constant added to a feature's weights has a prior sd of that many logits and no data")
    reduced, full = spread_models(spread, scale, prior=bs.Normal(0.5), coding=coding)
    expected = full.map()
    monkeypatch.setattr(Problem, "has_many_coefficients", property(lambda problem: problem.reduced is not None))
    found = reduced.map()
    assert found._fitted.variance_of is not None
    wanted = expected._fitted.variances
    size = np.sqrt(np.einsum("ikk->ik", wanted))
    scaled = (found._fitted.variances - wanted) / np.maximum(size[:, :, None] * size[:, None], 1e-300)
    assert np.abs(scaled).max() < 1e-5
    for name in ("intercept", "weights"):
        assert_allclose(found.std_error[name], expected.std_error[name], rtol=1e-5)
    for vs in (None, 0, (2, 1)):
        assert_allclose(found.summary(vs=vs), expected.summary(vs=vs), rtol=1e-4, atol=1e-9)


def test_the_covariance_that_is_not_formed_is_refused_in_words(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Problem, "has_many_coefficients", property(lambda problem: True))
    reduced, full = spread_models("one large", 1.0)
    found = reduced.map()
    for ask in (lambda: found.covariance, lambda: found.predict_proba(reduced._spec.design.X, ci_prob=0.9)):
        with pytest.raises(ValueError, match=r"covariance of 123 coefficients .* is not formed.*laplace\(\) or sample"):
            ask()
    found.save(tmp_path / "fit.nc")
    assert_allclose(bs.load(tmp_path / "fit.nc").std_error["weights"], found.std_error["weights"], rtol=0)
    unknown = full.map()
    assert unknown.converged
    assert any("standard errors are NaN" in note for note in unknown.notes)
    assert np.isnan(unknown.std_error["weights"]).all()
    assert unknown.summary()["estimate"].notna().all()


PRIORS = {
    "normal": {},
    "student": {"prior": bs.StudentT(3, 0.5)},
    "mixed": {"prior": {"x0": bs.StudentT(2, 1.0)}, "intercept_prior": bs.Normal(2.0)},
    "flat": {"prior": bs.Flat(), "intercept_prior": bs.Flat()},
}


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("shape", [(200, 5), (20, 30)])
def test_without_a_matrix_the_same_mode(name: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "flat" and shape[0] < shape[1]:
        pytest.skip("no finite optimum")
    X, y = simulate(*shape, 3)
    model = bs.SoftmaxRegression(X + 1, y, **PRIORS[name])
    exact = model.map()
    for module in (certificate, saddles):
        monkeypatch.setattr(module, "DENSE_DIMENSION", 3)
    found = model.map()
    assert exact.converged
    assert found.converged
    assert_allclose(found.log_posterior, exact.log_posterior, rtol=1e-10)
    assert_allclose(found.weights, exact.weights, atol=1e-5)


def test_without_a_matrix_what_is_not_determined_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "DENSE_DIMENSION", 3)
    X, y = simulate(100, 3, 3)
    collinear = np.column_stack([X, X[:, 0] - X[:, 1]])
    separated = (X[:, 0] > 0).astype(int)
    for data in ((collinear, y), (X, separated)):
        with pytest.warns(bs.NotConvergedWarning):
            assert not bs.SoftmaxRegression(*data).mle().converged


def test_curvature_without_a_matrix() -> None:
    """The sign of the smallest eigenvalue, and a direction where it is negative."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    for smallest in (1.0, 1e-3, 0.0, -1e-3, -1.0):
        values = np.r_[smallest, np.linspace(1, 9, 39)]
        H = (basis * values) @ basis.T
        found, direction = smallest_curvature(lambda v, H=H: H @ v, lambda r: r, 40)
        assert found == pytest.approx(smallest, abs=1e-8) if smallest > 0 else found <= 1e-8
        if smallest < 0:
            assert direction @ H @ direction < 0


@pytest.mark.parametrize("options", [{}, {"intercept": False}, {"prior": bs.StudentT(3, 1)}], ids=str)
def test_the_low_rank_metric_is_the_block_metric(options: dict) -> None:
    """Equal up to the ridges (1e-9 of the data's diagonal), which are not the same."""
    X, y = simulate(15, 20, 3)
    density = bs.SoftmaxRegression(X, y, weights=np.arange(1.0, 16.0), **options).log_density
    rng = np.random.default_rng(1)
    theta, r = rng.normal(size=(2, density.dimension)) * 0.3
    assert density.low_rank_metric(theta) is not None
    assert_allclose(preconditioner_at(density, theta)(r), preconditioner(density.block_metric(theta))(r), rtol=1e-5)


def test_maximum_likelihood_with_more_features_than_rows() -> None:
    """In the row space, and the supremum of the likelihood as near as without it."""
    X, y = simulate(20, 30, 3)
    model = bs.SoftmaxRegression(X, y)
    assert problem_of(model._spec.without_priors()).reduced is not None
    with pytest.warns(bs.NotConvergedWarning, match="linear combinations of the others"):
        found = model.mle()
    assert not found.converged
    assert found.log_likelihood > -1e-6
    assert np.isnan(found.std_error["weights"]).all()
    low = np.column_stack([X[:, :2] @ np.random.default_rng(0).normal(size=(2, 30))])  # rank 2: a finite supremum
    with pytest.warns(bs.NotConvergedWarning, match="Hessian is singular"):
        found = bs.SoftmaxRegression(low, y).mle()
    best = bs.SoftmaxRegression(X[:, :2], y).mle()
    assert best.converged
    assert_allclose(found.log_likelihood, best.log_likelihood, rtol=1e-10)
    assert_allclose(found.predict_proba(low), best.predict_proba(X[:, :2]), atol=1e-7)
