"""What is refused, with its reason, and what is let through."""

import re

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.core.records import Mode, Status
from bayes_softmax.fitting.problem import problem_of
from bayes_softmax.fitting.refusals import (
    refuse_improper,
    refuse_jeffreys,
    refuse_kink,
    refuse_learned_scales,
    why_uncertified,
)
from bayes_softmax.fitting.settings import LaplaceSettings, SamplerSettings, check_laplace, check_run, refuse_too_many
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.spec.specification import Specification

SEPARATED = ([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
OVERLAPPING = ([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])


def spec_of(data: tuple[list[list[float]], list[str]], **options: object) -> Specification:
    return bs.SoftmaxRegression(*data, **options)._spec


def mode_with(status: Status) -> Mode:
    return Mode(np.zeros(2), 0.0, 0.0, 0.0, 0.0, 1, status, np.zeros(1))


@pytest.mark.parametrize("prior", [bs.Normal(bs.HalfNormal(1.0)), {"x0": bs.R2D2()}])
def test_learned_scales_have_no_mode(prior: object) -> None:
    with pytest.raises(
        ValueError, match=r"^map\(\) needs priors with fixed scales, but .* learns its scale"
    ) as refused:
        refuse_learned_scales(spec_of(OVERLAPPING, prior=prior), "map()")
    assert "Run sample()" in str(refused.value)
    refuse_learned_scales(spec_of(OVERLAPPING), "map()")


def test_jeffreys_prior_is_for_estimates() -> None:
    with pytest.raises(ValueError, match=r"prior=Jeffreys\(\) is for map\(\)"):
        refuse_jeffreys(spec_of(OVERLAPPING, prior=bs.Jeffreys()))
    refuse_jeffreys(spec_of(OVERLAPPING))


def test_a_flat_posterior_of_separated_classes_is_improper() -> None:
    flat = spec_of(SEPARATED, prior=bs.Flat(), intercept_prior=bs.Flat())
    reason = why_uncertified(flat)
    assert reason is not None
    with pytest.raises(bs.ImproperPosteriorError, match=re.escape(f"there is nothing to sample: {reason}. Give")):
        refuse_improper(flat, mode_with(Status.MAX_ITERATIONS))


def test_a_certified_mode_is_a_proof_and_an_uncertified_one_a_warning() -> None:
    refuse_improper(spec_of(OVERLAPPING, prior=bs.Flat(), intercept_prior=bs.Flat()), mode_with(Status.CONVERGED))
    with pytest.warns(bs.NotConvergedWarning, match=f"the mode: {Status.MAX_ITERATIONS.value}"):
        refuse_improper(spec_of(SEPARATED), mode_with(Status.MAX_ITERATIONS))  # proper, whatever the data are


def test_heavy_tails_beside_flat_directions() -> None:
    heavy = {"prior": bs.StudentT(3.0, 1.0), "intercept_prior": bs.Flat()}
    with pytest.raises(bs.ImproperPosteriorError, match="Student-t tails are too heavy"):
        refuse_improper(spec_of(SEPARATED, **heavy), mode_with(Status.CONVERGED))
    refuse_improper(spec_of(OVERLAPPING, **heavy), mode_with(Status.CONVERGED))


def test_a_mode_at_a_kink_names_its_features() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(80, 3)), rng.integers(0, 3, 80)
    X[:, 1] += 2.0 * y
    model = bs.SoftmaxRegression(X, y, ["noise", "signal", "more"], prior=bs.Laplace(0.05))
    spec, problem = model._spec, problem_of(model._spec)
    mode = solve(problem.density, SolverOptions())
    with pytest.raises(ValueError, match=r"kink of the Laplace prior, with weights of 'noise', 'more' exactly zero"):
        refuse_kink(spec, problem, mode)
    refuse_kink(spec, problem, mode._replace(theta=mode.theta + 1.0))


def test_settings_that_cannot_be() -> None:
    check_run(SamplerSettings())
    for wrong, text in [({"draws": 0}, "draws=0"), ({"chains": -1}, "chains=-1"), ({"cores": 0}, "cores=0")]:
        with pytest.raises(ValueError, match=text):
            check_run(SamplerSettings(**wrong))
    with pytest.raises(TypeError, match="progressbar"):
        check_run(SamplerSettings(progressbar="yes"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="draws=99 must be at least 100: fewer weights cannot be judged"):
        check_laplace(LaplaceSettings(99))


def test_draws_that_do_not_fit_into_memory() -> None:
    spec = spec_of(OVERLAPPING)
    with pytest.raises(MemoryError, match=r"the draws of sample\(draws=1000000000, chains=4, tune=200\)"):
        refuse_too_many(spec, "sample", 4, 1_000_000_000, 200)
    refuse_too_many(spec, "sample", 4, 1000, 200)
