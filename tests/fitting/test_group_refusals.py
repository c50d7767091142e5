"""What models with groups answer of their data and density, and what is not for them."""

import numpy as np
import pytest

import bayes_softmax as bs
from tests.answers.test_group_loo import frame, model

CALLS = [
    (lambda made: made.ensemble(2), "ensemble\\(\\) is for the logits of a network"),
    (lambda made: made.choose_prior_scale(), "for models without groups, and this one has 'g'"),
    (lambda made: made.sample(engine="independence"), "is not for models with groups"),
    (lambda made: made.sample(layers="all"), "is for the logits of a network"),
    (lambda made: made.laplace(structure="kron"), "is for the logits of a network"),
]


@pytest.mark.parametrize(("call", "words"), CALLS)
def test_what_is_not_for_groups_is_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError, match=words) as raised:
        call(model(frame()))
    assert len(str(raised.value)) < 300


def test_the_density_is_the_whitened_one_that_is_sampled():
    density = model(frame()).log_density
    value, gradient = density.value_gradient(np.zeros(density.dimension))
    step = 1e-5
    for i in (0, 5, density.dimension - 1):
        ahead, behind = np.zeros(density.dimension), np.zeros(density.dimension)
        ahead[i], behind[i] = step, -step
        difference = (density.value_gradient(ahead)[0] - density.value_gradient(behind)[0]) / (2 * step)
        assert difference == pytest.approx(gradient[i], rel=1e-4, abs=1e-5)
    assert np.isfinite(value)


def test_separation_is_that_of_the_features():
    """Effects do not hide it: the weights have no finite estimate with them either."""
    data = frame()
    overlap = model(data).check_separation()
    assert not overlap.separated
    apart = model(data.assign(x=data.y.map({"a": 0.0, "b": 1.0, "c": 2.0})))
    assert (
        apart.check_separation().pairs
        == bs.SoftmaxRegression.from_formula("y ~ x", data.assign(x=data.y.map({"a": 0.0, "b": 1.0, "c": 2.0})))
        .check_separation()
        .pairs
    )
    assert apart.check_separation().separated
