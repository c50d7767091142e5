"""Networks by PyMC: ``engine="pymc"``, starting points, PyMC's own functions, and posteriors that are refused."""

import numpy as np
import pymc as pm
import pytensor
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytensor import function

import bayes_softmax as bs
from bayes_softmax.core.errors import NotEnoughMemoryError
from bayes_softmax.fitting.networks import random_start
from bayes_softmax.fitting.pymc import _values_at, sample_pymc
from bayes_softmax.fitting.settings import SamplerSettings
from tests.cases import CODINGS
from tests.conftest import simulate

# What PyTensor compiles, Numba may find slow, the first time on a machine.
pytestmark = pytest.mark.filterwarnings("ignore:.*faster on contiguous arrays.*")
X, y = simulate(60, 2, 3)
RUN = {"engine": "pymc", "progressbar": False}


def model(**options) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(X + 5.0, y, **{"logits": bs.MLP((3,), skip=True)} | options)


def starts_of(found: bs.SoftmaxRegression, chains: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.array([random_start(found._spec.network_coordinates, rng) for _ in range(chains)])


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    "prior", [None, {"weights": bs.StudentT(4, 1), "x1": bs.Laplace(0.5)}], ids=["default", "mixed"]
)
def test_starting_points_are_those_of_free_vectors(prior, coding) -> None:
    found = model(coding=coding, prior=prior)
    spec, thetas = found._spec, starts_of(found, 2)
    made = found.pymc_model
    names = [name for name in spec.logits.shapes if name in made.named_vars]
    inputs = {rv.name: rv for rv in made.free_RVs}
    compute = function(list(inputs.values()), [made[n] for n in names], mode="FAST_COMPILE", on_unused_input="ignore")
    expected = spec.network_coordinates.to_parameters(thetas)
    for chain, values in enumerate(_values_at(spec, made, thetas)):
        assert list(values) == list(inputs)
        for name, value in zip(names, compute(*values.values()), strict=True):
            assert_allclose(value, expected[name][chain], rtol=1e-9, atol=1e-9)


@pytest.fixture
def fast():
    """PyMC compiles nothing: a whole run then takes a second."""
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        yield


def test_chains_start_where_they_are_told(fast: None) -> None:
    """After one step from far out in a narrow prior the chains are still nearer to their own starts than to others'."""
    found = model(logits=bs.MLP(2), prior=bs.Normal(1.0), intercept_prior=bs.Normal(1.0))
    thetas = 8.0 * starts_of(found, 2)
    drawn = sample_pymc(found._spec, SamplerSettings(draws=2, tune=1, chains=2, cores=1, seed=1), thetas)
    expected = found._spec.network_coordinates.to_parameters(thetas)["hidden_1"]
    first = drawn.parameters["hidden_1"].reshape(2, 2, *expected.shape[1:])[:, 0]
    own, other = (np.abs(first - at).mean() for at in (expected, expected[::-1]))
    assert own < 0.7 * other


def test_the_engine_pymc_samples_all_layers_and_its_functions_read_them(fast: None) -> None:
    """Names, dimensions, and the posterior predictive of PyMC: 30 draws of 60 rows, five standard errors or more."""
    found = model()
    post = found.sample(15, 10, chains=2, cores=1, random_seed=1, **RUN)
    assert post.engine.startswith("pymc (pm.sample on the pm.Model)")
    names = {"hidden_1", "hidden_1_bias", "weights", "skip", "intercept", "intercept_at_means"}
    assert set(post.idata["posterior"].data_vars) == names
    assert post.idata["posterior"]["hidden_1"].dims == ("chain", "draw", "feature", "unit_1")
    with found.pymc_model:
        drawn = pm.sample_posterior_predictive(post.idata, progressbar=False, random_seed=1)["posterior_predictive"]
    share = (drawn["y"].values[..., None] == np.arange(3)).mean(axis=(0, 1, 2))
    assert_allclose(share, post.predict_proba(X + 5.0).mean(axis=0), atol=0.07)
    graph = pm.model_to_graphviz(found.pymc_model).source
    assert "hidden_1_bias" in graph
    assert "unit_1 (3)" in graph


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prior": bs.Flat()}, r"the prior of 'hidden_1', 'weights', 'skip\[x0\]', 'skip\[x1\]' is Flat\(\)"),
        ({"prior": {"hidden_1": bs.Flat()}}, r"improper, or may be: the prior of 'hidden_1' is Flat\(\)"),
        ({"prior": {"x1": bs.Flat()}}, r"the prior of 'skip\[x1\]' is Flat\(\)"),
        ({"intercept_prior": bs.Flat(), "classes": [0, 1, 2, 3]}, "class 3 was declared but never observed"),
        ({"intercept_prior": bs.Flat(), "prior": {"weights": bs.StudentT(3, 1)}}, "Student-t tails of other weights"),
    ],
)
def test_improper_posteriors_are_refused(options, said) -> None:
    with pytest.raises(bs.ImproperPosteriorError, match=said):
        model(**options).sample(**RUN)


def test_draws_beyond_memory_are_refused_by_the_size_of_all_layers() -> None:
    with pytest.raises(NotEnoughMemoryError, match=r"the draws of sample\(draws=1000000000, chains=4"):
        model().sample(10**9, **RUN)
    post = model().sample_prior(3, random_seed=1)
    again = model().sample_prior(3, rng=1)
    assert_array_equal(post.idata["prior"]["hidden_1"], again.idata["prior"]["hidden_1"])
