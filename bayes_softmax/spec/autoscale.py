"""The default prior of the weights: a scale for each column, from the spread of the columns over the data."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.features import Features, ranges_of, some_columns, two_valued, weighted_blocks

DEFAULT_INTERCEPT_SCALE = 1.5
DEFAULT_TOTAL_SCALE = 2.0
BINARY_SD_FLOOR = 0.5


def default_scales(unit: FloatArray, rms: FloatArray) -> tuple[float, FloatArray]:
    r"""The default's constant and the scales of its normal priors: together they move a logit with sd 2 over the rows.

    .. math:: W_j \sim \mathrm{Normal}(0, c / u_j), \qquad
              c = \min\Bigl(2,\; 2 \Big/ \sqrt{\textstyle\sum_j (r_j / u_j)^2}\Bigr)

    ``r_j`` is the root mean square of the column about its mean, about zero in a model without an intercept, weighted
    as the rows are.  ``u_j`` is its unit (:func:`feature_spread`): ``r_j``, for a column with two values at least half
    their distance.  The sum is over the columns that take the default.
    So the prior variance of a free logit coordinate, averaged over the rows, is :math:`2^2` however many columns there
    are: a factor's dummies, a spline's basis and products count for what they do.  It is less only where all columns
    are rare flags, whose scale stops at :math:`c = 2`: 4 for a column of zeros and ones, however rare the ones.
    The intercept's ``Normal(1.5)`` at the feature means adds its own: ``sqrt(1.5^2 + 2.0^2) = 2.5``.

    Under treatment coding (``C(g)`` beside an intercept) the base level of a factor of many levels is shrunk more than
    the others: its logits have the prior sd 1.5 of the intercept alone, the others' that of intercept and dummy, 2.5.
    ``0 + C(g)`` treats all levels alike.
    """
    total = float(np.sqrt(np.square(rms / unit).sum()))
    constant = DEFAULT_TOTAL_SCALE / max(total, 1.0)
    return constant, constant / unit


def column_rms(X: Features, totals: FloatArray, scale: FloatArray, *, has_intercept: bool) -> FloatArray:
    """Root mean square of each column, weighted: about its mean, or about zero where there is no intercept."""
    N, p = X.shape
    if has_intercept or not N * p:
        return scale
    low, high = ranges_of(X)
    size = np.maximum(-low, high)
    size[size == 0] = 1.0
    shares = totals / totals.sum()
    mean = np.sum([share @ np.square(rows / size) for share, rows in weighted_blocks(X, shares)], axis=0)
    rms: FloatArray = size * np.sqrt(mean)  # squares must not overflow
    return rms


def feature_spread(X: Features, scale: FloatArray) -> FloatArray:
    """Unit of each feature: its ``scale``, for a column with two values at least half their distance.

    The scale is the standard deviation; in a model without an intercept the root mean square, since a column far from
    zero, in units of its standard deviation, would have all of the variance, and the others none.
    """
    two, (low, high) = two_valued(X)
    return np.where(two, np.maximum(scale, BINARY_SD_FLOOR * (high - low)), scale)


class FeatureColumns(Protocol):
    """What default priors need to know of the columns of the features, over the rows that hold observations."""

    def rms(self, at: NDArray[np.bool_], scale: FloatArray) -> FloatArray:
        """Root mean squares of some columns with standard deviations ``scale``, as :func:`column_rms`."""
        ...

    def spread(self, at: NDArray[np.bool_], scale: FloatArray) -> FloatArray:
        """Units of some columns of this scale, as :func:`feature_spread`."""
        ...


@dataclass(frozen=True, eq=False)
class ColumnsInMemory:
    """Columns ``X`` (N, p) of rows with ``totals`` (N,) observations."""

    X: Features
    totals: FloatArray
    has_intercept: bool

    def rms(self, at: NDArray[np.bool_], scale: FloatArray) -> FloatArray:
        """Root mean squares of some columns."""
        return column_rms(self._columns(at), self.totals, scale, has_intercept=self.has_intercept)

    def spread(self, at: NDArray[np.bool_], scale: FloatArray) -> FloatArray:
        """Units of some columns."""
        return feature_spread(self._columns(at), scale)

    def _columns(self, at: NDArray[np.bool_]) -> Features:
        return self.X if at.all() else some_columns(self.X, np.flatnonzero(at))


@dataclass(frozen=True, eq=False)
class ColumnsSummed:
    """Columns of which sums are known: their root mean squares about zero, and distances of two values, else 0."""

    about_zero: FloatArray
    two_valued_ranges: FloatArray
    has_intercept: bool

    def rms(self, at: NDArray[np.bool_], scale: FloatArray) -> FloatArray:
        """Root mean squares of some columns."""
        return scale if self.has_intercept else self.about_zero[at]

    def spread(self, at: NDArray[np.bool_], scale: FloatArray) -> FloatArray:
        """Units of some columns."""
        unit: FloatArray = np.maximum(scale, BINARY_SD_FLOOR * self.two_valued_ranges[at])
        return unit


def variance_units(unit: FloatArray, sd: FloatArray) -> FloatArray:
    r"""Units in which features share out a variance of the logits, so that the rows realise all of it.

    A column of rare values has a small sd in its unit, so with shares :math:`\phi_j` of mean ``1 / p`` the rows realise
    the fraction :math:`\sum_j \phi_j (sd_j / u_j)^2` of the variance (0.02 for the dummies of 200 levels).  The units
    are divided by its root, at most so far that one feature alone has all the variance in its own unit.
    """
    arriving = float(np.mean(np.square(sd / unit)))
    units: FloatArray = unit * np.sqrt(max(arriving, 1.0 / len(unit)))
    return units
