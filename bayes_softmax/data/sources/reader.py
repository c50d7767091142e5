"""From a frame of a source to a design: encoded with what the first pass learned, the same in every partition."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.data.design import Design, Response, Standardisation
from bayes_softmax.data.features import DenseFeatures, some_columns
from bayes_softmax.data.finishing import raw_design_of, unscaled
from bayes_softmax.data.formula.columns import as_frame
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.frames import require_columns
from bayes_softmax.data.labels import count_columns, parse_labels
from bayes_softmax.data.missing import without_missing
from bayes_softmax.data.options import Options
from bayes_softmax.data.schema import Encoder
from bayes_softmax.data.sources.partitions import Numbered, Partition
from bayes_softmax.data.weights import read_part_weights


@dataclass(frozen=True, eq=False)
class FrameReader:
    """How frames of a source become designs; small, and sent to other processes.

    Attributes
    ----------
    responses
        The column of labels, or the columns of counts.
    response
        Name and classes; it holds no observations.
    encoder
        Encodes the features, with the levels of all partitions.
    options
        Names of weights, offset and choice sets, and what to do with missing values.
    columns
        All columns that are read.
    standardisation
        That of the designs; zero and one until moments are known.
    kept
        (p,) which features are in the model, or None for all.
    with_variables
        Whether designs have the frame of columns that their features were made of.
    """

    responses: tuple[str, ...]
    response: Response
    encoder: Encoder
    options: Options
    columns: tuple[str, ...]
    standardisation: Standardisation | None = None
    kept: NDArray[np.bool_] | None = None
    with_variables: bool = False

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features in the model."""
        names = tuple(self.encoder.feature_names)
        return names if self.kept is None else tuple(np.array(names, dtype=object)[self.kept])

    def designs(self, partition: Partition) -> Iterator[Design]:
        """The rows of a partition as the model reads them."""
        return self.finished(self.raw_designs(partition))

    def raw_designs(self, partition: Partition) -> Iterator[Design]:
        """The encoded rows of a partition, with all features and not standardised."""
        return map(self.raw_design, partition.frames(self.columns))

    def raw_design(self, frame: pd.DataFrame) -> Design:
        """The encoded rows of a frame; those with missing values are left out, on request, and counted."""
        frame = frame.rename(columns=str)
        require_columns(frame, self.columns)
        frame, n_dropped, _ = without_missing(frame, list(self.columns), self.options)
        if not len(frame):
            return self._no_rows(frame.index, n_dropped)
        response = self._response_of(frame)
        X, index, variables = self._features(frame)
        weights = read_part_weights(self.options.weights, frame, len(X), index)
        raw = raw_design_of(DenseFeatures(X), index, response, weights, self.encoder, frame, self.options, n_dropped)
        return replace(raw, frame=variables)

    def _no_rows(self, index: Any, n_dropped: int) -> Design:
        """The design of no rows: columns without values have no type, so they are not read."""
        K, p, options = self.response.n_classes, len(self.encoder.feature_names), self.options
        labels = len(self.responses) == 1
        none = np.empty((0, K))
        response = replace(
            self.response, codes=np.empty(0, dtype=np.int64) if labels else None, counts=None if labels else none
        )
        variables = None
        if isinstance(self.encoder, FormulaEncoder) and self.with_variables:
            types = self.encoder.variables
            variables = as_frame(types, {name: np.empty(0, dtype=np.int64) for name in types}, index)
        return Design(
            DenseFeatures(np.empty((0, p))), response, None if options.weights is None else np.empty(0),
            None if options.offset is None else none, tuple(self.encoder.feature_names), self.encoder.has_intercept,
            unscaled(p), index, n_dropped, variables, None if options.available is None else none.astype(np.bool_),
        )  # fmt: skip

    def finished(self, designs: Iterable[Design]) -> Iterator[Design]:
        """Designs with the features and the standardisation of the model."""
        for design in designs:
            X = design.features if self.kept is None else some_columns(design.features, np.flatnonzero(self.kept))
            at = design.standardisation if self.standardisation is None else self.standardisation
            yield replace(design, features=X, feature_names=self.feature_names, standardisation=at)

    def _response_of(self, frame: pd.DataFrame) -> Response:
        classes = self.response.classes
        if len(self.responses) == 1:
            parsed = parse_labels(frame[self.responses[0]], classes, self.responses[0])
        else:
            parsed = count_columns(frame[list(self.responses)], classes, "counts")
        return replace(self.response, codes=parsed.codes, counts=parsed.counts)

    def _features(self, frame: pd.DataFrame) -> tuple[Any, Any, pd.DataFrame | None]:
        if isinstance(self.encoder, FormulaEncoder):
            X, index, read = self.encoder.encode_columns(frame)
            return X, index, as_frame(self.encoder.variables, read, index) if self.with_variables else None
        X, index = self.encoder.encode(frame[list(self.encoder.feature_names)], "X")
        return X, index, None


def read_through(part: Numbered[Design]) -> int:
    """Encode the rows of a partition, for the errors in them."""
    return sum(design.n_obs for design in part.items)
