"""The row of means: means of numbers, the most frequent of all that has no mean."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.training import VariableRows
from bayes_softmax.answers.variables import model_variables
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.available import Mask
from bayes_softmax.data.schema import Schema

type Frequencies = Mapping[tuple[int, ...], float]


class RowSums(NamedTuple):
    """What the row of means is made of, summed over rows.

    ``numbers`` are weighted sums by variable, ``levels`` weights of the levels of each factor, ``offset`` a weighted
    sum (K,), ``sets`` weights of choice sets, ``codes`` those of the codes of each grouping, ``others`` the first
    values of columns that are no variables.
    """

    total: float
    numbers: Mapping[str, float]
    levels: Mapping[str, FloatArray]
    offset: FloatArray | None
    sets: Frequencies
    codes: tuple[Frequencies, ...]
    others: Mapping[str, Any]


def sums_of_rows(schema: Schema, rows: VariableRows) -> RowSums:
    """The sums over some rows."""
    frame, w = rows.frame, rows.weights
    numbers: dict[str, float] = {}
    levels: dict[str, FloatArray] = {}
    variables = model_variables(schema)
    for name, variable in variables.items():
        if variable.levels:
            levels[name] = np.array([w[(frame[name] == level).to_numpy()].sum() for level in variable.levels])
        else:
            numbers[name] = float((frame[name].to_numpy(dtype=np.float64) * w).sum())
    offset = None if rows.offset is None else (rows.offset * w[:, None]).sum(axis=0)
    sets = {} if rows.available is None else _frequencies(rows.available, w)
    codes = () if rows.codes is None else tuple(_frequencies(column[:, None], w) for column in rows.codes.T)
    others = {name: frame[name].iloc[0] for name in frame.columns if name not in variables}
    return RowSums(float(w.sum()), numbers, levels, offset, sets, codes, others)


def _frequencies(values: IntArray | Mask, w: FloatArray) -> Frequencies:
    """Weight of each distinct row of values (n, m)."""
    distinct, which = np.unique(values, axis=0, return_inverse=True)
    weights = np.bincount(which.reshape(-1), weights=w)
    return dict(zip(map(tuple, distinct.tolist()), weights.tolist(), strict=True))


def added_rows(a: RowSums, b: RowSums) -> RowSums:
    """The sums over the rows of both."""
    return RowSums(
        a.total + b.total,
        {name: value + b.numbers[name] for name, value in a.numbers.items()},
        {name: value + b.levels[name] for name, value in a.levels.items()},
        None if a.offset is None or b.offset is None else a.offset + b.offset,
        _merged(a.sets, b.sets),
        tuple(map(_merged, a.codes, b.codes)),
        a.others,
    )


def _merged(a: Frequencies, b: Frequencies) -> Frequencies:
    return {key: a.get(key, 0.0) + b.get(key, 0.0) for key in (*a, *b)}


def average_row(schema: Schema, sums: RowSums) -> VariableRows:
    """One row: weighted means of numbers, the most frequent level of factors and choice set, the mean offset."""
    values: dict[str, Any] = {}
    for name, variable in model_variables(schema).items():
        if variable.levels:
            values[name] = variable.levels[int(sums.levels[name].argmax())]
        else:
            values[name] = sums.numbers[name] / sums.total
    offset = None if sums.offset is None else sums.offset[None] / sums.total
    available = np.array([most_frequent(sums.sets)], dtype=bool) if sums.sets else None
    codes = np.array([[most_frequent(own)[0] for own in sums.codes]]) if sums.codes else None
    return VariableRows(pd.DataFrame([values | dict(sums.others)]), offset, np.ones(1), available, codes)


def most_frequent(found: Frequencies) -> Sequence[int]:
    """The key of the largest weight, the first in order if there are several."""
    return min(found, key=lambda key: (-found[key], key))
