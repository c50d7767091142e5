"""What models, fits, scores, verdicts and forecasts say of themselves: lines of a terminal, and HTML."""

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from tests.conftest import simulate
from tests.printed import said

NAMES = ["<b>bold</b>", "a & b", "$x_1$", "é\n", '"quoted"', "%s {0}"]
VOID = {"br", "hr", "img", "meta", "link", "input"}


class Tags(HTMLParser):
    """Checks that tags are closed in order, and keeps those that were seen with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    X, y = simulate(150, 2, len(NAMES))
    data = pd.DataFrame(X, columns=["<script>alert(1)</script>", "$a$ & b"])
    return bs.SoftmaxRegression(data, pd.Series(np.array(NAMES, dtype=object)[y], name="<i>y</i>"))


OBJECTS: dict[str, Callable[[bs.SoftmaxRegression], Any]] = {
    "model": lambda m: m,
    "estimate": lambda m: m.map(),
    "posterior": lambda m: m.laplace(draws=200, random_seed=1, progressbar=False),
    "prior": lambda m: m.sample_prior(draws=100, random_seed=1),
    "evaluation": lambda m: m.map().evaluate(),
    "forecast": lambda m: m.forecast(),
    "separation": lambda m: m.check_separation(),
    "table": lambda m: m.map().summary(),
    "table of classes": lambda m: m.map().predict_proba(np.zeros((2, 2)), ci_prob=0.9),
    "table of many rows": lambda m: m.map().predict_proba(np.zeros((200, 2))),
}


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_markup_is_closed_escaped_and_self_contained(
    make: Callable[[bs.SoftmaxRegression], Any], model: bs.SoftmaxRegression
) -> None:
    thing = make(model)
    markup = thing._repr_html_()
    tags = Tags()
    tags.feed(markup)
    assert not tags.open
    assert not tags.seen & {"script", "link", "img", "iframe", "i", "b", "object"}
    styles = " ".join(value or "" for name, value in tags.attributes if name == "style")
    assert not re.search(r"background|#[0-9a-f]{3}|rgb|url|black|white", styles)  # colours are those of the page
    assert {name for name, _ in tags.attributes} <= {
        "class",
        "style",
        "border",
        "rowspan",
        "colspan",
        "halign",
        "valign",
    }
    assert "mathjax_ignore" in markup
    assert not re.search(r"\$(?!</span>)", markup)  # no dollar sign begins mathematics


@pytest.mark.parametrize("make", list(OBJECTS.values())[:7], ids=list(OBJECTS)[:7])
def test_lines_fit_into_the_terminal(
    make: Callable[[bs.SoftmaxRegression], Any], model: bs.SoftmaxRegression, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = make(model)
    for width in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        assert max(map(len, repr(thing).splitlines())) <= width
    first, *_ = repr(thing).splitlines()
    assert first in text_of(thing._repr_html_())


def test_long_lists_are_counted_and_unfold() -> None:
    X, y = simulate(400, 30, 26)
    model = bs.SoftmaxRegression(X, np.array([f"class {k:02d}" for k in range(26)])[y])
    assert "(and 18 more)" in said(model)  # features
    assert "class 25" not in repr(model)
    assert len(repr(model).splitlines()) < 12
    markup = model._repr_html_()
    assert markup.count("<details") == 2
    assert "class 25" in text_of(markup)
    assert "x29" in text_of(markup)


def test_an_evaluation_unfolds_its_tables(model: bs.SoftmaxRegression) -> None:
    markup = model.map().evaluate()._repr_html_()
    assert markup.count("<table") == 2
    assert "balanced_accuracy" in text_of(markup)


def test_messages_on_separation_are_short_and_say_where_all_is() -> None:
    """26 classes, each alone on its feature: once, 4137 characters."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(26), 4)
    X = np.eye(26)[group] + rng.normal(size=(104, 26)) * 0.01
    names = np.array([f"a class with a rather long name, number {k}" for k in range(26)])
    model = bs.SoftmaxRegression(
        X, names[group], feature_names=[f"a feature with a long name, number {j}" for j in range(26)]
    )
    with pytest.warns(bs.NotConvergedWarning) as caught:
        mle = model.mle()
    (warning,) = caught
    assert len(str(warning.message)) < 600
    assert "model.check_separation() names more" in str(warning.message)
    assert len(repr(mle).splitlines()) < 20
    found = model.check_separation()
    assert len(repr(found).splitlines()) < 25
    assert len(found.features) > 20
    assert "number 25" in text_of(found._repr_html_())


def test_numbers_of_observations_are_whole() -> None:
    data = np.array([[0.0], [1.0], [2.0]]), np.array([[2_000_000, 1], [1, 1_000_000], [5, 5]])
    model = bs.SoftmaxRegression(*data)
    assert "2000006" in repr(model)
    assert "3000012 observations" in repr(model.map().evaluate())
