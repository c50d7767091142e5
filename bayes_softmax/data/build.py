"""From the user's arguments to a checked :class:`Design` and the :class:`Schema` that reads new data."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import check_flags, counted, shown, times
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.design import Design, Response
from bayes_softmax.data.features import Features
from bayes_softmax.data.finishing import finished_design, raw_design_of
from bayes_softmax.data.formula.columns import as_frame, read_columns
from bayes_softmax.data.formula.dot import terms_of_data
from bayes_softmax.data.formula.encoder import fit_encoder, required_columns
from bayes_softmax.data.formula.rows import formula_features
from bayes_softmax.data.formula.sides import split_formula
from bayes_softmax.data.frames import check_aligned, require_columns
from bayes_softmax.data.groups.bars import split_bars
from bayes_softmax.data.groups.fitting import bars_of, columns_read, fit_groupings, framed, with_group_columns
from bayes_softmax.data.groups.grouping import Grouping, encode_groups
from bayes_softmax.data.labels import count_columns, parse_labels, parse_response
from bayes_softmax.data.missing import without_missing, without_missing_arrays
from bayes_softmax.data.options import BY_ROW, Options, given_options, named_columns, require_named
from bayes_softmax.data.schema import Encoder, Schema
from bayes_softmax.data.weights import read_weights


def design_from_formula(formula: str, data: Any, options: Options) -> tuple[Design, Schema]:
    """Design of ``response ~ terms`` over the columns of a data frame."""
    if isinstance(data, str) and not isinstance(formula, str):
        raise TypeError(f"formula and data are the wrong way round: from_formula({shown(data)}, data)")
    frame = to_pandas_or_numpy(data, "data")
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"data has shape {np.shape(frame)} and no names of columns; a formula needs a data frame: "
            "pandas.DataFrame(data, columns=[...]), or SoftmaxRegression(X, y) for arrays"
        )
    options = given_options(options)
    responses, right = split_formula(formula)
    right, bars = split_bars(right)
    frame = with_group_columns(frame.rename(columns=str), options.groups)
    bars += bars_of(options.groups)
    grouped = columns_read(bars)
    if len(frame) == 0:
        raise ValueError("data has no rows")
    for argument in BY_ROW:
        check_aligned(frame, getattr(options, argument), argument, "data")
    by_row = {argument: getattr(options, argument) for argument in BY_ROW}
    others = [*responses, *named_columns(options), *(name for bar in bars for name in bar.columns)]
    terms = terms_of_data(right, frame, others, by_row)
    features = required_columns(terms)
    for name in responses:
        if name in features:
            raise ValueError(f"formula: {shown(name)} is the response and cannot explain itself")
    require_columns(frame, [*responses, *features, *grouped])
    require_named(frame, options, "data")
    columns = [*responses, *features, *grouped, *named_columns(options)]
    frame, n_dropped, options = without_missing(frame, columns, options)
    if len(frame) == 0:
        raise ValueError(f"data has no rows left ({n_dropped} dropped for missing values)")
    if len(responses) == 1:
        response = parse_labels(frame[responses[0]], options.classes, responses[0])
    else:
        response = count_columns(frame[list(responses)], options.classes, "counts")
    encoder = fit_encoder(right, terms, frame, options.constant)
    made, read = formula_features(encoder, frame)
    design, schema = _assemble(made, frame.index, response, encoder, frame, options, n_dropped)
    return _with_groups(replace(design, frame=read), schema, fit_groupings(bars, frame, responses), frame)


def design_from_arrays(
    X: Any, y: Any, feature_names: Sequence[str] | None, intercept: bool, options: Options
) -> tuple[Design, Schema]:
    """Design of arrays, or of a data frame ``X`` with ``y`` aligned to it.

    Columns of ``X`` that ``weights``, ``offset`` or ``available`` name are not features.
    """
    if X is None or y is None:
        raise TypeError(
            f"SoftmaxRegression needs data, and {'X' if X is None else 'y'} is missing: there is no fit(X, y), but "
            "SoftmaxRegression(X, y).map(), or .mle(), .laplace(), .sample(); SoftmaxClassifier().fit(X, y) is as in "
            "scikit-learn"
        )
    check_flags(intercept=intercept)
    X, y, options = to_pandas_or_numpy(X, "X"), to_pandas_or_numpy(y, "y"), given_options(options)
    bars = bars_of(options.groups)
    if bars:
        X = framed(X, options.groups)
    check_aligned(X, y, "y")
    for argument in BY_ROW:
        check_aligned(X, getattr(options, argument), argument)
    X, y, n_dropped, options = without_missing_arrays(X, y, options)
    if len(X) == 0:
        raise ValueError("X has no rows" + (f" left ({n_dropped} dropped for missing values)" if n_dropped else ""))
    given, grouped = X, columns_read(bars)
    if isinstance(X, pd.DataFrame) and (named_columns(options) or grouped):
        require_named(X, options, "X")
        given = X.drop(columns=[*named_columns(options), *grouped])
    names = feature_names_of(given, feature_names)
    encoder = ArrayEncoder(names, intercept)
    features, index = encoder.features(_renamed(given, names), "X")
    response = parse_response(y, options.classes)
    n_labels = len(response.codes) if response.codes is not None else len(response.counts)  # type: ignore[arg-type]
    if n_labels != len(given):
        raise ValueError(f"X has {counted(len(given), 'row')}, but y has {n_labels}")
    design, schema = _assemble(features, index, response, encoder, X, options, n_dropped)
    if not bars:
        return design, schema
    design = replace(design, frame=pd.DataFrame(design.X, index=index, columns=list(design.feature_names)))
    return _with_groups(design, schema, fit_groupings(bars, X, ()), X)


def _with_groups(
    design: Design, schema: Schema, groups: tuple[Grouping, ...], data: pd.DataFrame
) -> tuple[Design, Schema]:
    """The design and the schema with the groupings of the rows."""
    if not groups:
        return design, schema
    schema = replace(schema, groups=groups)
    own = {name: variable for name, variable in schema.variables.items() if name not in design.frame.columns}
    columns = as_frame(own, read_columns(own, data, truth=True), design.index)
    frame = pd.concat([design.frame, columns], axis=1)
    return replace(design, frame=frame, group_columns=encode_groups(groups, data)), schema


def _assemble(
    X: Features,
    index: Any,
    response: Response,
    encoder: Encoder,
    data: Any,
    options: Options,
    n_dropped: int,
) -> tuple[Design, Schema]:
    """Read weights, offset and choice sets, and put design and schema together."""
    weights = read_weights(options.weights, data, X.shape[0], index)
    raw = raw_design_of(X, index, response, weights, encoder, data, options, n_dropped)
    return finished_design(raw, encoder, options, raw.class_rows())


def feature_names_of(X: Any, feature_names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the columns of ``X``: given, the frame's own, or x0, x1, ..."""
    if X.ndim != 2:
        hint = "; one column is X.reshape(-1, 1)" if X.ndim == 1 else ""
        raise ValueError(f"X has shape {X.shape}; expected two dimensions, (N, p){hint}")
    if feature_names is None:
        names = (
            tuple(str(c) for c in X.columns)
            if isinstance(X, pd.DataFrame)
            else tuple(f"x{j}" for j in range(X.shape[1]))
        )
    else:
        if isinstance(feature_names, str) or not isinstance(feature_names, Iterable):
            raise TypeError(f"feature_names={shown(feature_names)} must be a sequence of names, one for each column")
        names = tuple(map(str, feature_names))
    if len(names) != X.shape[1]:
        raise ValueError(f"feature_names has {counted(len(names), 'name')}, but X has {counted(X.shape[1], 'column')}")
    argument = "feature_names has" if feature_names is not None else "X has columns of the same name:"
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{argument} {shown(name)} {times(count)}; names must be unique")
        if name == "intercept":
            owner = "X" if feature_names is None else "feature_names"
            raise ValueError(f"{owner}: 'intercept' is the name of the intercept; rename the column")
    return names


def _renamed(X: Any, names: tuple[str, ...]) -> Any:
    return X.set_axis(list(names), axis=1) if isinstance(X, pd.DataFrame) else X
