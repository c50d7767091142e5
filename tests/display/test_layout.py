"""Every table of the package at 80 columns: nothing is cut, every name and every number can be read."""

import html
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.display.table import Table
from tests.conftest import simulate

WIDTH = 80
LONG_CLASSES = [f"class of a rather long name {k:02d}" for k in range(12)]  # 30 characters
LONG_FEATURES = [f"a_feature_with_a_name_of_forty_letters_{j}" for j in range(3)]


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def frame(n: int, features: list[str], classes: list[Any], seed: int = 0) -> pd.DataFrame:
    X, y = simulate(n, len(features), len(classes), seed)
    return pd.DataFrame(X, columns=features).assign(outcome=[classes[k] for k in y])


DATA: dict[str, tuple[pd.DataFrame, list[Any]]] = {
    "3 x 3": (frame(120, ["age", "income", "height"], ["a", "b", "c"]), ["a", "b", "c"]),
    "6 x 9": (frame(240, [f"measure_{j}" for j in range(9)], list("ABCDEF")), list("ABCDEF")),
    "12 long classes": (frame(300, LONG_FEATURES, LONG_CLASSES), LONG_CLASSES),
    "two classes": (frame(60, ["age", "income"], [False, True]), [False, True]),
    "names of markup": (frame(90, ["<i>x</i>", "$a_1$"], ["<b>", "$&$", "%s"]), ["<b>", "$&$", "%s"]),
}


class Fits:
    """A model of one data set, its estimate and draws, made once."""

    def __init__(self, name: str) -> None:
        self.data, self.classes = DATA[name]
        self.X = self.data.drop(columns="outcome")
        response = pd.Series(pd.Categorical(self.data["outcome"], categories=self.classes), name="outcome")
        self.model = bs.SoftmaxRegression(self.X, response)
        self.map = self.model.map()
        self.draws = self.model.laplace(draws=400, random_seed=1, progressbar=False)
        self.new = self.X.head(3)
        names = ["stay", "a decision with a long name", "go"]
        rng = np.random.default_rng(1)
        self.cost = pd.DataFrame(rng.integers(0, 9, (3, len(self.classes))), index=names, columns=self.classes)


@pytest.fixture(scope="module", params=DATA)
def fits(request: pytest.FixtureRequest) -> Fits:
    return Fits(request.param)


ANSWERS: dict[str, Callable[[Fits], Any]] = {
    "summary": lambda f: f.draws.summary(),
    "summary of an estimate": lambda f: f.map.summary(),
    "summary against a class": lambda f: f.draws.summary(vs=f.classes[0]),
    "compare": lambda f: bs.compare(a=f.map, posterior=f.draws, b=f.map),
    "odds_ratios": lambda f: f.draws.odds_ratios(vs=f.classes[-1]),
    "effects": lambda f: f.draws.effects(),
    "contrast": lambda f: f.map.contrast({f.X.columns[0]: 1.0}, {f.X.columns[0]: 0.0}),
    "predict_proba": lambda f: f.map.predict_proba(f.new),
    "predict_proba with intervals": lambda f: f.draws.predict_proba(f.new, ci_prob=0.9),
    "uncertainty": lambda f: f.draws.uncertainty(f.new),
    "decide": lambda f: f.draws.decide(f.new, cost=f.cost),
    "describe_prior": lambda f: f.model.describe_prior(),
    "scores": lambda f: f.map.evaluate().to_frame(),
    "confusion": lambda f: f.map.evaluate().confusion,
    "calibration": lambda f: f.map.evaluate(n_bins=4).calibration,
    "top_label": lambda f: f.map.evaluate(n_bins=4).top_label,
    "posterior_predictive": lambda f: f.draws.posterior_predictive(n_draws=50, random_seed=1),
    "prior_sensitivity": lambda f: f.draws.prior_sensitivity(),
    "covariance": lambda f: f.map.covariance,
    "direction": lambda f: f.model.check_separation().direction,
    "forecast": lambda f: f.model.forecast().to_frame(),
}
NUMBER = re.compile(r"[<>]?-?(\d+(\.\d+)?(e[+-]\d\d)?|inf)|NaN")


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def names_in(table: pd.DataFrame) -> list[str]:
    labels = [*table.columns, *table.index[:2], *table.index.names, *table.columns.names]
    parts = [part for label in labels for part in (label if isinstance(label, tuple) else (label,))]
    return [str(part) for part in dict.fromkeys(parts) if part is not None]


