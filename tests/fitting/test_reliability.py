"""What a run says of itself: coefficients that only the intercept bounds, unequal spreads, chains that disagree."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.answers.convergence import seem_mixed
from bayes_softmax.answers.diagnostics import diagnose_chains
from bayes_softmax.fitting.intercept_alone import intercept_alone
from bayes_softmax.fitting.reliability import unequal_spread, warn_of_doubts

QUIET = {"random_seed": 1, "progressbar": False}


@pytest.fixture(scope="module")
def plans() -> pd.DataFrame:
    """200 customers, of whom those of one rare region never chose 'c'."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"plan": rng.choice(["a", "b", "c"], 200), "age": rng.normal(45.0, 12.0, 200)})
    frame["region"] = np.where(np.arange(200) < 6, "Islands", np.where(np.arange(200) % 2, "East", "West"))
    frame.loc[:5, "plan"] = ["a", "b"] * 3
    frame["income"] = rng.normal(5e4, 1e4, 200)
    return frame


def model_of(frame: pd.DataFrame, terms: str = "age + region", **options: object) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula(f"plan ~ {terms}", frame, **options)


@pytest.mark.parametrize("kind", ["map", "laplace", "sample", "nuts"])
def test_a_flat_prior_beside_that_of_the_intercept_is_told(plans: pd.DataFrame, kind: str) -> None:
    model = model_of(plans, prior=bs.Flat())
    run = {
        "map": model.map,
        "laplace": lambda: model.laplace(2000, **QUIET),
        "sample": lambda: model.sample(50, chains=2, **QUIET),
        "nuts": lambda: model.sample(50, chains=2, engine="nuts", **QUIET),
    }[kind]
    with pytest.warns(bs.NotReliableWarning, match="only the prior of the intercept keeps 'region.T.Islands.' finite"):
        fit = run()
    assert "level 'Islands' of 'region' (6 rows) was never observed with 'c'" in fit.notes[0]
    assert "'age'" not in fit.notes[0]


def test_the_note_survives_saving(plans: pd.DataFrame, tmp_path: object) -> None:
    with pytest.warns(bs.NotReliableWarning):
        fit = model_of(plans, prior=bs.Flat()).map()
    fit.save(f"{tmp_path}/fit.nc")
    assert bs.load(f"{tmp_path}/fit.nc").notes == fit.notes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prior": bs.Normal(1.0)},
        {"prior": {"age": bs.Flat()}},
        {"prior": bs.Jeffreys()},
        {"prior": bs.Flat(), "intercept_prior": bs.Flat()},
        {"prior": bs.Normal(bs.HalfNormal(1.0))},
    ],
)
def test_priors_that_bound_what_is_separated_need_no_note(plans: pd.DataFrame, options: dict[str, object]) -> None:
    assert intercept_alone(model_of(plans, **options)._spec) is None


def test_overlapping_data_need_no_note(plans: pd.DataFrame) -> None:
    assert intercept_alone(model_of(plans, "age", prior=bs.Flat())._spec) is None
    assert intercept_alone(model_of(plans, "age", prior={"age": bs.Flat()}, coding="reference")._spec) is None


@pytest.mark.parametrize("prior", [{"region": bs.Flat()}, {"region": bs.Flat(), "age": bs.StudentT(4, 1.0)}])
def test_one_flat_prior_among_others_is_told(plans: pd.DataFrame, prior: dict[str, object]) -> None:
    said = intercept_alone(model_of(plans, prior=prior, intercept_prior=bs.Normal(3.0))._spec)
    assert said is not None
    assert "'region[T.Islands]'" in said


def test_a_declared_class_without_data_is_told(plans: pd.DataFrame) -> None:
    said = intercept_alone(model_of(plans, "age", prior=bs.Flat(), classes=["a", "b", "c", "d"])._spec)
    assert said is not None
    assert "class 'd' was declared but never observed" in said


def test_unequal_spreads_under_one_learned_scale_are_told(plans: pd.DataFrame) -> None:
    learned = bs.Normal(bs.HalfNormal(1.0))
    (note,) = unequal_spread(model_of(plans, "age + income", prior=learned)._spec)
    assert "2 features whose standard deviations differ 1:8" in note
    assert "scale(x) in the formula, or use prior=R2D2()" in note
    assert unequal_spread(model_of(plans, "scale(age) + scale(income)", prior=learned)._spec) == ()
    assert unequal_spread(model_of(plans, "age + income", prior=bs.R2D2())._spec) == ()
    assert unequal_spread(model_of(plans, "age + income")._spec) == ()
    with pytest.warns(bs.NotReliableWarning, match="learns one scale per unit"):
        fit = model_of(plans, "age + income", prior=learned).sample(20, chains=2, **QUIET)
    assert fit.notes[0] == note


def chains_of(correlation: float, rng: np.random.Generator, shift: float = 0.0) -> np.ndarray:
    """Draws (4, 1000, 3) of stationary autoregressions with mean 0, one chain of the last quantity shifted."""
    noise = rng.normal(size=(4, 1000, 3)) * np.sqrt(1.0 - correlation**2)
    draws = np.empty_like(noise)
    draws[:, 0] = rng.normal(size=(4, 3))
    for i in range(1, 1000):
        draws[:, i] = correlation * draws[:, i - 1] + noise[:, i]
    draws[0, :, 2] += shift
    return draws


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize(("correlation", "shift"), [(0.0, 0.0), (0.5, 0.0), (0.9, 0.0), (0.99, 0.0), (0.0, 1.0)])
def test_the_quick_look_misses_no_doubt(correlation: float, shift: float, heavy: bool) -> None:
    for seed in range(5):
        draws = chains_of(correlation, np.random.default_rng(seed), shift)
        draws = np.sinh(3.0 * draws) if heavy else draws
        if seem_mixed(draws):
            assert not diagnose_chains(draws, {}, 0).doubts
            assert correlation < 0.99
            assert not shift
        else:
            assert correlation > 0.5 or shift


def test_chains_of_unequal_width_do_not_seem_mixed() -> None:
    draws = np.random.default_rng(0).normal(size=(4, 1000, 2))
    draws[0] *= 3.0
    assert not seem_mixed(draws)
    draws[:] = np.nan
    assert not seem_mixed(draws)


def test_chains_that_disagree_are_told_once(plans: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        good = model_of(plans, "age").sample(200, chains=2, **QUIET)
    shifted = good.idata.posterior.dataset + xr.DataArray([0.0, 9.0], dims="chain") * (
        good.idata.posterior.dataset.category == "a"
    )
    tree = good.idata.copy()
    tree["posterior"] = xr.DataTree(shifted.assign_attrs(good.idata.posterior.attrs))
    bad = replace(good._fitted, idata=tree)
    with pytest.warns(
        bs.NotReliableWarning, match="not reliable: the chains disagree, with R-hat .*; draw more"
    ) as told:
        warn_of_doubts(bad, "draw more")
    assert len(told) == 1
    short = replace(bad, idata=tree.isel(draw=slice(50)))
    warn_of_doubts(short, "draw more")  # a trial
