"""Sampling with learned scales: exact small cases, PyMC's own sampler, and what is refused."""

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import sklearn.datasets
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import expit

import bayes_softmax as bs
from bayes_softmax.fitting.scales import prepare_hierarchy
from bayes_softmax.inference.nuts import nuts
from tests.conftest import simulate
from tests.inside import changed

LEARNED = bs.Normal(bs.HalfNormal(1.0))
SETTINGS = {
    "draws": 500, "tune": 300, "chains": 4, "cores": 2, "seed": 3, "target_accept": None, "progressbar": False,
}  # fmt: skip


def small(n_obs: int, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One feature, two classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_obs)
    return x[:, None], (slope * x + rng.logistic(size=n_obs) > 0).astype(int)


def assert_moments(draws: np.ndarray, mean: float, sd: float) -> None:
    """Mean and sd of draws (chain, draw) within 4 Monte Carlo standard errors: false alarms 6e-5 each."""
    axes = {"chain_axis": 0, "draw_axis": 1}
    assert abs(draws.mean() - mean) < 4 * array_stats.mcse(draws, method="mean", **axes)
    assert abs(draws.std() - sd) < 4 * array_stats.mcse(draws, method="sd", **axes)


def moments(values: np.ndarray, mass: np.ndarray) -> tuple[float, float]:
    """Mean and sd of ``values`` under unnormalised ``mass`` of the same shape."""
    mean = (values * mass).sum() / mass.sum()
    return float(mean), float(np.sqrt(((values - mean) ** 2 * mass).sum() / mass.sum()))


@pytest.mark.parametrize("scale_prior", [bs.HalfNormal(1.0), bs.HalfStudentT(4, 0.7)], ids=["half-normal", "half-t"])
@pytest.mark.parametrize(
    ("n_obs", "slope"),
    [pytest.param(12, 0.3, marks=pytest.mark.verify, id="few rows"), pytest.param(80, 2.0, id="a clear slope")],
)
def test_learned_scale_against_quadrature(scale_prior: object, n_obs: int, slope: float) -> None:
    """Weight and scale by a trapezoid rule over both; the raw difference of the logits is ``sqrt(2) g x``.

    Grid: log scale from e^-12 to e^4, and ``g = tau t`` with t in +-9 (both beyond 1e-9 of the mass).
    """
    X, y = small(n_obs, slope, seed=5)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(scale_prior), intercept=False)
    post = model.sample(4000, chains=4, random_seed=11, progressbar=False)
    log_tau, t = np.linspace(-12, 4, 801)[:, None], np.linspace(-9, 9, 1201)[None]
    tau = np.exp(log_tau)
    g = tau * t
    margins = np.sqrt(2) * np.where(y == 1, 1, -1)[:, None, None] * X[:, 0, None, None] * g
    log_p = -np.logaddexp(0, -margins).sum(axis=0) + stats.norm.logpdf(t)
    if isinstance(scale_prior, bs.HalfNormal):
        log_p = log_p + stats.halfnorm.logpdf(tau, scale=scale_prior.scale) + log_tau
    else:
        log_p = log_p + stats.t.logpdf(tau, scale_prior.df, scale=scale_prior.scale) + log_tau
    mass = np.exp(log_p - log_p.max())
    found = post.idata["posterior"]
    assert_moments(found["weights"].values[:, :, 0, 1] * np.sqrt(2), *moments(g, mass))
    assert_moments(found["weights_scale"].values, *moments(tau + 0 * t, mass))


@pytest.mark.parametrize(("n_obs", "slope"), [(12, 0.3), (80, 2.0)], ids=["few rows", "a clear slope"])
def test_r2d2_against_quadrature(n_obs: int, slope: float) -> None:
    """One feature, whose share is 1: weight and R2 by a trapezoid rule; logit of R2 from -30 to 20, ``t`` in +-9."""
    X, y = small(n_obs, slope, seed=5)
    model = bs.SoftmaxRegression(X, y, prior=bs.R2D2(0.4, 5.0), intercept=False)
    post = model.sample(4000, chains=4, random_seed=12, progressbar=False)
    logit, t = np.linspace(-30, 20, 2001)[:, None], np.linspace(-9, 9, 1201)[None]
    R2 = expit(logit)
    g = np.exp(0.5 * logit) * t / X.std()
    margins = np.sqrt(2) * np.where(y == 1, 1, -1)[:, None] * X[:, [0]]
    log_p = stats.norm.logpdf(t) + 2 * np.log(R2) + 3 * np.log(expit(-logit))
    for margin in margins[:, 0]:
        log_p = log_p - np.logaddexp(0, -margin * g)
    mass = np.exp(log_p - log_p.max())
    found = post.idata["posterior"]
    assert_moments(found["weights"].values[:, :, 0, 1] * np.sqrt(2), *moments(g, mass))
    assert_moments(found["R2"].values, *moments(R2 + 0 * t, mass))


