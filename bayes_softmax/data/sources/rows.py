"""The rows of a model that are not in memory: a summary, a sample, and a way over all of them."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray, Mode
from bayes_softmax.data.design import Design, Response, Standardisation
from bayes_softmax.data.sources.moments import Moments
from bayes_softmax.data.sources.partitions import Merge, Task
from bayes_softmax.data.sources.passes import LocalPasses, Passes
from bayes_softmax.data.sources.reader import FrameReader


@dataclass(frozen=True, eq=False)
class RowSummary:
    """What the passes of a source found of its rows; it meets :class:`RowsInShort`.

    Attributes
    ----------
    response
        Name, classes and unused classes, without observations.
    feature_names, has_intercept, standardisation
        Those of the model.
    moments
        Sums over the rows, of the features in the model.
    mean, sd
        (p,) of the features.
    cross_products
        Weighted ``Z'Z`` (q, q) of the standardised features, with a first one of ones if there is an intercept.
    """

    response: Response
    feature_names: tuple[str, ...]
    has_intercept: bool
    standardisation: Standardisation
    moments: Moments
    mean: FloatArray
    sd: FloatArray
    cross_products: FloatArray

    @property
    def n_obs(self) -> int:
        """Rows of the data."""
        return self.moments.n_obs

    @property
    def n_dropped(self) -> int:
        """Rows with missing values that were left out."""
        return self.moments.n_dropped

    @property
    def n_features(self) -> int:
        """Features without the intercept."""
        return len(self.feature_names)

    @property
    def n_classes(self) -> int:
        """Classes."""
        return self.response.n_classes

    @property
    def total_weight(self) -> float:
        """Observations in all."""
        return self.moments.total_weight

    @property
    def n_forced(self) -> int:
        """Rows with a single class on offer."""
        return self.moments.n_forced

    def class_counts(self) -> FloatArray:
        """(K,) observations of each class."""
        return self.moments.class_counts

    @property
    def two_valued_ranges(self) -> FloatArray:
        """(p,) distance of the two values of a feature that has two, else 0."""
        ranges: FloatArray = np.where(self.moments.many, 0.0, np.ptp(self.moments.values, axis=0))
        return ranges


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """Rows that are read in passes.

    Attributes
    ----------
    summary
        What is known of all rows.
    sample
        A uniform sample of them as a design; its weights add up to the observations of all rows.
    reader
        How they are encoded.
    passes
        The way over them.
    notes
        What the reader of a fit should know of how the rows were read.
    log
        Titles of the passes that were made.
    sums, modes
        What passes found, for later fits of the same model: sums over the rows at the last points, by the points, and
        modes, by what was maximised and how.
    """

    summary: RowSummary
    sample: Design
    reader: FrameReader
    passes: Passes
    notes: tuple[str, ...] = ()
    log: list[str] = field(default_factory=list)
    sums: "OrderedDict[bytes, Any]" = field(default_factory=OrderedDict)
    modes: dict[Any, Mode] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: another process reads the source itself, and has none of what passes keep."""
        kept = {"passes": LocalPasses(self.passes.source), "sums": OrderedDict(), "modes": {}}
        return {**self.__dict__, **kept}

    def run[T](self, task: Task[Design, T], merge: Merge[T], title: str) -> T:
        """A pass over all rows, as the model reads them."""
        return self.passes.run(self.reader, task, merge, self._logged(title))

    def run_variables[T](self, task: Task[Design, T], merge: Merge[T], title: str) -> T:
        """The same with the columns that the features were made of."""
        return self.passes.run(replace(self.reader, with_variables=True), task, merge, self._logged(title))

    def _logged(self, title: str) -> str:
        """The title with the number of the pass, of which the first two read and encoded the rows."""
        self.log.append(title)
        return f"pass {len(self.log) + 2}, {title}"

    @property
    def n_obs(self) -> int:
        """Rows of the data."""
        return self.summary.n_obs

    @property
    def class_rows(self) -> IntArray | None:
        """(2, K) rows of each class, and those in which it is alone on offer; None for counts."""
        return self.summary.moments.class_rows

    @cached_property
    def source_name(self) -> str:
        """What messages call the source."""
        return self.passes.source.name


def kept_features(mask: NDArray[np.bool_], moments: Moments) -> Moments:
    """The sums of some of the features."""
    at: Any = np.ix_(np.append(True, mask), np.append(True, mask))
    values, others = moments.values[:, mask], moments.others[:, mask]
    return moments._replace(gram=moments.gram[at], values=values, many=moments.many[mask], others=others)
