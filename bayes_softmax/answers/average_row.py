"""The row of means: means of numbers, the most frequent of all that has no mean."""

from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.training import VariableRows
from bayes_softmax.answers.variables import model_variables
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.available import Mask
from bayes_softmax.data.schema import Schema


def average_row(schema: Schema, parts: list[VariableRows]) -> VariableRows:
    """One row: weighted means of numbers, the most frequent level of factors and choice set, the mean offset."""
    variables = model_variables(schema)
    weights = [rows.weights for rows in parts]
    total = sum(float(w.sum()) for w in weights)
    values: dict[str, Any] = {}
    for name, variable in variables.items():
        columns = [rows.frame[name] for rows in parts]
        if variable.levels:

            def weight_of(level: Any, columns: list[pd.Series] = columns) -> float:
                return sum(float(w[(c == level).to_numpy()].sum()) for w, c in zip(weights, columns, strict=True))

            values[name] = max(variable.levels, key=weight_of)
        else:
            numbers = (c.to_numpy(dtype=np.float64) for c in columns)
            values[name] = sum(float((x * w).sum()) for x, w in zip(numbers, weights, strict=True)) / total
    first = parts[0].frame
    others = {name: first[name].iloc[0] for name in first.columns if name not in values}
    offset, codes = _mean_offset(parts, total), _most_frequent_levels(parts)
    return VariableRows(pd.DataFrame([values | others]), offset, np.ones(1), _most_frequent(parts), codes)


def _most_frequent_levels(parts: list[VariableRows]) -> IntArray | None:
    """Codes (1, groupings) of the levels of the largest total weight."""
    known = [rows.codes for rows in parts if rows.codes is not None]
    if not known:
        return None
    weights = np.concatenate([rows.weights for rows in parts])
    return np.array([[np.bincount(codes, weights=weights).argmax() for codes in np.concatenate(known).T]])


def _mean_offset(parts: list[VariableRows], total: float) -> FloatArray | None:
    sums = [(rows.offset * rows.weights[:, None]).sum(axis=0) for rows in parts if rows.offset is not None]
    return np.sum(sums, axis=0)[None] / total if sums else None


def _most_frequent(parts: list[VariableRows]) -> Mask | None:
    """The choice set (1, K) of the largest total weight."""
    masks = [rows.available for rows in parts if rows.available is not None]
    if not masks:
        return None
    sets, which = np.unique(np.concatenate(masks), axis=0, return_inverse=True)
    weights = np.concatenate([rows.weights for rows in parts])
    most = int(np.bincount(which.reshape(-1), weights=weights).argmax())
    chosen: Mask = sets[most : most + 1]
    return chosen