@pytest.mark.verify
@pytest.mark.parametrize(
    ("prior", "named"), [(LEARNED, ["weights_scale"]), (bs.R2D2(), ["R2", "phi"])], ids=["learned", "R2D2"]
)
def test_equal_to_pymc_within_monte_carlo_error(prior: object, named: list[str]) -> None:
    """PyMC's NUTS on the non-centred ``pm.Model`` against ours: every mean within 5 combined standard errors."""
    X, y = simulate(60, 3, 3, seed=4)
    model = bs.SoftmaxRegression(X, y, prior=prior)
    ours = model.sample(random_seed=1, progressbar=False)
    theirs = model.sample(1000, chains=2, cores=2, engine="pymc", random_seed=1, target_accept=0.95, progressbar=False)
    axes = {"chain_axis": 0, "draw_axis": 1}
    assert set(ours.idata["posterior"].data_vars) == set(theirs.idata["posterior"].data_vars)
    for name in ("weights", "intercept", "weights_z", *named):
        a, b = (post.idata["posterior"][name].values for post in (ours, theirs))
        errors = [array_stats.mcse(x, method="mean", **axes) for x in (a, b)]
        difference = np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1)))
        assert (difference < 5 * np.hypot(*errors)).all(), name


def standardised(name: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


@pytest.mark.parametrize("prior", [LEARNED, bs.R2D2()], ids=str)
@pytest.mark.parametrize("name", ["iris", "wine"])
def test_no_divergences_and_no_funnel_on_separable_data(name: str, prior: object) -> None:
    post = bs.SoftmaxRegression(*standardised(name), prior=prior).sample(random_seed=1, progressbar=False)
    assert post.diagnostics.n_divergences == 0
    assert post.diagnostics.max_rhat < 1.01
    assert "learned scales" in post.engine


@pytest.mark.parametrize("seed", [12, 20])
def test_r2d2_takes_smaller_steps_where_r2_nears_one(seed: int, penguins: pd.DataFrame) -> None:
    """Separated classes; with these seeds a draw diverges at a target of 0.95."""
    X = penguins[["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]].to_numpy(dtype=float)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    post = bs.SoftmaxRegression(X, penguins["species"], prior=bs.R2D2()).sample(random_seed=seed, progressbar=False)
    assert post.diagnostics.n_divergences == 0
    assert post.diagnostics.max_rhat < 1.01


def test_no_funnel_where_the_scale_is_near_zero() -> None:
    """Features without effect: the scale's posterior reaches zero, where a centred model would diverge."""
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(200, 8)), rng.integers(0, 3, size=200)
    post = bs.SoftmaxRegression(X, y, prior=LEARNED).sample(random_seed=1, progressbar=False)
    scale = post.idata["posterior"]["weights_scale"].values
    assert np.quantile(scale, 0.05) < 0.03
    assert post.diagnostics.ok, post.diagnostics


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "blocks"])
def test_callback_equals_the_density_and_reports_nan(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(60, 3, 3)
    if not dense:
        monkeypatch.setattr("bayes_softmax.density.scales.whitening.DENSE_DIMENSION", 0)
    density = bs.SoftmaxRegression(X, y, prior=LEARNED).log_density
    native, d = density.callbacks(), density.dimension
    double = ctypes.POINTER(ctypes.c_double)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, double, double, double, ctypes.c_void_p)(
        native.logp_address
    )
    u, gradient, value = np.random.default_rng(0).normal(size=d), np.empty(d), np.array([123.0])

    def evaluate() -> int:
        return int(call(d, *(a.ctypes.data_as(double) for a in (u, gradient, value)), native.user_address))

    assert evaluate() == 0
    expected = density.value_gradient(u)
    assert_allclose(value[0] - expected[0], -density.log_constant - density.log_determinant, rtol=1e-10)
    assert_allclose(gradient, expected[1], rtol=1e-12, atol=1e-12)
    for place in (0, d - 1):
        for bad in (np.nan, np.inf, -np.inf):
            v = u.copy()
            u[place] = bad
            assert evaluate() != 0
            assert not np.isfinite(value[0])
            u[:] = v


