"""Quantities with their uncertainty, from draws or from a normal approximation, as columns of a table."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from bayes_softmax.core.records import FloatArray
from bayes_softmax.results.intervals import Interval, draws_interval, normal_quantile


class Quantities(NamedTuple):
    """``m`` numbers: draws (S, m) of them, or estimates (1, m) with standard errors (m,)."""

    values: FloatArray
    std_error: FloatArray | None = None


def describe(quantities: Quantities, interval: Interval) -> dict[str, FloatArray]:
    """Centre, spread, interval, and the probability of being above zero, by the names of the columns.

    The probability of an estimate is that of its normal approximation, one minus a one-sided p-value.
    """
    if quantities.std_error is None:
        draws = quantities.values
        low, high = draws_interval(draws, interval)
        names = ("mean", "sd", *interval.columns(), "p_positive")
        columns = (draws.mean(axis=0), draws.std(axis=0, ddof=1), low, high, (draws > 0).mean(axis=0))
    else:
        estimate, error = quantities.values[0], quantities.std_error
        half = normal_quantile(interval) * error
        names = ("estimate", "std_error", *interval.columns("wald"), "p_positive")
        with np.errstate(divide="ignore", invalid="ignore"):
            positive = np.where(error > 0, ndtr(estimate / error), np.where(np.isnan(error), np.nan, estimate > 0))
        columns = (estimate, error, estimate - half, estimate + half, positive)
    return dict(zip(names, columns, strict=True))
