"""Importance-corrected Laplace and the independence sampler: exact cases, checks that can fail, reproducibility."""

from collections.abc import Iterator
from threading import Event
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate

import bayes_softmax as bs
from bayes_softmax.inference import independence
from bayes_softmax.inference.importance import (
    acceptance_rate,
    importance_sample,
    pareto_smooth,
    proposal_log_density,
    proposal_points,
    propose,
)
from bayes_softmax.inference.independence import choose, independence_chains
from bayes_softmax.inference.laplace import laplace_whitening
from bayes_softmax.inference.newton import newton
from tests.conftest import simulate
from tests.inference.gaussian import Gaussian
from tests.printed import said


def approximation(density: object):  # type: ignore[no-untyped-def]
    return laplace_whitening(density, newton(density, np.zeros(density.dimension)))  # type: ignore[attr-defined,arg-type]


def test_mixture_density_integrates_to_one() -> None:
    total, _ = integrate.quad(lambda x: np.exp(proposal_log_density(np.array([[x]]))[0]), -np.inf, np.inf)
    assert_allclose(total, 1, rtol=1e-6)


def test_mixture_points_have_the_mixtures_variance() -> None:
    """0.9 + 0.1 * 5/3 per coordinate; 200 000 points, standard error about 0.005, false alarm below 1e-5."""
    z = proposal_points(np.random.default_rng(0), 200_000, 2)
    assert_allclose(z.var(axis=0), 0.9 + 0.1 * 5 / 3, atol=0.03)


def test_gaussian_target_has_even_weights_and_exact_evidence() -> None:
    target = Gaussian.random(5)
    rng = np.random.default_rng(0)
    found = importance_sample(propose(target, approximation(target), 4000, rng), 4000, rng)
    exact = 0.5 * (5 * np.log(2 * np.pi) - np.linalg.slogdet(target.precision)[1])
    assert_allclose(found.log_evidence, exact, atol=0.02)
    assert found.ess > 0.95 * 4000
    assert found.pareto_k < 0.5


QUADRATURE = [((7, 2, 1), -10.5597329531), ((10, 0, 0), -3.6659701499), ((50, 30, 20), -107.7415894637)]


@pytest.mark.parametrize(("counts", "log_evidence"), QUADRATURE)
def test_log_evidence_against_quadrature(counts: tuple[int, ...], log_evidence: float) -> None:
    """Intercept only, K = 3, reference coding, logits ~ N(0, 2.5^2): two-dimensional quadrature; seed 1.

    Tolerance: four standard errors of a mean of weights with relative sd below 1 at 20 000 draws, 0.03.
    """
    model = bs.SoftmaxRegression(np.empty((1, 0)), [list(counts)], coding="reference", intercept_prior=bs.Normal(2.5))
    found = model.laplace(draws=20_000, random_seed=1, progressbar=False)
    assert_allclose(found.log_evidence, log_evidence, atol=0.03)


def test_laplace_agrees_with_nuts_within_monte_carlo_error() -> None:
    """Means within 5 combined standard errors: 9 comparisons, false alarm below 1e-5; seed 1."""
    X, y = simulate(200, 2, 3)
    model = bs.SoftmaxRegression(X, y)
    a = model.laplace(random_seed=1, progressbar=False)
    b = model.sample(random_seed=1, engine="nuts", progressbar=False)
    assert a.pareto_k is not None
    assert a.pareto_k < 0.7
    ours, theirs = a.summary(), b.summary()
    z = (ours["mean"] - theirs["mean"]) / np.hypot(ours["mcse_mean"], theirs["mcse_mean"])
    assert np.abs(z).max() < 5
    assert_allclose(ours["sd"], theirs["sd"], rtol=0.1)
    assert a.diagnostics.ok
    assert "by the importance weights" in said(a)


def test_uncorrected_laplace_would_be_seen() -> None:
    """The planted bug, weights ignored, moves a skewed posterior's mean by many standard errors."""
    model = bs.SoftmaxRegression(np.empty((1, 0)), [[10, 0, 0]], coding="reference", intercept_prior=bs.Normal(2.5))
    density = model.log_density
    laplace = approximation(density)
    rng = np.random.default_rng(0)
    proposals = propose(density, laplace, 20_000, rng)
    exact = -3.44630605  # quadrature
    wrong = proposals.points[:, 0]
    right = importance_sample(proposals, 20_000, rng).points[:, 0]
    error = 1.399 / np.sqrt(5000)
    assert abs(right.mean() - exact) < 4 * error
    assert abs(wrong.mean() - exact) > 8 * error


def test_an_unreliable_approximation_says_so() -> None:
    X, y = simulate(60, 25, 6)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(20.0))
    with pytest.warns(bs.NotReliableWarning, match=r"Pareto k is .*; run model.sample\(\) instead"):
        found = model.laplace(random_seed=1, progressbar=False)
    assert not found.diagnostics.ok
    assert "not reliable" in said(found)


