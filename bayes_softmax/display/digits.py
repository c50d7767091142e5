"""Which digits of numbers are shown: as many as their uncertainty supports.

The decimals of a row are those that give its standard error two significant digits.  A mean of draws has none that its
Monte Carlo error does not support, by the rule of ``az.summary``: the decimals of the first digit of twice that error.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray

SIGNIFICANT = 4  # digits of a number without an error
MOST_DECIMALS = 7  # beyond, powers of ten are shorter
LARGEST = 1e7
SMALLEST_SHARE = 3  # decimals of a probability
ROUNDING = 1e-15  # of a probability of one
PLAIN_DECIMALS = 6  # of columns that the package knows nothing about: pandas' default


class Format(NamedTuple):
    """How a column is shown.

    Attributes
    ----------
    kind
        Kind of quantity: a key of ``WRITERS``.
    by
        Column of the standard error that determines the decimals, or columns of the ends of an interval.  Columns with
        the same ones are shown side by side.
    noise
        Column of the Monte Carlo error, if there is one.
    """

    kind: str
    by: tuple[Hashable, ...] = ()
    noise: Hashable | None = None


class Formats(NamedTuple):
    """Formats of the columns of a table by label, and of all others (None: as pandas shows numbers)."""

    columns: Mapping[Hashable, Format] = {}
    others: Format | None = None

    def of(self, label: Hashable) -> Format | None:
        """Format of a column."""
        return self.columns.get(label, self.others)


def estimates(
    centre: Hashable, error: Hashable, *ends: Hashable, noise: Hashable | None = None
) -> dict[Hashable, Format]:
    """Formats of an estimate, its standard error and the ends of its interval, with the decimals of the error."""
    rest = dict.fromkeys((error, *ends), Format("value", (error,)))
    return {centre: Format("value", (error,), noise), **rest}


COMMON: dict[Hashable, Format] = {
    "p_positive": Format("share"),
    "p_above_1": Format("share"),
    "p_value": Format("share"),
    "p_best": Format("share"),
    "contraction": Format("hundredths"),
    "ess_bulk": Format("count"),
    "ess_tail": Format("count"),
    "r_hat": Format("hundredths"),
    "mcse_mean": Format("rough"),
    "n_observations": Format("count"),
}
SHARES = Formats(others=Format("share"))
COUNTS = Formats(others=Format("count"))


def number(value: float, decimals: int) -> str:
    """A number with so many decimals; very large and very small ones as powers of ten.

    >>> number(-0.0004, 2), number(0.000000123, 9), number(float("inf"), 1)
    ('0.00', '1.23e-07', 'inf')
    """
    if np.isnan(value):
        return "NaN"
    if value == 0 or np.isinf(value):
        return f"{value:.0f}".replace("-0", "0")
    if decimals > MOST_DECIMALS or abs(value) >= LARGEST:
        digits = min(max(decimals + magnitude(value) + 1, 2), SIGNIFICANT)
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{max(decimals, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def magnitude(value: float) -> int:
    """Power of ten of the first significant digit."""
    return int(np.floor(np.log10(abs(value))))


def significant(values: FloatArray, digits: int = SIGNIFICANT) -> list[str]:
    """Numbers with so many significant digits each, and all digits before the decimal point."""
    return [number(v, digits - 1 - magnitude(v) if np.isfinite(v) and v != 0 else 0) for v in values.tolist()]


def by_error(values: FloatArray, errors: FloatArray, noise: FloatArray | None = None) -> list[str]:
    """Numbers with the decimals that give their errors two significant digits, and none below the Monte Carlo error."""
    texts = significant(values)
    for i, (value, error) in enumerate(zip(values.tolist(), errors.tolist(), strict=True)):
        if not (np.isfinite(error) and error > 0 and np.isfinite(value)):
            continue
        decimals = 1 - magnitude(error)
        if noise is not None and np.isfinite(noise[i]) and noise[i] > 0:
            decimals = min(decimals, -magnitude(2 * noise[i]))
        texts[i] = number(value, decimals)
    return texts


def shares(values: FloatArray) -> list[str]:
    """Probabilities; numbers that are none, as after arithmetic, with significant digits.

    >>> shares(np.array([0.0, 2.1e-35, 0.25, 0.9999, 1.0]))
    ['0', '<0.001', '0.250', '>0.999', '1']
    """
    known = values[np.isfinite(values)]
    if len(known) and not (known.min() >= 0 and known.max() <= 1):
        return significant(values)
    least = 0.5 * 10.0**-SMALLEST_SHARE
    unit = f"{10.0**-SMALLEST_SHARE:g}"
    nearly_one = f">{1 - 10.0**-SMALLEST_SHARE:g}"

    def text(p: float) -> str:
        if p == 0 or abs(1 - p) <= ROUNDING:
            return f"{p:.0f}"
        if 0 < p < least:
            return f"<{unit}"
        return nearly_one if 1 - least < p < 1 else number(p, SMALLEST_SHARE)

    return [text(p) for p in values.tolist()]


def amounts(values: FloatArray) -> list[str]:
    """Quantities that are not negative, with four decimals: entropies; ``<0.0001`` for smaller ones."""
    return ["<0.0001" if 0 < v < 0.5e-4 else number(v, 4) for v in values.tolist()]


def counts(values: FloatArray) -> list[str]:
    """Numbers of observations or draws: without a decimal point if all are whole."""
    known = values[np.isfinite(values)]
    whole = bool((known == np.round(known)).all())
    return [number(v, 0 if whole else 1) for v in values.tolist()]


def as_given(values: FloatArray) -> list[str]:
    """Numbers with the decimals they have, at most six, as pandas shows them; the same in all rows."""
    known = values[np.isfinite(values)]
    if len(known) and (np.abs(known).max() >= LARGEST or 0 < np.abs(known).max() < 10.0**-SIGNIFICANT):
        return significant(values)
    exact = (d for d in range(PLAIN_DECIMALS) if np.abs(np.round(known, d) - known).max(initial=0.0) <= 1e-12)
    decimals = next(exact, PLAIN_DECIMALS)
    return [f"{v:.{decimals}f}" if np.isfinite(v) else number(v, 0) for v in values.tolist()]


# Writers of quantities that need no column beside their own.
WRITERS: Mapping[str, Callable[[FloatArray], list[str]]] = {
    "value": significant,
    "share": shares,
    "amount": amounts,
    "count": counts,
    "hundredths": lambda values: [number(v, 2) for v in values.tolist()],
    "rough": lambda values: significant(values, 2),
    "ratio": lambda values: significant(values, 3),
}


def aligned(texts: list[str]) -> list[str]:
    """Numbers of a column with their decimal points below each other, unless that takes much more space."""
    tails = [len(t) - t.index(".") if "." in t and "e" not in t else 0 for t in texts]
    longest = max(tails, default=0)
    moved = [t + " " * (longest - tail) if _is_number(t) else t for t, tail in zip(texts, tails, strict=True)]
    wide = max(map(len, texts), default=0)
    return moved if max(map(len, moved), default=0) <= wide + 2 else texts


def _is_number(text: str) -> bool:
    return text.lstrip("-<>")[:1].isdigit() and "e" not in text
