"""Samples of rows that are read in passes: unbiased, with the error that they predict, whoever reads what when.

Statistical tests state their error rates; their seeds are fixed.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering, samples
from bayes_softmax.density.parts import rows_of
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.subsample.passes import PassSampler, PoissonSample
from bayes_softmax.density.subsample.posterior import Expansion, SubsampledPosterior, posterior_from
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.fitting.streamed_mode import mode_of
from bayes_softmax.spec.specification import Specification

N, K, N_RARE = 20_000, 3, 40


@pytest.fixture(scope="module", autouse=True)
def streaming() -> Iterator[None]:
    """Small data are read in passes; the uniform sample has a tenth of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "IN_MEMORY", 0)
        patch.setattr(samples, "SAMPLE_ROWS", N // 10)
        yield


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N), "flag": 0.0})
    data.loc[rng.choice(N, N_RARE, replace=False), "flag"] = 1.0
    effects = np.array([[0.5, -0.5, 0.0], [0.3, 0.0, -0.3], [2.0, 0.0, -2.0]])
    logits = data[["a", "b", "flag"]].to_numpy() @ effects
    data["w"] = rng.integers(0, 4, N)
    data["s"], data["t"] = rng.normal(size=N), 0.0
    for name in "uvz":
        data[f"has_{name}"] = rng.random(N) < 0.8
    data["has_u"] |= ~(data.has_v | data.has_z)
    offered = data[["has_u", "has_v", "has_z"]].to_numpy()
    code = np.where(offered, logits + rng.gumbel(size=(N, K)), -np.inf).argmax(axis=1)
    data["y"] = np.array(["u", "v", "z"])[code]
    counts = rng.multinomial(5, [0.2, 0.3, 0.5], size=N)
    data["low"], data["mid"], data["high"] = counts.T
    return data


DATA = rows()
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "Student t priors": {"prior": bs.StudentT(3, 0.5)},
    "offset": {"offset": ["s", "t", "t"]},
    "choice sets": {"available": ["has_u", "has_v", "has_z"]},
    "weights": {"weights": "w"},
    "counts": {},
    "reference coding": {"coding": "reference"},
}


def specification(case: str, sizes: tuple[int, ...] = (N,)) -> Specification:
    """The model of a case, whose rows come in frames of some sizes."""
    bounds = np.cumsum([0, *sizes])
    frames = [DATA.iloc[a:b] for a, b in itertools.pairwise(bounds)]
    response = "low + mid + high" if case == "counts" else "y"
    return bs.SoftmaxRegression.from_formula(f"{response} ~ a + b + flag", lambda: frames, **CASES[case])._spec


def expanded(spec: Specification, shift: float = 0.0) -> tuple[SoftmaxPosterior, Expansion]:
    full = density_of(spec)
    point = mode_of(spec, full, SolverOptions()).theta + shift
    value, gradient = full.value_gradient(point)
    return full, Expansion(point, value, gradient, full.hessian(point))


def sampler(spec: Specification, full: SoftmaxPosterior, expansion: Expansion, seed: int) -> PassSampler:
    factors = full.layer_factors(expansion.point)
    assert spec.streamed is not None
    assert factors is not None
    return PassSampler(spec.streamed, factors.inputs * np.trace(factors.outputs), (seed, 7))


def density(spec: Specification, expansion: Expansion, sample: PoissonSample) -> SubsampledPosterior:
    return posterior_from(sample, expansion, spec.priors, spec.coordinates)


def draws_near(expansion: Expansion, n: int, seed: int, size: float = 1.0) -> np.ndarray[Any, Any]:
    """Points of the Laplace approximation."""
    root = np.linalg.cholesky(np.linalg.inv(expansion.hessian))
    z = np.random.default_rng(seed).normal(size=(n, len(root)))
    points: np.ndarray[Any, Any] = expansion.point + size * z @ root.T
    return points


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_it_is_exact_to_second_order_at_the_mode_and_elsewhere(case: str, shift: float) -> None:
    spec = specification(case)
    full, expansion = expanded(spec, shift)
    estimated = density(spec, expansion, sampler(spec, full, expansion, 1).draw(500))
    assert estimated.values(expansion.point[None])[0] == pytest.approx(expansion.value, rel=1e-12)
    direction = np.random.default_rng(2).normal(size=full.dimension)
    points = expansion.point + np.array([[1e-3], [-1e-3]]) * direction
    error = np.abs(full.values(points) - estimated.values(points))  # of what is left, which is of third order
    assert (error < 50 * N * 1e-3**3).all()


