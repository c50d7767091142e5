"""Labels of every type are the class they say, or are refused with what labels can be."""

import enum
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(60, 2, 3)
NAMES = np.array(["low", "mid", "top"], dtype=object)[CODES]
EXPECTED = bs.SoftmaxRegression(X, CODES).map().weights.to_numpy()


class Level(enum.StrEnum):
    LOW = "low"
    MID = "mid"
    TOP = "top"


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2
    SIX = 6


class Colour(enum.Enum):
    RED = 1
    BLUE = 2
    PINK = 3


HUGE = np.array([2**63 + 1, 2**63 + 2, 2**64 - 1], dtype=np.uint64)
CUT = pd.cut(CODES.astype(float), [-1, 0.5, 1.5, 3])
DAYS = pd.to_datetime(["2020-01-01", "2021-06-01", "2022-01-01"]).to_numpy()
TAKEN = {
    "uint64 beyond int64": (HUGE[CODES], tuple(HUGE.tolist())),
    "small and huge ints": ([[5, 2**63 + 1, 2**64 - 1][k] for k in CODES], (5, 2**63 + 1, 2**64 - 1)),
    "ints beyond int64": ([int(HUGE[k]) for k in CODES], tuple(HUGE.tolist())),
    "small uint64": (CODES.astype(np.uint64), (0, 1, 2)),
    "int8": (CODES.astype(np.int8), (0, 1, 2)),
    "negative zero": (np.array([-0.0, 1.0, 2.0])[CODES], (0, 1, 2)),
    "whole floats as objects": (CODES.astype(float).astype(object), (0, 1, 2)),
    "pandas Float64": (pd.Series(CODES, dtype="Float64"), (0, 1, 2)),
    "numpy strings": ([np.str_(name) for name in NAMES], ("low", "mid", "top")),
    "StrEnum": ([Level(name) for name in NAMES], ("low", "mid", "top")),
    "IntEnum": ([list(Number)[k] for k in CODES], (1, 2, 6)),
    "pyarrow array": (pa.array(NAMES.tolist()), ("low", "mid", "top")),
    "pyarrow chunks": (pa.chunked_array([NAMES[:20].tolist(), NAMES[20:].tolist()]), ("low", "mid", "top")),
    "pyarrow dictionary": (pa.array(NAMES.tolist()).dictionary_encode(), None),
    "xarray": (xr.DataArray(CODES, dims="obs"), (0, 1, 2)),
    "polars": (pl.Series(NAMES.tolist()), ("low", "mid", "top")),
    "pd.cut": (CUT, ("(-1.0, 0.5]", "(0.5, 1.5]", "(1.5, 3.0]")),
    "categorical of real numbers": (pd.Categorical(CODES + 0.5), ("0.5", "1.5", "2.5")),
    "categorical of whole floats": (pd.Categorical(CODES * 1.0), (0, 1, 2)),
    "categorical of dates": (pd.Categorical(DAYS[CODES]), tuple(str(pd.Timestamp(day)) for day in DAYS)),
    "counts by integer columns": (pd.DataFrame(np.eye(3)[CODES], columns=[7, 8, 9]), (7, 8, 9)),
}


@pytest.mark.parametrize(("y", "classes"), TAKEN.values(), ids=TAKEN)
def test_labels_that_are_taken(y: object, classes: tuple | None, tmp_path) -> None:
    fit = bs.SoftmaxRegression(X, y).map()
    found = fit.classes
    if classes is None:  # in the order of the dictionary
        order = [found.index(name) for name in ("low", "mid", "top")]
    else:
        order = [0, 1, 2]
        assert found == classes
        assert [type(c) for c in found] == [type(c) for c in classes]
    assert_allclose(fit.weights.to_numpy()[:, order], EXPECTED, rtol=1e-8)
    assert fit.evaluate(X, y=y).log_loss == pytest.approx(fit.evaluate().log_loss)
    fit.save(tmp_path / "fit.nc")
    loaded = bs.load(tmp_path / "fit.nc")
    assert loaded.classes == found
    assert (
        loaded.predict(X).tolist()
        == fit.predict(X).tolist()
        == [found[k] for k in fit.predict_proba(X).to_numpy().argmax(1)]
    )
    assert fit.weights["category"].values.tolist() == fit.predict_proba(X).columns.tolist() == list(found)


def test_numpy_booleans_are_booleans() -> None:
    assert bs.SoftmaxRegression(X, [np.bool_(k > 0) for k in CODES]).classes == (False, True)


def test_a_name_of_its_own_type_finds_its_class() -> None:
    fit = bs.SoftmaxRegression(X, CUT).map()
    assert fit.summary(vs=CUT.categories[0]).equals(fit.summary(vs="(-1.0, 0.5]"))
    strings = bs.SoftmaxRegression(X, NAMES, classes=list(Level)).map()
    assert strings.classes == ("low", "mid", "top")
    assert strings.predict_proba(X, class_prior={Level.LOW: 0.2, Level.MID: 0.3, Level.TOP: 0.5}).shape == (60, 3)
    assert bs.SoftmaxRegression(X, CODES, classes=[0.0, 1.0, 2.0]).classes == (0, 1, 2)


