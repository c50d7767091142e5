"""The log prior of many draws, in NumPy, against the oracle for every prior x coding."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.spec.log_prior import log_prior_draws
from tests import oracle
from tests.cases import all_cases, build


@pytest.mark.parametrize(
    "case", [c for c in all_cases() if c[3] in ("labels", "uncentred", "no intercept")], ids=" / ".join
)
def test_it_is_the_oracle_of_each_draw(case: tuple[str, str, str, str]) -> None:
    model = build(*case)
    thetas = np.random.default_rng(1).normal(size=(4, model._spec.coordinates.dimension))
    parameters = model._spec.coordinates.to_parameters(thetas)
    found = log_prior_draws(model._spec.priors, model._spec.coordinates, parameters)
    expected = [oracle.log_prior(model, b, W) for b, W in zip(*parameters.values(), strict=True)]
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
