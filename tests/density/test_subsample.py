"""The log posterior from a sample of rows: exact to second order, unbiased, with the error that it predicts.

Statistical tests state their error rates; their seeds are fixed.
"""

from typing import Any

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.subsample import posterior as module
from bayes_softmax.density.subsample.posterior import Expansion, SubsampledPosterior, subsampled_posterior
from bayes_softmax.density.subsample.rows import RowProbabilities, row_probabilities
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.spec.specification import Specification

N, P, K = 20_000, 3, 3


def specification(**options: Any) -> Specification:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, P))
    eta = X @ rng.normal(size=(P, K))
    offered = np.ones((N, K), dtype=bool)
    if options.pop("masked", False):
        offered[rng.random((N, K)) < 0.2] = False
        offered[np.arange(N), rng.integers(K, size=N)] = True
        options["available"] = offered
    if options.pop("shifted", False):
        options["offset"] = rng.normal(size=(N, K))
        eta = eta + options["offset"]
    if options.pop("weighted", False):
        options["weights"] = rng.integers(0, 4, N)
    y = np.where(offered, eta + rng.gumbel(size=eta.shape), -np.inf).argmax(axis=1)
    if options.pop("counted", False):
        y = rng.multinomial(5, [0.2, 0.3, 0.5], size=N)
    return bs.SoftmaxRegression(X, y, **options)._spec


def expanded(spec: Specification, shift: float = 0.0) -> tuple[SoftmaxPosterior, Expansion, RowProbabilities]:
    full = density_of(spec)
    point = solve(full, SolverOptions()).theta + shift
    value, gradient = full.value_gradient(point)
    factors = full.layer_factors(point)
    assert factors is not None
    gram = factors.inputs * np.trace(factors.outputs)
    return full, Expansion(point, value, gradient, full.hessian(point)), row_probabilities(spec.distinct, gram)


def sampled(
    spec: Specification, expansion: Expansion, rows: RowProbabilities, n: int, seed: int
) -> SubsampledPosterior:
    return subsampled_posterior(rows, n, expansion, spec.priors, spec.coordinates, np.random.default_rng(seed))


def draws_near(expansion: Expansion, n: int, seed: int, size: float = 1.0) -> np.ndarray[Any, Any]:
    """Points of the Laplace approximation."""
    root = np.linalg.cholesky(np.linalg.inv(expansion.hessian))
    z = np.random.default_rng(seed).normal(size=(n, len(root)))
    points: np.ndarray[Any, Any] = expansion.point + size * z @ root.T
    return points


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "Student t priors": {"prior": bs.StudentT(3, 0.5)},
    "offset": {"shifted": True},
    "choice sets": {"masked": True},
    "weights": {"weighted": True},
    "counts": {"counted": True},
    "reference coding": {"coding": "reference"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_it_is_exact_to_second_order_at_the_mode_and_elsewhere(case: str, shift: float) -> None:
    spec = specification(**CASES[case])
    full, expansion, rows = expanded(spec, shift)
    density = sampled(spec, expansion, rows, 500, 1)
    assert density.values(expansion.point[None])[0] == pytest.approx(expansion.value, rel=1e-12)
    direction = np.random.default_rng(2).normal(size=full.dimension)
    for h in (1e-3, -1e-3):  # what is left is of third order
        exact, found = (d.values(expansion.point[None] + h * direction)[0] for d in (full, density))
        assert abs(exact - found) < 50 * N * abs(h) ** 3


@pytest.mark.parametrize("case", CASES)
def test_its_error_is_the_one_that_it_predicts(case: str) -> None:
    # 24 samples x 16 points, which share a sample: the mean ratio of squares has a standard deviation of about 0.12
    # about 1, so that each case fails by chance with probability below 1e-4.
    spec = specification(**CASES[case])
    full, expansion, rows = expanded(spec)
    points = draws_near(expansion, 16, 3)
    exact, ratios = full.values(points), []
    for seed in range(24):
        density = sampled(spec, expansion, rows, 1000, seed)
        error = exact - density.values(points)
        ratios.append(np.square(error - error.mean()).sum() / np.square(density.errors(points)).sum())
    assert 0.55 < np.mean(ratios) < 1.6


def test_it_is_unbiased() -> None:
    # The mean error over 60 samples at each of 8 points is within 4.5 standard errors: chance failure below 1e-4.
    spec = specification()
    full, expansion, rows = expanded(spec)
    points = draws_near(expansion, 8, 4, size=2.0)
    exact = full.values(points)
    errors = np.array([sampled(spec, expansion, rows, 500, seed).values(points) - exact for seed in range(60)])
    assert (np.abs(errors.mean(axis=0)) < 4.5 * errors.std(axis=0, ddof=1) / np.sqrt(60)).all()


def test_rows_are_drawn_by_their_probabilities() -> None:
    _, _, rows = expanded(specification(weighted=True))
    drawn = rows.draw(200_000, np.random.default_rng(5))
    assert rows.probabilities.sum() == pytest.approx(1.0)
    assert not rows.probabilities[rows.design.totals == 0].any()
    largest = np.argsort(rows.probabilities)[-2000:]
    share = rows.probabilities[largest].sum()
    assert np.isin(drawn, largest).mean() == pytest.approx(share, abs=5 * np.sqrt(share / 200_000))


def rare_flag() -> Specification:
    rng = np.random.default_rng(6)
    X = np.column_stack([rng.normal(size=N), np.zeros(N)])
    X[rng.choice(N, 40, replace=False), 1] = 1.0
    y = (X @ np.array([[0.5, -0.5, 0.0], [2.0, 0.0, -2.0]]) + rng.gumbel(size=(N, K))).argmax(axis=1)
    return bs.SoftmaxRegression(X, y, prior=bs.Normal(5.0))._spec


def test_leverage_finds_a_rare_feature_and_a_uniform_sample_does_not() -> None:
    spec = rare_flag()
    full, expansion, rows = expanded(spec)
    points = draws_near(expansion, 64, 7)
    exact = full.values(points)

    def errors(chances: RowProbabilities) -> tuple[float, float]:
        """Over twelve samples the median error, and the root mean square of its ratio to the one predicted."""
        found, predicted = [], []
        for seed in range(12):
            density = sampled(spec, expansion, chances, 500, seed)
            found.append(np.std(exact - density.values(points)))
            predicted.append(np.sqrt(np.square(density.errors(points)).mean()))
        return float(np.median(found)), float(np.sqrt(np.mean(np.square(np.divide(found, predicted)))))

    found, ratio = errors(rows)
    assert 0.5 < ratio < 2.0
    uniform, ratio = errors(RowProbabilities(rows.design, np.full(N, 1 / N)))
    assert uniform > 10 * found
    assert ratio > 10.0


def test_planted_biases_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = rare_flag()
    full, expansion, rows = expanded(spec)
    points = draws_near(expansion, 64, 7)
    exact = full.values(points)

    def ratio(chances: RowProbabilities) -> float:
        density = sampled(spec, expansion, chances, 4000, 9)
        return float(np.std(exact - density.values(points)) / np.sqrt(np.square(density.errors(points)).mean()))

    assert ratio(rows) < 1.7
    without = np.where(rows.design.X[:, 1] == 1, 0.0, rows.probabilities)  # rows dropped
    assert ratio(RowProbabilities(rows.design, without / without.sum())) > 3.0
    original = module.sample_of

    def doubled(*arguments: Any) -> Any:  # a wrong N / M
        found = original(*arguments)
        return type(found)(found.design, found.times, found.probabilities / 2.0)

    monkeypatch.setattr(module, "sample_of", doubled)
    assert ratio(rows) > 3.0
