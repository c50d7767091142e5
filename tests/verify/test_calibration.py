"""Simulation-based calibration: if the sampler is right, the rank of the true value among the draws is uniform.

Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788.  600 data sets of N = 30, p = 2, K = 3 are
drawn from the prior and the model, and 99 nearly independent draws of each posterior rank every free coordinate, the
log-likelihood of all data and of the last row, and the log prior.  (A quantity that depends on the data sees errors
that coefficients hide: Modrák et al., *Bayesian Analysis* 20, 2025.)

Each quantity is tested three times, by a chi-squared statistic over 20 bins, by the mean rank (a shift) and by the mean
squared deviation from the middle (a wrong spread), each at level 0.001 / (3 x number of quantities), so a right sampler
fails with probability at most 0.001.  Seed 2024.

Independence sampling is for posteriors near a normal one: it is given 300 rows, and where its pilot finds a posterior
too far from normal NUTS runs, as for anyone who asks for it.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import bayes_softmax as bs
from bayes_softmax.core.errors import NotReliableWarning

SIMULATIONS, KEPT, BINS, ERROR_RATE = 600, 99, 20, 1e-3
ROWS = {"nuts": 30, "independence": 300}
PRIORS = {
    "normal": (bs.Normal(1.0), bs.Normal(1.0)),
    "student": (bs.StudentT(5, 0.7), bs.Normal(1.0)),
    "laplace": (bs.Laplace(0.6), bs.Normal(1.0)),
}

pytestmark = pytest.mark.verify


def draw_prior(prior: object, k: int, rng: np.random.Generator) -> np.ndarray:
    """Spherical draw of ``k`` free coordinates."""
    g = prior.scale * rng.normal(size=k)  # type: ignore[attr-defined]
    if isinstance(prior, bs.Laplace):
        return prior.scale * rng.gamma(k) * g / np.linalg.norm(g)
    return g / np.sqrt(rng.chisquare(prior.df) / prior.df) if isinstance(prior, bs.StudentT) else g


def p_values(name: str, engine: str, *, prior_factor: float = 1.0, drop_last: int = 0) -> np.ndarray:
    """One p-value per ranked quantity; the fit may be given a planted bug."""
    prior, intercept_prior = PRIORS[name]
    rng, n = np.random.default_rng(2024), ROWS[engine]
    ranks, n_asked = [], 0
    for _ in range(SIMULATIONS):
        X = rng.normal(size=(n, 2))
        blueprint = bs.SoftmaxRegression(X, np.arange(n) % 3, prior=prior, intercept_prior=intercept_prior)
        C = blueprint._spec.coordinates.weights_contrast
        W = np.array([C @ draw_prior(prior, 2, rng) for _ in range(2)])
        b = C @ draw_prior(intercept_prior, 2, rng)
        y = (b + X @ W + rng.gumbel(size=(n, 3))).argmax(axis=1)
        fitted = replace(prior, scale=prior.scale * prior_factor)
        rows = slice(0, n - drop_last)
        model = bs.SoftmaxRegression(X[rows], y[rows], classes=[0, 1, 2], prior=fitted, intercept_prior=intercept_prior)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotReliableWarning)
            post = model.sample(
                draws=5 * KEPT, chains=1, tune=150, cores=1, engine=engine, random_seed=rng, progressbar=False
            )
        n_asked += post.engine.startswith(engine)
        truth = bs.SoftmaxRegression(X, y, classes=[0, 1, 2], prior=prior, intercept_prior=intercept_prior)
        ranks.append(rank(truth, b, W, post))
    assert n_asked > 0.5 * SIMULATIONS, "most of what is judged is to be the engine's own"
    return uniformity(np.array(ranks))


def uniformity(ranks: np.ndarray) -> np.ndarray:
    """Three p-values for each column of ranks (simulations, m) in 0..KEPT."""
    counts = np.array([np.bincount(column * BINS // (KEPT + 1), minlength=BINS) for column in ranks.T])
    u = (ranks + 0.5) / (KEPT + 1) - 0.5
    shift = u.mean(axis=0) * np.sqrt(12 * len(u))
    spread = ((u**2).mean(axis=0) - 1 / 12) / np.sqrt((1 / 80 - 1 / 144) / len(u))
    normal = 2 * stats.norm.sf(np.abs([shift, spread]))
    return np.concatenate([stats.chisquare(counts, axis=1).pvalue, *normal])


def rank(truth: bs.SoftmaxRegression, b: np.ndarray, W: np.ndarray, post: bs.Posterior) -> list[int]:
    """How many of the kept draws lie below the true value, for every quantity."""
    intercepts, weights = (a[4::5] for a in post._fitted.parameters.arrays.values())
    values = quantities(truth, np.concatenate([b[None], intercepts]), np.concatenate([W[None], weights]))
    return list((values[1:] < values[0]).sum(axis=0))


def quantities(truth: bs.SoftmaxRegression, b: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Free coordinates, log-likelihoods of all rows and of the last, log prior (S, d + 3), of S coefficients."""
    C = truth._spec.coordinates.weights_contrast
    prior, intercept_prior = truth._spec.priors.weights[0], truth._spec.priors.intercept
    free = np.concatenate([(b @ C)[:, None], W @ C], axis=1)
    log_p = bs.log_softmax(b[:, None] + np.einsum("np,spk->snk", truth._spec.design.X, W))
    log_likelihood = log_p[:, np.arange(truth._spec.design.n_obs), truth._spec.design.response.codes]
    log_prior = log_density(intercept_prior, free[:, 0]) + sum(log_density(prior, free[:, j]) for j in (1, 2))
    return np.column_stack([free.reshape(len(b), -1), log_likelihood.sum(axis=1), log_likelihood[:, -1], log_prior])


def log_density(family: object, g: np.ndarray) -> np.ndarray:
    """Log prior density of rows (S, k), up to a constant."""
    squares = (g**2).sum(axis=1) / family.scale**2  # type: ignore[attr-defined]
    if isinstance(family, bs.StudentT):
        return -0.5 * (family.df + g.shape[1]) * np.log1p(squares / family.df)
    if isinstance(family, bs.Laplace):
        return -np.sqrt(squares)
    return -0.5 * squares


@pytest.mark.parametrize("engine", ["nuts", "independence"])
@pytest.mark.parametrize("name", PRIORS)
def test_ranks_are_uniform(name: str, engine: str) -> None:
    found = p_values(name, engine)
    assert found.min() > ERROR_RATE / len(found)


@pytest.mark.parametrize("bug", [{"prior_factor": 1.2}, {"drop_last": 1}], ids=["prior sd x 1.2", "last row dropped"])
@pytest.mark.parametrize("name", ["normal", "laplace"])
def test_a_planted_bug_is_found(name: str, bug: dict) -> None:
    found = p_values(name, "nuts", **bug)
    assert found.min() < ERROR_RATE / len(found)
