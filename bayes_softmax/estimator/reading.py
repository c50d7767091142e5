"""What an estimator is given, as the model reads it: scikit-learn's conventions here, named columns there.

Numbers pass scikit-learn's checks and become an array.  A frame with a column of text or categories becomes a formula
of all its columns, so that factors are dummy-coded, and checked in new data, as everywhere in the package.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from bayes_softmax.core.checks import check_flags, counted, describe_rows, is_number, shown
from bayes_softmax.core.records import AnyArray, FloatArray, IntArray
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import check_finite, column_numbers, is_frame, plain_column
from bayes_softmax.data.plain_labels import plain_label
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.weights import read_numbers
from bayes_softmax.model import SoftmaxRegression

# Missing and infinite numbers are refused here, with their row and column.
NUMBERS: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": False}
CONSTANT = "drop"  # users of pipelines expect a column that does not vary in one fold to be left out


class Given(NamedTuple):
    """Checked training data: a frame or an array, classes in sorted order, and the class of each row."""

    X: Any
    classes: AnyArray
    codes: IntArray
    response_name: str


def read_training(estimator: Any, X: Any, y: Any) -> Given:
    """Check ``X`` and ``y``; sets ``n_features_in_`` and, for a frame, ``feature_names_in_``."""
    name, X = str(getattr(y, "name", None) or "y"), to_pandas_or_numpy(X, "X")
    if isinstance(y, np.ma.MaskedArray):
        y = to_pandas_or_numpy(y, "y")
    _refuse_complex(y, "y")
    if _has_factors(X):
        X, y = validate_data(estimator, X, y, skip_check_array=True)
        y = column_or_1d(y, warn=True)
        _refuse_missing(X)
        if len(X) != len(y):
            raise ValueError(f"X has {counted(len(X), 'row')}, but y has {len(y)}")
    else:
        X, index = _with_numbers(X, "X")
        X, y = validate_data(estimator, X, y, **NUMBERS)
        check_finite(X, _names(estimator, X), pd.RangeIndex(len(X)) if index is None else index, "X")
    return Given(X, *_read_classes(y), name)


def _read_classes(y: AnyArray) -> tuple[AnyArray, IntArray]:
    """Sorted classes, and the class of each row."""
    missing = np.flatnonzero(pd.isna(y)) if y.dtype == object else np.empty(0)
    if missing.size:
        raise ValueError(f"y: the label is missing in {describe_rows(range(len(y)), missing)}; leave out such rows")
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has only one class, {plain_label(classes[0])!r}: SoftmaxClassifier needs at least two")
    return classes, codes


def _has_factors(X: Any) -> bool:
    """Whether ``X`` is a frame with a column of text or categories."""
    if not isinstance(X, pd.DataFrame) or _is_numeric(X):
        return False
    return any(_is_factor(X.iloc[:, j]) for j in range(X.shape[1]))


def _is_numeric(frame: pd.DataFrame) -> bool:
    """Whether all columns hold numbers or booleans of NumPy."""
    return all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in set(frame.dtypes))


def _is_factor(column: pd.Series) -> bool:
    """Whether a column holds text or categories, and not numbers or booleans, be it as objects."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    column = plain_column(column)
    if pd.api.types.is_object_dtype(column):
        return pd.api.types.infer_dtype(column, skipna=True) in ("string", "mixed-integer")
    return pd.api.types.is_string_dtype(column)


def _refuse_missing(frame: pd.DataFrame) -> None:
    """Raise for a missing value, naming column and rows."""
    for j, name in enumerate(frame.columns):
        where = np.flatnonzero(frame.iloc[:, j].isna().to_numpy(dtype=bool))
        if where.size:
            raise ValueError(
                f"X: column {name!r} is NaN, a missing value, in {describe_rows(frame.index, where)}; fill it first, "
                "for example with sklearn.impute.SimpleImputer"
            )


