"""New data as variables: frames in memory, or sources that are read in passes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.levels import Asked, levels_of_rows
from bayes_softmax.answers.new_sources import by_name, columns_read, count_rows, sample_of
from bayes_softmax.answers.source_population import TITLE
from bayes_softmax.answers.source_rows import NO_ROWS, added, passes_beside, summed
from bayes_softmax.answers.training import VariableRows
from bayes_softmax.data.available import without_forced
from bayes_softmax.data.formula.columns import as_frame, read_columns
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.frames import is_frame, require_columns, to_pandas
from bayes_softmax.data.groups.choices import with_levels_of_rows
from bayes_softmax.data.groups.grouping import code_columns
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.sources.partitions import Merge, Source
from bayes_softmax.data.sources.passes import Passes
from bayes_softmax.data.weights import read_weights


def new_rows(
    schema: Schema, data: Any, offset: Any, weights: Any, available: Any, asked: Asked
) -> tuple[VariableRows, dict[str, int]]:
    """Rows of new data as variables, checked, and the number of levels of each grouping that they reach."""
    data = schema.to_pandas_or_numpy(data)
    data = with_levels_of_rows(schema.groups, schema.encoder.feature_names, data, asked.groups)
    X, _, _ = schema.encode_marked(data, levels=asked.choices)  # raises for invalid data
    p = len(schema.feature_names)
    table = to_pandas(data) if is_frame(data) else pd.DataFrame(X[:, :p], columns=list(schema.feature_names))
    frame = table.rename(columns=str)
    require_columns(frame, schema.feature_columns)
    if len(frame) == 0:
        raise ValueError("data has no rows")
    row_weights = read_weights(schema.weights_of(data, weights), data, len(X), table.index)
    mask = schema.encode_available(data, available, table.index)
    if mask is not None:
        row_weights = without_forced(row_weights, mask)
        if row_weights is not None and not row_weights.any():
            raise ValueError("available: no row has more than one class on offer, so there is nothing to average")
    codes = X[:, code_columns(p, schema.groups)].astype(np.int64) if schema.groups else None
    rows = VariableRows(
        _as_kept(schema, frame),
        schema.encode_offset(data, offset, len(X)),
        np.ones(len(X)) if row_weights is None else row_weights,
        mask,
        codes,
    )
    return rows, levels_of_rows(schema, X)


def _as_kept(schema: Schema, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that the model reads but groupings, in the types of its own data."""
    if isinstance(schema.encoder, FormulaEncoder):
        kept = schema.encoder.columns(frame)
        slopes = {n: v for g in schema.groups if g.slopes for n, v in g.slopes.variables.items() if n not in kept}
        return kept.assign(**as_frame(slopes, read_columns(slopes, frame, truth=True), frame.index)) if slopes else kept
    return frame[list(schema.feature_columns)]


type ByRow = tuple[Any, Any, Any]  # names of columns of offset, weights and choice sets


def new_rows_of(source: Source, fit: Fitted, by_row: ByRow, asked: Asked) -> "VariablesOfNewSource":
    """New rows that are read in passes; raises for models with groups, whose levels are read from all rows at once."""
    schema = fit.schema
    if schema.groups:
        raise ValueError(f"data: {source.name} is read in passes, and levels of groups need a data frame")
    columns = columns_read(source, schema, **by_name(by_row[0], by_row[1], by_row[2]))
    passes = passes_beside(fit.training, source.narrowed(tuple(columns)))
    n_rows = passes.run_frames(columns[:1], count_rows, int.__add__, "rows of the new data")
    return VariablesOfNewSource(passes, tuple(columns), schema, by_row, asked, n_rows)


@dataclass(frozen=True, eq=False)
class VariablesOfNewSource:
    """New rows as variables.

    Attributes
    ----------
    passes, columns
        The way over the rows, and the columns that are read.
    schema, by_row, asked
        How they are read.
    n_rows
        Their number.
    """

    passes: Passes
    columns: tuple[str, ...]
    schema: Schema
    by_row: ByRow
    asked: Asked
    n_rows: int

    def total[T](self, of_rows: Callable[[VariableRows], T], add: Merge[T]) -> T:
        """What a function gives for some rows at a time, added up over all."""
        one = partial(_of_frame, self.schema, self.by_row, self.asked, of_rows)
        found: T | None = self.passes.run_frames(self.columns, partial(summed, one, add), partial(added, add), TITLE)
        if found is None:
            raise ValueError(NO_ROWS)
        return found

    def sample(self) -> VariableRows:
        """A uniform sample of the rows."""
        frame = sample_of(self.passes, self.columns)
        return _rows_of(self.schema, self.by_row, self.asked, frame)


def _rows_of(schema: Schema, by_row: ByRow, asked: Asked, frame: pd.DataFrame) -> VariableRows:
    offset, weights, available = by_row
    return new_rows(schema, frame, offset, weights, available, asked)[0]


def _of_frame[T](
    schema: Schema, by_row: ByRow, asked: Asked, of_rows: Callable[[VariableRows], T], frame: pd.DataFrame
) -> T:
    return of_rows(_rows_of(schema, by_row, asked, frame))
