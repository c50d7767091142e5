"""The data of a fit whose rows are read in passes: what is asked of them is a sum over all, one pass each."""

from dataclasses import dataclass

from bayes_softmax.data.sources.rows import StreamedRows


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