def pieces_found(name: str, text: str) -> bool:
    """Whether a name is there, in one piece or broken at its signs over lines below each other."""
    pieces = [name] if name in text else re.findall(r"[^\s_\-/.]+[_\-/.]*", name)
    return all(piece in text for piece in pieces)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_every_table_can_be_read(answer: Callable[[Fits], Any], fits: Fits) -> None:
    table = answer(fits)
    assert type(table) is Table
    text = repr(table)
    assert "..." not in text
    assert max(map(len, text.splitlines())) <= WIDTH
    for name in names_in(table):
        assert pieces_found(name, text), (name, text)
    markup = table._repr_html_()
    shown = html.unescape(re.sub(r"<[^>]*>", "", str(markup)))
    for name in names_in(table):
        assert name in shown, name


def test_numbers_are_the_ones_of_the_table(fits: Fits) -> None:
    """Each row of the first block holds its numbers, to the digits that are shown."""
    table = fits.map.summary()
    with pd.option_context("display.max_rows", None):
        text = repr(table)
    first = text.split("\n\n")[0]
    rows = [re.findall(r"(?<=  )-?\d+(?:\.\d+)?(?:e[+-]\d\d)?(?=\s|$)", line)[:4] for line in first.splitlines()]
    numbers = np.array([row for row in rows if len(row) == 4], dtype=float)
    assert numbers.shape == (len(table), 4)
    error = table["std_error"].to_numpy()[:, None]
    assert (np.abs(numbers - table.to_numpy()[:, :4]) <= 0.06 * error).all()


def test_an_infinite_estimate_can_be_read() -> None:
    data = pd.DataFrame({"x": [0.0, 1, 2, 3, 4, 5], "y": list("aaabbb")})
    with pytest.warns(bs.NotConvergedWarning):
        mle = bs.SoftmaxRegression.from_formula("y ~ x", data).mle()
    text = repr(mle.summary())
    assert "-inf" in text
    assert "NaN" in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_groups_of_columns_stay_together(fits: Fits) -> None:
    """The interval of a class is in the block of its mean."""
    text = repr(fits.draws.predict_proba(fits.new, ci_prob=0.9))
    for block in text.split("\n\n"):
        assert squeezed(block).count("mean") == squeezed(block).count("lb") == squeezed(block).count("ub")


def test_wide_terminals_show_one_block(fits: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    text = repr(fits.draws.summary())
    assert "\n\n" not in text
    assert "ess_bulk" in text.splitlines()[0]


def test_probabilities_near_zero_and_one() -> None:
    model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 9, ["a", "b", "a", "b"] * 9)
    table = model.map().predict_proba([[-0.5], [0.0], [15.0], [9000.0]])
    assert table.iloc[3].tolist() == [0.0, 1.0]
    assert table.iloc[2].min() > 0
    assert [line.split()[1:] for line in repr(table).splitlines()[1:]] == [
        [f"{p:.3f}" for p in table.iloc[0]],
        [f"{p:.3f}" for p in table.iloc[1]],
        ["<0.001", ">0.999"],
        ["0", "1"],
    ]


def test_whole_counts_have_no_decimal_point() -> None:
    fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 9, ["a", "b", "a", "a"] * 9).map()
    assert "." not in repr(fit.evaluate().confusion)


def test_rows_and_columns_have_one_order() -> None:
    """Features as in the formula, classes as declared, whatever their alphabetical order."""
    data = frame(120, ["zeta", "alpha", "mid"], ["c", "a", "b"])
    model = bs.SoftmaxRegression.from_formula("outcome ~ zeta + alpha + mid", data, classes=["c", "a", "b"])
    fit = model.laplace(draws=200, random_seed=1, progressbar=False)
    order = ["zeta", "alpha", "mid"]
    for table in (fit.summary(), bs.compare(a=fit), fit.prior_sensitivity()):
        assert table.index.names == ["feature", "contrast"]
        assert table.index.unique("feature").tolist() == ["intercept", *order]
        assert table.index.unique("contrast").tolist() == ["c vs average", "a vs average", "b vs average"]
    assert fit.effects().index.unique("feature").tolist() == order
    assert fit.effects().index.unique("class").tolist() == ["c", "a", "b"]
    assert fit.odds_ratios().index.unique("feature").tolist() == order
    assert model.describe_prior().index.tolist() == ["intercept", *order]
    assert fit.summary().columns[-4:].tolist() == ["ess_bulk", "ess_tail", "r_hat", "mcse_mean"]
    assert fit.evaluate().confusion.columns.tolist() == ["c", "a", "b"]
