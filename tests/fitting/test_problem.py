"""From a specification to what is maximised, by a solver of that name."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.special import softmax

import bayes_softmax as bs
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.density.building import build_posterior
from bayes_softmax.density.jeffreys import JeffreysPosterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fitting import door
from bayes_softmax.fitting.problem import COMPILED, certified, density_of, objective_of, problem_of
from bayes_softmax.fitting.scales import prepare_hierarchy
from bayes_softmax.fitting.solvers import SOLVERS, SolverOptions, solve
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.linear import LinearLogits
from bayes_softmax.spec.priors import PriorTable
from bayes_softmax.spec.specification import Specification
from tests.conftest import simulate

FEW: dict[str, Any] = {"draws": 20, "tune": 50, "chains": 2, "cores": 1, "random_seed": 1, "progressbar": False}


def model_of(spec: Specification) -> Any:
    """What has a specification, as a model has."""
    return SimpleNamespace(_spec=spec)


LINEAR_INSIDE = LinearLogits(2, 3)


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(*simulate(60, 2, 3))


def test_the_problem_of_a_small_model_is_its_density(model: bs.SoftmaxRegression) -> None:
    problem = problem_of(model._spec)
    theta = np.linspace(-1.0, 1.0, problem.density.dimension)
    assert problem.full is problem.density
    assert problem.reduced is None
    assert not problem.has_many_coefficients
    assert_array_equal(problem.lift(theta[None]), theta[None])
    assert problem.density.value(theta) == density_of(model._spec).value(theta) == model.log_density.value(theta)


def test_a_mode_that_needs_no_lifting_is_certified_as_it_is(model: bs.SoftmaxRegression) -> None:
    problem = problem_of(model._spec)
    mode = solve(problem.density, SolverOptions())
    assert certified(model._spec, problem, mode) is mode


def test_jeffreys_prior_is_added_to_the_density_of_the_rows() -> None:
    for prior, kind in ((None, SoftmaxPosterior), (bs.Jeffreys(), JeffreysPosterior)):
        spec = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=prior)._spec
        assert type(objective_of(spec, density_of(spec))) is kind


@pytest.mark.parametrize("prior", [None, bs.Jeffreys()])
def test_all_solvers_find_the_same_optimum(prior: bs.Jeffreys | None) -> None:
    spec = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=prior)._spec
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
    spec = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=bs.Laplace(1.0))._spec
    for solver in set(SOLVERS) - {"newton"}:
        with pytest.raises(ValueError, match=f"solver='{solver}' needs a smooth density"):
            solve(density_of(spec), SolverOptions(solver))


@pytest.mark.parametrize("room", ["door", "prior", "notes", "settings", "labelling"])
def test_what_the_front_door_imports_of_fitting_is_light(room: str, tmp_path: Path) -> None:
    heavy = "'numba', 'pymc', 'nutpie'"
    code = f"import sys, bayes_softmax.fitting.{room}; print(*(m for m in ({heavy}) if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == []


@dataclass(frozen=True)
class Bent:
    """Logits that are linear in the hyperbolic tangents of the features; nothing of it is compiled."""

    compiled: str | None = None
    kind: str = "bent"

    def __getattr__(self, name: str) -> Any:  # names and shapes of the parameters
        return getattr(LINEAR_INSIDE, name)

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        linear = LINEAR_INSIDE.at(parameters)
        return lambda X: linear(np.tanh(X))

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        return LINEAR_INSIDE.expression(np.tanh(X), variables)


def test_a_logit_function_is_fitted_by_its_compiled_part(model: bs.SoftmaxRegression) -> None:
    spec = model._spec
    bent = replace(spec, logits=Bent())
    assert bent.without_priors().logits is bent.logits
    for build in (density_of, problem_of, prepare_hierarchy):
        with pytest.raises(ValueError, match=r"of kind 'bent' have no compiled part \(there is 'linear'\).*'pymc'"):
            build(bent)
        with pytest.raises(ValueError, match="of kind 'bent' have a compiled part 'bend', which is not known"):
            build(replace(spec, logits=Bent("bend")))
    for fit in (
        lambda: door.point_estimate(bent, "map", "newton", None, None),
        lambda: door.sample(model_of(bent), **FEW),
    ):
        with pytest.raises(ValueError, match="have no compiled part"):
            fit()


def test_the_compiled_part_is_looked_up_by_its_name(
    model: bs.SoftmaxRegression, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put into the table under the name of the part builds the density: here of rows that are bent before."""

    def build(design: Design, coordinates: Coordinates, priors: PriorTable) -> SoftmaxPosterior:
        return build_posterior(replace(design, features=DenseFeatures(np.tanh(design.X))), coordinates, priors)

    monkeypatch.setitem(COMPILED, "bend", build)
    bent = replace(model._spec, logits=Bent("bend"))
    estimate = door.point_estimate(bent, "map", "newton", None, None)
    assert estimate.converged
    by_hand = Parameters({name: values.values[None] for name, values in estimate._fitted.values.items()})
    X = model._spec.design.X
    logits = LinearLogits(2, 3).at(by_hand)(np.tanh(X))[:, :, 0].T
    np.testing.assert_allclose(estimate.predict_proba(X), softmax(logits, axis=1), rtol=1e-12)
    assert abs(estimate.cross_entropy - model.map().cross_entropy) > 1e-4


def test_without_a_compiled_part_the_pymc_engine_samples(model: bs.SoftmaxRegression) -> None:
    bent = replace(model._spec, logits=Bent())
    post = door.sample(model_of(bent), engine="pymc", **FEW)
    assert post._fitted.logits == bent.logits
    assert post.predict_proba(model._spec.design.X).shape == (60, 3)
