"""The data of a fit, as scores, effects and leave-one-out read them: a block of rows at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.available import Mask
from bayes_softmax.data.collapse import Collapsed
from bayes_softmax.data.design import Design, Response, dense_counts, observation_totals

CHUNK_ROWS = 65536  # rows per block


class Cells(NamedTuple):
    """Observed classes of distinct rows: cell c is class ``codes[c]`` in row ``rows[c]``, ``counts[c]`` times.

    Cells are ordered by row and, within a row, by class.
    """

    rows: IntArray
    codes: IntArray
    counts: FloatArray


class RowBlock(NamedTuple):
    """Consecutive rows of the data, from position ``first``, with weighted counts (n, K) of the classes."""

    first: int
    rows: Rows
    counts: FloatArray

    @property
    def place(self) -> slice:
        """Positions of these rows."""
        return slice(self.first, self.first + len(self.counts))

    @property
    def cells(self) -> Cells:
        """Observed classes, with rows counted from the first of this block."""
        rows, codes = np.nonzero(self.counts)
        return Cells(rows, codes, self.counts[rows, codes])


class VariableRows(NamedTuple):
    """Rows as a frame of variables, with offset (n, K) or None, weights (n,), and classes on offer (n, K) or None.

    ``codes`` (n, groupings) are those of the levels of groups, None until they are known and without groups.
    """

    frame: pd.DataFrame
    offset: FloatArray | None
    weights: FloatArray
    available: Mask | None = None
    codes: IntArray | None = None

    def take(self, at: Any) -> "VariableRows":
        """Some of the rows, by a slice or by positions."""
        offset, available, codes = (None if a is None else a[at] for a in (self.offset, self.available, self.codes))
        return VariableRows(self.frame.iloc[at], offset, self.weights[at], available, codes)

    def chunks(self) -> Iterator["VariableRows"]:
        """The same rows, some at a time."""
        for start in range(0, len(self.frame), CHUNK_ROWS):
            yield self.take(slice(start, start + CHUNK_ROWS))


class TrainingData(Protocol):
    """The data of a fit, as the answers may read them.

    Rows as given are those of the user's data; equal ones may be kept once, as one distinct row with counts.  Arrays
    returned whole have one number or label per row; everything larger comes in blocks.
    """

    @property
    def n_obs(self) -> int:
        """Number of rows as given, N."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of distinct rows."""
        ...

    @property
    def index(self) -> Any:
        """(N,) labels of the rows as given."""
        ...

    @property
    def row_map(self) -> IntArray:
        """(N,) distinct row of each row as given."""
        ...

    @property
    def totals(self) -> FloatArray:
        """(N,) observations in each row as given: its weight, or the weighted total of its counts."""
        ...

    @property
    def whole_counts(self) -> bool:
        """Whether every row has a whole number of observations."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the columns that the model reads."""
        ...

    def blocks(self) -> Iterator[RowBlock]:
        """Distinct rows."""
        ...

    def given_blocks(self) -> Iterator[RowBlock]:
        """Rows as given."""
        ...

    def variable_blocks(self) -> Iterator[VariableRows]:
        """Distinct rows as unencoded variables, weighted by their observations."""
        ...

    def take(self, at: IntArray) -> Rows:
        """A few distinct rows by their positions."""
        ...

    def column(self, name: str) -> pd.Series:
        """(N,) values of a variable in the rows as given."""
        ...

    def tabulate(self, groups: IntArray, n_groups: int) -> FloatArray:
        """(groups, K) observations of each class, by the group (N,) of the rows as given."""
        ...

    def observations(self, order: Sequence[int] | None = None) -> tuple[IntArray, IntArray]:
        """For each observation, in the order of the rows as given: its row, and its cell among those of all blocks.

        ``order`` is the order of the classes within a row; default their own.
        """
        ...


def cells_of(training: TrainingData) -> Cells:
    """Cells of all distinct rows."""
    return cells_in(training.blocks())


def cells_in(blocks: Iterable[RowBlock]) -> Cells:
    """Cells of all rows of these blocks."""
    parts = [(block.first, block.cells) for block in blocks]
    rows = np.concatenate([first + cells.rows for first, cells in parts])
    codes, counts = (np.concatenate([cells[i] for _, cells in parts]) for i in (1, 2))
    return Cells(rows, codes, counts)


