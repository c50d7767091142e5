"""Arguments with a column for each class: an array, a frame, names of columns, or a mapping from class to column."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bayes_softmax.core.checks import counted, did_you_mean, listed, shown
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.design import Label
from bayes_softmax.data.frames import is_frame, require_columns, to_pandas
from bayes_softmax.data.plain_labels import plain_label


def class_column_names(value: Any, classes: Sequence[Label] | None = None) -> tuple[str, ...]:
    """Columns of the data that an argument names, in the order of the classes if these are known; else none."""
    if isinstance(value, Mapping):
        value = [value[c] for c in (value if classes is None else classes) if c in value]
    named = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    return tuple(value) if named else ()


def read_class_columns(value: Any, data: Any, classes: Sequence[Label], argument: str) -> Any:
    """A frame with one column for each class, in their order; an array as it is, its shape unchecked.

    Raises
    ------
    ValueError, TypeError
        A class without a column, a column without a class, or a name of a column that the data do not have.
    """
    K = len(classes)
    if isinstance(value, Mapping):
        value = _in_order(value, classes, argument)
    names = class_column_names(value)
    if names:
        if len(names) != K:
            raise ValueError(f"{argument} names {counted(len(names), 'column')}; it needs one for each of {K} classes")
        if not is_frame(data):
            raise ValueError(f"{argument} names the columns {listed(names)}, but the data is not a data frame")
        frame = to_pandas(data)
        require_columns(frame, names, f"{argument}: data")
        return frame[list(names)]
    if isinstance(value, str):
        raise TypeError(
            f"{argument}={shown(value)} must be an (N, K) array, {K} names of columns, or a mapping from class to "
            "column"
        )
    values = to_pandas_or_numpy(value, argument)
    if not isinstance(values, pd.DataFrame):
        return values
    by_text = {str(c): c for c in classes}  # some libraries allow only strings as names of columns
    columns = [c if c in classes else by_text.get(c, c) for c in map(plain_label, values.columns)]
    if set(columns) != set(classes) or len(columns) != K:
        raise ValueError(f"{argument} has columns {listed(columns)}; name them by class: {listed(classes)}")
    return values.iloc[:, [columns.index(c) for c in classes]]


def _in_order(columns: Mapping[Any, Any], classes: Sequence[Label], argument: str) -> list[Any]:
    """The columns of a mapping in the order of the classes, each of which has one."""
    odd, absent = [c for c in columns if c not in classes], [c for c in classes if c not in columns]
    if odd or absent:
        hint = did_you_mean(odd[0], absent or classes) if odd else ""
        wrong = f"a column for {shown(odd[0])}, which is no class" if odd else f"no column for class {shown(absent[0])}"
        raise ValueError(f"{argument} has {wrong}; name one for each of the classes {listed(classes)}{hint}")
    for label in classes:
        if not isinstance(columns[label], str):
            raise TypeError(
                f"{argument}: class {shown(label)} has {shown(columns[label])} of type {type(columns[label]).__name__};"
                " name a column of the data, or give all classes in one array (N, K)"
            )
    return [columns[c] for c in classes]
