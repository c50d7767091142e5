"""The data of a fit whose rows are read in passes: what is asked of them is a sum over all, one pass each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bayes_softmax.core.checks import counted
from bayes_softmax.data.design import Design
from bayes_softmax.data.sources.cluster import DaskPasses, passes_of
from bayes_softmax.data.sources.partitions import Merge, Numbered, Source
from bayes_softmax.data.sources.passes import Passes
from bayes_softmax.data.sources.rows import StreamedRows

NO_ROWS = "data has no rows"


@dataclass(frozen=True, eq=False)
class RowsOfSource:
    """Data that are not in memory; they have no arrays with an entry per row, and answers that need these refuse.

    Attributes
    ----------
    rows
        A summary and a sample of the rows, and the way over all of them.
    """

    rows: StreamedRows

    @property
    def n_obs(self) -> int:
        """Rows of the data."""
        return self.rows.n_obs

    @property
    def name(self) -> str:
        """What messages call the source."""
        return self.rows.source_name

    @property
    def sample_in_words(self) -> str | None:
        """What a result says that used the sample for something; None where the sample has all rows."""
        n = self.rows.sample.n_obs
        return None if n >= self.n_obs else f"a uniform sample of {counted(n, 'row')} of {self.n_obs:,}"

    def total[T](self, of_rows: Callable[[Design], T], add: Merge[T], title: str) -> T:
        """What a function gives for some rows at a time, added up over all; it is sent to where the rows are."""
        found: T | None = self.rows.run(partial(summed, of_rows, add), partial(added, add), title)
        if found is None:
            raise ValueError(NO_ROWS)
        return found

    def total_of_variables[T](self, of_rows: Callable[[Design], T], add: Merge[T], title: str) -> T:
        """The same of designs with the columns that their features were made of."""
        found: T | None = self.rows.run_variables(partial(summed, of_rows, add), partial(added, add), title)
        if found is None:
            raise ValueError(NO_ROWS)
        return found


def passes_beside(training: object, source: Source) -> Passes:
    """Passes over new rows: by the workers of the client that the data of the fit are read by, if there is one."""
    passes = training.rows.passes if isinstance(training, RowsOfSource) else None
    client = passes.client if isinstance(passes, DaskPasses) and passes.client.status == "running" else None
    return passes_of(source, client)


def summed[R, T](of_rows: Callable[[R], T], add: Merge[T], part: Numbered[R]) -> T | None:
    """The sum over one partition; None where it has no rows."""
    total: T | None = None
    for rows in part.items:
        if _n_rows(rows):
            total = added(add, total, of_rows(rows))
    return total


def _n_rows(rows: object) -> int:
    return rows.n_obs if isinstance(rows, Design) else len(rows)  # type: ignore[arg-type]


def added[T](add: Merge[T], a: T | None, b: T | None) -> T | None:
    """The sum of two, either of which may be of no rows."""
    if a is None or b is None:
        return b if a is None else a
    return add(a, b)