TYPES = "class labels are str, int or bool"
REFUSED = {
    "floats beyond 2**53": (np.array([1e19, 2e19, 5.0])[CODES], ValueError, r"y: label 1e\+19 is beyond 2\*\*53"),
    "huge floats": (np.array([1e300, 2e300, 5.0])[CODES], ValueError, r"y: label 1e\+300 is beyond 2\*\*53"),
    "huge floats in a list": ([[1e19, 2e19, 5.0][k] for k in CODES], ValueError, r"y: label 1e\+19 is beyond 2\*\*53"),
    "ints beyond 64 bits": ([[2**70, 1, 2][k] for k in CODES], ValueError, "y: label 1180591620717411303424 is beyond"),
    "both signs": ([[2**63, -1, 2][k] for k in CODES], ValueError, "y: label 9223372036854775808 is beyond 64 bits"),
    "real numbers": (
        CODES + 0.5,
        TypeError,
        rf"y: labels are real numbers \(.*5 in row 0\); {TYPES}. A measured response",
    ),
    "infinite": (np.array([0.0, 1.0, np.inf])[CODES], TypeError, r"y: labels are real numbers \(inf in row "),
    "complex": (CODES + 0j, TypeError, f"y: labels have dtype complex128; {TYPES}"),
    "bytes": (NAMES.astype("S"), TypeError, rf"y: labels have dtype \|S3; {TYPES}: decode them"),
    "bytes in a list": (
        [b"a", b"b"] * 30,
        TypeError,
        f"y: label b'a' in row 0 is of type bytes; {TYPES}: take their text: .label.decode",
    ),
    "plain Enum": (
        [list(Colour)[k] for k in CODES],
        TypeError,
        "y: label <Colour.* in row 0 is of type Colour; .*: take their text: .label.value",
    ),
    "dates": (DAYS[CODES], TypeError, rf"y: labels have dtype datetime64.*; {TYPES}: convert them: .astype\(str\)"),
    "mixed": (
        [*NAMES[:-1], 3],
        TypeError,
        r"y: labels are of several types, .* \(str, row 0\) and 3 \(int, row 59\); use one: .astype\(str\)",
    ),
    "one class": (np.full(60, 2), ValueError, "y: at least two classes are needed, found only one class, 2; name"),
    "twice the same count column": (
        pd.DataFrame(np.eye(3)[CODES], columns=["a", "a", "b"]),
        ValueError,
        "y has 2 columns named 'a'",
    ),
    "count columns of two levels": (
        pd.DataFrame(np.eye(3)[CODES], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])),
        ValueError,
        r"y has columns of 2 levels, such as \(a, 1\)",
    ),
    "nameless polars": (pl.Series(["a", None, "b"] * 20), ValueError, "^y: the label is missing in rows 1, 4"),
}


@pytest.mark.parametrize(("y", "error", "text"), REFUSED.values(), ids=REFUSED)
def test_labels_that_are_refused(y: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression(X, y)


CLASSES = {
    "a number": (5, TypeError, "classes=5 must be a sequence of labels"),
    "a set": ({"low", "mid"}, TypeError, "classes=.* must be a sequence of labels: their order"),
    "a mapping": ({"low": 1}, TypeError, "classes=.* must be a sequence of labels"),
    "two types": ([0, 1, "2"], TypeError, "classes: 0 is of type int and '2' of type str"),
    "real": ([0, 1, 2.5], TypeError, f"classes: 2.5 is of type float; {TYPES}"),
    "missing": ([0, 1, None], TypeError, "classes: None is of type NoneType"),
    "another type": (
        ["0", "1", "2"],
        TypeError,
        "y: labels are of type int, such as 0, but the classes are of type str",
    ),
    "booleans": ([False, True], TypeError, "labels are of type int, such as 0, but the classes are of type bool"),
    "twice": ([0, 1, 1], ValueError, "classes names 1 twice"),
}


@pytest.mark.parametrize(("classes", "error", "text"), CLASSES.values(), ids=CLASSES)
def test_classes_that_are_refused(classes: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression(X, CODES, classes=classes)


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (CODES.astype(str), "labels are of type str, such as '0', but the classes are of type int .0, 1, 2.; convert"),
        (CODES > 0, "labels are of type bool, such as False, but the classes are of type int"),
    ],
)
def test_new_labels_of_another_type_name_both(y: np.ndarray, text: str) -> None:
    fit = bs.SoftmaxRegression(X, CODES).map()
    with pytest.raises(TypeError, match=text):
        fit.evaluate(X, y=y)
    with pytest.raises(ValueError, match="vs='0' is not a class: class 0 is of type int, not str"):
        fit.summary(vs="0")


def test_many_classes_make_a_short_message() -> None:
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(9000, 1)), np.arange(9000) % 3000
    model = bs.SoftmaxRegression(features, [f"class {k}" for k in y])
    with pytest.raises(ValueError, match=r"'class 0', 'class 1', .* \(and 2995 more\)") as caught:
        model._spec.schema.class_position("class 30000")
    assert len(str(caught.value)) < 300
    assert "did you mean 'class 300" in str(caught.value)


def test_weight_zero_is_told_from_absence() -> None:
    for codes, text, note in (
        (CODES, "y: all rows of class 1 have weight zero; only the prior", "all rows of class 1 have weight zero"),
        (
            pd.Categorical(np.where(CODES == 1, 0, CODES), categories=[0, 1, 2]),
            "y: there is no observation of class 1, kept because the categorical",
            "no observation of class 1: only",
        ),
    ):
        with pytest.warns(bs.UnusedClassWarning, match=text):
            model = bs.SoftmaxRegression(X, codes, weights=(CODES != 1) * 1.0)
        assert note in model.map().notes[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.UnusedClassWarning)
        data = pd.DataFrame({"y": NAMES, "g": np.where(NAMES == "top", "r", "p")})
        with pytest.raises(
            ValueError, match=r"'g\[T.r\]' is 0 in every row that counts; it differs only in rows .*, of weight zero"
        ):
            bs.SoftmaxRegression.from_formula("y ~ g", data, weights=(data.g == "p") * 1.0)
