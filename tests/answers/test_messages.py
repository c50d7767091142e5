"""What the answers refuse, in words: argument, value, what is allowed, and the nearest match."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(60, 2, 3)
DATA = pd.DataFrame(X, columns=["x", "z"]).assign(
    y=np.array(["low", "mid", "top"])[CODES], g=np.where(np.arange(60) % 2 == 0, "p", "q")
)
MODEL = bs.SoftmaxRegression.from_formula("y ~ x + g", DATA)
COST = pd.DataFrame(1.0 - np.eye(3), index=["low", "mid", "top"], columns=["low", "mid", "top"])


@pytest.fixture(scope="module")
def fit() -> bs.PointEstimate:
    return MODEL.map()


REFUSED: dict[str, tuple[Callable[[Any], object], str]] = {
    "class in another case": (
        lambda f: f.summary(vs="Low"),
        r"vs='Low' is not a class; did you mean 'low'\? \(classes: .*; or 'average'\)",
    ),
    "one class twice": (
        lambda f: f.summary(vs=("low", "low")),
        "must be a class, a pair of two classes, or 'av",
    ),
    "a variable in another case": (
        lambda f: f.effects("X"),
        r"features: 'X' is not a variable of the model; did you mean 'x'\? \(variables: 'x', 'g'\)",
    ),
    "a column of a factor": (
        lambda f: f.effects("g[T.q]"),
        r"'g\[T.q\]' is not a variable of the model; did you mean 'g'",
    ),
    "an unknown level": (lambda f: f.effects(at={"g": "r"}), r"at: 'r' is not a level of 'g' \(levels: 'p', 'q'\)$"),
    "a level in another case": (
        lambda f: f.effects(base={"g": "Q"}),
        "base: 'Q' is not a level of 'g'; did you mean 'q'",
    ),
    "text for a number": (lambda f: f.effects(at={"x": "a"}), "at: 'x' is 'a'; expected one finite number"),
    "a base of no variable": (lambda f: f.effects(base="p"), r"base='p' must be a mapping .*, such as {'g': 'p'}"),
    "nothing set": (lambda f: f.contrast({}, {}), "first and second are empty: .*, such as {'x': .*}"),
    "steps without names": (lambda f: f.odds_ratios(per=10), r"per=10 must be a mapping .*, such as {'x': 10}"),
    "a step of a factor": (
        lambda f: f.odds_ratios(per={"g": 1}),
        r"per: 'g' is not a feature; did you mean 'g\[T.q\]'\? \(features: 'x', 'g\[T.q\]'\)",
    ),
    "no step": (lambda f: f.odds_ratios(per={"x": 0}), "per: 'x' has 0; expected a finite number other than 0"),
    "rates without names": (
        lambda f: f.predict_proba(DATA, class_prior=[0.3, 0.3, 0.4]),
        r"class_prior=.* must be a mapping from class to probability, such as {'low': 0.33, 'mid': 0.33, ...}",
    ),
    "rates of NumPy": (
        lambda f: f.predict_proba(DATA, class_prior=dict.fromkeys(MODEL.classes, np.float64(0.25))),
        r"class_prior={'low': 0.25, 'mid': 0.25, 'top': 0.25} must be probabilities that sum to 1 \(sum 0.75\)",
    ),
    "a rate in another case": (
        lambda f: f.predict_proba(DATA, class_prior={"Low": 0.5, "mid": 0.2, "top": 0.3}),
        "class_prior: 'Low' is not a class; did you mean 'low'",
    ),
    "a missing label": (
        lambda f: f.evaluate(DATA.assign(y=[None, *DATA["y"][1:]])),
        "y: the label is missing in row 0; fill it, or pass missing='drop' to leave out such rows$",
    ),
    "costs in an array": (lambda f: f.decide(DATA, cost=np.eye(3)), "cost is of type ndarray; give a pandas DataFrame"),
    "no costs": (lambda f: f.decide(DATA, cost=COST.iloc[:0]), "cost has no rows; give one for each decision"),
    "a decision twice": (
        lambda f: f.decide(DATA, cost=COST.set_axis(["a", "a", "b"])),
        "cost has several rows for decision 'a'; give each decision one row",
    ),
    "a cost of no class": (
        lambda f: f.decide(DATA, cost=COST.rename(columns={"low": "Low"})),
        "cost: 'Low' is not a class; did you mean 'low'",
    ),
    "posteriors without names": (
        lambda f: bs.compare_models([f, f]),
        "posteriors is of type list; give a mapping .*such",
    ),
    "a path of no name": (lambda f: f.save(5), "path=5 must be the name of a file, a str or a Path"),
    "a file of no name": (lambda _: bs.load(5), "path=5 must be the name of a file, a str or a Path"),
}


@pytest.mark.parametrize(("ask", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_says_what_is_allowed(fit: bs.PointEstimate, ask: Callable[[Any], object], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text) as caught:
        ask(fit)
    assert len(str(caught.value)) < 200


def test_a_fit_without_its_data_says_what_can_be_done(fit: bs.PointEstimate, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.nc", data=False)
    bare = bs.load(tmp_path / "fit.nc")
    for ask, advice in (
        (bare.evaluate, r"pass data=\.\.\."),
        (bare.effects, r"pass data=\.\.\."),
        (lambda: bare.evaluate(loo=True), "save it with data=True"),  # takes no new data
    ):
        with pytest.raises(ValueError, match=f"was saved without them .data=False.; {advice}"):
            ask()
    assert bare.evaluate(DATA).n_observations == 60


def test_a_file_of_a_similar_name_is_pointed_to(fit: bs.PointEstimate, tmp_path: Path) -> None:
    fit.save(tmp_path / "penguins.nc")
    (tmp_path / "penguins.csv").write_text("x\n")
    for name in ("penguins", "penguins.zarr", "pengiuns.nc"):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*; did you mean 'penguins.nc'\?"):
            bs.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*/nowhere/fit.nc'$"):
        bs.load(tmp_path / "nowhere" / "fit.nc")


def test_rows_of_several_levels_are_named_without_types_of_numpy() -> None:
    index = pd.MultiIndex.from_product([[1.0, 2.0], ["p", "q"]])
    with pytest.raises(ValueError, match=r"X: column 'a' is NaN in row \(1.0, 'q'\); fill it"):
        bs.SoftmaxRegression(pd.DataFrame({"a": [1.0, np.nan, 3.0, 4.0]}, index=index), ["u", "v", "u", "v"])


def test_a_model_of_many_classes_and_features_has_a_short_summary() -> None:
    rng = np.random.default_rng(0)
    model = bs.SoftmaxRegression(rng.normal(size=(400, 50)), [f"class {k:02d} of many" for k in np.arange(400) % 40])
    text = " ".join(repr(model).split())
    assert "classes: 'class 00 of many' 10, 'class 01 of many' 10" in text
    assert "(and 31 more)" in text
    assert "x10, x11 (and 38 more)" in text
    assert len(repr(model)) < 600
