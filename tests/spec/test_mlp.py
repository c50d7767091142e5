"""What users write for a network and its priors: what is refused, and what the defaults do."""

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from tests.conftest import simulate


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hidden": 0}, r"hidden=0: a layer of 0 units; from 1 to 100000 are possible, and \(\) is the linear model"),
        ({"hidden": (50, -3)}, r"hidden=\(50, -3\): a layer of -3 units"),
        ({"hidden": (10**6,)}, "a layer of 1000000 units"),
        ({"hidden": 2.5}, r"hidden=2.5 must be the number of units in each hidden layer, such as \(50,\)"),
        ({"hidden": (2.5,)}, r"hidden=\(2.5,\): 2.5 is not a whole number of units"),
        ({"hidden": (True,)}, "True is not a whole number of units"),
        ({"hidden": True}, "hidden=True must be"),
        ({"hidden": "50"}, "hidden='50' must be"),
        ({"hidden": None}, "hidden=None must be"),
        ({"hidden": {50}}, r"hidden=\{50\} must be"),
        ({"activation": "thanh"}, "activation='thanh' is not known; use one of 'tanh', .*did you mean 'tanh'"),
        ({"activation": np.tanh}, "activation=<ufunc 'tanh'> must be one of 'tanh', 'relu', 'gelu', 'softplus'"),
        ({"skip": 1}, "skip=1 must be True or False"),
    ],
)
def test_what_is_no_network_is_refused(arguments, said) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        MLP(**arguments)


def test_equal_networks_are_equal_however_they_are_written() -> None:
    assert MLP([50]) == MLP(50) == MLP(np.array([50])) == MLP(np.int64(50)) == MLP()
    assert len({MLP([3, 2]), MLP((3, 2))}) == 1
    assert MLP(skip=np.True_).skip is True


def linear(**options):
    return bs.SoftmaxRegression(*simulate(60, 3, 3), **options)._spec


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ({"hiden_1": bs.Normal(1)}, r"prior: 'hiden_1' is no layer of MLP\(hidden=\(4, 2\).*did you mean 'hidden_1'"),
        ({"hidden_3": None}, "it has 'hidden_1', 'hidden_2', 'weights'"),
        (
            {"hidden_1": bs.Laplace(1)},
            r"prior\['hidden_1'\]=Laplace\(scale=1.0\): hidden_1 of a network can have Normal",
        ),
        (bs.R2D2(), "hidden_1 of a network can have Normal, Flat, or None"),
        (2.0, r"with a scale of 2.0 it is Normal\(2.0\)"),
        (bs.Jeffreys(), "is for linear logits"),
        ({"weights": "normal"}, r"prior\['weights'\]='normal'"),
    ],
)
def test_priors_that_no_layer_can_have_are_refused(prior, said) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        network_specification(linear(), MLP((4, 2)), prior)


def test_a_model_whose_priors_a_network_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="is for linear logits"):
        network_specification(linear(prior=bs.Jeffreys()), MLP())
    with pytest.raises(ValueError, match="a network learns one scale for each layer"):
        network_specification(linear(prior=bs.R2D2()), MLP())
    with pytest.raises(ValueError, match="coding='full' needs a proper prior of the last layer"):
        network_specification(linear(coding="full"), MLP(), bs.Flat())


def test_given_priors_are_those_of_the_layers() -> None:
    spec = network_specification(linear(), MLP((4, 2)), bs.Normal(0.3))
    assert all((scale == 0.3).all() for scale in spec.hidden.scales)
    assert spec.priors.weights == (bs.Normal(0.3),) * 2
    mixed = network_specification(linear(), MLP((4, 2), skip=True), {"hidden_2": bs.Flat(), "weights": bs.Laplace(2)})
    assert np.isinf(mixed.hidden.scales[1]).all()
    assert mixed.priors.weights[:2] == (bs.Laplace(2),) * 2
    assert mixed.priors.weights[2:] == linear().priors.weights


@pytest.mark.parametrize("prior", [None, bs.Normal(0.7)], ids=str)
def test_a_common_unit_shrinks_features_that_hardly_vary(prior) -> None:
    """Pre-activations keep their prior variance over the rows, and a weight per unit has one prior for all features."""
    X, y = simulate(50, 3, 3)
    X = X * [1.0, 0.1, 5.0] + 2.0
    own, common = (
        network_specification(bs.SoftmaxRegression(X, y)._spec, MLP((4, 2), common_unit=flag), prior)
        for flag in (False, True)
    )
    sd = X.std(axis=0)
    per_unit = common.hidden.scales[0][1:] / sd
    np.testing.assert_allclose(per_unit, per_unit[0])
    totals = [np.square(spec.hidden.scales[0][1:]).sum() for spec in (own, common)]
    np.testing.assert_allclose(*totals)
    assert common.hidden.scales[0][0] == own.hidden.scales[0][0]
    np.testing.assert_array_equal(common.hidden.scales[1], own.hidden.scales[1])
    assert common.logits == own.logits
    assert repr(MLP(3, common_unit=True)) == "MLP(hidden=(3,), activation='tanh', skip=False, common_unit=True)"
