"""New rows with their observed classes, as scores need them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.base_rates import BaseRates, prior_shift, read_rates
from bayes_softmax.answers.cautions import row_cautions, unknown_rows
from bayes_softmax.answers.complete import Scored, without_incomplete
from bayes_softmax.answers.fitted import FitAlone
from bayes_softmax.answers.levels import Asked
from bayes_softmax.answers.mean_probabilities import probabilities_and_logs
from bayes_softmax.answers.new_data import read_at_levels
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.tallies import Predicted
from bayes_softmax.core.checks import counted, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.available import check_outcomes, without_forced
from bayes_softmax.data.design import dense_counts
from bayes_softmax.data.frames import check_aligned, is_frame, to_pandas
from bayes_softmax.data.labels import parse_response
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.weights import read_weights

DROP_ADVICE = "fill it, or pass missing='drop' to leave out such rows"


def class_rates(schema: Schema) -> FloatArray:
    """(K,) frequencies of the classes in the data of the fit; early file versions did not store them."""
    return np.array(schema.class_totals or [np.nan] * len(schema.classes))


class ScoredRows(NamedTuple):
    """Predictions for some rows, their weighted counts (n, K), cautions, and the number of rows left out."""

    predicted: Predicted
    counts: FloatArray
    cautions: tuple[str, ...]
    n_dropped: int


@dataclass(frozen=True)
class NewRows:
    """How new rows are predicted and counted; it can be sent to where rows are.

    Attributes
    ----------
    fit
        The fit, without its data.
    asked, class_prior
        As in ``evaluate()``.
    drop
        Whether rows with missing values are left out.
    """

    fit: FitAlone
    asked: Asked
    class_prior: BaseRates | None
    drop: bool

    @property
    def rates(self) -> FloatArray:
        """(K,) base rates of the null model."""
        schema = self.fit.schema
        return class_rates(schema) if self.class_prior is None else read_rates(schema, self.class_prior)

    def of(self, given: Scored) -> ScoredRows:
        """What is scored of some rows."""
        schema = self.fit.schema
        given = _given(schema, given, drop=self.drop, asked=self.asked)
        asked = self.asked._replace(groups=given.groups)
        rows, draws = read_at_levels(
            self.fit, given.data, given.offset, given.available, asked=asked, advice=DROP_ADVICE
        )
        cautions = tuple(row_cautions(self.fit, rows))
        if unknown_rows(rows).any():
            raise ValueError(f"evaluate(): {'; '.join(cautions)}. Leave out these rows")
        counts = new_counts(schema, given.data, given.y, weights=given.weights, rows=rows)
        found = probabilities_and_logs(draws, rows, prior_shift(schema, self.class_prior, rows))
        return ScoredRows(Predicted(*found, rows.available), counts, cautions, given.n_dropped)


def _given(schema: Schema, given: Scored, *, drop: bool, asked: Asked) -> Scored:
    """New data with their labels and weights, without incomplete rows if these are to be dropped."""
    y = _response_columns(schema, given.data) if given.y is None else given.y
    given = given._replace(y=y, weights=schema.weights_of(given.data, given.weights))
    return without_incomplete(schema, given, asked) if drop else given


def new_counts(schema: Schema, data: Any, y: Any, *, weights: Any, rows: Rows) -> FloatArray:
    """Weighted counts (N, K) of new data; zero in a row with one class on offer."""
    index = rows.index
    if y is None:
        y = _response_columns(schema, data)
    weights = schema.weights_of(data, weights)
    for other, argument in ((y, "y"), (weights, "weights")):
        check_aligned(data, other, argument, "data")
    response = parse_response(y, schema.classes, schema.response_name, missing=DROP_ADVICE)
    counts = dense_counts(response, None)
    if len(counts) != len(index):
        raise ValueError(f"data has {counted(len(index), 'row')}, but y has {len(counts)}")
    row_weights = read_weights(weights, data, len(index), index)
    if rows.available is not None:
        check_outcomes(rows.available, response, index)
        row_weights = without_forced(row_weights, rows.available)
    return dense_counts(response, row_weights)


def _response_columns(schema: Schema, data: Any) -> Any:
    """The response among the columns of the data; raises if it is not there."""
    if not is_frame(data):
        raise ValueError(
            "data has no names of columns, so the response is not found in it; pass the observed classes as y"
        )
    found = find_response(schema, data)
    if found is None:
        raise ValueError(
            f"data has no column {shown(schema.response_name)}, nor one of counts for each of the classes "
            f"{listed(schema.classes)}; pass the observed classes as y"
        )
    return found


def find_response(schema: Schema, data: Any) -> Any:
    """The response among the columns of the data, labels or counts by class; None if it is not there."""
    if not is_frame(data):
        return None
    frame = to_pandas(data)
    if schema.response_name in frame.columns:
        return frame[schema.response_name]
    features = {c for c in schema.classes if str(c) in schema.input_columns}  # classes 0, 1 and columns 0, 1
    if not features and all(c in frame.columns for c in schema.classes):
        return frame[list(schema.classes)]
    return None
