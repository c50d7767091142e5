"""``.`` stands for the other columns of the data, as if they were written out; what nobody would write is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

import bayes_softmax as bs
from bayes_softmax.data.formula.stored import encoder_from_data
from bayes_softmax.data.formula.terms import parse_terms
from bayes_softmax.data.schema import schema_from_json

N = 60


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "y": np.resize(list("uvw"), N),
            "x": rng.normal(size=N),
            "z": rng.uniform(1, 2, size=N),
            "g": rng.choice(list("pqr"), N),
            "b": rng.random(N) < 0.5,
            "a b": rng.normal(size=N),
        }
    )


def fitted(formula: str, data: pd.DataFrame, **options: object) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula(formula, data, **options)  # type: ignore[arg-type]


WRITTEN = {
    "y ~ .": "y ~ x + z + g + b + `a b`",
    "y ~ . - x": "y ~ z + g + b + `a b`",
    "y ~ . - (x + `a b`)": "y ~ z + g + b",
    "y ~ 0 + .": "y ~ 0 + x + z + g + b + `a b`",
    "y ~ . - 1": "y ~ x + z + g + b + `a b` - 1",
    "y ~ . + log(z) - z": "y ~ x + g + b + `a b` + log(z)",
    "y ~ .:x": "y ~ x + z:x + g:x + b:x + `a b`:x",
    "y ~ x*. ": "y ~ x*(x + z + g + b + `a b`)",
    "y ~ (.)**2 - `a b`:z": "y ~ (x + z + g + b + `a b`)**2 - `a b`:z",
    "y ~ .^2": "y ~ (x + z + g + b + `a b`)^2",
    "y ~ g + .": "y ~ g + x + z + b + `a b`",
    "y ~ . + .": "y ~ x + z + g + b + `a b`",
    "g ~ . - y": "g ~ x + z + b + `a b`",
    "y ~\n .\n": "y ~ x + z + g + b + `a b`",
}


@pytest.mark.parametrize(("formula", "written"), WRITTEN.items(), ids=WRITTEN.keys())
def test_others_are_as_if_written_out(formula: str, written: str) -> None:
    for data in (frame(), pl.from_pandas(frame())):
        model, peer = fitted(formula, data), fitted(written, data)  # type: ignore[arg-type]
        assert model.feature_names == peer.feature_names
        assert_array_equal(model._spec.design.X, peer._spec.design.X)


def test_columns_that_the_model_uses_otherwise_are_not_among_them() -> None:
    rng = np.random.default_rng(0)
    data = frame().assign(w=rng.integers(1, 4, N), **{c: rng.normal(size=N) for c in ("ou", "ov", "ow")})
    data = data.assign(**dict.fromkeys(("au", "av", "aw"), True))
    model = fitted("y ~ .", data, weights="w", offset=["ou", "ov", "ow"], available={"u": "au", "v": "av", "w": "aw"})
    assert model.feature_names == fitted("y ~ .", frame()).feature_names
    assert fitted("y ~ . - w", data.drop(columns=["au", "av", "aw"]), weights="w").feature_names[-3:] == (
        "ou",
        "ov",
        "ow",
    )
    counts = frame().drop(columns="y").assign(low=rng.poisson(3, N), high=rng.poisson(4, N))
    assert fitted("low + high ~ .", counts).feature_names == fitted("y ~ .", frame()).feature_names


def test_new_data_need_the_columns_of_the_fit_only(tmp_path: Path) -> None:
    data = frame()
    fit = fitted("y ~ . - `a b`", data).map()
    new = data.drop(columns=["y", "a b"]).assign(more="unseen", another=1.0)
    fit.save(tmp_path / "fit.nc")
    for result in (fit, bs.load(tmp_path / "fit.nc")):
        assert result._fitted.schema.input_columns == ("b", "g", "x", "z")
        pd.testing.assert_frame_equal(result.predict_proba(new), fit.predict_proba(data))
        with pytest.raises(ValueError, match="data has no column 'z'"):
            result.predict_proba(new.drop(columns="z"))
    fields = fit._fitted.schema.to_json()
    assert schema_from_json(fields).to_json() == fields


def test_a_file_does_not_say_what_others_are() -> None:
    """Terms are stored as they were at the fit; the text of an older file has no ``.``."""
    encoder = fitted("y ~ .", frame())._spec.schema.encoder.to_data()  # type: ignore[union-attr]
    assert "." not in str(encoder["terms"]).replace("1.0", "")
    older = {key: value for key, value in encoder.items() if key not in ("terms", "edition")}
    with pytest.raises(ValueError, match=r"'\.' in '\.' needs the data"):
        encoder_from_data(older)
    with pytest.raises(ValueError, match="needs the data"):
        parse_terms("x + .")


NAMES = [f"person {i}" for i in range(N)]
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "strings": ({"id": NAMES}, "'.' includes column 'id', which has another level in every row, as an identifier has"),
    "names with a space": ({"the id": NAMES}, "leave it out, '. - `the id`', or name it as a term to keep it"),
    "category": ({"id": pd.Categorical(NAMES)}, "another level in every row"),
    "with missing": ({"id": [None, *NAMES[1:]]}, "another level in every row"),
    "tickets": ({"ticket": [f"t {i // 2 * 2}" for i in range(N - 20)] + NAMES[:20]}, "40 levels in 60 rows"),
    "row numbers": ({"Unnamed: 0": range(N)}, "'Unnamed: 0', which numbers the rows from 0; leave it out"),
    "from one": ({"id": range(1, N + 1)}, "numbers the rows from 1"),
    "empty": ({"e": np.nan}, "'e', which has no value in any row"),
    "nothing": ({"e": [None] * N}, "'e', which has no value in any row"),
    "lists": ({"l": [[1]] * N}, "includes column 'l', which has dtype object with values of type list"),
    "mixed": ({"m": ["a", 1] * (N // 2)}, "'m', which has dtype object with values of type int, str"),
    "dates": ({"d": pd.date_range("2020", periods=N)}, "'d', which has dtype datetime.*; convert it first, or leave"),
    "constant": ({"c": 3.0}, "column 'c' is constant"),
    "missing": ({"m": [None, *range(1, N)]}, "column 'm' has a missing value in row 0"),
}


@pytest.mark.parametrize(("columns", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_nobody_would_write_is_refused(columns: dict[str, object], message: str) -> None:
    data = frame().assign(**columns)  # type: ignore[arg-type]
    name = next(iter(columns))
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        fitted("y ~ .", data)
    assert len(str(raised.value)) < 300
    assert fitted(f"y ~ . - `{name}`", data).feature_names == fitted("y ~ .", frame()).feature_names


def test_a_column_that_is_named_is_the_users_choice() -> None:
    data = frame().assign(name=NAMES, row=range(N))
    for formula, column in (("y ~ . + row + name", "name[T.person 1]"), ("y ~ . + row + x*name", "x:name[T.person 1]")):
        with pytest.warns(UserWarning, match="column 'name' has 60 levels in 60 rows"):
            assert {"row", column} <= set(fitted(formula, data).feature_names)
    few = frame().iloc[[0, 1, 2, 5, 8, 9]].assign(g=list("pqrspq"))
    assert "g[T.s]" in fitted("y ~ . - b", few).feature_names


def test_a_column_given_as_weights_by_value_too_is_refused() -> None:
    data = frame().assign(w=np.resize([1.0, 2.0, 3.0], N))
    with pytest.raises(ValueError, match=r"'w', which is also given as weights; give its name, weights='w', or leave"):
        fitted("y ~ .", data, weights=data["w"])
    assert fitted("y ~ . - w", data, weights=data["w"]).feature_names == fitted("y ~ .", frame()).feature_names
    other = pd.Series(np.ones(N), name="w")
    assert "w" in fitted("y ~ .", data, weights=other).feature_names


MESSAGES = {
    "y ~ . - zz": "there is no term 'zz' to take away; did you mean 'z'",
    "y ~ . - log(z)": "there is no term 'log.z.' to take away",
    "y ~ . + y": "'y' is the response",
    "y ~ . + nowhere": "data has no column 'nowhere'",
    "y ~ log(.)": "cannot be part of an expression",
    "y ~ .x": "data has no column '.x'",
    "y ~ . .": "an operator is expected",
    "y ~ C(.)": "cannot be part of an expression",
}


@pytest.mark.parametrize(("formula", "message"), MESSAGES.items(), ids=MESSAGES.keys())
def test_messages(formula: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(formula, frame())


def test_there_may_be_no_others() -> None:
    with pytest.raises(ValueError, match=r"'\.' stands for the other columns of the data, but there are none"):
        fitted("y ~ .", frame()[["y"]])
    assert fitted("y ~ . - x", frame()[["y", "x"]]).feature_names == ()


def test_a_column_that_appears_twice_is_refused() -> None:
    data = pd.concat([frame(), frame()[["x"]]], axis=1)
    with pytest.raises(ValueError, match="data has 2 columns named 'x'"):
        fitted("y ~ .", data)


def test_many_columns_are_read_quickly() -> None:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(30, 3000))).rename(columns="v{}".format).assign(y=np.resize(list("uv"), 30))
    assert len(fitted("y ~ .", wide).feature_names) == 3000
    with pytest.raises(ValueError, match="more than 10,000 terms"):
        fitted("y ~ .**2", wide)
