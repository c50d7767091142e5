"""Arguments that formulas and arrays share, and the columns of the data that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from bayes_softmax.core.checks import check_choice
from bayes_softmax.data.class_columns import class_column_names
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.design import Label
from bayes_softmax.data.frames import require_columns

CODINGS = ("zero-sum", "reference", "full")
type ByClass = ArrayLike | Sequence[str] | Mapping[Any, str]  # a column for each class, or its name
BY_ROW = ("weights", "offset", "available")  # options with one entry per row of the data


@dataclass(frozen=True)
class Options:
    """Arguments that formulas and arrays share, as they were given; documented at the front door.

    Priors and logit functions are defined in ``spec``, which resolves them; here they are handed on.
    """

    prior: Any = None
    intercept_prior: Any = None
    coding: str = "zero-sum"
    classes: Sequence[Label] | None = None
    weights: ArrayLike | str | None = None
    offset: ByClass | None = None
    available: ByClass | None = None
    missing: str = "error"
    constant: str = "error"
    collapse: bool = True
    logits: Any = None
    groups: Any = None
    group_prior: Any = None
    client: Any = None
    scratch: float | None = None
    checkpoint: Any = None


def given_options(options: Options) -> Options:
    """Weights, offset and choice sets that are given by value, as pandas objects or arrays; the switches checked."""
    check_choice("missing", options.missing, ("error", "drop"))
    check_choice("constant", options.constant, ("error", "drop"))
    check_choice("coding", options.coding, CODINGS)
    values: dict[str, Any] = {}
    for name in BY_ROW:
        value = getattr(options, name)
        if value is not None and not isinstance(value, str | Mapping) and not named_by(options, name):
            values[name] = to_pandas_or_numpy(value, name)
    return replace(options, **values)


def named_columns(options: Options) -> list[str]:
    """Columns that weights, offset and available name."""
    return [name for argument in BY_ROW for name in named_by(options, argument)]


def require_named(frame: pd.DataFrame, options: Options, owner: str) -> None:
    """Raise if a column that weights, offset or available name is missing."""
    for argument in BY_ROW:
        require_columns(frame, named_by(options, argument), f"{argument}: {owner}")


def named_by(options: Options, argument: str) -> tuple[str, ...]:
    """Columns that one of these arguments names: weights one, the others one for each class."""
    value = getattr(options, argument)
    if argument == "weights":
        return (value,) if isinstance(value, str) else ()
    return class_column_names(value)
