"""Whitened NUTS: both of nutpie's interfaces, reproducibility, NaN, Ctrl-C."""

import _thread
import ctypes
import threading
from typing import NamedTuple

import numpy as np
import pytest
import sklearn.datasets
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from bayes_softmax.core.records import Draws, Whitening
from bayes_softmax.inference import certificate
from bayes_softmax.inference.block_metric import block_whitening, unwhiten, whiten_gradient
from bayes_softmax.inference.laplace import laplace_whitening
from bayes_softmax.inference.newton import newton
from bayes_softmax.inference.nuts import whitened_nuts
from tests.conftest import simulate
from tests.inference.gaussian import Gaussian

SETTINGS = {
    "draws": 500, "tune": None, "chains": 4, "cores": 2, "seed": 3, "target_accept": None, "progressbar": False,
}  # fmt: skip


def sample(density: object, **changes: object) -> Draws:
    whitening = laplace_whitening(density, newton(density, np.zeros(density.dimension)))  # type: ignore[attr-defined,arg-type]
    return whitened_nuts(density, whitening, **(SETTINGS | changes))  # type: ignore[arg-type]


def softmax_density() -> object:
    X, y = simulate(120, 2, 3)
    model = bs.SoftmaxRegression(X, y)
    return model.log_density


def test_moments_of_a_gaussian_through_the_public_interface() -> None:
    """4 x 500 draws with ESS above 1000: means within 5 standard errors, a false alarm below 1e-5."""
    target = Gaussian.random(3)
    drawn = sample(target)
    flat = drawn.points.reshape(-1, 3)
    sd = np.sqrt(np.diag(np.linalg.inv(target.precision)))
    assert np.abs((flat.mean(axis=0) - target.mean) / sd).max() < 5 / np.sqrt(1000)
    assert_allclose(flat.std(axis=0), sd, rtol=0.12)


def test_callbacks_equal_the_public_interface_in_distribution() -> None:
    """Both interfaces sample one density: means within 5 combined standard errors (ESS above 1000 each)."""
    density = softmax_density()
    a, b = (sample(density, native=native).points.reshape(-1, density.dimension) for native in (True, False))
    assert np.abs((a.mean(axis=0) - b.mean(axis=0)) / a.std(axis=0)).max() < 5 * np.sqrt(2 / 1000)
    assert_allclose(a.std(axis=0), b.std(axis=0), rtol=0.15)


@pytest.mark.parametrize("native", [True, False])
def test_same_seed_same_draws_whatever_the_cores(native: bool) -> None:
    density = softmax_density()
    changes = {"draws": 50, "tune": 50, "native": native}
    one, two = (sample(density, cores=cores, **changes).points for cores in (1, 2))
    assert_array_equal(one, two)
    assert (sample(density, cores=2, seed=4, **changes).points != one).any()


@pytest.mark.parametrize("structure", ["dense", "blocks", "blocks without intercept"])
def test_callback_equals_the_density_and_reports_nan(structure: str) -> None:
    X, y = simulate(120, 3, 4)
    density = bs.SoftmaxRegression(X, y, intercept=structure != "blocks without intercept").log_density
    mode = newton(density, np.zeros(density.dimension))
    metric = density.block_metric(mode.theta)
    assert metric is not None
    whitening = laplace_whitening(density, mode) if structure == "dense" else block_whitening(mode.theta, metric)
    native = density.native(whitening)
    d = density.dimension
    double = ctypes.POINTER(ctypes.c_double)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, double, double, double, ctypes.c_void_p)(
        native.logp_address
    )
    z, gradient, value = np.random.default_rng(0).normal(size=d), np.empty(d), np.array([123.0])

    def evaluate() -> int:
        return int(call(d, *(a.ctypes.data_as(double) for a in (z, gradient, value)), native.user_address))

    assert evaluate() == 0
    expected = density.value_gradient(unwhiten(whitening, z[None])[0])
    assert_allclose(value[0] + density.offset_term + density.log_prior_constant, expected[0], rtol=1e-13)
    assert_allclose(gradient, whiten_gradient(whitening, expected[1]), rtol=1e-10, atol=1e-10)
    for bad in (np.nan, np.inf, -np.inf):
        z[0] = bad
        assert evaluate() != 0
        assert not np.isfinite(value[0])


