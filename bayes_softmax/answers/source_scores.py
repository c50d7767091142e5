"""Scores on rows that are read in passes: one pass adds up what the scores are made of."""

from functools import partial

from bayes_softmax.answers.calibration import Cuts, cuts_of
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.levels import EVALUATIONS, FEWEST_DRAWS
from bayes_softmax.answers.mean_probabilities import probabilities_and_logs
from bayes_softmax.answers.new_data import check_logits
from bayes_softmax.answers.probabilities import ThinnedDraws, thinned_draws
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.scores import Evaluation, evaluation_of
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.tallies import Predicted, Tally, added_tallies, tally_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.schema import Schema


def scores_of_source(fit: Fitted, data: RowsOfSource, rates: FloatArray, n_bins: int) -> Evaluation:
    """In-sample scores of all rows; the bounds of the calibration's bins are those of the sample."""
    draws, note = affordable(fit, data.n_obs)
    sample = data.rows.sample
    cuts = cuts_of(_predicted(draws, fit.schema, sample).P, sample.dense_counts(), n_bins, sample.available)
    tally = data.total(partial(tally_of_rows, draws, fit.schema, cuts, rates), added_tallies, "scores of all rows")
    return evaluation_of("in-sample", tally, fit.schema, (*note, *bounds_note(data.sample_in_words)))


def tally_of_rows(draws: ThinnedDraws, schema: Schema, cuts: Cuts, rates: FloatArray, design: Design) -> Tally:
    """The sums of some rows."""
    return tally_of(_predicted(draws, schema, design), design.dense_counts(), rates, cuts)


def _predicted(draws: ThinnedDraws, schema: Schema, design: Design) -> Predicted:
    X, offset, available = design.encoded(slice(None))
    rows = Rows(X, design.index, offset, available=available)
    check_logits(schema, draws, rows)
    return Predicted(*probabilities_and_logs(draws, rows), available)


def affordable(fit: Fitted, n_rows: int) -> tuple[ThinnedDraws, tuple[str, ...]]:
    """The draws that are used for so many rows, with a note where these are not all."""
    S = fit.parameters.n_draws
    enough = max(FEWEST_DRAWS, int(EVALUATIONS / max(n_rows * fit.logits.n_classes, 1)))
    draws = thinned_draws(fit, enough, fit.n_chains)
    n = draws.parameters.n_draws
    return draws, (f"probabilities are averaged over {n} of {S} draws, evenly spaced, for so many rows",) * (n < S)


def bounds_note(sample: str | None) -> tuple[str, ...]:
    """The note on where the bounds of bins come from."""
    return () if sample is None else (f"the bounds of the calibration's bins are from {sample}",)
