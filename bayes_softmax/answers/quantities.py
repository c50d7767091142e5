"""Scalar quantities with their uncertainty, from draws or a normal approximation, as columns of a table."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from bayes_softmax.answers.intervals import Interval, draws_interval, normal_quantile
from bayes_softmax.core.records import FloatArray
from bayes_softmax.display.digits import Format, chance


class Quantities(NamedTuple):
    """Draws (S, m) of m scalar quantities, or their estimates (1, m) with standard errors (m,)."""

    values: FloatArray
    std_error: FloatArray | None = None

    @property
    def chance(self) -> Format:
        """How probabilities of them are shown."""
        return chance(len(self.values) if self.std_error is None else None)


def share_positive(draws: FloatArray) -> FloatArray:
    """Share (m,) of draws (S, m) above zero; zeros count half, and NaN stays NaN."""
    return np.heaviside(draws, 0.5).mean(axis=0)


def summary_columns(quantities: Quantities, interval: Interval) -> dict[str, FloatArray]:
    """Centre, spread, interval and probability of being positive, by column name.

    The probability for an estimate uses its normal approximation: one minus a one-sided p-value.
    """
    if quantities.std_error is None:
        draws = quantities.values
        low, high = draws_interval(draws, interval)
        names = ("mean", "sd", *interval.columns(), "p_positive")
        sd = draws.std(axis=0, ddof=1) if len(draws) > 1 else np.full(draws.shape[1], np.nan)
        columns = (draws.mean(axis=0), sd, low, high, share_positive(draws))
    else:
        estimate, error = quantities.values[0], quantities.std_error
        half = normal_quantile(interval) * error
        names = ("estimate", "std_error", *interval.columns("wald"), "p_positive")
        with np.errstate(divide="ignore", invalid="ignore"):
            known = np.heaviside(estimate, 0.5)
            positive = np.where(error > 0, ndtr(estimate / error), np.where(np.isnan(error), np.nan, known))
        columns = (estimate, error, estimate - half, estimate + half, positive)
    return dict(zip(names, columns, strict=True))
