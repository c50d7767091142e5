"""The rows of a model: as they were given, and as they are fitted, with equal rows collapsed."""

from dataclasses import dataclass
from functools import cached_property

from bayes_softmax.core.records import IntArray
from bayes_softmax.data.collapse import Collapsed, collapse_rows
from bayes_softmax.data.design import Design


@dataclass(frozen=True, eq=False)
class Observations:
    """Rows as given, and the distinct ones among them, found when they are first needed.

    Attributes
    ----------
    design
        The rows as given.
    collapse
        Whether equal rows are collapsed where that helps.
    n_given
        Rows that were given, where they were collapsed before they came here; None where they were not.
    rows_by_class
        The rows as given of each class, as of :meth:`Design.class_rows`, where they were collapsed before.
    notes
        What the reader of a fit should know of how the rows were read.
    """

    design: Design
    collapse: bool = True
    n_given: int | None = None
    rows_by_class: IntArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> Design:
        """What is known of the rows without looking at them."""
        return self.design

    @property
    def n_obs(self) -> int:
        """Rows of the data."""
        return self.design.n_obs if self.n_given is None else self.n_given

    @property
    def class_rows(self) -> IntArray | None:
        """(2, K) rows of each class, and those in which it is alone on offer; None for counts."""
        return self.design.class_rows() if self.n_given is None else self.rows_by_class

    @cached_property
    def collapsed(self) -> Collapsed | None:
        """The collapsed rows, and the map from rows to them; None where collapsing would not help."""
        return collapse_rows(self.design) if self.collapse else None

    @property
    def distinct(self) -> Design:
        """The rows that are fitted: distinct ones where that helps."""
        return self.design if self.collapsed is None else self.collapsed.design
