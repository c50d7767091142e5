"""Scores on rows that are read in passes: one pass adds up what the scores are made of."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pandas as pd

from bayes_softmax.answers.calibration import Cuts, cuts_of
from bayes_softmax.answers.cautions import both_cautions, warn_of
from bayes_softmax.answers.complete import Scored, n_complete
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.levels import EVALUATIONS, FEWEST_DRAWS
from bayes_softmax.answers.mean_probabilities import probabilities_and_logs
from bayes_softmax.answers.new_data import check_logits
from bayes_softmax.answers.new_sources import by_name, columns_read, count_rows, sample_of
from bayes_softmax.answers.probabilities import ThinnedDraws, thinned_draws
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.scored_rows import NewRows, ScoredRows
from bayes_softmax.answers.scores import Evaluation, evaluation_of
from bayes_softmax.answers.source_rows import NO_ROWS, RowsOfSource, added, passes_beside, summed
from bayes_softmax.answers.tallies import Predicted, Tally, added_tallies, tally_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.sources.partitions import Source


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


class SumsOfScores(NamedTuple):
    """A tally of new rows, cautions about them, and the number of rows left out; no tally where none is left."""

    tally: Tally | None
    cautions: tuple[str, ...]
    n_dropped: int


def scores_of_new_source(fit: Fitted, source: Source, question: NewRows, given: Scored, n_bins: int) -> Evaluation:
    """Scores of all rows of a new source; the bounds of the calibration's bins are those of a sample."""
    if given.y is not None or given.groups is not None:
        raise TypeError("y, groups: data is read in passes, so that the observed classes and levels are its columns")
    columns = columns_read(source, fit.schema, **by_name(given.offset, given.weights, given.available))
    passes = passes_beside(fit.training, source.narrowed(columns))
    given = given._replace(data=None)
    frame = sample_of(passes, columns)
    n_sampled, sample = len(frame), _of_frame(question, given, frame)
    if sample is None:
        raise ValueError("data has no rows left: all have missing values")
    n = passes.run_frames(columns[:1], count_rows, int.__add__, "rows of the new data")
    draws, note = affordable(fit, n)
    question = replace(question, fit=question.fit._replace(parameters=draws.parameters))
    cuts = cuts_of(sample.predicted.P, sample.counts, n_bins, sample.predicted.available)
    task = partial(summed, partial(_sums_of_frame, question, given, cuts), _added)
    found = passes.run_frames(columns, task, partial(added, _added), "scores of all rows")
    if found is None or found.tally is None:
        raise ValueError(NO_ROWS)
    warn_of(fit, found.cautions)
    notes = (*note, *bounds_note(_in_words(n_sampled, n)))
    return replace(evaluation_of("new data", found.tally, fit.schema, notes), n_dropped=found.n_dropped)


def _in_words(n_sampled: int, n: int) -> str | None:
    """The sample of new rows; None where it has all."""
    return None if n_sampled >= n else f"a uniform sample of {n_sampled:,} of {n:,} rows"


def _of_frame(question: NewRows, given: Scored, frame: pd.DataFrame) -> ScoredRows | None:
    """What is scored of a frame; None if all of its rows have missing values that are left out."""
    if question.drop:
        schema = question.fit.schema
        named = given._replace(data=frame, weights=schema.weights_of(frame, given.weights))
        if not n_complete(schema, named, question.asked):
            return None
    return question.of(given._replace(data=frame))


def _sums_of_frame(question: NewRows, given: Scored, cuts: Cuts, frame: pd.DataFrame) -> SumsOfScores:
    rows = _of_frame(question, given, frame)
    if rows is None:
        return SumsOfScores(None, (), len(frame))
    tally = tally_of(rows.predicted, rows.counts, question.rates, cuts)
    return SumsOfScores(tally, rows.cautions, rows.n_dropped)


def _added(a: SumsOfScores, b: SumsOfScores) -> SumsOfScores:
    tally = added(added_tallies, a.tally, b.tally)
    return SumsOfScores(tally, both_cautions(a.cautions, b.cautions), a.n_dropped + b.n_dropped)
