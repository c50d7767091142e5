"""The frame that the package's tables are: pandas' in all but what is shown."""

from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import pandas as pd

from bayes_softmax.display.cells import Cells, cells_of
from bayes_softmax.display.digits import Format, Formats
from bayes_softmax.display.layout import in_width
from bayes_softmax.display.markup import table_markup
from bayes_softmax.display.words import terminal_width


class Table(pd.DataFrame):
    """A pandas ``DataFrame`` of full precision that shows the digits its errors support, and all of its columns.

    It behaves as a frame in everything else: selections, sorts and arithmetic are tables too, ``table.to_csv()`` writes
    all digits, and ``pandas.DataFrame(table)`` is a plain frame.  How tables are laid out is described in
    :mod:`bayes_softmax.display`.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> fit.predict_proba([[0.0], [1.5]])
    y      a      b
    0  0.761  0.239
    1  0.500  0.500
    """

    _metadata: ClassVar[list[str]] = ["_formats"]
    _formats: Formats | None = None

    @property
    def _constructor(self) -> Any:
        return Table

    def round(self, *args: Any, **kwargs: Any) -> "Table":
        """Rounded as by pandas; all decimals that are left are shown."""
        rounded = Table(pd.DataFrame(self).round(*args, **kwargs))
        rounded.attrs = dict(self.attrs)
        return rounded

    def __repr__(self) -> str:
        """Return the table in the width of the terminal."""
        return in_width(self._cells(), terminal_width())

    def _repr_html_(self) -> str | None:
        """Return the table as HTML for a notebook."""
        if not pd.get_option("display.notebook_repr_html"):
            return None
        return table_markup(self._cells())

    def _cells(self) -> Cells:
        return cells_of(self, self._formats or Formats())


def table_of(
    frame: pd.DataFrame, columns: Mapping[Hashable, Format] | None = None, others: Format | None = None
) -> Table:
    """The frame as a table whose columns are shown in these formats."""
    table = Table(frame)
    table.attrs = dict(frame.attrs)
    object.__setattr__(table, "_formats", Formats(dict(columns or {}), others))
    return table
