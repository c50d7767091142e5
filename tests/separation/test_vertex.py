"""The primal simplex method against HiGHS: the same vertex, or none where there is not just one."""

import numpy as np
import pytest
from scipy.optimize import linprog

from bayes_softmax.separation.vertex import next_vertex


def programs(seed: int, tied: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Constraints of a cone, and two objectives; rounded numbers make optima and vertices that are not simple."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 20))
    inside = rng.normal(size=n)
    A = rng.normal(size=(4 * n, n))
    A[A @ inside < 0] *= -1.0
    objectives = np.array([A.sum(axis=0), A[: n // 2].sum(axis=0)])
    if tied:
        A, objectives = np.round(A), np.round(objectives)
    return A, *(objectives / np.abs(objectives).max(axis=1, keepdims=True))


def optimum(A: np.ndarray, objective: np.ndarray) -> np.ndarray:
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "presolve": False}
    found = linprog(-objective, A_ub=-A, b_ub=np.zeros(len(A)), bounds=(-1, 1), method="highs-ds", options=tight)
    return np.asarray(found.x)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("tied", [False, True])
def test_finds_what_highs_finds(seed: int, tied: bool) -> None:
    A, first, second = programs(seed, tied)
    expected = optimum(A, second)
    found = next_vertex(A, second, optimum(A, first))
    if found is None:
        assert tied
        return
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    # Sizes that are equal at the bounds are equal to the last bit.
    assert (np.abs(found) == 1.0).sum() == (np.abs(np.abs(expected) - 1.0) < 1e-12).sum()


def test_says_nothing_of_an_optimum_that_is_not_the_only_one() -> None:
    A = np.array([[1.0, 0.0]])
    assert next_vertex(A, np.array([1.0, 0.0]), np.array([1.0, 1.0])) is None


def test_starts_at_a_simple_feasible_vertex_only() -> None:
    A, c = np.array([[1.0, -0.5], [0.0, 1.0], [1.0, 1.0]]), np.array([0.5, 1.0])
    assert next_vertex(A, c, np.zeros(2)) is None  # where three constraints meet
    assert next_vertex(A, c, np.array([0.25, 1.0])) is None  # outside
    assert next_vertex(A, c, np.array([0.7, 0.2])) is None  # inside
    assert next_vertex(A, c, np.array([1.0, 0.0])).tolist() == [1.0, 1.0]
