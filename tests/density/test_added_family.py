"""One more family of priors is one class and one row in the test cases; an unknown code is never another family."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayes_softmax.density.log_prior import log_prior_gradient
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.priors import LEARNED
from tests.cases import build

CHECKS = (
    "derivatives", "many points", "realisations", "log prior", "random variables", "estimates", "draws from the prior",
    "posteriors", "words",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, str | None]:
    """What went wrong in each check, in a process in which the logistic family was added before the kernel."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.density.added_family"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    checks: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return checks


@pytest.mark.parametrize("check", CHECKS)
def test_a_family_added_from_outside_goes_through_everything(found: dict[str, str | None], check: str) -> None:
    assert set(found) == set(CHECKS)
    assert found[check] is None, found[check]


@pytest.mark.parametrize("code", [LEARNED, 2 * LEARNED, 2 * len(registry.FAMILIES), 2 * len(registry.FAMILIES) + 1, 99])
def test_an_unknown_code_is_no_other_family(code: int) -> None:
    """The compiled density is NaN; whatever is written in NumPy refuses it."""
    density = build("normal", "normal", "zero-sum").log_density
    family = density.data.family.copy()
    family[1] = code
    data, theta = density.data._replace(family=family), np.ones(density.dimension)
    gradient = np.zeros_like(theta)
    assert np.isnan(log_prior_gradient(data, theta, gradient))
    assert np.isnan(gradient).any()
    with pytest.raises(ValueError, match="is the code of no prior family"):
        replace(density, data=data)
    for look_up in (registry.family_at, lambda position: registry.that_are(np.array([position]), "proper")):
        with pytest.raises(ValueError, match="is the code of no prior family"):
            look_up(code // 2)


def test_learned_scales_are_no_rows_of_the_compiled_prior() -> None:
    model = build("learned and fixed", "default", "zero-sum")
    assert model._spec.priors.features.family.tolist().count(LEARNED) == 1
    with pytest.raises(ValueError, match="-1 is the code of no prior family"):
        registry.each(model._spec.priors.features.family)


def test_jeffreys_is_a_prior_of_all_coefficients_and_of_no_row() -> None:
    import bayes_softmax as bs

    model = bs.SoftmaxRegression([[-2.0], [-1.0], [1.0], [2.0]], ["a", "b", "a", "b"], prior=bs.Jeffreys())
    assert model._spec.priors.is_jeffreys
    assert model._spec.priors.weights == (bs.Flat(),)
    assert model._spec.priors.is_proper
    assert not model._spec.priors.flat_features.any()
