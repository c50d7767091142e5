"""Which digits of numbers are shown: as many as their uncertainty supports.

The decimals of a row are those that give its standard error two significant digits.  A mean of draws has none that its
Monte Carlo error does not support, by the rule of ``az.summary``: the decimals of the first digit of twice that error.
Rows that belong together, as those of one feature, have one notation: all decimals, or all powers of ten.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray

SIGNIFICANT = 4  # digits of a number without an error
MOST_DECIMALS = 7  # beyond, powers of ten are shorter
LARGEST = 1e7
SMALLEST_SHARE = 3  # decimals of a probability
RATIO_DIGITS = 3
MOST_RATIO_DECIMALS = 12  # a ratio near 1 has no shorter power of ten
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
    draws
        Number of draws that a share is of, if it is of draws.
    """

    kind: str
    by: tuple[Hashable, ...] = ()
    noise: Hashable | None = None
    draws: int | None = None


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


def chance(draws: int | None) -> Format:
    """Format of a probability that is never certain: a share of draws, or of a normal approximation (None)."""
    return Format("chance", draws=draws)


COMMON: dict[Hashable, Format] = {
    "p_positive": Format("chance"),
    "p_above_1": Format("chance"),
    "p_value": Format("chance"),
    "p_best": Format("share"),
    "contraction": Format("hundredths"),
    "ess_bulk": Format("count"),
    "ess_tail": Format("count"),
    "r_hat": Format("hundredths"),
    "mcse_mean": Format("rough"),
    "n_observations": Format("count"),
}
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
        return power(value, decimals)
    text = f"{value:.{max(decimals, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def power(value: float, decimals: int) -> str:
    """A number other than 0 as a power of ten, with so many decimals before it is moved.

    >>> power(0.0000123, 6), power(-2.5e9, 0)
    ('1.2e-05', '-2.500e+09')
    """
    digits = min(max(decimals + magnitude(value) + 1, 2), SIGNIFICANT)
    return f"{value:.{digits - 1}e}"


def magnitude(value: float) -> int:
    """Power of ten of the first significant digit."""
    return int(np.floor(np.log10(abs(value))))


def significant(values: FloatArray, digits: int = SIGNIFICANT) -> list[str]:
    """Numbers with so many significant digits each, and all digits before the decimal point."""
    return [number(v, digits - 1 - magnitude(v) if np.isfinite(v) and v != 0 else 0) for v in values.tolist()]


def by_error(
    values: FloatArray, errors: FloatArray, noise: FloatArray | None = None, together: IntArray | None = None
) -> list[str]:
    """Numbers with the decimals that give their errors two significant digits, and none below the Monte Carlo error.

    ``together`` (n,) numbers the blocks of rows that share a notation; default each row for itself.
    """
    texts = significant(values)
    known = np.isfinite(errors) & (errors > 0)
    powers = known & ((1 - _magnitudes(errors, known) > MOST_DECIMALS) | (np.abs(values) >= LARGEST))
    if together is not None and powers.any():
        powers = np.isin(together, together[powers])
    for i in np.flatnonzero(known & np.isfinite(values)).tolist():
        value, decimals = values[i].item(), 1 - magnitude(errors[i])
        if noise is not None and np.isfinite(noise[i]) and noise[i] > 0:
            decimals = min(decimals, -magnitude(2 * noise[i]))
        texts[i] = power(value, decimals) if powers[i] and value != 0 else number(value, decimals)
    return texts


def _magnitudes(values: FloatArray, known: NDArray[np.bool_]) -> IntArray:
    """Powers of ten of the first significant digits; 0 where they are not known."""
    found: IntArray = np.floor(np.log10(np.where(known, values, 1.0))).astype(np.int64)
    return found


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


def chances(values: FloatArray, draws: int | None = None) -> list[str]:
    """Shares of draws and other probabilities that are not certain: never 0 or 1, nor less than one draw of all.

    >>> chances(np.array([0.0, 0.25, 1.0])), chances(np.array([0.0, 0.02, 1.0]), 100)
    (['<0.001', '0.250', '>0.999'], ['<0.010', '0.020', '>0.990'])
    """
    known = values[np.isfinite(values)]
    if len(known) and not (known.min() >= 0 and known.max() <= 1):
        return significant(values)
    unit = 10.0**-SMALLEST_SHARE
    least = unit if draws is None else max(unit, np.ceil(1 / draws / unit) * unit)
    ends = {"0": f"<{least:.{SMALLEST_SHARE}f}", "1": f">{1 - least:.{SMALLEST_SHARE}f}"}
    return [ends.get(text, text) for text in shares(values)]


def ratios(values: FloatArray, low: FloatArray, high: FloatArray) -> list[str]:
    """Ratios with three significant digits, or as many decimals as the interval needs to be told from 1.

    >>> ratios(np.array([1.0000354, 2.05]), np.array([1.0000263, 1.5]), np.array([1.0000452, 2.8]))
    ['1.000035', '2.05']
    """
    texts = significant(values, RATIO_DIGITS)
    for i, value in enumerate(values.tolist()):
        # An interval spans some three to four standard errors; their first digit is the last that is shown.
        error = (high[i] - low[i]) / 4
        if np.isfinite(error) and error > 0 and np.isfinite(value) and value > 0:
            decimals = min(-magnitude(error), MOST_RATIO_DECIMALS)
            if decimals > RATIO_DIGITS - 1 - magnitude(value):
                near_one = 0.1 < value < LARGEST
                texts[i] = f"{value:.{decimals}f}" if near_one else number(value, decimals)
    return texts


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
    "chance": chances,
    "amount": amounts,
    "count": counts,
    "hundredths": lambda values: [number(v, 2) for v in values.tolist()],
    "rough": lambda values: significant(values, 2),
    "ratio": lambda values: significant(values, RATIO_DIGITS),
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
