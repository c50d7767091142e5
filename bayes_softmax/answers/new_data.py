"""Checks and encoding of new data: missing values, and logits that overflow."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.answers.cautions import in_the_limit
from bayes_softmax.answers.fitted import Answering
from bayes_softmax.answers.levels import Asked, affordable_nodes, affordable_number, at_levels, levels_of_rows
from bayes_softmax.answers.new_sources import refuse_source
from bayes_softmax.answers.nodes import NODES
from bayes_softmax.answers.probabilities import HasLogits, thinned_draws
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.checks import check_choice, describe_rows, shown
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.class_columns import class_column_names
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import check_aligned, missing_rows, require_columns
from bayes_softmax.data.groups.choices import with_levels_of_rows
from bayes_softmax.data.missing import kept_by_row, missing_by_row
from bayes_softmax.data.schema import Schema

MISSING = ("error", "nan")
BY_CLASS = ("offset", "available")  # arguments that may name a column for each class
NAN_ADVICE = "fill it, or pass missing='nan' to leave the answers for such rows empty"
LOGIT_LIMIT = 1e150  # the delta method squares logits, and 1e300 is still finite


Choices = Mapping[str, str]


def encode_all(
    schema: Schema, data: Any, offset: Any, available: Any, if_missing: str | None = None, *, levels: Choices
) -> Rows:
    """Encode every row; a missing value is an error, with advice."""
    check_aligned(data, offset, "offset", "data")
    check_aligned(data, available, "available", "data")
    X, index, beyond = schema.encode_marked(data, if_missing=if_missing, levels=levels)
    values = schema.encode_offset(data, offset, len(X))
    return Rows(X, index, values, None, schema.encode_available(data, available, index), beyond)


def encode_complete(schema: Schema, data: Any, offset: Any, available: Any, *, levels: Choices) -> Rows:
    """Encode the rows complete in all that the model reads: columns, offset and choice sets."""
    check_aligned(data, offset, "offset", "data")
    check_aligned(data, available, "available", "data")
    kept = complete_rows(schema, data, {"offset": offset, "available": available}, levels)
    X, _, beyond = schema.encode_marked(kept.data, levels=levels)
    values = schema.encode_offset(kept.data, kept.by_row["offset"], len(X))
    on_offer = schema.encode_available(kept.data, kept.by_row["available"], kept.index[kept.keep])
    return Rows(X, kept.index, values, kept.keep, on_offer, beyond)


class Complete(NamedTuple):
    """The rows ``keep`` of new data, the arguments with a value per row there, and the index of all rows."""

    data: Any
    by_row: dict[str, Any]
    keep: NDArray[np.intp]
    index: Any


def complete_rows(schema: Schema, data: Any, arguments: Mapping[str, Any], levels: Choices) -> Complete:
    """The rows that are complete in the columns that the model and the arguments read, and in arguments given by value.

    ``arguments`` are offset and choice sets, and what else belongs to the rows: labels, weights; ``levels`` are the
    choices by grouping.
    """
    by_row, named = dict(arguments), _columns_by_class(schema, arguments["offset"], arguments["available"])
    for name, value in arguments.items():
        if isinstance(value, str):
            named += [value] if isinstance(data, pd.DataFrame) and value in data else []
        elif value is not None and not (name in BY_CLASS and class_column_names(value)):
            by_row[name] = to_pandas_or_numpy(value, name)
    missing, index = _missing_in_columns(schema, data, named, levels)
    keep = np.flatnonzero(~(missing | missing_by_row(by_row, len(index))))
    complete = data.iloc[keep] if isinstance(data, pd.DataFrame) else np.asarray(data)[keep]
    return Complete(complete, kept_by_row(by_row, keep), keep, index)


def _columns_by_class(schema: Schema, offset: Any, available: Any) -> list[str]:
    """Names of the columns that hold offset and choice sets, if the model has them."""
    named: list[str] = []
    for given, of_fit, has in (
        (offset, schema.offset_columns, schema.has_offset),
        (available, schema.available_columns, schema.has_available),
    ):
        named += class_column_names(of_fit if given is None else given, schema.classes) if has else ()
    return named


def _missing_in_columns(schema: Schema, data: Any, named: list[str], levels: Choices) -> tuple[NDArray[np.bool_], Any]:
    """Mask (N,) of rows with a missing value in the columns of the model or others named, and the index of all rows."""
    if isinstance(data, pd.DataFrame):
        names = [*schema.feature_columns, *schema.group_columns(data.rename(columns=str), levels), *named]
        require_columns(data, names)
        return missing_rows(data.rename(columns=str), names), data.index
    assert isinstance(schema.encoder, ArrayEncoder)
    array = schema.encoder.read_array(data)
    return np.isnan(array).any(axis=1), pd.RangeIndex(len(array))


def check_logits(schema: Schema, fit: HasLogits, rows: Rows) -> None:
    """Raise for rows whose logits overflow, naming them and their largest column.

    A row of the columns' largest absolute values is bounded first, without a copy of the data.
    """
    X, offset = rows.X, rows.offset
    if not len(X):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        largest = np.maximum(X.max(axis=0), -X.min(axis=0))[None]
        shift = 0.0 if offset is None else max(offset.max(), -offset.min())
        if (fit.logits.bounds(fit.parameters, largest) + shift < LOGIT_LIMIT).all():
            return
        bounds = fit.logits.bounds(fit.parameters, X)
        if offset is not None:
            bounds = bounds + np.abs(offset).max(axis=1)
        bad = np.flatnonzero(~(bounds < LOGIT_LIMIT))
    if bad.size:
        largest_column = _largest(schema, fit, X[bad[0]])
        raise ValueError(f"data: the logits overflow in {describe_rows(rows.labels, bad)}{largest_column}")


def _largest(schema: Schema, fit: HasLogits, x: NDArray[np.float64]) -> str:
    """Message part: the column that moves the logits of a row most."""
    if not x.any():
        return ": the offset is too large"
    with np.errstate(over="ignore"):
        j = int(fit.logits.bounds(fit.parameters, np.diag(x)).argmax())
    slopes = [name for g in schema.groups for name in (g.name, *g.slope_names)]
    return f": column {shown([*schema.feature_names, *slopes][j])} is {x[j]:g} there"


class Read(NamedTuple):
    """New data as encoded rows, and the draws that answer for their levels."""

    rows: Rows
    draws: HasLogits


def encode_rows(
    fit: Answering,
    data: Any,
    offset: Any = None,
    available: Any = None,
    *,
    asked: Asked,
    missing: str = "error",
    if_missing: str | None = None,
    thinned: bool = False,
) -> Read:
    """Encode new data; error messages name column and row, ``if_missing`` what to do about a missing value.

    ``thinned`` allows for fewer draws where an average over levels would take minutes with all of them.
    """
    check_choice("missing", missing, MISSING)
    refuse_source(data)
    schema, logits, S = fit.schema, fit.logits, fit.parameters.n_draws
    features = schema.encoder.feature_names
    data = with_levels_of_rows(schema.groups, features, schema.to_pandas_or_numpy(data), asked.groups)
    if missing == "nan":
        rows = encode_complete(schema, data, offset, available, levels=asked.choices)
    else:
        rows = encode_all(schema, data, offset, available, if_missing, levels=asked.choices)
    used: HasLogits = fit
    if asked.averaged and thinned:
        used = thinned_draws(fit, affordable_number(rows.n_rows, S, logits.n_classes), fit.n_chains)
    n_nodes = NODES
    if asked.averaged:
        n_nodes = affordable_nodes(rows.n_rows, used.parameters.n_draws, logits.n_classes)
    at = at_levels(used, schema, asked, levels_of_rows(schema, rows.X), n_nodes=n_nodes)
    return Read(at.place(rows), at.draws)


def read_at_levels(
    fit: Answering,
    data: Any,
    offset: Any = None,
    available: Any = None,
    *,
    asked: Asked,
    missing: str = "error",
    advice: str = NAN_ADVICE,
) -> Read:
    """Encode new data, in the limit of an optimum at infinity; raise where the logits of the fit overflow.

    ``advice`` says what to do about a missing value where that is an error.
    """
    rows, draws = encode_rows(
        fit, data, offset, available, asked=asked, missing=missing, if_missing=advice, thinned=True
    )
    check_logits(fit.schema, draws, rows)
    return Read(in_the_limit(fit, rows), draws)
