"""A table is a pandas frame of full precision: only what is shown is rounded, whatever is done with it."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.display.digits import Format, chance, estimates
from bayes_softmax.display.table import Table, table_of


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def example() -> Table:
    index = pd.MultiIndex.from_product([["x", "z"], ["a vs b", "c vs b"]], names=["feature", "contrast"])
    columns = {"mean": [1.23456, -0.00012345, np.inf, 12345.678], "sd": [0.0123456, 0.00034, np.nan, 1200.0]}
    return table_of(pd.DataFrame(columns, index=index), estimates("mean", "sd"))


SELECTIONS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda t: t.iloc[1:3],
    "mask": lambda t: t[t["sd"] > 0],
    "label": lambda t: t.loc["x"],
    "cross-section": lambda t: t.xs("a vs b", level="contrast"),
    "one column": lambda t: t[["mean"]],
    "other order": lambda t: t[["sd", "mean"]],
    "head": lambda t: t.head(1),
    "sorted": lambda t: t.sort_values("mean"),
    "query": lambda t: t.query("mean > 0"),
    "renamed": lambda t: t.rename(columns={"mean": "average"}),
    "rounded": lambda t: t.round(3),
    "rounded by column": lambda t: t.round({"mean": 1}),
    "copied": lambda t: copy.deepcopy(t.copy()),
    "pickled": lambda t: pickle.loads(pickle.dumps(t)),
    "concatenated": lambda t: pd.concat([t, t]),
    "arithmetic": lambda t: 1 - 2 * t,
    "transposed": lambda t: t.T,
    "reset": lambda t: t.reset_index(),
    "with text": lambda t: t.assign(word="a  b"),
    "with a list": lambda t: t.assign(word=[[1, 2], None, (3,), {}]),
    "with whole numbers": lambda t: t.assign(n=range(4)),
    "with missing whole numbers": lambda t: t.assign(n=pd.array([1, None, 3, 4], dtype="Int64")),
    "with missing numbers": lambda t: t.assign(n=pd.array([1.5, None, 3, 4], dtype="Float64")),
    "with flags": lambda t: t.assign(flag=[True, False, True, True]),
    "with times": lambda t: t.assign(when=pd.date_range("2020-01-01", periods=4)),
    "with a categorical": lambda t: t.assign(kind=pd.Categorical(list("abab"))),
    "indexed by times": lambda t: t.set_index(pd.date_range("2020-01-01", periods=4)),
    "columns twice": lambda t: pd.concat([t, t], axis=1),
    "no rows": lambda t: t.iloc[:0],
    "no columns": lambda t: t[[]],
    "nothing": lambda t: t.iloc[:0, :0],
    "stacked columns": lambda t: pd.concat({"p": t, "q": t}, axis=1),
    "unstacked": lambda t: t.unstack(),
    "applied": lambda t: t.apply(np.abs),
    "counted": lambda t: t.groupby(level=0).count(),
}


@pytest.mark.parametrize("do", SELECTIONS.values(), ids=SELECTIONS)
def test_it_stays_a_table_and_shows_itself(do: Callable[[Any], Any]) -> None:
    table = do(example())
    plain = do(pd.DataFrame(example()))
    assert type(table) is Table
    pd.testing.assert_frame_equal(pd.DataFrame(table), plain)
    text = repr(table)
    assert "..." not in text
    assert max(map(len, text.splitlines()), default=0) <= 80
    assert "<table" in table._repr_html_()
    assert isinstance(table.to_csv(), str)


def test_digits_come_from_the_error_of_the_row() -> None:
    lines = repr(example()).splitlines()
    cells = [line.split()[-2:] for line in lines[1:]]
    assert cells == [["1.235", "0.012"], ["-0.00012", "0.00034"], ["inf", "NaN"], ["12346", "1200"]]
    assert lines[0].split() == ["feature", "contrast", "mean", "sd"]
    assert lines[1].startswith("x")
    assert lines[2].startswith(" ")


def test_full_precision_is_inside() -> None:
    table = example()
    assert "0.0123456" in table.to_csv()
    assert "1.234560" in table.to_string()  # pandas' own text
    assert type(pd.DataFrame(table)) is pd.DataFrame
    assert type(table["mean"]) is pd.Series


def test_what_is_rounded_shows_all_that_is_left() -> None:
    text = repr(example().round(3))
    assert "1.235" in text
    assert "0.012" in text
    assert "12345.678" in text
    assert repr(example().round(1)).split()[-2:] == ["12345.7", "1200"]


def test_attributes_are_kept_and_the_note_is_shown() -> None:
    table = example()
    table.attrs["note"] = "a long sentence that says " + "what to keep in mind, " * 6
    assert table.head(2).attrs == table.round(2).attrs == table.attrs
    shown = repr(table.round(2)).split("note: ")[1]
    assert " ".join(shown.split()) == table.attrs["note"].strip()
    assert "what to keep in mind" in str(table._repr_html_())


OPTIONS: dict[str, Any] = {
    "display.max_rows": 2,
    "display.min_rows": 1,
    "display.max_columns": 1,
    "display.width": None,
    "display.precision": 1,
    "display.max_colwidth": 3,
    "display.float_format": "{:.1f}".format,
    "display.multi_sparse": False,
    "display.large_repr": "info",
    "display.show_dimensions": True,
    "display.expand_frame_repr": False,
    "display.notebook_repr_html": False,
    "display.unicode.east_asian_width": True,
    "display.chop_threshold": 0.5,
    "display.colheader_justify": "left",
    "mode.copy_on_write": True,
}


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "mode.copy_on_write"])
def test_no_setting_of_pandas_breaks_it(name: str) -> None:
    with pd.option_context(name, OPTIONS[name]):
        text = repr(example())
        html = example()._repr_html_()
    assert "mean" in text
    assert "sd" in text
    assert (html is None) == (name == "display.notebook_repr_html")
    if name == "display.float_format":
        assert text.split()[-2:] == ["12345.7", "1200.0"]


def test_rows_follow_pandas() -> None:
    table = table_of(pd.DataFrame({"p": np.linspace(0, 1, 100)}))
    lines = repr(table).splitlines()
    assert lines[-1] == "[10 of 100 rows]"
    assert len(lines) == 1 + 10 + 1 + 1
    with pd.option_context("display.max_rows", None):
        assert len(repr(table).splitlines()) == 101
    assert str(table._repr_html_()).count("<tr") == 12


def test_many_rows_cost_nothing() -> None:
    """Only the rows that are shown are formatted."""
    table = table_of(pd.DataFrame(np.random.default_rng(0).random((200_000, 30))))
    assert len(repr(table)) < 20_000


def test_names_that_would_move_the_cursor_are_escaped() -> None:
    table = table_of(pd.DataFrame({"a\nb": [0.5], "c\x1b[31m": [0.25]}, index=["\t\u202e"]))
    text = repr(table)
    assert "\\n" in text
    assert "\\x1b" in text
    assert "\\t" in text
    assert "\\u202e" in text
    assert len(text.splitlines()) == 2


def test_wide_characters_are_counted_as_two_cells() -> None:
    table = table_of(pd.DataFrame({"企鹅企鹅": [0.5], "b": [0.25]}, index=["企鹅"]))
    first, second = repr(table).splitlines()
    assert first == "      企鹅企鹅     b"
    assert second == "企鹅       0.5  0.25"


def test_a_table_of_the_package_survives_pandas(posterior: bs.Posterior) -> None:
    table = posterior.summary()
    assert type(table) is Table
    assert type(table.loc["intercept"]) is Table
    assert "eti89_lb" in repr(table.loc["intercept"])
    assert table.to_csv() == pd.DataFrame(table).to_csv()


def test_the_rows_of_a_feature_have_one_notation() -> None:
    index = pd.MultiIndex.from_product([["x", "z"], ["a vs b", "c vs b"]], names=["feature", "contrast"])
    columns = {"mean": [-3.54e-6, -0.0000027, 0.12, 0.00345], "sd": [8e-8, 1.3e-6, 0.02, 0.00012]}
    table = table_of(pd.DataFrame(columns, index=index), estimates("mean", "sd"))
    cells = [line.split()[-2:] for line in repr(table).splitlines()[1:]]
    assert cells == [["-3.540e-06", "8.0e-08"], ["-2.7e-06", "1.3e-06"], ["0.120", "0.020"], ["0.00345", "0.00012"]]
    of_feature = [line.split()[-2:] for line in repr(table.loc["x"]).splitlines()[-2:]]
    assert of_feature == cells[:2]


def test_shares_of_draws_are_never_certain_and_probabilities_may_be() -> None:
    frame = pd.DataFrame({"p_positive": [0.0, 0.25, 1.0, 0.9998, np.nan]})
    lines = [
        repr(table_of(frame, {"p_positive": form})).splitlines()[1:]
        for form in (chance(4000), chance(None), chance(100), Format("share"))
    ]
    texts = [[line.split()[-1] for line in part] for part in lines]
    assert texts[0] == texts[1] == ["<0.001", "0.250", ">0.999", ">0.999", "NaN"]
    assert texts[2][:3] == ["<0.010", "0.250", ">0.990"]
    assert texts[3][:3] == ["0", "0.250", "1"]


def test_a_posterior_calls_no_sign_impossible_and_a_class_not_on_offer_does() -> None:
    X = np.linspace(-2, 2, 60)[:, None]
    y = np.where(X[:, 0] + np.resize([-0.3, 0.3, 0.0], 60) > 0, "b", "a")
    offered = np.ones((60, 2))
    post = bs.SoftmaxRegression(X, y, available=offered).laplace(draws=400, random_seed=1, progressbar=False)
    assert post.summary(vs="a")["p_positive"]["x0"].tolist() == [1.0]
    assert ">0.997" in repr(post.summary(vs="a"))
    assert ">0.997" in repr(post.effects())
    assert ">0.997" in repr(post.odds_ratios(vs="a"))
    alone = post.predict_proba(X[:1], available=np.array([[1, 0]]))
    assert repr(alone).split()[-2:] == ["1", "0"]
