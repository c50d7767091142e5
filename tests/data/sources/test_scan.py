"""The first pass: levels, classes and what does not fit together, as in memory or with the partition's name."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering, head
from tests.data.sources.partitions import model_of, source_of_parts

N = 300
RNG = np.random.default_rng(1)
FRAME = pd.DataFrame({
    "x": RNG.gamma(2, 3, N), "g": RNG.choice(list("pqr"), N), "k": RNG.integers(0, 4, N), "b": RNG.random(N) < 0.5,
    "w": 1.0, "y": RNG.choice(list("abc"), N),
})  # fmt: skip
FORMULA = "y ~ x + g + C(k) + b"


@pytest.fixture(autouse=True)
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are never kept in memory."""
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)


def parts(change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame, number: int = 3) -> list[pd.DataFrame]:
    """Six partitions, one of them changed."""
    found = [FRAME.iloc[i : i + 50] for i in range(0, N, 50)]
    return [change(part) if i == number else part for i, part in enumerate(found)]


# ---------------------------------------------------------------------- partitions that do not fit


REFUSED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, Any], str]] = {
    "text for numbers": (
        lambda f: f.assign(x=f["x"].astype(str)), {},
        r"column 'x' holds numbers \(float64\) in part 0, and text or levels \(str\) in part 3; expected one kind of",
    ),
    "booleans for numbers": (
        lambda f: f.assign(x=f["x"] > 3), {},
        r"'x' holds numbers \(float64\) in part 0, and booleans \(bool\) in part 3",
    ),
    "numbers for levels": (
        lambda f: f.assign(g=1), {},
        r"column 'g' holds text or levels \(str\) in part 0, and numbers \(int64\) in part 3",
    ),
    "levels of another type": (
        lambda f: f.assign(g=pd.Categorical([1] * 50)), {},
        "column 'g' has levels of type str in part 0, and of type int in part 3; expected one type in all partitions",
    ),
    "numbers for labels": (
        lambda f: f.assign(y=1), {},
        r"column 'y' holds text or levels \(str\) in part 0, and numbers \(int64\) in part 3",
    ),
    "no column": (lambda f: f.drop(columns="g"), {}, r"part 3: data has no column 'g' \(columns: 'y', 'b', 'k', 'x'"),
    "no labels": (lambda f: f.drop(columns="y"), {}, "part 3: data has no column 'y'"),
    "missing": (
        lambda f: f.assign(x=np.nan), {}, r"part 3: column 'x' has a missing value in rows 0, .*missing='drop'",
    ),
    "missing label": (lambda f: f.assign(y=None), {}, "part 3: y: the label is missing in rows 0, 1"),
    "infinite": (lambda f: f.assign(x=np.inf), {}, "part 3: column 'x' is infinite in rows 0"),
    "unknown label": (
        lambda f: f.assign(y=np.where(f.index == f.index[7], "ab", f["y"])), {"classes": ["a", "b", "c"]},
        "part 3: y: unknown label 'ab' in row 7",
    ),
    "text for weights": (lambda f: f.assign(w="much"), {"weights": "w"}, "part 3: weights: column 'w' is text"),
    "negative weights": (lambda f: f.assign(w=-1.0), {"weights": "w"}, "part 3: weights is -1 in rows 0"),
    "missing weights": (lambda f: f.assign(w=np.nan), {"weights": "w"}, "part 3: weights is nan in rows 0"),
    "dates": (lambda f: f.assign(x=pd.Timestamp(0)), {}, "part 3: column 'x' has dtype datetime"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_partition_that_does_not_fit_is_named(case: str) -> None:
    change, options, message = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        model_of(FORMULA, source_of_parts(parts(change), piece=30), **options)
    assert len(str(caught.value)) < 300


ACCEPTED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, Any], int]] = {
    "whole numbers": (lambda f: f.assign(x=f["x"].astype(int)), {}, 0),
    "objects": (lambda f: f.astype(object), {}, 0),
    "no rows": (lambda f: f.iloc[:0], {}, 0),
    "no rows of another type": (lambda f: f.iloc[:0].astype(object), {}, 0),
    "one class": (lambda f: f.assign(y="b"), {}, 0),
    "no weight": (lambda f: f.assign(w=0.0), {"weights": "w"}, 0),
    "all missing": (lambda f: f.assign(x=None), {"missing": "drop"}, 50),
    "all levels missing": (lambda f: f.assign(g=None), {"missing": "drop"}, 50),
    "all truths missing": (lambda f: f.assign(b=None), {"missing": "drop"}, 50),
    "all labels missing": (lambda f: f.assign(y=np.nan), {"missing": "drop"}, 50),
    "some missing": (lambda f: f.assign(x=f["x"].where(f["x"] > 2), b=f["b"].astype(object)), {"missing": "drop"}, -1),
    "a new level": (lambda f: f.assign(g="later"), {}, 0),
    "a new class": (lambda f: f.assign(y="later"), {}, 0),
    "a constant": (lambda f: f.assign(x=1.0, g="p", k=0, b=True), {}, 0),
    "categories": (lambda f: f.assign(g=pd.Categorical(f["g"], ["r", "q", "p"])), {}, 0),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_partition_that_fits_makes_the_model_of_all_rows(case: str) -> None:
    change, options, dropped = ACCEPTED[case]
    frames = parts(change)
    of_source = model_of(FORMULA, source_of_parts(frames), **options)
    whole = pd.concat(
        [part.astype({"g": object, "y": object}) for part in frames if len(part)], ignore_index=True
    ).infer_objects()
    of_frame = bs.SoftmaxRegression.from_formula(FORMULA, whole, **options)
    assert str(of_source) == str(of_frame)
    summary = of_source._spec.summary
    assert summary.n_dropped == of_frame._spec.summary.n_dropped
    assert dropped < 0 or summary.n_dropped == dropped
    np.testing.assert_allclose(summary.standardisation.scale, of_frame._spec.summary.standardisation.scale, rtol=1e-12)


def test_the_order_of_levels_is_that_of_their_categories_where_partitions_agree() -> None:
    def levels(categories: list[list[str]], ordered: bool) -> tuple[Any, ...]:
        frames = [
            part.assign(
                g=pd.Categorical(part["g"], categories[i % len(categories)], ordered=ordered),
                y=pd.Categorical(part["y"], ["c", "never", "a", "b"]),
            )
            for i, part in enumerate(parts())
        ]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = model_of("y ~ g", source_of_parts(frames))
        assert [str(one.message) for one in caught] == [
            "y: there is no observation of class 'never', kept because the categorical declares it; only the prior "
            "informs it (pass classes=[...] to choose)"
        ]
        assert model.classes == ("c", "never", "a", "b")
        return model._spec.schema.encoder.variables["g"].levels

    assert levels([["r", "unused", "p", "q"]], ordered=False) == ("r", "p", "q")
    assert levels([["r", "unused", "p", "q"]], ordered=True) == ("r", "p", "q")
    assert levels([["r", "p", "q"], ["q", "r", "p"]], ordered=False) == ("p", "q", "r")  # as pandas joins them


def test_intervals_are_levels_by_their_name() -> None:
    whole = FRAME.assign(x=pd.cut(FRAME["x"], [0, 3, 6, 100]))
    frames = [whole.iloc[i : i + 50] for i in range(0, N, 50)]
    of_frame = bs.SoftmaxRegression.from_formula("y ~ x", whole, collapse=False)
    assert str(model_of("y ~ x", source_of_parts(frames), collapse=False)) == str(of_frame)


# ---------------------------------------------------------------------- as in memory

SAME: dict[str, tuple[pd.DataFrame, str, dict[str, Any]]] = {
    "class without weight": (FRAME.assign(w=1.0 * (FRAME["y"] != "c")), FORMULA, {"weights": "w"}),
    "unused class": (FRAME.assign(y=pd.Categorical(FRAME["y"], list("czba"))), FORMULA, {}),
    "declared class": (FRAME, FORMULA, {"classes": list("abcd")}),
    "constant": (FRAME.assign(x=2.0), FORMULA, {}),
    "constant, left out": (FRAME.assign(x=2.0), FORMULA + " + x:g", {"constant": "drop"}),
    "constant without intercept": (FRAME.assign(x=2.0), "y ~ 0 + x + k", {}),
    "zero without intercept": (FRAME.assign(x=0.0), "y ~ 0 + x + k", {}),
    "one level": (FRAME.assign(g="p"), FORMULA, {}),
    "one level, left out": (FRAME.assign(g="p"), FORMULA, {"constant": "drop"}),
    "far from zero": (FRAME.assign(x=1e9 + FRAME["b"]), FORMULA, {}),
    "too far": (FRAME.assign(x=1e16 + FRAME["b"]), FORMULA, {}),
    "measured response": (FRAME.assign(y=RNG.integers(0, 200, N)), FORMULA, {}),
    "real response": (FRAME.assign(y=RNG.random(N)), FORMULA, {}),
    "truth as response": (FRAME.assign(y=FRAME["b"]), "y ~ x", {}),
    "numbers as response": (FRAME, "k ~ x", {"classes": [3, 2, 1, 0, 4]}),
    "counts": (FRAME, "k + w ~ x + g", {}),
    "identifier": (FRAME.assign(i=[f"i{i}" for i in range(N)]), "y ~ .", {}),
    "numbers of rows": (FRAME.assign(i=range(N)), "y ~ .", {}),
    "no values": (FRAME.assign(e=None), "y ~ .", {}),
    "all others": (FRAME, "y ~ . - w", {}),
    "all others but weights": (FRAME, "y ~ .", {"weights": "w"}),
    "names": (FRAME.rename(columns={"x": "a b", "k": "a.b", "b": "A b"}), "y ~ `a b` * `a.b` + `A b`", {}),
    "interactions": (FRAME, "y ~ x * g * b - x:g:b + I(x > 3)", {}),
    "no intercept": (FRAME, "y ~ 0 + g + x", {}),
    "intercept alone": (FRAME, "y ~ 1", {}),
    "spellings": (FRAME.assign(y=np.where(FRAME["y"] == "a", "B", FRAME["y"])), FORMULA, {}),
    "levels of numbers": (FRAME, "y ~ C(x)", {}),
    "text that looks like numbers": (FRAME.assign(g=(FRAME["x"] * 9).astype(int).astype(str)), "y ~ g", {}),
    "one class": (FRAME.assign(y="a"), FORMULA, {}),
    "no such column": (FRAME, "y ~ xx", {}),
    "response on both sides": (FRAME, "y ~ y", {}),
    "all weights zero": (FRAME.assign(w=0), "k + x ~ g", {"weights": "w"}),
    "large": (FRAME.assign(x=FRAME["x"] * 1e200), FORMULA, {}),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_said_of_rows_is_what_is_said_in_memory(case: str) -> None:
    frame, formula, options = SAME[case]

    def said(data: Any) -> tuple[str, list[str]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                make = bs.SoftmaxRegression.from_formula if isinstance(data, pd.DataFrame) else model_of
                model = make(formula, data, collapse=False, **options)
                prior = model.describe_prior().round(8).to_string()
                text = f"{model}\n{prior}"
            except (ValueError, TypeError) as error:
                text = str(error).removeprefix("part 0: ").removeprefix("data: ")
        return text, [str(one.message) for one in caught]

    frames = [frame.iloc[i : i + 50] for i in range(0, N, 50)]
    found, expected = said(source_of_parts(frames)), said(frame)
    if case == "large":  # no row is known
        assert "has values up to 2.91808e+201 in size; squares of values beyond" in found[0]
    elif case == "all weights zero":
        assert found[0] == "y: all rows have weight or count zero; at least one observation is needed"
    else:
        assert (found[0].removeprefix("data: "), found[1]) == (expected[0].removeprefix("data: "), expected[1])


def test_a_column_that_only_weightless_rows_vary() -> None:
    frame = FRAME.assign(x=np.where(FRAME["b"], 5.0, FRAME["x"]), w=1.0 * FRAME["b"])
    with pytest.raises(ValueError, match="'x' is 5 in every row that counts; it differs only in rows of weight zero"):
        model_of("y ~ x + g", source_of_parts([frame]), weights="w")
    assert model_of("y ~ x + g", source_of_parts([frame]), weights="w", constant="drop").feature_names == (
        "g[T.q]", "g[T.r]",
    )  # fmt: skip


@pytest.mark.parametrize("enough", [50, 10_000])
def test_a_column_of_all_others_may_be_missing_in_the_first_rows(monkeypatch: pytest.MonkeyPatch, enough: int) -> None:
    monkeypatch.setattr(head, "HEAD_ROWS", enough)
    frames = parts(lambda f: f.assign(x=None), number=0)
    assert "x" in model_of("y ~ . - w", source_of_parts(frames), missing="drop").feature_names
    with pytest.raises(ValueError, match=r"'x', which has no value in any row|no rows left"):
        model_of("y ~ . - w", source_of_parts([f.assign(x=None) for f in frames]), missing="drop")