@pytest.mark.parametrize("case", CASES)
def test_the_error_is_the_one_that_is_predicted(case: str) -> None:
    # 16 samples x 16 points, which share a sample: the mean ratio of squares has a standard deviation of about 0.15
    # about 1, so that each case fails by chance with probability below 1e-3; the seeds are fixed.
    spec = specification(case)
    full, expansion = expanded(spec)
    points = draws_near(expansion, 16, 3)
    exact, ratios = full.values(points), []
    for seed in range(16):
        estimated = density(spec, expansion, sampler(spec, full, expansion, seed).draw(1000))
        error = exact - estimated.values(points)
        ratios.append(np.square(error - error.mean()).sum() / np.square(estimated.errors(points)).sum())
    assert 0.5 < np.mean(ratios) < 1.7


def test_it_is_unbiased_though_the_sample_misses_the_flag() -> None:
    # The mean error over 40 samples at each of 8 points is within 4.5 standard errors: chance failure below 1e-3.
    spec = specification("plain")
    full, expansion = expanded(spec)
    points = draws_near(expansion, 8, 4, size=2.0)
    exact, errors = full.values(points), []
    for seed in range(40):
        sample = sampler(spec, full, expansion, seed).draw(500)
        assert sample.design.X[:, 2].sum() > 0.9 * N_RARE  # of which a uniform sample of 500 has one
        errors.append(density(spec, expansion, sample).values(points) - exact)
    found = np.array(errors)
    assert (np.abs(found.mean(axis=0)) < 4.5 * found.std(axis=0, ddof=1) / np.sqrt(40)).all()


def test_planted_biases_are_found() -> None:
    # Over 8 samples the root mean square of the ratio of errors has a standard deviation of about 0.15 about 1.
    spec = specification("plain")
    full, expansion = expanded(spec)
    points = draws_near(expansion, 64, 7)
    exact, samples = full.values(points), [sampler(spec, full, expansion, seed).draw(2000) for seed in range(8)]

    def ratio(planted: Callable[[PoissonSample], PoissonSample]) -> float:
        squares = []
        for sample in samples:
            estimated = density(spec, expansion, planted(sample))
            variance = np.var(exact - estimated.values(points))
            squares.append(variance / np.square(estimated.errors(points)).mean())
        return float(np.sqrt(np.mean(squares)))

    def without_flags(fine: PoissonSample) -> PoissonSample:
        others = np.flatnonzero(fine.design.X[:, 2] == 0)
        return PoissonSample(rows_of(fine.design, others), fine.probabilities[others])

    def by_chance(fine: PoissonSample) -> PoissonSample:
        return PoissonSample(fine.design, np.full(len(fine.probabilities), len(fine.probabilities) / N))

    assert ratio(lambda fine: fine) < 1.5
    assert ratio(without_flags) > 3.0  # rows dropped
    assert ratio(lambda fine: PoissonSample(fine.design, fine.probabilities / 2.0)) > 2.0  # a wrong N / M
    assert ratio(by_chance) > 2.0  # drawn by leverage, and counted as if by chance


def test_the_sample_of_fewer_rows_is_part_of_that_of_more_and_one_pass_brings_both() -> None:
    spec = specification("weights")
    full, expansion = expanded(spec)
    drawn = sampler(spec, full, expansion, 1)
    assert spec.streamed is not None
    before = len(spec.streamed.log)
    few, many = drawn.draw(500), drawn.draw(2500)
    assert len(spec.streamed.log) == before + 1
    assert 400 < few.design.n_obs < 600
    assert {row.tobytes() for row in few.design.X} <= {row.tobytes() for row in many.design.X}
    assert (few.design.totals > 0).all()
    drawn.draw(4000)  # more than the first pass brought
    assert len(spec.streamed.log) == before + 2


def test_rows_do_not_depend_on_the_size_of_frames() -> None:
    found = []
    for sizes in ((N,), (7, 0, 12_000, N - 12_007)):
        spec = specification("plain", sizes)
        full, expansion = expanded(spec)
        found.append(sampler(spec, full, expansion, 1).draw(800))
    np.testing.assert_array_equal(found[0].design.X, found[1].design.X)
    np.testing.assert_allclose(found[0].probabilities, found[1].probabilities, rtol=1e-7)
