"""Scores of the predictions for the data of the fit, for new data, or by leave-one-out."""

from dataclasses import replace
from typing import Any

import numpy as np

from bayes_softmax.answers.base_rates import BaseRates
from bayes_softmax.answers.cautions import warn_of
from bayes_softmax.answers.complete import Scored
from bayes_softmax.answers.fitted import Fitted, alone, training_of
from bayes_softmax.answers.levels import Asked, ask, at_levels_of_data, recoded
from bayes_softmax.answers.loo import checked_cell_loo
from bayes_softmax.answers.mean_probabilities import probabilities_and_logs
from bayes_softmax.answers.new_data import check_logits
from bayes_softmax.answers.newton_loo import newton_loo
from bayes_softmax.answers.scored_rows import NewRows, class_rates
from bayes_softmax.answers.scores import Evaluation, score
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.source_scores import scores_of_new_source, scores_of_source
from bayes_softmax.answers.tallies import Predicted
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import check_choice, check_counts, check_flags
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.available import Mask
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import KNOWN
from bayes_softmax.data.sources.recognise import source_of

MISSING = ("error", "drop")
DROP_ADVICE = "fill it, or pass missing='drop' to leave out such rows"


def evaluate(
    fit: Fitted,
    data: Any = None,
    y: Any = None,
    *,
    weights: Any = None,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    loo: bool = False,
    n_bins: int = 10,
    missing: str = "error",
    levels: Levels = KNOWN,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> Evaluation:
    """Score the predictions: in-sample, on new data, or leave-one-out.

    No score depends on the names or the order of the classes; a weight or count of w is w observations.

    Parameters
    ----------
    data
        New data with the columns of the model; default the data of the fit.
    y
        Observed classes of ``data`` (labels, one-hot rows or counts); default the response columns of ``data``.
    weights
        (N,) frequency weights of ``data``, or the name of a column; default the column that held the weights of the
        fit, if given by name and present in ``data`` (pass ones to score each row once).
    offset
        (N, K) for ``data``, if the model has an offset that is not among its columns.
    available
        (N, K) for ``data``, if the model has choice sets and ``data`` has no columns for them.  Rows
        with one class on offer are not scored.
    class_prior
        Base rates of ``data``, as in :meth:`predict_proba`; they also become the null model of McFadden's R2.
    loo
        Leave-one-out on the data of the fit, an estimate of the scores on new data: by importance weights for a
        posterior (see :meth:`loo` for their check), by one Newton step for an estimate.
    n_bins
        Bins of the calibration tables, of about equal numbers of observations.
    missing
        ``"error"`` (default), or ``"drop"``: rows of ``data`` with a missing value in anything that the scores read,
        the observed class among it, are left out, and the result says how many.
    levels, groups, random_seed, rng
        Of a model with groups, whose effects the rows have, as in :meth:`predict_proba`; default their own.  With
        ``"average"`` the scores are those of predictions for people, places or panels not seen before.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> fit.evaluate().confusion.loc["a"].tolist()
    [1.0, 1.0]
    """
    check_counts(n_bins=n_bins)
    check_flags(loo=loo)
    check_choice("missing", missing, MISSING)
    schema, asked = fit.schema, ask(fit, levels, groups, random_seed, rng)
    rates = class_rates(schema)
    if data is not None:
        if loo:
            raise ValueError("loo=True leaves out observations of the data of the fit; it takes no new data")
        question = NewRows(alone(fit), asked, class_prior, missing == "drop")
        given = Scored(data, y, weights, offset, available, groups=groups)
        source = source_of(data)
        if source is not None:
            return scores_of_new_source(fit, source, question, given, n_bins)
        found = question.of(given)
        warn_of(fit, found.cautions)
        scores = score("new data", found.predicted, found.counts, schema=schema, rates=question.rates, n_bins=n_bins)
        return replace(scores, n_dropped=found.n_dropped)
    if any(argument is not None for argument in (y, weights, offset, available)):
        raise ValueError("y, weights, offset and available belong to new data; give data too")
    if groups is not None:
        raise ValueError("groups belongs to new data; give data too")
    if class_prior is not None:
        raise ValueError("class_prior belongs to new data: the data of the fit have their own base rates")
    if isinstance(fit.training, RowsOfSource) and not loo:
        return scores_of_source(fit, fit.training, rates, n_bins)
    training = training_of(
        fit, "evaluate(loo=True)" if loo else "evaluate()", instead="save it with data=True" if loo else "pass data=..."
    )
    if not loo:
        predicted, counts = _in_sample(fit, training, asked)
        return score("in-sample", predicted, counts, schema=schema, rates=rates, n_bins=n_bins)
    if not asked.all_known:
        raise ValueError("loo=True leaves out single observations, whose levels are known; pass levels='known'")
    predicted, counts, codes = _left_out(fit, training)
    rates = rates - np.eye(len(rates))[codes]
    return score("leave-one-out", predicted, counts, schema=schema, rates=rates, n_bins=n_bins)


def _in_sample(fit: Fitted, training: TrainingData, asked: Asked) -> tuple[Predicted, FloatArray]:
    """Predictions for the distinct rows of the data, and their counts."""
    parts, counts, at = [], [], at_levels_of_data(fit, fit, asked, training.n_rows)
    for block in training.blocks():
        rows = at.place(block.rows._replace(X=recoded(fit.schema, block.rows.X, asked)))
        check_logits(fit.schema, at.draws, rows)
        parts.append(Predicted(*probabilities_and_logs(at.draws, rows), rows.available))
        counts.append(block.counts)
    return _joined(parts), np.concatenate(counts)


def _left_out(fit: Fitted, training: TrainingData) -> tuple[Predicted, FloatArray, IntArray]:
    """Leave-one-out predictions for an observation of every cell, their counts, and the classes of the cells."""
    for block in training.blocks():
        check_logits(fit.schema, fit, block.rows)
    P = checked_cell_loo(fit, training).probabilities if not fit.is_estimate else newton_loo(fit, training)
    counts, offered, codes = np.zeros_like(P), [], []
    first = 0
    for block in training.blocks():
        cells = block.cells
        counts[first + np.arange(len(cells.codes)), cells.codes] = cells.counts
        codes.append(cells.codes)
        offered.append(None if block.rows.available is None else block.rows.available[cells.rows])
        first += len(cells.codes)
    with np.errstate(divide="ignore"):
        predicted = Predicted(P, np.log(P), _masks(offered))
    return predicted, counts, np.concatenate(codes)


def _joined(parts: list[Predicted]) -> Predicted:
    """Predictions for all rows, joined from blocks."""
    if len(parts) == 1:
        return parts[0]
    P, log_P = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return Predicted(P, log_P, _masks([part.available for part in parts]))


def _masks(parts: list[Mask | None]) -> Mask | None:
    """Classes on offer in all rows, joined from blocks."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None