def test_independence_chain_is_exact() -> None:
    """Against NUTS on a skewed posterior: means within 5 combined standard errors; seeds 1 and 2."""
    X, y = simulate(40, 1, 3)
    model = bs.SoftmaxRegression(X, y)
    a = model.sample(draws=3000, random_seed=1, engine="independence", progressbar=False)
    b = model.sample(draws=3000, random_seed=2, engine="nuts", progressbar=False)
    ours, theirs = a.summary(), b.summary()
    z = (ours["mean"] - theirs["mean"]) / np.hypot(ours["mcse_mean"], theirs["mcse_mean"])
    assert np.abs(z).max() < 5
    assert ours["r_hat"].max() < 1.01
    assert 0.3 < a.idata["sample_stats"]["acceptance_rate"].mean() < 1


def test_same_seed_same_chain_whatever_the_cores() -> None:
    X, y = simulate(300, 2, 3)
    density = bs.SoftmaxRegression(X, y).log_density
    laplace = approximation(density)
    settings = {"draws": 200, "tune": 20, "chains": 3, "seed": 4}
    one, two = (independence_chains(density, laplace, cores=cores, **settings) for cores in (1, 2))
    assert_array_equal(one.points, two.points)
    thinned = independence_chains(density, laplace, cores=1, **(settings | {"draws": 50}), thin=4)
    assert thinned.points.shape == (3, 50, density.dimension)


def test_auto_takes_nuts_for_small_models_and_for_bad_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(60, 25, 6)
    density = bs.SoftmaxRegression(X, y, prior=bs.Normal(20.0)).log_density
    rng = np.random.default_rng(0)
    assert choose(density, approximation(density), rng, 1).reason == "a small model"
    monkeypatch.setattr(independence, "SMALL_WORK", 0.0)
    choice = choose(density, approximation(density), rng, 1)
    assert not choice.suitable
    assert "too far from a normal" in choice.reason


def test_auto_takes_the_independence_sampler_for_tall_data_and_says_why() -> None:
    X, y = simulate(20_000, 2, 3)
    found = bs.SoftmaxRegression(X, y).sample(draws=500, random_seed=1, progressbar=False)
    assert found.engine.startswith("independence")
    assert "near enough to a normal" in found.engine
    assert found.diagnostics.max_rhat < 1.01


def test_acceptance_of_equal_weights_is_one() -> None:
    assert acceptance_rate(np.zeros(50), np.random.default_rng(0)) == 1.0


def test_smoothed_weights_sum_to_one() -> None:
    weights, _ = pareto_smooth(np.random.default_rng(0).normal(size=500))
    assert_allclose(np.exp(weights).sum(), 1, rtol=1e-12)


class Halting(NamedTuple):
    """A Gaussian of which only some chunks of proposals can be evaluated before Ctrl-C."""

    target: Gaussian
    chunks: Iterator[int]
    pressed: Event

    @property
    def dimension(self) -> int:
        return self.target.dimension

    def values(self, thetas: np.ndarray) -> np.ndarray:
        if next(self.chunks, None) is None:
            self.pressed.wait(20)
        return self.target.values(thetas)


def test_interrupted_chains_return_what_they_have() -> None:
    """8 of 16 chunks of 128 proposals are there, and the one under way: 576 steps of two chains, less 10."""
    target, pressed = Gaussian.random(2), Event()

    def interrupt(done: int, total: int) -> None:
        if done >= 8 * 128:
            pressed.set()
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted: .* of 1000 draws per chain"):
        drawn = independence_chains(
            Halting(target, iter(range(8)), pressed),  # type: ignore[arg-type]
            approximation(target), draws=1000, tune=10, chains=2, cores=1, seed=0, progress=interrupt,
        )  # fmt: skip
    assert drawn.interrupted
    assert 502 <= drawn.points.shape[1] < 1000
    assert np.isfinite(drawn.points).all()


POOR = {
    "student": lambda: bs.SoftmaxRegression(*simulate(30, 6, 4), prior=bs.StudentT(2, 5.0)),
    "counts, reference": lambda: bs.SoftmaxRegression(
        np.arange(4.0)[:, None], [[9, 0, 1], [8, 1, 0], [0, 2, 9], [0, 0, 9]], coding="reference", prior=bs.Normal(20)
    ),
}


@pytest.mark.parametrize("name", POOR)
def test_independence_sampling_gives_way_to_nuts_where_its_pilot_is_poor(name: str) -> None:
    """As ``auto`` does: the same rule, and said in ``engine`` and in a warning."""
    model = POOR[name]()
    with pytest.warns(bs.NotReliableWarning, match="engine='independence' is not reliable here: a pilot of .* NUTS"):
        post = model.sample(engine="independence", random_seed=1, progressbar=False)
    assert post.engine.startswith("nuts")
    assert "too far from a normal" in post.engine
    same = model.sample(engine="nuts", random_seed=1, progressbar=False)
    assert_array_equal(post._fitted.draws, same._fitted.draws)
