"""Class probabilities and classes of new data, with intervals, other base rates and entropies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import xlogy

from bayes_softmax.answers.answer_files import Answer, write_for_source, write_one
from bayes_softmax.answers.base_rates import BaseRates, prior_shift
from bayes_softmax.answers.cautions import joined, noted, row_cautions, rows_without_error, warn_of
from bayes_softmax.answers.delta import delta_intervals, normal_logits
from bayes_softmax.answers.fitted import FitAlone, Fitted, alone, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.levels import Asked, ask, nodes_note
from bayes_softmax.answers.mean_probabilities import draw_intervals, mean_probabilities
from bayes_softmax.answers.moved_rows import averaged_intervals, moved_rows, normal_rows
from bayes_softmax.answers.new_data import read_at_levels
from bayes_softmax.answers.new_sources import source_of_answer
from bayes_softmax.answers.probabilities import HasLogits, over_blocks
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.tables import interval_frame, label_dtype, label_series, probability_frame
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import KNOWN
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of


def predict_proba(
    fit: Fitted,
    data: Any,
    ci_prob: float | None = None,
    *,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    missing: str = "error",
    levels: Levels = KNOWN,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    out: Any = None,
) -> pd.DataFrame:
    r"""Class probabilities of new data: averaged over the draws of a posterior, or at an estimate.

    Parameters
    ----------
    data
        Data frame with the model's columns, or array (N, p); with ``out`` also any source of rows that a model can be
        made of (Parquet files, datasets, lazy frames, a function that returns frames), which is read once.
    ci_prob
        If given, each probability comes with an interval of this level: equal-tailed over the draws, or by the
        delta method on the logit scale.
    offset
        (N, K), if the model has an offset that is not a column of the data.
    available
        (N, K), if the model has choice sets and the data have no columns for them.
    class_prior
        Base rates of the target population, by class (a mapping, or a series such as
        ``y.value_counts(normalize=True)``); they need not be those of the data.  With the base rates
        :math:`\pi_k` of the data, :math:`p'_k \propto p_k\, \pi'_k / \pi_k` in every draw, which is exact if the
        features within each class are distributed as before (Saerens, Latinne and Decaestecker, *Neural
        Computation* 14, 2002).
    missing
        ``"error"`` (default), or ``"nan"``: rows with missing values get missing probabilities.
    levels
        Of a model with groups, whose effects the rows have; one choice for all groupings, or a mapping such as
        ``{"person": "new", "item": "known"}``.  ``"known"`` (default): those of their own levels, of which the model
        must have seen each.  ``"new"``: effects drawn from the population, one draw for each distinct level of these
        rows and each draw of the posterior, even if the model has seen the level.  ``"known or new"``: their own where
        the model has seen the level, else drawn.  ``"average"``: probabilities averaged over the population in every
        draw, so that intervals show the uncertainty of the parameters alone; ``attrs["note"]`` says by how many nodes.
    groups
        Levels of the rows by grouping, ``{"person": codes}``: one for each row, or one for all.  They take the place
        of columns of ``data``.
    random_seed, rng
        Integer or NumPy Generator, for effects that are drawn; or as ``rng`` whatever ``np.random.default_rng`` takes.
    out
        A new folder for the answers, which then are not returned: one Parquet file for each partition of the data, with
        its rows in their order.  Columns are the classes, or ``class_statistic`` with intervals; row labels are kept.
        The folder is there when all files are complete, or not at all.

    Returns
    -------
    DataFrame
        With ``out`` the files, with the partition and the number of rows of each; else the probabilities.
        Rows as in ``data``; columns are the classes, or ``(class, statistic)`` with intervals.  Where an estimate is
        not certified as an optimum, a warning and ``attrs["note"]`` say so.  Where its optimum lies at infinity,
        classes whose logits diverge to minus infinity relative to another have probability 0; the others have the
        estimate and interval of the limiting model without them.  A probability of 0 or 1 has no interval, since it is
        certain only in the limit.  Where the limit is not determined, the estimate is that of the solver's last
        iterate, without an interval.  Rows that neither data nor prior inform (a cell never observed, under flat
        priors) are NaN, with a warning that names them.

    Raises
    ------
    ValueError, TypeError
        For a missing column or value or an unknown level, naming column and row, or impossible base rates.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> fit.predict_proba([[1.5]]).round(2).to_dict("records")
    [{'a': 0.5, 'b': 0.5}]
    >>> fit.predict_proba([[1.5]], class_prior={"a": 0.9, "b": 0.1}).round(2).to_dict("records")
    [{'a': 0.9, 'b': 0.1}]
    """
    refuse_intervals(fit, ci_prob)
    asked = ask(fit, levels, groups, random_seed, rng)
    question = Probabilities(alone(fit, covariance=ci_prob is not None), asked, missing, class_prior, ci_prob)
    source = source_of_answer(data, out)
    if source is not None:
        written = write_for_source(source, fit, question.of, (offset, available), asked, out)
        return noted(written.table, joined(warn_of(fit, written.cautions), *written.notes))
    answer = question.of(data, offset, available)
    note = joined(warn_of(fit, answer.cautions), *answer.notes)
    if out is not None:
        return noted(write_one(answer, out).table, note)
    return noted(answer.table, note)


@dataclass(frozen=True)
class Probabilities:
    """Class probabilities as a question to any rows; it can be sent to where rows are.

    Attributes
    ----------
    fit
        The fit, without its data.
    asked, missing, class_prior, ci_prob
        As in :func:`predict_proba`.
    """

    fit: FitAlone
    asked: Asked
    missing: str
    class_prior: BaseRates | None
    ci_prob: float | None = None

    def of(self, data: Any, offset: Any = None, available: Any = None) -> Answer:
        """The table of some rows."""
        fit, asked = self.fit, self.asked
        rows, draws = read_at_levels(fit, data, offset, available, asked=asked, missing=self.missing)
        shift = prior_shift(fit.schema, self.class_prior, rows)
        said = (tuple(row_cautions(fit, rows)), (nodes_note(rows.nodes),))
        if self.ci_prob is None:
            return Answer(probability_frame(fit.schema, rows, mean_probabilities(draws, rows, shift)), *said)
        interval = resolve_interval(self.ci_prob, "eti")
        if fit.delta_covariance is None:
            values, center, ends = draw_intervals(draws, rows, interval, shift=shift), "mean", interval.columns()
        else:
            center, ends = "estimate", interval.columns("wald")
            if rows.nodes is None:
                values = delta_intervals(fit, rows, interval, covariance=fit.delta_covariance, shift=shift)
            else:
                values = averaged_intervals(moved_rows(fit, asked, rows), interval, shift)
        return Answer(interval_frame(fit.schema, rows, values, stats=(center, *ends)), *said)

    def best(self, data: Any, offset: Any = None, available: Any = None) -> Answer:
        """The most probable class of each row, a column called by the response."""
        fit = self.fit
        rows, draws = read_at_levels(fit, data, offset, available, asked=self.asked, missing=self.missing)
        probabilities = mean_probabilities(draws, rows, prior_shift(fit.schema, self.class_prior, rows))
        labels = label_series(fit.schema, rows, probabilities)
        return Answer(labels.to_frame(), tuple(row_cautions(fit, rows)))

    def best_for_file(self, data: Any, offset: Any = None, available: Any = None) -> Answer:
        """The same in a type that is the same for all rows, with or without missing labels."""
        answer = self.best(data, offset, available)
        return answer._replace(table=answer.table.astype(label_dtype(self.fit.schema)))


def predict(
    fit: Fitted,
    data: Any,
    *,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    missing: str = "error",
    levels: Levels = KNOWN,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    out: Any = None,
) -> pd.Series:
    """Most probable class of each row of ``data``; arguments as in :meth:`predict_proba`.

    Missing for rows that neither data nor prior inform.  With ``out`` the files of a folder have them, in one column
    with the name of the response, and the numbers of rows by file are returned.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> model.map().predict(penguins.iloc[[0, 200, 300]]).tolist()
    ['Adelie', 'Adelie', 'Gentoo']
    """
    asked = ask(fit, levels, groups, random_seed, rng)
    question = Probabilities(alone(fit), asked, missing, class_prior)
    source = source_of_answer(data, out)
    if source is not None:
        written = write_for_source(source, fit, question.best_for_file, (offset, available), asked, out)
        warn_of(fit, written.cautions)
        return written.table["rows"]
    answer = (question.best if out is None else question.best_for_file)(data, offset, available)
    warn_of(fit, answer.cautions)
    return answer.table.iloc[:, 0] if out is None else write_one(answer, out).table["rows"]


def uncertainty(
    fit: Fitted,
    data: Any,
    *,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    missing: str = "error",
    levels: Levels = KNOWN,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> pd.DataFrame:
    r"""Decomposition of each prediction's uncertainty, in nats.

    ``total`` is the entropy of the mean probabilities, ``aleatoric`` the entropy averaged over the draws (irreducible
    by more data), and ``epistemic`` their difference, the mutual information of class and parameters (reducible by
    more data); Depeweg et al., *ICML* 2018.  An estimate uses the normal approximation of its logits;
    where it has none, as without a certified optimum, ``total`` is the entropy at the estimate and the others are NaN.

    Parameters
    ----------
    data, offset, available, class_prior, missing, levels, groups, random_seed, rng
        As in :meth:`predict_proba`.

    Returns
    -------
    DataFrame
        Rows as in ``data``; columns ``total``, ``aleatoric``, ``epistemic``, between 0 and log K.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> model.map().uncertainty(penguins.iloc[[0, 300]]).round(2).to_dict("list")
    {'total': [0.02, 0.69], 'aleatoric': [0.01, 0.69], 'epistemic': [0.0, 0.01]}
    """
    asked = ask(fit, levels, groups, random_seed, rng)
    rows, draws = read_at_levels(fit, data, offset, available, asked=asked, missing=missing)
    shift = prior_shift(fit.schema, class_prior, rows)
    note = joined(warn_of(fit, row_cautions(fit, rows)), nodes_note(rows.nodes))
    columns = ["total", "aleatoric", "epistemic"]
    found = entropies(fit, rows, shift, draws=draws, asked=asked)
    frame = pd.DataFrame(rows.expand(found), index=rows.index, columns=columns)
    return noted(table_of(frame, others=Format("amount")), joined(note, *without_intervals(fit)))


def entropies(
    fit: Fitted,
    rows: Rows,
    shift: FloatArray | None = None,
    *,
    draws: HasLogits | None = None,
    asked: Asked | None = None,
) -> FloatArray:
    """Total, aleatoric and epistemic uncertainty (N, 3) of encoded rows, in nats; see :func:`uncertainty`.

    ``draws`` are those of the levels that are ``asked`` for; by default the rows' own.
    """
    out = np.empty((2, rows.n_rows))

    def split(P: FloatArray, block: slice) -> None:
        out[0, block] = _entropy(P.mean(axis=2))
        out[1, block] = _entropy(P).mean(axis=1)

    if fit.delta_covariance is None:
        over_blocks(fit if draws is None else draws, rows, split, shift=shift)
        if fit.is_estimate:
            out[1] = np.nan
    elif asked is not None and rows.nodes is not None:
        near, here = normal_rows(fit, asked, rows)
        over_blocks(near, here, split, shift=shift)
    else:
        known = normal_logits(fit, rows, split, covariance=fit.delta_covariance, shift=shift)
        out[1, ~known | rows_without_error(rows)] = np.nan
    return np.column_stack([out[0], out[1], np.maximum(out[0] - out[1], 0.0)])


def _entropy(P: FloatArray) -> FloatArray:
    """Entropy over the first axis."""
    result: FloatArray = 0.0 - xlogy(P, P).sum(axis=0)  # not -0.0
    return result
