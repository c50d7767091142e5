"""Class probabilities and classes of new data, with intervals, other base rates and entropies."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import xlogy

from bayes_softmax.answers.base_rates import BaseRates, prior_shift
from bayes_softmax.answers.cautions import joined, noted, row_cautions, rows_without_error, warn_of
from bayes_softmax.answers.delta import delta_intervals, normal_logits
from bayes_softmax.answers.fitted import Fitted, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.levels import Asked, ask, nodes_note
from bayes_softmax.answers.mean_probabilities import draw_intervals, mean_probabilities
from bayes_softmax.answers.moved_rows import averaged_intervals, moved_rows, normal_rows
from bayes_softmax.answers.new_data import read_at_levels
from bayes_softmax.answers.probabilities import HasLogits, over_blocks
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.tables import interval_frame, label_series, probability_frame
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
) -> pd.DataFrame:
    r"""Class probabilities of new data: averaged over the draws of a posterior, or at an estimate.

    Parameters
    ----------
    data
        Data frame with the model's columns, or array (N, p).
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

    Returns
    -------
    DataFrame
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
    rows, draws = read_at_levels(fit, data, offset, available, asked=asked, missing=missing)
    shift = prior_shift(fit.schema, class_prior, rows)
    note = joined(warn_of(fit, row_cautions(fit, rows)), nodes_note(rows.nodes))
    if ci_prob is None:
        return noted(probability_frame(fit.schema, rows, mean_probabilities(draws, rows, shift)), note)
    interval = resolve_interval(ci_prob, "eti")
    if fit.delta_covariance is None:
        values, center, ends = draw_intervals(draws, rows, interval, shift=shift), "mean", interval.columns()
    else:
        center, ends = "estimate", interval.columns("wald")
        if rows.nodes is None:
            values = delta_intervals(fit, rows, interval, covariance=fit.delta_covariance, shift=shift)
        else:
            values = averaged_intervals(moved_rows(fit, asked, rows), interval, shift)
    return noted(interval_frame(fit.schema, rows, values, stats=(center, *ends)), note)


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
) -> pd.Series:
    """Most probable class of each row of ``data``; arguments as in :meth:`predict_proba`.

    Missing for rows that neither data nor prior inform.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> model.map().predict(penguins.iloc[[0, 200, 300]]).tolist()
    ['Adelie', 'Adelie', 'Gentoo']
    """
    asked = ask(fit, levels, groups, random_seed, rng)
    rows, draws = read_at_levels(fit, data, offset, available, asked=asked, missing=missing)
    warn_of(fit, row_cautions(fit, rows))
    probabilities = mean_probabilities(draws, rows, prior_shift(fit.schema, class_prior, rows))
    return label_series(fit.schema, rows, probabilities)


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
