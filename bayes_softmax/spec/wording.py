"""Lists and counts in messages."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

LISTED = 10


def listed(values: Iterable[Any], limit: int = LISTED) -> str:
    """The values, ``'a', 'b', 'c'``; of many the first few and a count."""
    values = list(values)
    shown = ", ".join(repr(plain(value)) for value in islice(values, limit))
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit:,} more"


def counted(n: int, noun: str) -> str:
    """A number of things: ``1 feature``, ``2 features``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def plain(value: Any) -> Any:
    """A NumPy scalar as the number it is: ``4.0``, not ``np.float64(4.0)``."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
