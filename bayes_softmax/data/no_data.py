"""Objects that are no data, where data were expected: what they are, and what to pass instead."""

from collections.abc import Iterator
from numbers import Number
from os import PathLike
from pathlib import PurePath
from typing import Any

from bayes_softmax.core.checks import shown

EXPECTED = {"y": "labels, or rows of counts", "weights": "one number for each row"}
READERS = {
    ".csv": "pandas.read_csv",
    ".tsv": "pandas.read_table",
    ".parquet": "pandas.read_parquet",
    ".feather": "pandas.read_feather",
    ".xlsx": "pandas.read_excel",
}


def no_data(value: Any, argument: str) -> str:
    """Message for a value that holds no data: its type, what is expected, and how to get there.

    >>> no_data("sales.csv", "data")
    "data='sales.csv' names a file; read it first: pandas.read_csv('sales.csv')"
    """
    if isinstance(value, str | PathLike):
        return _text(value, argument)
    expected = EXPECTED.get(argument, "an array or a data frame")
    if isinstance(value, dict):
        if argument == "weights":
            return f"weights is a dict; expected {expected}: weights of classes are y.map({{class: weight}})"
        return f"{argument} is a dict; make it a data frame first: pandas.DataFrame({argument})"
    if isinstance(value, set | frozenset):
        return f"{argument} is a set, which has no order; expected {expected}"
    if isinstance(value, Iterator):
        return f"{argument} is an iterator of type {type(value).__name__}; expected {expected}: list({argument})"
    if value is None:
        return f"{argument} is None; expected {expected}"
    written = f" ({shown(value)})" if isinstance(value, Number) else ""  # others may be long, or show an address
    return f"{argument} is of type {type(value).__name__}{written}; expected {expected}"


def _text(value: Any, argument: str) -> str:
    """Text is the name of a file, a formula, or the name of a column."""
    reader = READERS.get(PurePath(value).suffix.lower())
    if reader is not None:
        return f"{argument}={shown(str(value))} names a file; read it first: {reader}({shown(str(value))})"
    if argument in ("X", "data") and "~" in str(value):
        formula = shown(str(value))
        return f"{argument}={formula} is a formula: SoftmaxRegression.from_formula({formula}, data)"
    if argument == "y":
        return f"y={shown(value)} is text; expected labels, or rows of counts: y=data[{shown(value)}]"
    expected = EXPECTED.get(argument, "an array or a data frame")
    return f"{argument} is of type {type(value).__name__} ({shown(value)}); expected {expected}"
