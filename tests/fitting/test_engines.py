"""Engines by name, and what a posterior carries whichever of them drew it."""

import inspect
import re

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.fitting.engines import ENGINES, Engine, check_engine, refit_without, sample
from bayes_softmax.fitting.hierarchy import sample_hierarchy
from bayes_softmax.fitting.settings import SamplerSettings
from tests.conftest import simulate

FEW = SamplerSettings(draws=50, tune=50, chains=2, seed=1)


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    X, codes = simulate(60, 2, 3)
    return bs.SoftmaxRegression(X, np.array(["a", "b", "c"])[codes])


def test_an_unknown_engine_is_told_the_options(model: bs.SoftmaxRegression) -> None:
    options = ", ".join(map(repr, ENGINES))
    expected = f"engine='nutz' is not known; use one of {options}; did you mean 'nuts'?"
    with pytest.raises(ValueError, match=re.escape(expected)):
        check_engine("nutz", None)
    with pytest.raises(ValueError, match=re.escape(expected)):
        model.sample(engine="nutz")
    with pytest.raises(TypeError, match=re.escape(f"engine=None must be one of {options}")):
        check_engine(None, None)  # type: ignore[arg-type]


def test_a_step_size_is_for_engines_that_take_steps() -> None:
    for name in ("auto", "nuts", "pymc"):
        check_engine(name, 0.9)
    with pytest.raises(ValueError, match="target_accept is for NUTS; engine='independence' has no step size"):
        check_engine("independence", 0.9)
    with pytest.raises(ValueError, match=r"target_accept=1\.5"):
        check_engine("nuts", 1.5)


def test_every_engine_is_documented() -> None:
    documentation = inspect.getdoc(bs.SoftmaxRegression.sample) or ""
    assert all(f'``"{name}"``' in documentation for name in ENGINES)


def test_learned_scales_have_one_engine_beside_pymc() -> None:
    others = {"pymc", "independence", "subsampled"}
    assert {name for name, engine in ENGINES.items() if engine.learned is not sample_hierarchy} == others
    with pytest.raises(TypeError, match="learned"):
        Engine(sample_hierarchy)  # type: ignore[call-arg]
    model = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=bs.Normal(bs.HalfNormal(1.0)))
    with pytest.warns(bs.NotReliableWarning, match=r"engine='independence' is not.*learned scales.*NUTS was run"):
        post = sample(model._spec, FEW, "independence")
    assert post.engine.startswith("nuts (whitened given the learned scales")


@pytest.mark.parametrize("name", ["auto", "nuts", "independence"])
@pytest.mark.filterwarnings("ignore::bayes_softmax.NotReliableWarning")
def test_an_engine_says_what_drew_and_how_to_fit_again(model: bs.SoftmaxRegression, name: str) -> None:
    found = sample(model._spec, FEW, name)
    assert found.engine.startswith(("nuts (", "independence (") if name != "nuts" else "nuts (")
    assert found.draws.shape == (2, 50, 3, 3)
    assert found.refit is not None
    assert found.engine == found.idata.attrs.get("engine", found.engine)


def test_laplace_can_be_fitted_again_and_the_prior_cannot(model: bs.SoftmaxRegression) -> None:
    assert model.laplace(draws=200, random_seed=1, progressbar=False).refit is not None
    assert model.sample_prior(draws=10, random_seed=1).refit is None


def test_a_fit_without_an_observation_is_the_fit_of_the_other_rows() -> None:
    X, codes = simulate(60, 2, 3)
    scaled = bs.Normal(1.0)  # a default prior would be made from the rows that are left
    options = {"prior": scaled, "intercept_prior": scaled, "collapse": False, "classes": [0, 1, 2]}
    whole = bs.SoftmaxRegression(X, codes, **options)
    rest = bs.SoftmaxRegression(X[1:], codes[1:], **options)
    found = refit_without(whole._spec, 0, int(codes[0]))
    expected = rest.sample(random_seed=1, progressbar=False)
    mean, sd = expected._fitted.draws.mean(axis=(0, 1)), expected._fitted.draws.std(axis=(0, 1))
    np.testing.assert_allclose(found.draws.mean(axis=(0, 1)), mean, atol=0.15 * float(sd.max()))
    np.testing.assert_allclose(found.draws.std(axis=(0, 1)), sd, rtol=0.15)
