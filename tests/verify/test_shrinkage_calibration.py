"""Simulation-based calibration of models that learn scales; method, error rate and sizes as in ``test_calibration.py``.

Ranked are every free coordinate, every hyperparameter, the log-likelihood, and the log prior of coefficients and
hyperparameters jointly.  600 data sets of N = 30, p = 2, K = 3; seed 2025.
"""

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.density.scales.posterior import HierarchicalPosterior
from tests.verify.test_calibration import ERROR_RATE, KEPT, SIMULATIONS, uniformity

INTERCEPT = bs.Normal(1.0)
PRIORS = {
    "learned": bs.Normal(bs.HalfNormal(1.0)),
    "learned, half-t": bs.Normal(bs.HalfStudentT(5, 0.5)),
    "r2d2": bs.R2D2(),
}
THIN = 4

pytestmark = pytest.mark.verify


def draw_scales(prior: object, sd: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Hyperparameters from their prior, and the raw scales of the features they give."""
    if isinstance(prior, bs.R2D2):
        R2 = rng.beta(prior.mean * prior.precision, (1 - prior.mean) * prior.precision)
        phi = rng.dirichlet(np.full(len(sd), prior.concentration))
        return {"R2": np.array(R2), "phi": phi}, np.sqrt(phi * R2 / (1 - R2)) / sd
    tau = half_t(prior.scale, rng)  # type: ignore[attr-defined]
    return {"weights_scale": np.array(tau)}, np.full(len(sd), tau)


def half_t(prior: object, rng: np.random.Generator) -> float:
    tau = abs(rng.normal()) * prior.scale  # type: ignore[attr-defined]
    return tau / np.sqrt(rng.chisquare(prior.df) / prior.df) if isinstance(prior, bs.HalfStudentT) else tau


def log_prior(prior: object, hyper: dict[str, np.ndarray], g: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Log prior density (S,) of hyperparameters and rows ``g`` (S, p, k), up to a constant."""
    if isinstance(prior, bs.R2D2):
        R2, phi = hyper["R2"], hyper["phi"]
        a, b = prior.mean * prior.precision, (1 - prior.mean) * prior.precision
        log_p = (a - 1) * np.log(R2) + (b - 1) * np.log1p(-R2) + ((prior.concentration - 1) * np.log(phi)).sum(axis=1)
        return log_p + normal_rows(g, np.sqrt(phi * (R2 / (1 - R2))[:, None]) / sd)
    scale_prior, tau = prior.scale, hyper["weights_scale"]  # type: ignore[attr-defined]
    r = (tau / scale_prior.scale) ** 2
    df = getattr(scale_prior, "df", None)
    log_p = -0.5 * r if df is None else -0.5 * (df + 1) * np.log1p(r / df)
    return log_p + normal_rows(g, np.repeat(tau[:, None], len(sd), axis=1))


def normal_rows(g: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Log density of rows (S, p, k) given scales (S, p)."""
    return -(g.shape[2] * np.log(scales) + 0.5 * (g**2).sum(axis=2) / scales**2).sum(axis=1)


def p_values(name: str, *, simulations: int = SIMULATIONS, drop_last: int = 0) -> np.ndarray:
    """Three p-values for each ranked quantity."""
    prior, rng, ranks = PRIORS[name], np.random.default_rng(2025), []
    for _ in range(simulations):
        X = rng.normal(size=(30, 2))
        C = bs.SoftmaxRegression(X, np.arange(30) % 3)._spec.coordinates.weights_contrast
        hyper, scales = draw_scales(prior, X.std(axis=0), rng)
        W, b = (scales[:, None] * rng.normal(size=(2, 2))) @ C.T, C @ rng.normal(size=2)
        y = (b + X @ W + rng.gumbel(size=(30, 3))).argmax(axis=1)
        rows = slice(0, 30 - drop_last)
        model = bs.SoftmaxRegression(X[rows], y[rows], classes=[0, 1, 2], prior=prior, intercept_prior=INTERCEPT)
        post = model.sample(THIN * KEPT, chains=1, tune=250, cores=1, random_seed=rng, progressbar=False)
        found = post.idata["posterior"]
        kept = slice(THIN - 1, None, THIN)
        hypers = {h: np.concatenate([hyper[h][None], found[h].values[0, kept]]) for h in hyper}
        bs_, Ws = (
            np.concatenate([t[None], d[kept]])
            for t, d in zip((b, W), post._fitted.parameters.arrays.values(), strict=True)
        )
        values = quantities(prior, X, y, C, bs_, Ws, hypers)
        ranks.append((values[1:] < values[0]).sum(axis=0))
    return uniformity(np.array(ranks))


def quantities(
    prior: object, X: np.ndarray, y: np.ndarray, C: np.ndarray, b: np.ndarray, W: np.ndarray, hyper: dict
) -> np.ndarray:
    """Everything that is ranked, (S, m), for coefficients (S, K), (S, p, K) and hyperparameters (S, ...)."""
    log_p = bs.log_softmax(b[:, None] + np.einsum("np,spk->snk", X, W))
    log_likelihood = log_p[:, np.arange(30), y].sum(axis=1)
    g, at_zero = W @ C, b @ C
    joint = log_prior(prior, hyper, g, X.std(axis=0)) - 0.5 * (at_zero**2).sum(axis=1)
    named = [value.reshape(len(b), -1) for value in hyper.values()]
    return np.column_stack([at_zero, g.reshape(len(b), -1), *named, log_likelihood, joint])


@pytest.mark.parametrize("name", PRIORS)
def test_ranks_are_uniform(name: str) -> None:
    found = p_values(name)
    assert found.min() > ERROR_RATE / len(found)


def test_dropped_rows_are_found() -> None:
    found = p_values("learned", drop_last=4)
    assert found.min() < ERROR_RATE / len(found)


def test_a_wrong_jacobian_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Jacobian of the scale's logarithm twice, through the slower interface (without any the mass is infinite)."""
    honest = HierarchicalPosterior.value_gradient

    def with_two_jacobians(self: HierarchicalPosterior, u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = honest(self, u)
        log_tau = self.coordinates.location + self.coordinates.root @ u[-1:]
        gradient[-1:] += self.coordinates.root[0]
        return value + float(log_tau[0]), gradient

    monkeypatch.setattr(HierarchicalPosterior, "value_gradient", with_two_jacobians)
    monkeypatch.setattr(HierarchicalPosterior, "callbacks", lambda _self: None)
    found = p_values("learned", simulations=200)
    assert found.min() < ERROR_RATE / len(found)