def test_residual_whitening_makes_the_hessian_at_the_reference_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows, unequal classes: blocks alone miss the Hessian by far, with their residual whitened by little."""
    X, y = simulate(60, 3, 4, seed=8)
    monkeypatch.setattr("bayes_softmax.density.scales.whitening.DENSE_DIMENSION", 0)
    density = bs.SoftmaxRegression(X, y, prior=LEARNED).log_density
    d = density.n_coefficients
    alone = replace(density, coordinates=density.coordinates._replace(residual=np.empty((0, 0), dtype=np.float32)))

    def error(density: object) -> float:
        def slope(v: np.ndarray) -> np.ndarray:
            return density.value_gradient(np.concatenate([v, np.zeros(1)]))[1][:d]  # type: ignore[attr-defined]

        hessian = np.array([slope(-1e-4 * unit) - slope(1e-4 * unit) for unit in np.eye(d)]) / 2e-4
        return float(np.abs(np.linalg.eigvalsh(hessian) - 1).max())

    assert error(density) < 0.02
    assert error(alone) > 0.2


def test_same_seed_same_draws_whatever_the_cores() -> None:
    X, y = simulate(60, 3, 3)
    density, _ = prepare_hierarchy(bs.SoftmaxRegression(X, y, prior=LEARNED)._spec)
    one, two = (nuts(density, **SETTINGS | {"draws": 50, "tune": 50, "cores": cores}).points for cores in (1, 2))  # type: ignore[arg-type]
    assert_array_equal(one, two)


def test_posterior_predictive_is_from_the_posterior() -> None:
    """Shares of 200 draws of 60 rows within six standard errors of the mean probabilities."""
    X, y = simulate(60, 3, 3)
    model = bs.SoftmaxRegression(X, y, prior=LEARNED)
    post = model.sample(100, chains=2, random_seed=1, progressbar=False)
    with model.pymc_model:
        predicted = pm.sample_posterior_predictive(post.idata, progressbar=False, random_seed=1)
    drawn = predicted["posterior_predictive"]["y"].values
    shares = np.array([(drawn == k).mean() for k in range(3)])
    assert_allclose(shares, post.predict_proba(X).mean(), atol=6 * 0.5 / np.sqrt(200 * 60))


def test_saved_and_loaded(tmp_path: Path) -> None:
    X, y = simulate(60, 3, 3)
    model = bs.SoftmaxRegression(X, y, prior={"x0": LEARNED, "x1": bs.Normal(bs.HalfStudentT(3, 1.0))})
    post = model.sample(50, chains=2, random_seed=1, progressbar=False)
    post.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    assert again.diagnostics == post.diagnostics
    assert_array_equal(again.idata["posterior"]["weights_scale_2"], post.idata["posterior"]["weights_scale_2"])


def test_diagnostics_see_the_hyperparameters() -> None:
    """A scale that has not mixed is reported, though every coefficient looks well."""
    X, y = simulate(60, 2, 3)
    post = bs.SoftmaxRegression(X, y, prior=LEARNED).sample(300, random_seed=1, progressbar=False)
    assert post.diagnostics.max_rhat < 1.05
    stuck = post.idata["posterior"]["weights_scale"]
    stuck.values[:] = np.arange(4)[:, None] + 1e-3 * np.random.default_rng(0).normal(size=stuck.shape)
    fresh = changed(post)
    assert fresh.diagnostics.max_rhat > 1.5


def test_modes_are_refused_with_the_reason() -> None:
    model = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=LEARNED)
    for method in ("map", "laplace"):
        with pytest.raises(ValueError, match=rf"{method}\(\) needs .* falls to zero. Run sample\(\), or fix the scale"):
            getattr(model, method)()
    assert model.mle().converged  # priors are ignored
    with pytest.raises(ValueError, match="forecast"):
        model.forecast()


def test_improper_posteriors_are_refused_as_ever() -> None:
    """Separated in x0, whose prior is flat; and a flat intercept, for which a heavy-tailed scale is too heavy."""
    X = np.linspace(-1, 1, 40)[:, None] + [[0.0, 0.0]] + 0.01 * np.random.default_rng(0).normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int)
    model = bs.SoftmaxRegression(X, y, prior={"x0": bs.Flat(), "x1": LEARNED})
    for engine in ("auto", "pymc"):
        with pytest.raises(bs.ImproperPosteriorError, match="separation"):
            model.sample(10, engine=engine, progressbar=False)
    heavy = bs.SoftmaxRegression(X, y, prior=bs.Normal(bs.HalfStudentT(2, 1.0)), intercept_prior=bs.Flat())
    with pytest.raises(bs.ImproperPosteriorError, match="too heavy"):
        heavy.sample(10, progressbar=False)