def _with_numbers(X: Any, argument: str) -> tuple[Any, Any]:
    """The data with numbers where objects or text stand for them, named by row and column, and the index of a frame."""
    if isinstance(X, pd.DataFrame):
        if not _is_numeric(X):
            columns = {j: column_numbers(X.iloc[:, j], str(name), argument) for j, name in enumerate(X.columns)}
            X = pd.DataFrame(columns, index=X.index).set_axis(X.columns, axis=1)
        return X, X.index
    if not isinstance(X, np.ndarray) or X.dtype.kind in "biuf" or X.ndim != 2:
        return X, None
    _refuse_complex(X, argument)
    try:
        return X.astype(np.float64), None
    except (ValueError, TypeError):
        i, j, error = _first_wrong(X)
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{argument}: column 'x{j}' is {shown(X[i, j])} in row {i}: {error}; text is read from a data frame"
        ) from None


def _refuse_complex(values: Any, argument: str) -> None:
    """Raise, in scikit-learn's words but without the numbers, for an array of complex numbers."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "c":
        raise ValueError(f"{argument} holds complex numbers. Complex data not supported: pass real numbers")


def _first_wrong(X: AnyArray) -> tuple[int, int, Exception | None]:
    """Row and column of the first entry that is no number, and why."""
    for i, row in enumerate(X.tolist()):
        for j, value in enumerate(row):
            try:
                float(value)
            except (ValueError, TypeError) as error:
                return i, j, error
    return 0, 0, None


def _names(estimator: Any, X: AnyArray) -> list[str]:
    """Names of the columns of an array, or of the frame that it was made of."""
    return list(getattr(estimator, "feature_names_in_", [f"x{j}" for j in range(X.shape[1])]))


def read_weights(sample_weight: Any, n_rows: int) -> FloatArray | None:
    """(N,) frequency weights, or None."""
    if sample_weight is None:
        return None
    if is_number(sample_weight):
        sample_weight = np.full(n_rows, sample_weight)
    weights = read_numbers(sample_weight, "sample_weight")
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight has shape {weights.shape}; expected ({n_rows},)")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ValueError(
            f"sample_weight is {shown(weights[bad[0]])} in {describe_rows(range(n_rows), bad)}; weights must be finite "
            "and not negative"
        )
    if not weights.any():
        raise ValueError("sample_weight is zero in all rows; at least one needs a positive weight")
    return weights


def model_of(estimator: Any, given: Given, weights: FloatArray | None) -> SoftmaxRegression:
    """The model of checked training data, with the estimator's priors and coding."""
    check_flags(fit_intercept=estimator.fit_intercept)
    labels = [plain_label(label) for label in given.classes.tolist()]
    kind = object if isinstance(labels[0], str) else None
    y = pd.Series(np.array(labels, dtype=kind)[given.codes], name=given.response_name)
    arguments: dict[str, Any] = {"classes": labels, "weights": weights, "constant": CONSTANT}
    arguments |= {name: getattr(estimator, name) for name in ("prior", "intercept_prior", "coding")}
    if not isinstance(given.X, pd.DataFrame):
        names = _names(estimator, given.X)
        return SoftmaxRegression(given.X, y, names, intercept=estimator.fit_intercept, **arguments)
    frame = given.X.rename(columns=str)
    response = given.response_name
    while response in frame.columns:
        response += "_"
    formula = _formula(response, frame, intercept=estimator.fit_intercept)
    return SoftmaxRegression.from_formula(formula, frame.assign(**{response: y.to_numpy()}), **arguments)


def _formula(response: str, frame: pd.DataFrame, *, intercept: bool) -> str:
    """``response ~ all columns``."""
    for name in frame.columns:
        if "`" in name or not name:
            raise ValueError(f"X: column {name!r} has no name that a formula can quote in backticks; rename it")
    terms = [f"`{name}`" for name in frame.columns]
    return f"`{response}` ~ {' + '.join(terms if intercept else ['0', *terms])}"


def read_new(estimator: Any, X: Any, schema: Schema) -> tuple[FloatArray, Any, Any]:
    """Features (N, p) of new data, its row index, and which rows have a value that a dropped column never had."""
    X = to_pandas_or_numpy(X, "X")
    if isinstance(schema.encoder, ArrayEncoder):
        X, index = _with_numbers(X, "new X")
        X = validate_data(estimator, X, reset=False, **NUMBERS)
        check_finite(X, _names(estimator, X), pd.RangeIndex(len(X)) if index is None else index, "X")
    else:
        X = validate_data(estimator, X, reset=False, skip_check_array=True)
        if is_frame(X):
            _refuse_missing(X)
    return schema.encode_marked(X)
