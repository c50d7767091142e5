"""Rows to average over that are read in passes, as variables."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import VariableRows
from bayes_softmax.data.design import Design
from bayes_softmax.data.sources.partitions import Merge

TITLE = "averages over all rows"


class Elsewhere(Protocol):
    """Rows that are not in memory."""

    def total[T](self, of_rows: Callable[[VariableRows], T], add: Callable[[T, T], T]) -> T:
        """What a function gives for some rows at a time, added up over all; it is sent to where the rows are."""
        ...

    def sample(self) -> VariableRows:
        """A uniform sample of the rows."""
        ...


@dataclass(frozen=True, eq=False)
class VariablesOfSource:
    """The rows of a fit as variables, weighted by their observations.

    Attributes
    ----------
    data
        The rows of the fit.
    """

    data: RowsOfSource

    def total[T](self, of_rows: Callable[[VariableRows], T], add: Merge[T]) -> T:
        """What a function gives for some rows at a time, added up over all."""
        return self.data.total_of_variables(partial(_of_design, of_rows), add, TITLE)

    def sample(self) -> VariableRows:
        """A uniform sample of the rows."""
        return variable_rows(self.data.rows.sample)


def variable_rows(design: Design) -> VariableRows:
    """The rows of a design as variables."""
    return VariableRows(design.variables, design.offset, design.totals, design.available)


def _of_design[T](of_rows: Callable[[VariableRows], T], design: Design) -> T:
    return of_rows(variable_rows(design))
