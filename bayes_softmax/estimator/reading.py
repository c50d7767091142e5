"""What an estimator is given, as the model reads it: scikit-learn's conventions here, named columns there.

Numbers pass scikit-learn's checks and become an array.  A frame with a column of text or categories becomes a formula
of all its columns, so that factors are dummy-coded, and checked in new data, as everywhere in the package.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.checks import check_choice, check_flags, describe_rows, is_number, listed, shown
from bayes_softmax.core.records import AnyArray, FloatArray, IntArray
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.class_columns import class_column_names
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import check_finite, column_numbers, plain_column, require_columns
from bayes_softmax.data.groups.grouping import LEVELS
from bayes_softmax.data.plain_labels import plain_label
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.weights import read_numbers
from bayes_softmax.model import SoftmaxRegression

# Missing and infinite numbers are refused here, with their row and column.
NUMBERS: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": False}
BY_CLASS = ("offset", "available")  # parameters that name a column of X for each class
HANDED_ON = ("prior", "intercept_prior", "coding", "logits")  # to the model, as they are
FILL = "fill it first, for example with sklearn.impute.SimpleImputer, or leave out such rows"
LEVELS_SEED = 1  # of effects of new levels
CONSTANT = "drop"  # users of pipelines expect a column that does not vary in one fold to be left out


class Given(NamedTuple):
    """Checked training data: a frame or an array, classes in sorted order, and the class of each row.

    ``factors`` says whether the features have columns of text or categories.
    """

    X: Any
    classes: AnyArray
    codes: IntArray
    response_name: str
    factors: bool


def read_training(estimator: Any, X: Any, y: Any) -> Given:
    """Check ``X`` and ``y``; sets ``n_features_in_`` and, for a frame, ``feature_names_in_``."""
    name, X = str(getattr(y, "name", None) or "y"), to_pandas_or_numpy(X, "X")
    if isinstance(y, np.ma.MaskedArray):
        y = to_pandas_or_numpy(y, "y")
    _refuse_complex(y, "y")
    factors = _has_factors(X, _named_columns(estimator, X)) or bool(_groups(estimator, X))
    if factors or _has_named(estimator):
        X, y = validate_data(estimator, X, y, skip_check_array=True)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        X = _checked_frame(X, factors=factors)
    else:
        X, index = _with_numbers(X, "X")
        X, y = validate_data(estimator, X, y, **NUMBERS)
        check_finite(X, _names(estimator, X), pd.RangeIndex(len(X)) if index is None else index, "X", if_missing=FILL)
    return Given(X, *_read_classes(y), name, factors)


def _has_named(estimator: Any) -> bool:
    """Whether columns of X hold an offset or choice sets."""
    return estimator.groups is not None or any(getattr(estimator, argument) is not None for argument in BY_CLASS)


def _groups(estimator: Any, X: Any) -> list[str]:
    """Columns of X that are groupings."""
    if estimator.groups is None:
        return []
    given = estimator.groups
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"groups={shown(given)} must name columns of X, as groups='person'; for one level a row beside X there is "
            "SoftmaxRegression"
        )
    if not isinstance(X, pd.DataFrame):
        raise TypeError(f"groups names the columns {listed(names)}, but X is not a data frame")
    require_columns(X, names, "groups: X")
    return list(names)


def _named_columns(estimator: Any, X: Any) -> list[str]:
    """Columns of X that hold offset, choice sets or groups, and are no features."""
    names = _groups(estimator, X)
    for argument in BY_CLASS:
        value = getattr(estimator, argument)
        if value is None:
            continue
        found = class_column_names(value)
        if not found or not all(isinstance(name, str) for name in found):
            raise TypeError(
                f"{argument}={shown(value)} must name columns of X, one for each class: a list, or a mapping from "
                "class to column; arrays are for SoftmaxRegression"
            )
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"{argument} names the columns {listed(found)}, but X is not a data frame")
        require_columns(X, found, f"{argument}: X")
        names += found
    return names


def _checked_frame(X: pd.DataFrame, *, factors: bool) -> pd.DataFrame:
    """A frame without missing values that has rows, of numbers if there are no ``factors``."""
    if not len(X):
        raise ValueError("Found array with 0 sample(s): X has no rows, and SoftmaxClassifier needs at least 1")
    _refuse_missing(X)
    return X if factors else _with_numbers(X, "X")[0]


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


def _has_factors(X: Any, but: list[str]) -> bool:
    """Whether ``X`` is a frame with a column of text or categories, ``but`` for some."""
    if not isinstance(X, pd.DataFrame):
        return False
    if not X.columns.is_unique:
        require_columns(X, map(str, X.columns), "X")  # raises, with the name
    return not _is_numeric(X) and any(_is_factor(X[name]) for name in X.columns if name not in but)


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
                f"X: column {name!r} is NaN, a missing value, in {describe_rows(frame.index, where)}; {FILL}"
            )


def _with_numbers(X: Any, argument: str) -> tuple[Any, Any]:
    """The data with numbers where objects or text stand for them, named by row and column, and the index of a frame."""
    if isinstance(X, pd.DataFrame):
        if not _is_numeric(X):
            X = pd.DataFrame({name: _column_numbers(X[name], name, argument) for name in X.columns}, index=X.index)
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


def _column_numbers(column: pd.Series, name: Any, argument: str) -> FloatArray:
    """Numbers of a column of numbers, booleans, or objects that are numbers."""
    types = pd.api.types
    if not (types.is_numeric_dtype(column) or types.is_bool_dtype(column) or types.is_object_dtype(column)):
        raise TypeError(f"{argument}: column {name!r} has dtype {column.dtype}; expected numbers or booleans")
    return column_numbers(column, str(name), argument)


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
    check_choice("levels", estimator.levels, LEVELS)
    labels = [plain_label(label) for label in given.classes.tolist()]
    kind = object if isinstance(labels[0], str) else None
    y = pd.Series(np.array(labels, dtype=kind)[given.codes], name=given.response_name)
    arguments: dict[str, Any] = {"classes": labels, "weights": weights, "constant": CONSTANT}
    arguments |= {
        name: getattr(estimator, name) for name in ("prior", "intercept_prior", "coding", "logits", *BY_CLASS)
    }
    groups = _groups(estimator, given.X)
    arguments |= {"groups": groups or None, "group_prior": estimator.group_prior}
    intercept = estimator.fit_intercept
    if not isinstance(given.X, pd.DataFrame):
        return SoftmaxRegression(given.X, y, _names(estimator, given.X), intercept=intercept, **arguments)
    frame = given.X.rename(columns=str)
    if not given.factors:
        return SoftmaxRegression(frame, y.to_numpy(), intercept=intercept, **arguments)
    response = given.response_name
    while response in frame.columns:
        response += "_"
    features = [name for name in frame.columns if name not in _named_columns(estimator, frame)]
    formula = _formula(response, features, intercept=intercept)
    return SoftmaxRegression.from_formula(formula, frame.assign(**{response: y.to_numpy()}), **arguments)


def _formula(response: str, features: list[str], *, intercept: bool) -> str:
    """``response ~ features``."""
    for name in features:
        if "`" in name or not name:
            raise ValueError(f"X: column {name!r} has no name that a formula can quote in backticks; rename it")
    terms = [f"`{name}`" for name in features]
    return f"`{response}` ~ {' + '.join([*([] if intercept and terms else [str(int(intercept))]), *terms])}"


def at_levels(estimator: Any, X: Any) -> FloatArray:
    """Log probabilities (N, K) of rows whose levels have the effects that ``levels`` says, drawn from a fixed seed."""
    X = validate_data(estimator, to_pandas_or_numpy(X, "X"), reset=False, skip_check_array=True)
    shares = estimator.result_.predict_proba(X, levels=estimator.levels, random_seed=LEVELS_SEED).to_numpy()
    with np.errstate(divide="ignore"):
        logs: FloatArray = np.log(shares)
    return logs


def read_new(estimator: Any, X: Any, schema: Schema) -> Rows:
    """Encoded rows of new data, marked where a dropped column has a value that it never had in the fit."""
    X, arrays = to_pandas_or_numpy(X, "X"), isinstance(schema.encoder, ArrayEncoder)
    if arrays and not _has_named(estimator):
        X, index = _with_numbers(X, "new X")
        X = validate_data(estimator, X, reset=False, **NUMBERS)
        check_finite(X, _names(estimator, X), pd.RangeIndex(len(X)) if index is None else index, "X", if_missing=FILL)
    else:
        X = validate_data(estimator, X, reset=False, skip_check_array=True)
        if not isinstance(X, pd.DataFrame):
            columns = listed(estimator.feature_names_in_)
            raise TypeError(f"X must be a data frame with the columns of the fit, {columns}, not an array")
        X = _checked_frame(X, factors=not arrays)
    features, index, beyond = schema.encode_marked(X)
    offset = schema.encode_offset(X, None, len(features))
    return Rows(features, index, offset, None, schema.encode_available(X, None, index), beyond)