def test_ctrl_c_returns_the_draws_finished_by_then() -> None:
    X, y = simulate(3000, 6, 4)
    model = bs.SoftmaxRegression(X, y)
    model.sample(draws=5, tune=50, progressbar=False, random_seed=1)  # compile first
    timer = threading.Timer(2.0, _thread.interrupt_main)
    timer.start()
    with pytest.warns(UserWarning, match="interrupted: .* draws per chain were finished"):
        post = model.sample(draws=200_000, chains=2, cores=2, random_seed=1, progressbar=False)
    assert 0 < post._fitted.draws.shape[1] < 200_000
    assert np.isfinite(post._fitted.draws).all()
    assert "interrupted" in post.notes[-1]


def test_block_whitening_samples_the_same_posterior() -> None:
    """Dense against block whitening on one posterior: means within 5 combined standard errors (ESS above 1000 each)."""
    X, y = simulate(150, 4, 4)
    density = bs.SoftmaxRegression(X, y).log_density
    mode = newton(density, np.zeros(density.dimension))
    metric = density.block_metric(mode.theta)
    assert metric is not None
    dense, blocks = (
        whitened_nuts(density, w, **SETTINGS).points.reshape(-1, density.dimension)  # type: ignore[arg-type]
        for w in (laplace_whitening(density, mode), block_whitening(mode.theta, metric))
    )
    assert np.abs((dense.mean(axis=0) - blocks.mean(axis=0)) / dense.std(axis=0)).max() < 5 * np.sqrt(2 / 1000)
    assert_allclose(dense.std(axis=0), blocks.std(axis=0), rtol=0.15)


def test_large_dimensions_are_whitened_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(150, 4, 4)
    density = bs.SoftmaxRegression(X, y).log_density
    mode = newton(density, np.zeros(density.dimension))
    assert laplace_whitening(density, mode).blocks.shape == (1, 15, 15)
    monkeypatch.setattr(certificate, "DENSE_DIMENSION", 10)
    assert laplace_whitening(density, mode).blocks.shape == (3, 5, 5)


class Holed(NamedTuple):
    """A standard normal whose log density is not a number in a part of the space, as after an overflow."""

    hole: float = 1.0
    dimension: int = 2

    def value_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if theta[0] > self.hole:
            return np.nan, np.full_like(theta, np.nan)
        return -0.5 * float(theta @ theta), -theta


def test_a_density_that_is_not_a_number_somewhere_is_never_sampled_there() -> None:
    whitening = Whitening(np.zeros(2), np.eye(2, dtype=np.float32)[None], np.ones((1, 1)), 0.0)
    drawn = whitened_nuts(Holed(), whitening, native=False, **SETTINGS)  # type: ignore[arg-type]
    assert np.isfinite(drawn.points).all()
    assert drawn.points[:, :, 0].max() <= 1.0
    assert drawn.points[:, :, 0].max() > 0.5
    assert drawn.stats["diverging"].sum() > 0  # and it is reported


@pytest.mark.parametrize("name", ["iris", "wine"])
@pytest.mark.parametrize("scale", [2.5, 5.0])
def test_separable_data_under_weak_priors(name: str, scale: float) -> None:
    """No divergences, R-hat below 1.01, and the means of a run with other seed, length and step size.

    Means of 4 x 1000 against 4 x 4000 draws, ESS above 800 and 3000: 5 standard errors of the difference are 0.2 sd.
    """
    X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(scale), intercept_prior=bs.Normal(scale))
    post = model.sample(random_seed=1, progressbar=False)
    assert post.diagnostics.n_divergences == 0
    assert post.diagnostics.max_rhat < 1.01
    long = model.sample(4000, tune=1000, random_seed=2, target_accept=0.95, progressbar=False)
    sd = long._fitted.draws.std(axis=(0, 1))
    away = np.abs(post._fitted.draws.mean(axis=(0, 1)) - long._fitted.draws.mean(axis=(0, 1))) / sd
    assert away.max() < 0.2
