"""``.`` in a formula: all other columns of the data, each a term of its own, as if they were written out.

The others are the columns that are neither a response nor named as weights, offset or choice sets.  A column that only
``.`` brings in is checked for what nobody would have written: an identifier, a column without values, dates.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import counted
from bayes_softmax.data.formula.columns import FEW_LEVELS, column_type_of
from bayes_softmax.data.formula.expressions import Column, columns_of, text
from bayes_softmax.data.formula.parsing import Others, Reader
from bayes_softmax.data.formula.terms import Term, read_terms
from bayes_softmax.data.frames import require_columns


def terms_of_data(
    right: str, frame: pd.DataFrame, used: Collection[str], by_row: Mapping[str, Any]
) -> tuple[Term, ...]:
    """The terms of a right-hand side over the columns of a frame.

    ``used`` are columns that it uses otherwise, ``by_row`` the values of weights, offset and choice sets.

    Raises
    ------
    ValueError, TypeError
        A formula that cannot be read, or a column that ``.`` brings in and that is no feature, with what to write.
    """
    reader = Reader(right, Others(tuple(dict.fromkeys(c for c in frame.columns if c not in used)), frozenset(used)))
    terms = read_terms(reader)
    found = {name for term in terms for factor in term.factors for name in columns_of(factor)}
    implied = [name for name in reader.others.columns if name in found - reader.named]  # type: ignore[union-attr]
    require_columns(frame, implied)
    for name in implied:
        _check_implied(frame[name])
        _check_given_once(frame[name], by_row)
    return terms


def _check_implied(column: pd.Series) -> None:
    """Raise for a column that is no feature, though ``.`` includes it."""
    name, written = str(column.name), text(Column(str(column.name)))
    included, advice = f"formula: '.' includes column {name!r}", f"leave it out, '. - {written}'"
    values = column.dropna()
    if not len(values):
        raise ValueError(f"{included}, which has no value in any row; {advice}")
    if pd.api.types.is_integer_dtype(values):
        first = values.iloc[0]
        if len(values) > FEW_LEVELS and first in (0, 1) and (values.to_numpy() == first + np.arange(len(values))).all():
            raise ValueError(
                f"{included}, which numbers the rows from {first}; {advice}, or name it as a term to keep it, "
                f"'. + {written}'"
            )
        return
    if pd.api.types.is_numeric_dtype(values):
        return
    try:
        kind = column_type_of(values, name, coded=False)
    except TypeError as error:
        reason = str(error).removeprefix(f"data: column {name!r} ")
        raise TypeError(f"{included}, which {reason}; convert it first, or {advice}") from error
    n_levels, n = len(kind.levels), len(values)
    if n_levels == n > 2 or n_levels > max(n / 2, FEW_LEVELS):
        many = "another level in every row" if n_levels == n else f"{n_levels:,} levels in {counted(n, 'row')}"
        raise ValueError(
            f"{included}, which has {many}, as an identifier has; {advice}, or name it as a term to keep it, "
            f"'. + {written}'"
        )


def _check_given_once(column: pd.Series, by_row: Mapping[str, Any]) -> None:
    """Raise for a column that is also an argument, given by its values: ``.`` leaves it out if it is named."""
    for argument, given in by_row.items():
        series = [given] if isinstance(given, pd.Series) else []
        if isinstance(given, pd.DataFrame):
            series = [given.iloc[:, k] for k in range(given.shape[1])]
        for values in series:
            if str(values.name) == column.name and values.reset_index(drop=True).equals(column.reset_index(drop=True)):
                written = text(Column(str(column.name)))
                raise ValueError(
                    f"formula: '.' includes column {column.name!r}, which is also given as {argument}; give its name, "
                    f"{argument}={column.name!r}, or leave it out, '. - {written}'"
                )
