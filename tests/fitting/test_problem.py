"""From a specification to what is maximised, by a solver of that name."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import bayes_softmax as bs
from bayes_softmax.density.jeffreys import JeffreysPosterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fitting.problem import certified, density_of, objective_of, problem_of
from bayes_softmax.fitting.solvers import SOLVERS, SolverOptions, solve
from tests.conftest import simulate


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(*simulate(60, 2, 3))


def test_the_problem_of_a_small_model_is_its_density(model: bs.SoftmaxRegression) -> None:
    problem = problem_of(model.specification)
    theta = np.linspace(-1.0, 1.0, problem.density.dimension)
    assert problem.full is problem.density
    assert problem.reduced is None
    assert not problem.has_many_coefficients
    assert_array_equal(problem.lift(theta[None]), theta[None])
    assert (
        problem.density.value(theta) == density_of(model.specification).value(theta) == model.log_density.value(theta)
    )


def test_a_mode_that_needs_no_lifting_is_certified_as_it_is(model: bs.SoftmaxRegression) -> None:
    problem = problem_of(model.specification)
    mode = solve(problem.density, SolverOptions())
    assert certified(model.specification, problem, mode) is mode


def test_jeffreys_prior_is_added_to_the_density_of_the_rows() -> None:
    for prior, kind in ((None, SoftmaxPosterior), (bs.Jeffreys(), JeffreysPosterior)):
        spec = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=prior).specification
        assert type(objective_of(spec, density_of(spec))) is kind


@pytest.mark.parametrize("prior", [None, bs.Jeffreys()])
def test_all_solvers_find_the_same_optimum(prior: bs.Jeffreys | None) -> None:
    spec = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=prior).specification
    objective = objective_of(spec, density_of(spec))
    values = [solve(objective, SolverOptions(name)).value for name in SOLVERS]
    np.testing.assert_allclose(values, values[0], atol=1e-6)


def test_an_unknown_solver_is_told_the_options(model: bs.SoftmaxRegression) -> None:
    options = ", ".join(map(repr, SOLVERS))
    with pytest.raises(ValueError, match=re.escape(f"solver='newtn' is not known; use one of {options}")):
        model.mle("newtn")
    with pytest.raises(ValueError, match="learning_rate is for solver='gradient-descent', not 'newton'"):
        model.mle(learning_rate=0.1)


def test_a_kink_needs_the_proximal_method() -> None:
    spec = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=bs.Laplace(1.0)).specification
    for solver in set(SOLVERS) - {"newton"}:
        with pytest.raises(ValueError, match=f"solver='{solver}' needs a smooth density"):
            solve(density_of(spec), SolverOptions(solver))


@pytest.mark.parametrize("room", ["door", "prior", "notes", "settings", "labelling"])
def test_what_the_front_door_imports_of_fitting_is_light(room: str, tmp_path: Path) -> None:
    heavy = "'numba', 'pymc', 'nutpie'"
    code = f"import sys, bayes_softmax.fitting.{room}; print(*(m for m in ({heavy}) if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == []
