"""Labels as plain strings, whole numbers or booleans, whatever type they came in."""

from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import describe_rows, shown
from bayes_softmax.core.records import AnyArray

EXACT_FLOAT = 2**53  # beyond it, neighbouring whole numbers share one floating-point number
LABEL_TYPES = "class labels are str, int or bool"


def plain_label(label: Any) -> Any:
    """A label as the plain string, whole number or boolean that it stands for; else as it is.

    NumPy's scalars, ``StrEnum`` and ``IntEnum``, whole numbers stored as floats, and the intervals of ``pd.cut``
    by their name.
    """
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, Enum) and isinstance(label, str | int):
        label = label.value
    if isinstance(label, pd.Interval):
        return str(label)
    if isinstance(label, float) and label.is_integer() and abs(label) <= EXACT_FLOAT:
        return int(label)
    if isinstance(label, bool):
        return label
    if isinstance(label, int):
        return int(label)
    return str.__str__(label) if isinstance(label, str) else label


def plain_array(values: AnyArray, name: str, index: Any = None) -> AnyArray:
    """Labels as an array of one plain type: strings, integers or booleans; ``index`` names the rows in messages.

    Raises
    ------
    TypeError, ValueError
        Labels of other types, of several types, or numbers beyond 64 bits.
    """
    index = range(len(values)) if index is None else index
    kind = values.dtype.kind
    if kind in "bi":
        return values if kind == "b" else values.astype(np.int64, copy=False)
    if kind == "u":
        return values.astype(np.int64 if values.max(initial=0) < 2**63 else np.uint64)
    if kind == "f":
        whole = np.isfinite(values) & (values == np.round(values))
        if not whole.all():
            i = int(np.flatnonzero(~whole)[0])
            raise TypeError(
                f"{name}: labels are real numbers ({shown(values[i])} in {describe_rows(index, [i])}); {LABEL_TYPES}. "
                "A measured response needs another regression; codes of groups become strings by .astype(str)"
            )
        if (np.abs(values) > EXACT_FLOAT).any():
            _refuse_large(values[np.abs(values) > EXACT_FLOAT][0], name)
        return values.astype(np.int64)
    if kind not in "OUT":
        advice = "decode them: numpy.char.decode(y)" if kind == "S" else "convert them: .astype(str)"
        raise TypeError(f"{name}: labels have dtype {values.dtype}; {LABEL_TYPES}: {advice}")
    labels = values.tolist()
    kinds: set[type] = set(map(type, labels))
    if kinds == {str} and kind == "O":
        return values
    labels = [plain_label(v) for v in labels]
    kinds = set(map(type, labels))
    if kinds == {int}:
        return _whole_numbers(labels, name)
    if len(kinds) > 1 or not kinds <= {str, bool}:
        _refuse_types(labels, name, index)
    out = np.empty(len(labels), dtype=object if kinds == {str} else bool)
    out[:] = labels
    return out


def _refuse_types(labels: list[Any], name: str, index: Any) -> None:
    """Raise for labels of a type that is none of ours, or of several types, naming the first of them and its row."""
    i = next((i for i, label in enumerate(labels) if type(label) not in (str, int, bool)), None)
    if i is None:
        j = next(j for j, label in enumerate(labels) if type(label) is not type(labels[0]))
        one, other = (f"{shown(labels[k])} ({type(labels[k]).__name__}, {describe_rows(index, [k])})" for k in (0, j))
        raise TypeError(f"{name}: labels are of several types, {one} and {other}; use one: .astype(str)")
    odd = labels[i]
    if isinstance(odd, float) and odd.is_integer():
        _refuse_large(odd, name)
    advice = "convert them: [str(label) for label in y]"
    if isinstance(odd, bytes | Enum):
        advice = f"take their text: [label.{'decode()' if isinstance(odd, bytes) else 'value'} for label in y]"
    raise TypeError(
        f"{name}: label {shown(odd)} in {describe_rows(index, [i])} is of type {type(odd).__name__}; {LABEL_TYPES}: "
        f"{advice}"
    )


def _whole_numbers(labels: list[int], name: str) -> AnyArray:
    """Whole numbers that fit into 64 bits."""
    low, high = min(labels), max(labels)
    if low < -(2**63) or high >= 2**64 or (low < 0 and high >= 2**63):
        _refuse_large(high if high >= 2**63 else low, name)
    return np.array(labels, dtype=np.int64 if high < 2**63 else np.uint64)


def _refuse_large(label: Any, name: str) -> None:
    real = isinstance(plain_label(label), float)
    kind = "2**53, where real numbers no longer tell whole numbers apart" if real else "64 bits"
    raise ValueError(f"{name}: label {shown(label)} is beyond {kind}; pass labels as strings")
