"""Argument checks: one wording for choices, flags, numbers, lists of names and the nearest match."""

import difflib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, Final

import numpy as np

LISTED = 5  # names that a message lists, so that the problem itself stays readable
SHOWN = 80  # characters of a value in a message
WITHOUT_TYPES: Final = "1.25"  # the version of NumPy up to which a number was written without its type
ROW_LABEL = 40  # characters of a row label in a message


def listed(names: Iterable[Any], limit: int = LISTED) -> str:
    """The first few names of a list, and the number of the others.

    >>> listed(["a", "b"]), listed(range(9), limit=3)
    ("'a', 'b'", '0, 1, 2 (and 6 more)')
    """
    all_names = list(names)
    return first_few([shown(name) for name in all_names[:limit]], len(all_names))


def first_few(texts: Sequence[str], total: int) -> str:
    """The first few texts of ``total``, and the number of the others.

    >>> first_few(["one 1", "two 2"], 5)
    'one 1, two 2 (and 3 more)'
    """
    return ", ".join(texts) + (f" (and {total - len(texts)} more)" if total > len(texts) else "")


def shown(value: Any) -> str:
    """A value as Python writes it, without NumPy's types, and not longer than a line.

    >>> shown(np.float64(4.0)), shown({"a": np.int64(1)}), shown("x" * 200)[-6:]
    ('4.0', "{'a': 1}", "x...x'")
    """
    try:
        with np.printoptions(legacy=WITHOUT_TYPES):
            text = repr(value.item() if isinstance(value, np.generic) else value)
    except ValueError:  # an integer with more digits than Python converts
        text = f"<{type(value).__name__} too long to write>"
    if "\n" in text:  # frames and arrays span several lines
        text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 5]}...{text[-2:]}"


def did_you_mean(name: Any, known: Iterable[Any], cutoff: float = 0.6) -> str:
    """``"; did you mean 'x'?"``, or an empty string if no name is close; first a name that differs only in its case.

    >>> did_you_mean("weigth", ["height", "weight"]), did_you_mean("BMI ", ["bmi"])
    ("; did you mean 'weight'?", "; did you mean 'bmi'?")

    ``cutoff`` is the least similarity, from 0 to 1.
    """
    by_text = {str(k): k for k in known}
    given = str(name).strip()
    alike = [text for text in by_text if text.strip().casefold() == given.casefold()]
    near = sorted(alike, key=lambda text: text.strip() != given) or difflib.get_close_matches(
        str(name), list(by_text), n=1, cutoff=cutoff
    )
    return f"; did you mean {shown(by_text[near[0]])}?" if near else ""


def counted(n: int | float, noun: str, plural: str | None = None) -> str:
    """A number with its noun, singular or plural.

    >>> counted(1, "row"), counted(2, "row"), counted(0, "class", "classes")
    ('1 row', '2 rows', '0 classes')
    """
    number = f"{n:.0f}" if n == int(n) else f"{n:g}"
    return f"{number} {noun if n == 1 else plural or noun + 's'}"


def times(n: int) -> str:
    """How often, in words.

    >>> times(2), times(3)
    ('twice', '3 times')
    """
    return "twice" if n == 2 else counted(n, "time")


def check_choice(argument: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise unless the value is one of a few names."""
    if not isinstance(value, str):
        raise TypeError(f"{argument}={shown(value)} must be one of {', '.join(map(repr, allowed))}")
    if value not in allowed:
        hint = did_you_mean(value, allowed)
        raise ValueError(f"{argument}={shown(value)} is not known; use one of {', '.join(map(repr, allowed))}{hint}")


def check_flags(**flags: Any) -> None:
    """Raise unless every argument is True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name}={shown(value)} must be True or False")


def check_counts(**counts: Any) -> None:
    """Raise unless every argument is a whole number of at least one."""
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name}={shown(value)} must be a whole number")
        if value < 1:
            raise ValueError(f"{name}={shown(value)} must be at least 1")


def check_counts_or_none(**counts: Any) -> None:
    """Raise unless every argument is None or a whole number of at least one."""
    check_counts(**{name: value for name, value in counts.items() if value is not None})


def is_number(value: Any) -> bool:
    """Whether a value is one real number; a boolean is not."""
    return is_real(value) and not isinstance(value, bool | np.bool_)


def is_real(value: Any) -> bool:
    """Whether a value is one real number, or a boolean, which counts as 0 or 1."""
    return isinstance(value, Real | Decimal | np.bool_)


def as_float(value: Any) -> float:
    """A real number in double precision; infinite if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def check_between(argument: str, value: Any, low: float, high: float, example: str = "") -> float:
    """A number strictly between two bounds, as a float."""
    ends = f"between {low:g} and {high:g}" if high < np.inf else f"above {low:g} and finite"
    wrong = f"{argument}={shown(value)} must be a number {ends}{example}"
    if not is_number(value):
        raise TypeError(wrong)
    if not low < as_float(value) < high:
        raise ValueError(wrong)
    return as_float(value)


def set_positive(prior: object, *names: str) -> None:
    """Check that parameters of a prior are positive and store floats: ``df=4`` and ``df=4.0`` are the same prior."""
    family = type(prior).__name__
    for name in names:
        value = getattr(prior, name)
        if not is_number(value):
            raise TypeError(f"{family}: {name}={shown(value)} must be a positive number")
        if not 0 < as_float(value) < np.inf:
            raise ValueError(f"{family}: {name}={shown(value)} must be positive and finite")
        object.__setattr__(prior, name, float(value))


def describe_rows(index: Any, where: Sequence[int] | np.ndarray[Any, Any]) -> str:
    """Row labels for an error message: ``row 3`` or ``rows 3, 8, 9 (and 2 more)``.

    >>> describe_rows(range(100), [3]), describe_rows(["x" * 99], [0])
    ('row 3', 'row xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...')
    """
    positions = np.asarray(where)
    with np.printoptions(legacy=WITHOUT_TYPES):  # for rows with labels of several levels
        labels = [shortened(str(index[int(i)])) for i in positions[:LISTED]]
    more = f" (and {len(positions) - LISTED} more)" if len(positions) > LISTED else ""
    return f"row{'s' if len(positions) > 1 else ''} {', '.join(labels)}{more}"


def shortened(text: str, limit: int = ROW_LABEL) -> str:
    """A text on one line, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