@dataclass(frozen=True, eq=False)
class RowsInMemory:
    """Data in memory: distinct rows with their weighted counts, and the map from the rows as given to them.

    Attributes
    ----------
    distinct
        The data as fitted, collapsed to distinct rows where that saves work.
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
    def n_rows(self) -> int:
        """Distinct rows."""
        return self.distinct.n_obs

    @property
    def totals(self) -> FloatArray:
        """(N,) observations in each row as given."""
        return observation_totals(self.response, self.weights, self.n_obs)

    @property
    def whole_counts(self) -> bool:
        """Whether every row is a whole number of observations."""
        given = self.response.counts if self.response.counts is not None else np.zeros(1)
        weights = np.zeros(1) if self.weights is None else self.weights
        return not ((given % 1).any() or (weights % 1).any())

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the columns that the model reads."""
        return self.distinct.variable_names

    def _blocks(self, n: int) -> Iterator[slice]:
        self.distinct.features.check_unchanged()
        for start in range(0, n, CHUNK_ROWS):
            yield slice(start, min(start + CHUNK_ROWS, n))

    def blocks(self) -> Iterator[RowBlock]:
        """Distinct rows."""
        for place in self._blocks(self.n_rows):
            rows = self.take(place)._replace(index=self.distinct.index[place])
            counts = dense_counts(*_part(self.distinct.response, self.distinct.weights, place))
            yield RowBlock(place.start, rows, counts)

    def given_blocks(self) -> Iterator[RowBlock]:
        """Rows as given."""
        collapsed = self.n_rows != self.n_obs
        for place in self._blocks(self.n_obs):
            rows = self.take(self.row_map[place] if collapsed else place)
            counts = dense_counts(*_part(self.response, self.weights, place))
            yield RowBlock(place.start, rows._replace(index=self.index[place]), counts)

    def variable_blocks(self) -> Iterator[VariableRows]:
        """Distinct rows as variables."""
        distinct, totals = self.distinct, self.distinct.totals
        for place in self._blocks(self.n_rows):
            offset = None if distinct.offset is None else distinct.offset[place]
            available = None if distinct.available is None else distinct.available[place]
            yield VariableRows(distinct.variables_of(place), offset, totals[place], available)

    def take(self, at: Any) -> Rows:
        """Some distinct rows by their positions, or by a slice."""
        X, offset, available = self.distinct.encoded(at)
        return Rows(X, None, offset, available=available)

    def column(self, name: str) -> pd.Series:
        """(N,) values of a variable in the rows as given."""
        column: pd.Series = self.distinct.variables[name].iloc[self.row_map]
        return column.reset_index(drop=True)

    def tabulate(self, groups: IntArray, n_groups: int) -> FloatArray:
        """(groups, K) observations of each class, by the group (N,) of the rows as given."""
        K = self.response.n_classes
        if self.response.codes is not None:
            weights = np.ones(self.n_obs) if self.weights is None else self.weights
            cells = np.bincount(groups * K + self.response.codes, weights=weights, minlength=n_groups * K)
            return cells.reshape(n_groups, K)
        table = np.zeros((n_groups, K))
        for block in self.given_blocks():
            np.add.at(table, groups[block.place], block.counts)
        return table

    @property
    def cells(self) -> Cells:
        """Cells of all distinct rows."""
        return cells_of(self)

    def observations(self, order: Sequence[int] | None = None) -> tuple[IntArray, IntArray]:
        """For each observation, in the order of the rows as given: its row, and its cell."""
        K, cells = self.response.n_classes, self.cells
        repeats = np.ones(self.n_obs) if self.weights is None else self.weights
        if self.response.codes is not None:
            rows, codes = np.arange(self.n_obs), self.response.codes
        else:
            assert self.response.counts is not None
            within = np.arange(K) if order is None else np.asarray(order)
            rows, place = np.nonzero(self.response.counts[:, within])
            codes = within[place]
            repeats = repeats[rows] * self.response.counts[rows, codes]
        # Rows without an observation have no cell and do not occur here.
        cell = np.searchsorted(cells.rows * K + cells.codes, self.row_map[rows] * K + codes)
        times = repeats.astype(np.int64)
        return np.repeat(rows, times), np.repeat(cell, times)


def _part(response: Response, weights: FloatArray | None, place: slice) -> tuple[Response, FloatArray | None]:
    """Responses and weights of some rows."""
    codes = None if response.codes is None else response.codes[place]
    counts = None if response.counts is None else response.counts[place]
    return replace(response, codes=codes, counts=counts), None if weights is None else weights[place]


def training_data(design: Design, collapsed: Collapsed | None) -> RowsInMemory:
    """The data of a model, sharing its arrays."""
    if collapsed is None:
        return RowsInMemory(design, design.response, design.weights, np.arange(design.n_obs), design.index)
    return RowsInMemory(collapsed.design, design.response, design.weights, collapsed.row_map, design.index)
