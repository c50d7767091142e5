"""Simulation-based calibration of group-level effects; method and tests as in ``test_calibration.py``.

100 levels of five rows each, an intercept and a slope that vary over them, K = 3.  Ranked are the free coordinates of
intercept and weights, all standard deviations and correlations of a level's free coordinates (the covariance that is
identified), the log determinant of these correlations, the effects of three levels, the log-likelihood, and the log
prior of the hyperparameters (under reference coding, where it is a function of that covariance).

Correlations are drawn from LKJ(2) by rejection: symmetric matrices with uniform entries, kept with probability det(R)
where they are positive definite.  200 data sets; a right sampler fails with probability 0.001 at most; seed 2026.
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.fitting import groups
from bayes_softmax.spec.groups.structure import GroupEffects
from tests.verify.test_calibration import ERROR_RATE, KEPT, uniformity

SIMULATIONS, THIN, LEVELS, ROWS, SCALE = 200, 6, 100, 5, 0.8
FEW_LEVELS = 15  # with planted bugs: two of them are a larger part, and priors of correlations have more to say
PRIORS = {
    "prior": bs.Normal(1.0),
    "intercept_prior": bs.Normal(1.0),
    "group_prior": {"g": bs.GroupNormal(bs.HalfNormal(SCALE), bs.LKJ(2))},
}

pytestmark = pytest.mark.verify


def correlations(n: int, count: int, rng: np.random.Generator) -> FloatArray:
    """Draws (count, n, n) from LKJ(2), by rejection."""
    kept: list[FloatArray] = []
    lower = np.tril_indices(n, -1)
    while sum(map(len, kept)) < count:
        R = np.zeros((100_000, n, n))
        R[:, lower[0], lower[1]] = rng.uniform(-1, 1, size=(len(R), len(lower[0])))
        R += R.transpose(0, 2, 1) + np.eye(n)
        for size in range(3, n + 1):  # leading blocks, the smallest first, since few are positive definite
            R = R[np.linalg.det(R[:, :size, :size]) > 0]
        kept.append(R[rng.random(len(R)) < np.linalg.det(R)])
    return np.concatenate(kept)[:count]


def p_values(coding: str, levels: int = LEVELS, *, swap: bool = False) -> np.ndarray:
    """Three p-values for each ranked quantity; two levels of the draws may be swapped."""
    rng = np.random.default_rng(2026)
    n = 4 if coding == "reference" else 6
    Rs, ranks = correlations(n, SIMULATIONS, rng), []
    for R in Rs:
        x, g = rng.normal(size=levels * ROWS), np.repeat(np.arange(levels), ROWS)
        C = np.eye(3)[:, 1:] if coding == "reference" else zero_sum()
        M = np.eye(4) if coding == "reference" else np.kron(np.eye(2), C)
        sds = SCALE * np.abs(rng.normal(size=n))
        V = M.T @ (sds[:, None] * R * sds) @ M
        u = rng.multivariate_normal(np.zeros(4), V, size=levels)
        fixed = rng.normal(size=(2, 2))  # at x = 0, and of x
        free = fixed[0] + u[g, :2] + x[:, None] * (fixed[1] + u[g, 2:])
        y = (free @ C.T + rng.gumbel(size=(len(g), 3))).argmax(axis=1)
        model = bs.SoftmaxRegression.from_formula(
            "y ~ x + (1 + x | g)", pd.DataFrame({"x": x, "g": g, "y": y}), classes=[0, 1, 2], coding=coding, **PRIORS
        )
        with warnings.catch_warnings():  # that draws are few where true standard deviations are near zero
            warnings.simplefilter("ignore", bs.NotReliableWarning)
            post = model.sample(THIN * KEPT, chains=1, cores=1, random_seed=rng, progressbar=False)
        draws = post.idata["posterior"].dataset.isel(chain=0, draw=slice(THIN - 1, None, THIN))
        back = np.linalg.pinv(C).T
        b, W, effects = draws.intercept.values @ back, draws.weights.values[:, 0] @ back, draws.g.values @ back
        if swap:
            effects = effects[:, [1, 0, *range(2, levels)]]
        covariance = np.einsum("ka,skl,lb->sab", np.kron(np.eye(2), back), draws.g_covariance.values.reshape(-1, 6, 6),
                               np.kron(np.eye(2), back))  # fmt: skip
        fixed_draws, us = np.stack([b, W], axis=1), effects.reshape(len(b), levels, 4)
        given = (np.concatenate([t[None], d]) for t, d in ((fixed, fixed_draws), (u, us), (V, covariance)))
        values = quantities(x, g, y, C, *given, reference=coding == "reference")
        ranks.append((values[1:] < values[0]).sum(axis=0))
    return uniformity(np.array(ranks))


def zero_sum() -> FloatArray:
    """Orthonormal contrasts (3, 2), those of the package: the ranked coordinates are the same."""
    blueprint = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], [0, 1, 2])
    return blueprint._spec.coordinates.weights_contrast


def quantities(
    x: FloatArray, g: np.ndarray, y: np.ndarray, C: FloatArray, fixed: FloatArray, u: FloatArray, V: FloatArray,
    *, reference: bool,
) -> FloatArray:  # fmt: skip
    """Everything that is ranked, (S, m), for coefficients (S, 2, 2), effects (S, G, 4) and covariances (S, 4, 4)."""
    free = fixed[:, :1] + u[:, g, :2] + x[:, None] * (fixed[:, 1:] + u[:, g, 2:])
    log_p = bs.log_softmax(free @ C.T)
    log_likelihood = log_p[:, np.arange(len(y)), y].sum(axis=1)
    sds = np.sqrt(np.diagonal(V, axis1=1, axis2=2))
    R = V / (sds[:, :, None] * sds[:, None, :])
    log_det = np.linalg.slogdet(R)[1]
    log_prior = [-0.5 * np.square(sds / SCALE).sum(axis=1) + log_det] if reference else []
    lower = np.tril_indices(4, -1)
    levels = u[:, [0, 1, -1]].reshape(len(u), -1)
    parts = fixed.reshape(len(u), -1), sds, R[:, lower[0], lower[1]], log_det, levels, log_likelihood, *log_prior
    return np.column_stack(parts)


@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_ranks_are_uniform(coding: str) -> None:
    found = p_values(coding)
    assert found.min() > ERROR_RATE / len(found)


def test_swapped_levels_are_found() -> None:
    found = p_values("reference", FEW_LEVELS, swap=True)
    assert found.min() < ERROR_RATE / len(found)


def test_an_lkj_density_without_its_jacobian_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that of the correlations in their Cholesky factor, and that of the partial correlations' artanh."""
    honest = groups.covariance_data

    def without_jacobian(effects: GroupEffects) -> CovarianceData:
        power = np.full(len(effects.power), 2.0 * (effects.prior.correlation.eta - 1.0) - 2.0)
        return honest(effects)._replace(power=power)

    monkeypatch.setattr(groups, "covariance_data", without_jacobian)
    found = p_values("reference", FEW_LEVELS)
    assert found.min() < ERROR_RATE / len(found)
