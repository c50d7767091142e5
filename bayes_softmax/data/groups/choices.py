"""Levels of groupings in new data: which effects they have, and where the rows' levels come from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import check_aligned, raise_if_missing, require_columns
from bayes_softmax.data.groups.grouping import LEVELS, Grouping, choice_of, column_names

type Levels = str | Mapping[str, str]  # one choice for all groupings, or one for each by name


def read_levels(groups: Sequence[Grouping], levels: Any, default: str) -> dict[str, str]:
    """The choice of each grouping by name; ``default`` for one that a mapping does not name.

    Raises
    ------
    ValueError, TypeError
        A choice that there is not, a grouping that the model does not have, or new levels of a model without any.
    """
    if isinstance(levels, Mapping):
        names = [group.name for group in groups]
        for name in levels:
            if name not in names:
                has = f"groupings: {listed(names)}" if names else "the model has no groups"
                raise ValueError(f"levels: {shown(name)} is not a grouping{did_you_mean(name, names)} ({has})")
        return {name: _checked(levels.get(name, default), f"levels[{name!r}]") for name in names}
    choice = _checked(levels, "levels")
    if not groups and choice not in (default, "known", "average"):
        raise ValueError(f"levels={shown(choice)}: the model has no groups")
    return {group.name: choice for group in groups}


def _checked(choice: Any, argument: str) -> str:
    if not isinstance(choice, str) or choice not in LEVELS:
        hint = did_you_mean(choice, LEVELS)
        raise ValueError(f"{argument}={shown(choice)} must be one of {listed(LEVELS)}{hint}")
    return choice


def with_levels_of_rows(groups: Sequence[Grouping], features: Sequence[str], data: Any, given: Any) -> Any:
    """New data with the columns of groupings: those of ``given``, a level for each row or one for all, take precedence.

    An array of ``features`` becomes a frame with them.
    """
    if given is None and not groups:
        return data
    names = column_names(tuple(groups))
    if not names:
        raise ValueError(f"groups={shown(given)}: the model has no groups")
    if given is not None and (not isinstance(given, Mapping) or not given):
        example = f"groups={{{names[0]!r}: ...}}"
        raise TypeError(f"groups={shown(given)} must be a mapping from grouping to levels of the rows, {example}")
    unknown = [name for name in given or () if name not in names]
    if unknown:
        hint = did_you_mean(unknown[0], names)
        raise ValueError(f"groups: {shown(unknown[0])} is not a grouping{hint} (columns of groupings: {listed(names)})")
    if given is not None and isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == len(features):
        data = pd.DataFrame(data, columns=list(features))
    if given is None or not isinstance(data, pd.DataFrame):
        return data
    frame = data.rename(columns=str)
    return frame.assign(**{name: _column(frame, values, f"groups[{name!r}]") for name, values in given.items()})


def _column(frame: pd.DataFrame, given: Any, argument: str) -> pd.Series:
    """One level for each row."""
    if pd.api.types.is_scalar(given):
        if pd.isna(given):
            raise ValueError(f"{argument} is {shown(given)}; expected a level, or one for each row")
        return pd.Series([given] * len(frame), index=frame.index)
    values = to_pandas_or_numpy(given, argument)
    check_aligned(frame, values, argument, "data")
    if np.ndim(values) != 1 or len(values) != len(frame):
        raise ValueError(
            f"{argument} has shape {np.shape(values)}; expected ({len(frame)},), one level for each row, or a single "
            "level for all"
        )
    return pd.Series(np.asarray(values) if isinstance(values, np.ndarray) else values.array, index=frame.index)


def columns_for(groups: Sequence[Grouping], frame: pd.DataFrame, levels: str | Mapping[str, str]) -> tuple[str, ...]:
    """Columns of a frame that the groupings read for a choice of levels."""
    return tuple(dict.fromkeys(name for g in groups for name in g.columns_read(frame, choice_of(g, levels))))


def frame_for(
    groups: Sequence[Grouping], data: Any, levels: str | Mapping[str, str], *, advice: str | None
) -> pd.DataFrame:
    """New data as a frame with the columns that the groupings read, complete in these.

    Raises
    ------
    TypeError, ValueError
        An array where levels are read, or a column that is missing or has missing values, with the ``advice``.
    """
    is_array = not isinstance(data, pd.DataFrame)
    frame = pd.DataFrame(index=pd.RangeIndex(len(data))) if is_array else data.rename(columns=str)
    read, of_levels = columns_for(groups, frame, levels), column_names(tuple(groups))
    instead = "pass groups={%r: ...}, or levels='average' for their population"
    if is_array and read:
        raise TypeError(
            f"data is an array, and the model has groups: pass a data frame with the columns {listed(read)} beside the "
            f"features, {instead % read[0]}"
        )
    for name in read:
        if name in of_levels and name not in frame:
            hint = did_you_mean(name, frame.columns)
            raise ValueError(
                f"data has no column {shown(name)}{hint} with levels of the groups (columns: {listed(frame.columns)}); "
                f"{instead % name}"
            )
    require_columns(frame, read)
    raise_if_missing(frame, read, advice=advice or "fill it, or leave out such rows")
    return frame
