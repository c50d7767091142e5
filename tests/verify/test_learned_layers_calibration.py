"""Simulation-based calibration of a tiny network that learns its layers' scales; method as in ``test_calibration.py``.

Ranked are both scales, a probability at five points, the log-likelihood, and the log prior of scales and weights
jointly: what does not depend on the labels of hidden units.  300 data sets of N = 30, p = 1, K = 2 and two units; seed
2026; draws are thinned to be nearly independent.
"""

import numpy as np
import pytest
from scipy.special import expit, log_expit

import bayes_softmax as bs
from bayes_softmax.density.network.learned import LearnedScalesPosterior
from tests.verify.test_calibration import ERROR_RATE, KEPT, uniformity

HALF, INTERCEPT, UNITS = bs.HalfNormal(1.0), bs.Normal(1.0), 2
SIMULATIONS, THIN = 300, 8
AT = np.linspace(-2.0, 2.0, 5)

pytestmark = pytest.mark.verify


def logits(x: np.ndarray, hidden: np.ndarray, bias: np.ndarray, last: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Difference of the two logits (S, n) for weights (S, units) and intercepts (S,), under reference coding."""
    units = np.tanh(x[:, None] * hidden[:, None] + bias[:, None])
    return intercept[:, None] + (units * last[:, None]).sum(axis=2)


def p_values(*, simulations: int = SIMULATIONS, drop_last: int = 0) -> np.ndarray:
    """Three p-values for each ranked quantity."""
    rng, ranks = np.random.default_rng(2026), []
    for _ in range(simulations):
        x = rng.normal(size=30)
        x = (x - x.mean()) / x.std()
        tau = np.abs(rng.normal(size=2))
        true = [tau[0] * rng.normal(size=(1, UNITS)), tau[0] * rng.normal(size=(1, UNITS)),
                tau[1] * rng.normal(size=(1, UNITS)), rng.normal(size=1)]  # fmt: skip
        y = (rng.random(30) < expit(logits(x, *true)[0])).astype(int)
        rows = slice(0, 30 - drop_last)
        model = bs.SoftmaxRegression(
            x[rows, None], y[rows], classes=[0, 1], coding="reference", logits=bs.MLP(UNITS),
            prior=bs.Normal(HALF), intercept_prior=INTERCEPT,
        )  # fmt: skip
        post = model.sample(THIN * KEPT, chains=1, tune=300, cores=1, random_seed=rng, target_accept=0.95,
                            progressbar=False)  # fmt: skip
        found, kept = post.idata["posterior"], slice(THIN - 1, None, THIN)
        drawn = [found["hidden_1"].values[0, kept, 0], found["hidden_1_bias"].values[0, kept],
                 found["weights"].values[0, kept, :, 1], found["intercept"].values[0, kept, 1]]  # fmt: skip
        if drop_last:  # the standardisation is then that of fewer rows
            mean, sd = x[rows].mean(), x[rows].std()
            drawn[1] = drawn[1] - drawn[0] * mean / sd
            drawn[0] = drawn[0] / sd
        both = [np.concatenate(pair) for pair in zip(true, drawn, strict=True)]
        scales = [found[name].values[0, kept] for name in ("hidden_1_scale", "weights_scale")]
        values = quantities(x, y, both, np.column_stack([np.append(t, s) for t, s in zip(tau, scales, strict=True)]))
        ranks.append((values[1:] < values[0]).sum(axis=0))
    return uniformity(np.array(ranks))


def quantities(x: np.ndarray, y: np.ndarray, weights: list[np.ndarray], tau: np.ndarray) -> np.ndarray:
    """Everything that is ranked, (S, m), for weights (S, ...) and scales (S, 2)."""
    hidden, bias, last, intercept = weights
    log_likelihood = log_expit(np.where(y == 1, 1.0, -1.0) * logits(x, *weights)).sum(axis=1)
    squares = np.square(np.concatenate([hidden, bias], axis=1)).sum(axis=1) / tau[:, 0] ** 2
    squares += np.square(last).sum(axis=1) / tau[:, 1] ** 2 + np.square(intercept) + np.square(tau).sum(axis=1)
    log_prior = -0.5 * squares - 2 * UNITS * np.log(tau[:, 0]) - UNITS * np.log(tau[:, 1])
    return np.column_stack([tau, logits(AT, *weights), log_likelihood, log_prior])


def test_ranks_are_uniform() -> None:
    found = p_values()
    assert found.min() > ERROR_RATE / len(found)


def test_dropped_rows_are_found() -> None:
    found = p_values(drop_last=8)
    assert found.min() < ERROR_RATE / len(found)


def test_a_wrong_jacobian_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Jacobian of the scales' logarithms twice, through the slower interface (without any the mass is infinite)."""
    honest = LearnedScalesPosterior.value_gradient

    def with_two_jacobians(self: LearnedScalesPosterior, u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = honest(self, u)
        gradient[self.n_weights :] += 1.0
        return value + float(u[self.n_weights :].sum()), gradient

    monkeypatch.setattr(LearnedScalesPosterior, "value_gradient", with_two_jacobians)
    monkeypatch.setattr(LearnedScalesPosterior, "callbacks", lambda _self: None)
    found = p_values(simulations=150)
    assert found.min() < ERROR_RATE / len(found)
