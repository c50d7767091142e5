"""Arguments that formulas and arrays share, and the columns of the data that they name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bayes_softmax.core.checks import check_choice
from bayes_softmax.data.class_columns import class_column_names
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.design import Label
from bayes_softmax.data.frames import require_columns

CODINGS = ("zero-sum", "reference", "full")
BY_ROW = ("weights", "offset", "available")  # options that run along the rows of the data


class Options(NamedTuple):
    """Arguments that formulas and arrays share."""

    coding: str = "zero-sum"
    classes: Sequence[Label] | None = None
    weights: Any = None
    offset: Any = None
    missing: str = "error"
    constant: str = "error"
    available: Any = None


def given_options(options: Options) -> Options:
    """Weights, offset and choice sets that are given by value, as pandas objects or arrays; the switches checked."""
    check_choice("missing", options.missing, ("error", "drop"))
    check_choice("constant", options.constant, ("error", "drop"))
    check_choice("coding", options.coding, CODINGS)
    values: dict[str, Any] = {}
    for name in BY_ROW:
        value = getattr(options, name)
        if value is not None and not isinstance(value, str | Mapping) and not _named_by(options, name):
            values[name] = to_pandas_or_numpy(value, name)
    return options._replace(**values)


def named_columns(options: Options) -> list[str]:
    """Columns that weights, offset and available name."""
    return [name for argument in BY_ROW for name in _named_by(options, argument)]


def require_named(frame: pd.DataFrame, options: Options, owner: str) -> None:
    """Raise if a column that weights, offset or available name is missing."""
    for argument in BY_ROW:
        require_columns(frame, _named_by(options, argument), f"{argument}: {owner}")


def _named_by(options: Options, argument: str) -> tuple[str, ...]:
    """Columns that one of these arguments names: weights one, the others one for each class."""
    value = getattr(options, argument)
    if argument == "weights":
        return (value,) if isinstance(value, str) else ()
    return class_column_names(value)
