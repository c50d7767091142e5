"""Good input in every form gives one fit; bad input is refused by name, and nothing is changed."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(60, 2, 3)
NAMES = np.array(["low", "mid", "top"], dtype=object)[CODES]


def frame() -> pd.DataFrame:
    group = np.where(np.arange(60) % 2 == 0, "p", "q")
    return pd.DataFrame({"y": NAMES, "a": X[:, 0], "b": X[:, 1], "g": group, "w": 1.0 + CODES}, index=range(100, 160))


@pytest.mark.parametrize(
    "y",
    [
        CODES,
        CODES.astype(np.int8),
        CODES.astype(float),
        CODES.tolist(),
        NAMES,
        NAMES.tolist(),
        NAMES.astype("U"),
        pd.Series(NAMES),
        pd.Series(NAMES).astype("category"),
        pl.Series(NAMES.tolist()),
        pl.Series(NAMES.tolist()).cast(pl.Categorical),
        np.eye(3)[CODES],
        np.eye(3, dtype=int)[CODES],
        pd.DataFrame(np.eye(3)[CODES], columns=["low", "mid", "top"]),
        pl.DataFrame(np.eye(3)[CODES], schema=["low", "mid", "top"]),
    ],
    ids=lambda y: f"{type(y).__module__}.{type(y).__name__}",
)
def test_labels_of_every_kind_give_the_same_fit(y: object) -> None:
    fit = bs.SoftmaxRegression(X, y).map()
    assert_allclose(fit.weights, bs.SoftmaxRegression(X, CODES).map().weights, rtol=1e-10)
    assert list(fit.classes) in ([0, 1, 2], ["low", "mid", "top"])


def test_booleans_are_two_classes() -> None:
    model = bs.SoftmaxRegression(X, CODES > 0)
    assert model.classes == (False, True)
    assert model.map().predict(X).dtype == bool


@pytest.mark.parametrize("convert", [lambda d: d, pl.from_pandas], ids=["pandas", "polars"])
def test_frames_of_both_libraries(convert: object) -> None:
    data = convert(frame())  # type: ignore[operator]
    model = bs.SoftmaxRegression.from_formula("y ~ a + g", data, weights="w")
    assert model.feature_names == ("a", "g[T.q]")
    expected = bs.SoftmaxRegression.from_formula("y ~ a + g", frame(), weights=frame()["w"])
    assert_allclose(model.map().weights, expected.map().weights, rtol=1e-12)
    other = bs.SoftmaxRegression(data[["a", "b"]], data["y"])
    assert other.feature_names == ("a", "b")


def test_nothing_is_mutated() -> None:
    data, before = frame(), frame()
    bs.SoftmaxRegression.from_formula("y ~ a + g", data, weights="w").map().predict_proba(data)
    pd.testing.assert_frame_equal(data, before)


def test_several_responses_are_counts() -> None:
    data = frame().assign(**{name: (name == NAMES).astype(int) for name in ("low", "mid", "top")})
    counts = bs.SoftmaxRegression.from_formula("low + mid + top ~ a", data).map()
    assert_allclose(counts.weights, bs.SoftmaxRegression.from_formula("y ~ a", data).map().weights, rtol=1e-10)
    assert counts.classes == ("low", "mid", "top")


def test_no_intercept_formula_centres_nothing() -> None:
    model = bs.SoftmaxRegression.from_formula("y ~ 0 + a + b", frame())
    assert not model._spec.schema.has_intercept
    assert_allclose(model._spec.design.standardisation.centre, 0)
    assert_allclose(model.map().intercept, 0)
    assert "intercept" not in model.map().summary().index.get_level_values(0)


def test_dropped_rows_are_counted_and_everything_is_cut_alike() -> None:
    data = frame()
    data.loc[[103, 110], "a"] = np.nan
    data.loc[120, "y"] = None
    weights = np.arange(1.0, 61.0)
    model = bs.SoftmaxRegression.from_formula("y ~ a + g", data, weights=weights, missing="drop")
    assert model._spec.design.n_dropped == 3
    assert "3 rows with missing values were dropped" in repr(model)
    assert "3 rows" in model.map().notes[0]
    keep = data.notna().all(axis=1).to_numpy()
    expected = bs.SoftmaxRegression.from_formula("y ~ a + g", data[keep], weights=weights[keep])
    assert_allclose(model.map().weights, expected.map().weights, rtol=1e-12)


def test_offset_by_columns_and_by_value() -> None:
    rng = np.random.default_rng(0)
    data = frame().assign(o1=rng.normal(size=60), o2=0.0, o3=rng.normal(size=60))
    named = bs.SoftmaxRegression.from_formula("y ~ a", data, offset=["o1", "o2", "o3"])
    value = data[["o1", "o2", "o3"]].to_numpy()
    given = bs.SoftmaxRegression.from_formula("y ~ a", data, offset=value)
    assert_allclose(named.map().weights, given.map().weights, rtol=1e-12)
    assert_allclose(named.map().predict_proba(data), given.map().predict_proba(data, offset=value), rtol=1e-12)
    with pytest.raises(ValueError, match=r"fitted with an offset; pass offset with shape \(60, 3\)"):
        given.map().predict_proba(data)
    with pytest.raises(ValueError, match="fitted without one"):
        bs.SoftmaxRegression(X, CODES).map().predict_proba(X, offset=value)


def test_declared_classes_may_be_empty_and_the_result_says_so() -> None:
    model = bs.SoftmaxRegression(X, NAMES, classes=["low", "mid", "top", "never"])
    fit = model.map()
    assert fit.converged
    assert "no observation of class 'never'" in fit.notes[0]
    assert fit.predict_proba(X)["never"].max() < 0.2
    with pytest.warns(bs.NotConvergedWarning, match="class 'never' was declared but never observed"):
        model.mle()


def test_unused_categorical_levels_are_classes_with_a_warning() -> None:
    y = pd.Series(pd.Categorical(NAMES, categories=["top", "mid", "low", "spare"]))
    with pytest.warns(bs.UnusedClassWarning, match="there is no observation of class 'spare', kept because"):
        model = bs.SoftmaxRegression(X, y)
    assert model.classes == ("top", "mid", "low", "spare")


def with_value(column: str, value: object, row: int = 107) -> pd.DataFrame:
    data = frame()
    data[column] = data[column].astype(object)
    data.loc[row, column] = value
    return data.infer_objects()


FORMULA_CASES = [
    (with_value("a", np.nan), "y ~ a", ValueError, "column 'a' has a missing value in row 107"),
    (with_value("a", np.inf), "y ~ a", ValueError, "column 'a' is infinite in row 107"),
    (with_value("y", None), "y ~ a", ValueError, "y: the label is missing in row 107"),
    (with_value("g", 3), "y ~ g", TypeError, "column 'g' has dtype object with values of type int, str"),
    (frame(), "y ~ height", ValueError, "data has no column 'height'"),
    (frame().rename(columns={"a": "weight"}), "y ~ weigth", ValueError, "did you mean 'weight'"),
    (frame().assign(a=1.0), "y ~ a + b", ValueError, "column 'a' is constant"),
    (frame().assign(y="low"), "y ~ a", ValueError, "at least two classes are needed, found only one class, 'low'"),
    (frame().iloc[:0], "y ~ a", ValueError, "at least two classes|no rows"),
    (frame(), "a", ValueError, "must have one '~'"),
    (frame(), "y ~ a +", ValueError, "cannot be read"),
    (frame(), "y ~ np.log(a)", ValueError, r"column 'np.log\(a\)' is NaN in rows"),
    (frame(), "y ~ open(a)", ValueError, "function 'open' is not known; use one of"),
    (frame(), "y ~ np.load(a)", ValueError, "'np.load' is not known"),
    (frame(), "y ~ {a.__class__}", ValueError, "'a.__class__' is not known"),
    (frame(), "b ~ a", TypeError, "labels are real numbers"),
    (frame().assign(d=pd.Timestamp("2020-01-01")), "y ~ d", TypeError, "column 'd' has dtype datetime64"),
    ({"y": [1]}, "y ~ a", TypeError, "data is a dict; make it a data frame first"),
]


@pytest.mark.parametrize(("data", "formula", "error", "text"), FORMULA_CASES, ids=[c[3][:30] for c in FORMULA_CASES])
def test_bad_frames_are_refused_by_name(data: pd.DataFrame, formula: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression.from_formula(formula, data)


def nan_at(row: int, column: int, value: float = np.nan) -> np.ndarray:
    changed = X.copy()
    changed[row, column] = value
    return changed


ARRAY_CASES = [
    ((nan_at(5, 1), CODES), {}, ValueError, "column 'x1' is NaN in row 5"),
    ((nan_at(5, 1, np.inf), CODES), {}, ValueError, "column 'x1' is infinite in row 5"),
    ((X, CODES[:-1]), {}, ValueError, "X has 60 rows, but y has 59"),
    ((X[:, 0], CODES), {}, ValueError, r"X has shape \(60,\); expected two dimensions"),
    (
        (X.astype(str), CODES),
        {},
        TypeError,
        "X: column 'x0' is the text .* in row 0; expected real numbers: convert them",
    ),
    ((X, np.zeros(60, int)), {}, ValueError, "found only one class, 0"),
    ((X, X[:, 0]), {}, TypeError, "labels are real numbers"),
    ((X, np.zeros((60, 3, 2))), {}, ValueError, "y has 3 dimensions"),
    ((X, -np.eye(3)[CODES]), {}, ValueError, "count of class . is -1 in rows"),
    (
        (X, [*NAMES[:-1], 3]),
        {},
        TypeError,
        r"of several types, '(low|mid|top)' \(str, row 0\) and 3 \(int, row 59\); use one",
    ),
    (
        (X, NAMES),
        {"classes": ["low", "mid", "tip"]},
        ValueError,
        "unknown label 'top' in rows .*; did you mean 'tip'",
    ),
    ((X, NAMES), {"classes": ["low", "low", "mid"]}, ValueError, "classes names 'low' twice"),
    ((X, CODES), {"weights": -np.ones(60)}, ValueError, "weights is -1 in rows 0, 1"),
    ((X, CODES), {"weights": np.ones(59)}, ValueError, r"weights has shape \(59,\); expected \(60,\)"),
    ((X, CODES), {"weights": np.zeros(60)}, ValueError, "their sum is zero"),
    ((X, CODES), {"weights": "w"}, ValueError, "weights='w' would name a column of a data frame, and the data is none"),
    ((X, CODES), {"offset": np.zeros(60)}, ValueError, r"expected \(N, K\) = \(60, 3\): one number added"),
    ((X, CODES), {"offset": np.full((60, 3), np.nan)}, ValueError, "offset: column '0' is NaN"),
    ((X, CODES), {"feature_names": ["a"]}, ValueError, "feature_names has 1 name, but X has 2 columns"),
    ((X, CODES), {"feature_names": ["a", "a"]}, ValueError, "feature_names has 'a' twice; names must be unique"),
    ((X, CODES), {"coding": "sum"}, ValueError, "coding='sum' is not known"),
    ((X, CODES), {"missing": "ignore"}, ValueError, "missing='ignore' is not known"),
    ((X, CODES), {"prior": 2.0}, TypeError, "prior=2.0 must be Normal"),
    (
        (X, CODES),
        {"prior": {"z": bs.Normal(1)}},
        ValueError,
        "unknown feature 'z'; the features are 'x0', 'x1'",
    ),
    ((X, CODES), {"prior": {"x0": 3}}, TypeError, r"prior\['x0'\]=3 must be"),
    ((X, CODES), {"intercept_prior": 1}, TypeError, "intercept_prior=1 must be"),
    (
        (X, CODES),
        {"intercept": False, "intercept_prior": bs.Flat()},
        ValueError,
        "the model has no intercept",
    ),
    ((X, CODES), {"prior": bs.Flat(), "coding": "full"}, ValueError, "coding='full' needs a proper prior"),
    ((np.ones((60, 1)), CODES), {}, ValueError, "column 'x0' is constant"),
    (
        (pd.DataFrame({"a": X[:, 0], "g": NAMES}), CODES),
        {},
        TypeError,
        r"column 'g' is text \('.*' in row 0\); expected numbers. For factors use a formula",
    ),
    (
        (pd.DataFrame(X), pd.Series(CODES, index=range(1, 61))),
        {},
        ValueError,
        "y is not aligned with X: row 0 is 1 in y",
    ),
    (
        (pd.DataFrame(X), pd.Series(CODES[::-1], index=range(59, -1, -1))),
        {},
        ValueError,
        "y is not aligned with X",
    ),
]


@pytest.mark.parametrize(("arrays", "options", "error", "text"), ARRAY_CASES, ids=[c[3][:35] for c in ARRAY_CASES])
def test_bad_arrays_are_refused_by_name(arrays: tuple, options: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression(*arrays, **options)


@pytest.mark.parametrize("make", [lambda: bs.Normal(0), lambda: bs.Normal(-1.0), lambda: bs.StudentT(0, 1)])
def test_scales_must_be_positive(make: object) -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        make()  # type: ignore[operator]


def test_constant_columns_are_dropped_on_request_and_named() -> None:
    model = bs.SoftmaxRegression(np.column_stack([X, np.ones(60)]), CODES, constant="drop")
    assert model.feature_names == ("x0", "x1")
    assert "columns that do not vary were dropped: 'x2'" in repr(model)
    assert model.map().predict_proba(np.column_stack([X, np.ones(60)])).shape == (60, 3)


PREDICTION_CASES = [
    (
        frame().assign(g="z"),
        ValueError,
        "column 'g' has level 'z' in rows 100, .*not fitted with .levels: 'p', 'q'",
    ),
    (frame().drop(columns="a"), ValueError, "data has no column 'a'"),
    (with_value("a", np.nan), ValueError, "column 'a' has a missing value in row 107"),
    (frame().assign(a="high"), TypeError, "column 'a' has dtype"),
]


@pytest.mark.parametrize(("data", "error", "text"), PREDICTION_CASES, ids=[c[2][:30] for c in PREDICTION_CASES])
def test_bad_new_data_are_refused_by_name(data: pd.DataFrame, error: type[Exception], text: str) -> None:
    fit = bs.SoftmaxRegression.from_formula("y ~ a + g", frame()).map()
    with pytest.raises(error, match=text):
        fit.predict_proba(data)


def test_stateful_transforms_remember_the_training_data() -> None:
    formula = "y ~ center(a) + scale(b) + poly(a, 2) + bs(b, df=4) + a:g"
    fit = bs.SoftmaxRegression.from_formula(formula, frame()).map()
    whole = fit.predict_proba(frame())
    few = fit.predict_proba(frame().iloc[5:9])
    pd.testing.assert_frame_equal(few, whole.iloc[5:9])


IMPROPER = [
    (
        np.array([[-2.0], [-1], [1], [2]]),
        list("aabb"),
        {},
        "complete separation: class 'a' is separated from 'b'",
    ),
    (X, NAMES, {"classes": ["low", "mid", "top", "never"]}, "class 'never' was declared but never observed"),
    (np.column_stack([X, X.sum(axis=1)]), CODES, {}, "linear combinations of the others"),
]


@pytest.mark.parametrize(("features", "y", "options", "text"), IMPROPER, ids=["separated", "empty class", "collinear"])
@pytest.mark.parametrize("engine", ["nuts", "pymc"])
def test_improper_posteriors_are_refused_with_the_reason(
    features: np.ndarray, y: object, options: dict, text: str, engine: str
) -> None:
    model = bs.SoftmaxRegression(features, y, prior=bs.Flat(), intercept_prior=bs.Flat(), **options)
    with pytest.raises(bs.ImproperPosteriorError, match=text):
        model.sample(engine=engine, progressbar=False)


SAMPLE_CASES = [
    ({"draws": 0}, ValueError, "draws=0 must be at least 1"),
    ({"draws": 1.5}, TypeError, "draws=1.5 must be a whole number"),
    ({"tune": -1}, ValueError, "tune=-1 must be at least 1"),
    ({"engine": "stan"}, ValueError, "engine='stan' is not known; use one of 'auto'"),
    ({"target_accept": 1.0}, ValueError, "target_accept=1.0 must be a number between 0 and 1"),
    ({"random_seed": "a"}, TypeError, "random_seed='a' must be"),
]


@pytest.mark.parametrize(("options", "error", "text"), SAMPLE_CASES, ids=[c[2][:25] for c in SAMPLE_CASES])
def test_bad_sampling_options(options: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression(X, CODES).sample(**options)
