"""Distinct values of a long column: found a block at a time, with tables that stay in the cache."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import IntArray

BLOCK_ROWS = 65536


class Coded(NamedTuple):
    """Positions (N,) of values among the distinct ones, in the order in which these appear; -1 where missing."""

    codes: IntArray
    distinct: list[Any]


def coded(values: Any) -> Coded:
    """Code the values of an array, of NumPy or of pandas.

    ``pandas.factorize`` of all at once makes a table for as many values as there are rows: five arrays of their length.

    Examples
    --------
    >>> coded(np.array(["b", "a", "b"], dtype=object))
    Coded(codes=array([0, 1, 0]), distinct=['b', 'a'])
    """
    known: dict[Any, int] = {}
    codes = np.empty(len(values), dtype=np.int64)
    for start in range(0, len(values), BLOCK_ROWS):
        place = slice(start, start + BLOCK_ROWS)
        found, distinct = pd.factorize(values[place])
        table = [known.setdefault(value, len(known)) for value in distinct.tolist()]
        codes[place] = np.array([*table, -1])[found]
    return Coded(codes, list(known))


def recoded(table: IntArray, codes: IntArray) -> IntArray:
    """``table[codes]`` in the memory of the codes, where -1 stays -1."""
    table = np.append(table, -1)
    for start in range(0, len(codes), BLOCK_ROWS):
        block = codes[start : start + BLOCK_ROWS]
        block[:] = table[block]
    return codes
