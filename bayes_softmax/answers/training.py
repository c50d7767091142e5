"""The data a fit was made from, kept for scores, effects and leave-one-out: each distinct row once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.probabilities import Rows
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.collapse import Collapsed
from bayes_softmax.data.design import Design, Response, dense_counts


class Cells(NamedTuple):
    """Observed classes of distinct rows: cell c is class ``codes[c]`` in row ``rows[c]``, ``units[c]`` times.

    Cells stand in the order of the rows, and within a row in the order of the classes.
    """

    rows: IntArray
    codes: IntArray
    units: FloatArray


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Distinct rows with their weighted counts, and the way from the rows as given to these.

    Attributes
    ----------
    distinct
        The data as they were fitted: collapsed to distinct rows where that helped.
    response, weights
        The (N,) observations as given.
    row_map
        (N,) distinct row of each row as given.
    index
        (N,) labels of the rows as given.
    """

    distinct: Design
    response: Response
    weights: FloatArray | None
    row_map: IntArray
    index: Any

    @property
    def n_obs(self) -> int:
        """Rows as given, N."""
        return len(self.row_map)

    @property
    def rows(self) -> Rows:
        """Distinct rows, encoded."""
        return Rows(self.distinct.X, self.distinct.index, self.distinct.offset, available=self.distinct.available)

    @property
    def given(self) -> Rows:
        """The rows as given, encoded."""
        rows = self.rows if self.distinct.n_obs == self.n_obs else self.rows.take(self.row_map)
        return rows._replace(index=self.index)

    def given_counts(self) -> FloatArray:
        """(N, K) weighted counts of the rows as given."""
        return dense_counts(self.response, self.weights)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Distinct rows as a frame of what the model reads: columns of the formula, or features."""
        if self.distinct.frame is not None:
            frame: pd.DataFrame = self.distinct.frame
            return frame
        return pd.DataFrame(self.distinct.X, columns=list(self.distinct.feature_names), copy=False)

    @cached_property
    def counts(self) -> FloatArray:
        """(n, K) weighted counts of the distinct rows."""
        return self.distinct.dense_counts()

    @cached_property
    def cells(self) -> Cells:
        """Distinct rows and observed classes with their units."""
        rows, codes = np.nonzero(self.counts)
        return Cells(rows, codes, self.counts[rows, codes])

    @property
    def whole_units(self) -> bool:
        """Whether every observation is a whole number of units."""
        given = self.response.counts if self.response.counts is not None else np.zeros(1)
        weights = np.zeros(1) if self.weights is None else self.weights
        return not ((given % 1).any() or (weights % 1).any())

    def units(self, order: Sequence[int] | None = None) -> tuple[IntArray, IntArray]:
        """For each unit, in the order of the rows as given: its row as given, and its cell.

        ``order`` is the order of the classes within a row; default their own.
        """
        cell_of = np.full(self.counts.shape, -1)
        cell_of[self.cells.rows, self.cells.codes] = np.arange(len(self.cells.rows))
        repeats = np.ones(self.n_obs) if self.weights is None else self.weights
        if self.response.codes is not None:
            rows, codes = np.arange(self.n_obs), self.response.codes
        else:
            assert self.response.counts is not None
            within = np.arange(self.response.n_classes) if order is None else np.asarray(order)
            rows, place = np.nonzero(self.response.counts[:, within])
            codes = within[place]
            repeats = repeats[rows] * self.response.counts[rows, codes]
        times = repeats.astype(np.int64)
        return np.repeat(rows, times), np.repeat(cell_of[self.row_map[rows], codes], times)


def training_data(design: Design, collapsed: Collapsed | None) -> TrainingData:
    """The data of a model, sharing its arrays."""
    if collapsed is None:
        return TrainingData(design, design.response, design.weights, np.arange(design.n_obs), design.index)
    return TrainingData(collapsed.design, design.response, design.weights, collapsed.row_map, design.index)
