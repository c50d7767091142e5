"""Class probabilities and classes of new data, with intervals, other base rates, and what is uncertain about them."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri, xlogy
from scipy.stats import qmc

from bayes_softmax.answers.base_rates import BaseRates, prior_shift
from bayes_softmax.answers.cautions import in_the_limit, noted, row_cautions, rows_without_error, warn_of
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.intervals import Interval, draws_interval, normal_quantile, resolve_interval
from bayes_softmax.answers.new_data import check_logits, encode_all, encode_complete
from bayes_softmax.answers.probabilities import Coefficients, Rows, estimate_logits, over_blocks
from bayes_softmax.answers.tables import interval_frame, label_series, probability_frame
from bayes_softmax.core.checks import check_choice
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema

MISSING = ("error", "nan")
SMALL = 1e-290  # below it a probability has lost digits, or is lost
LOGIT_POINTS = 256  # of a Sobol sequence, for averages over the normal approximation of a row's logits


def predict_proba(
    fit: Fitted,
    data: Any,
    ci_prob: float | None = None,
    *,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    missing: str = "error",
) -> pd.DataFrame:
    r"""Class probabilities of new data: of a posterior their mean over the draws, of an estimate at the estimate.

    Parameters
    ----------
    data
        Data frame with the model's columns, or array (N, p).
    ci_prob
        If given, an interval of this probability stands beside each number: equal-tailed over the draws, or by the
        delta method on the logit scale.
    offset
        (N, K), if the model has an offset that is not a column of the data.
    available
        (N, K), if the model has choice sets and the data have no columns for them.
    class_prior
        Base rates where the predictions will be used, by class (a mapping, or a series as of
        ``y.value_counts(normalize=True)``); they need not be those of the data.  With the base rates
        :math:`\pi_k` of the data, :math:`p'_k \propto p_k\, \pi'_k / \pi_k` in every draw, which is exact if the
        features within each class are distributed as before (Saerens, Latinne and Decaestecker, *Neural
        Computation* 14, 2002).
    missing
        ``"error"`` (default), or ``"nan"``: rows with missing values get missing probabilities.

    Returns
    -------
    DataFrame
        Rows as in ``data``; columns are the classes, or ``(class, statistic)`` with intervals.  Where an estimate is
        not certified as an optimum, a warning and ``attrs["note"]`` say so.  Where its optimum lies at infinity,
        classes whose logits fall below another one's without end have probability 0, and the others the estimate and
        the interval of the limiting model, given that these are excluded; a probability of 0 or 1 has no interval,
        since what is certain in the limit is not certain to be true.  Where the limit is not determined, the estimate
        is where the solver stopped, without an interval.  Rows that neither data nor prior say anything about (a cell
        that was never observed, under flat priors) are NaN, with a warning that names them.

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
    rows = read_rows(fit, data, offset, available, missing=missing)
    shift = prior_shift(fit.schema, class_prior, rows)
    note = warn_of(fit, row_cautions(fit, rows))
    if ci_prob is None:
        return noted(probability_frame(fit.schema, rows, mean_probabilities(fit.coefficients, rows, shift)), note)
    interval = resolve_interval(ci_prob, "eti")
    if fit.delta_covariance is None:
        values, center, ends = draw_intervals(fit.coefficients, rows, interval, shift=shift), "mean", interval.columns()
    else:
        values = delta_intervals(fit.coefficients, rows, interval, covariance=fit.delta_covariance, shift=shift)
        center, ends = "estimate", interval.columns("wald")
    return noted(interval_frame(fit.schema, rows, values, stats=(center, *ends)), note)


def predict(
    fit: Fitted,
    data: Any,
    *,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    missing: str = "error",
) -> pd.Series:
    """Most probable class of each row of ``data``; arguments as in :meth:`predict_proba`.

    Missing for rows that neither data nor prior say anything about.
    """
    rows = read_rows(fit, data, offset, available, missing=missing)
    warn_of(fit, row_cautions(fit, rows))
    probabilities = mean_probabilities(fit.coefficients, rows, prior_shift(fit.schema, class_prior, rows))
    return label_series(fit.schema, rows, probabilities)


def uncertainty(
    fit: Fitted,
    data: Any,
    *,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    missing: str = "error",
) -> pd.DataFrame:
    r"""Split of each prediction's uncertainty, in nats.

    ``total`` is the entropy of the mean probabilities, ``aleatoric`` the mean entropy over the draws (what no amount
    of data would remove), and ``epistemic`` their difference, the mutual information of class and coefficients (what
    more data would remove); Depeweg et al., *ICML* 2018.  An estimate uses the normal approximation of its logits;
    where it has none, as without a certified optimum, ``total`` is the entropy at the estimate and the others are NaN.

    Parameters
    ----------
    data, offset, available, class_prior, missing
        As in :meth:`predict_proba`.

    Returns
    -------
    DataFrame
        Rows as in ``data``; columns ``total``, ``aleatoric``, ``epistemic``, between 0 and log K.
    """
    rows = read_rows(fit, data, offset, available, missing=missing)
    shift = prior_shift(fit.schema, class_prior, rows)
    note = warn_of(fit, row_cautions(fit, rows))
    out = np.empty((2, len(rows.X)))

    def split(P: FloatArray, block: slice) -> None:
        out[0, block] = _entropy(P.mean(axis=2))
        out[1, block] = _entropy(P).mean(axis=1)

    if fit.delta_covariance is None:
        over_blocks(fit.coefficients, rows, split, shift=shift)
    else:
        known = normal_logits(fit.coefficients, rows, split, covariance=fit.delta_covariance, shift=shift)
        out[1, ~known | rows_without_error(rows)] = np.nan
    table = np.column_stack([out[0], out[1], np.maximum(out[0] - out[1], 0.0)])
    columns = ["total", "aleatoric", "epistemic"]
    return noted(pd.DataFrame(rows.expand(table), index=rows.index, columns=columns), note)


def _entropy(P: FloatArray) -> FloatArray:
    """Entropy over the first axis."""
    result: FloatArray = 0.0 - xlogy(P, P).sum(axis=0)  # not -0.0
    return result


# ---------------------------------------------------------------------- data in


def encode_rows(
    schema: Schema, data: Any, offset: Any = None, available: Any = None, *, missing: str = "error"
) -> Rows:
    """Encode new data; errors name column and row."""
    check_choice("missing", missing, MISSING)
    encode = encode_all if missing == "error" else encode_complete
    return encode(schema, data, offset, available)


def read_rows(fit: Fitted, data: Any, offset: Any = None, available: Any = None, *, missing: str = "error") -> Rows:
    """New data encoded, in the limit of an optimum at infinity, and refused where the logits of a fit overflow."""
    rows = encode_rows(fit.schema, data, offset, available, missing=missing)
    check_logits(fit.schema, fit.coefficients, rows)
    return in_the_limit(fit, rows)


# ---------------------------------------------------------------------- probabilities


def mean_probabilities(coefficients: Coefficients, rows: Rows, shift: FloatArray | None = None) -> FloatArray:
    """Probabilities (N, K) averaged over the draws."""
    mean = np.empty((len(rows.X), coefficients.weights.shape[2]))

    def average(P: FloatArray, block: slice) -> None:
        mean[block] = P.mean(axis=2).T

    over_blocks(coefficients, rows, average, shift=shift)
    return mean


def probabilities_and_logs(
    coefficients: Coefficients, rows: Rows, shift: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Probabilities (N, K) averaged over the draws, and their logarithms: finite where a probability underflows."""
    P = mean_probabilities(coefficients, rows, shift)
    possible = np.full(P.shape[1], True) if shift is None else shift > -np.inf
    with np.errstate(divide="ignore"):
        log_P = np.log(P)
    lost = P < SMALL
    lost[:, ~possible] = False
    if rows.available is not None:
        lost &= rows.available
    small = np.flatnonzero(lost.any(axis=1))
    if small.size:  # a second pass costs more than the first: for these rows only
        log_P[small] = _mean_logs(coefficients, rows.take(small), shift)
    return P, log_P


def _mean_logs(coefficients: Coefficients, rows: Rows, shift: FloatArray | None) -> FloatArray:
    """Logarithms (N, K) of the probabilities averaged over the draws, by logarithms of each draw."""
    mean = np.empty((len(rows.X), coefficients.weights.shape[2]))

    def average(L: FloatArray, block: slice) -> None:
        top = L.max(axis=2)
        top[top == -np.inf] = 0.0  # a class of prior probability 0, or not on offer
        L -= top[:, :, None]
        np.exp(L, out=L)
        with np.errstate(divide="ignore"):
            mean[block] = (top + np.log(L.mean(axis=2))).T

    over_blocks(coefficients, rows, average, shift=shift, log=True)
    return mean


def draw_intervals(
    coefficients: Coefficients, rows: Rows, interval: Interval, *, shift: FloatArray | None = None
) -> FloatArray:
    """Mean, lower and upper end (3, N, K) of the probabilities over the draws."""
    out = np.empty((3, len(rows.X), coefficients.weights.shape[2]))

    def summarise(P: FloatArray, block: slice) -> None:
        out[0, block] = P.mean(axis=2).T
        low, high = draws_interval(P, interval, axis=2)
        out[1, block], out[2, block] = low.T, high.T

    over_blocks(coefficients, rows, summarise, shift=shift)
    return out


def delta_intervals(
    coefficients: Coefficients,
    rows: Rows,
    interval: Interval,
    *,
    covariance: FloatArray,
    shift: FloatArray | None = None,
) -> FloatArray:
    r"""Estimate, lower and upper end (3, N, K) by the delta method on the logit of each probability.

    :math:`\mathrm{logit}\,p_k = \eta_k - \log\sum_{j\ne k} e^{\eta_j}` has the derivative 1 in :math:`\eta_k` and
    minus the softmax of the others in these; neither needs :math:`1 - p_k`, of which nothing is left near 1.  The ends
    are mapped back, so they stay within 0 and 1.  ``covariance`` is (q, K, q, K) of the raw coefficients, intercept
    first.
    """
    out = np.empty((3, len(rows.X), coefficients.weights.shape[2]))
    z = normal_quantile(interval)
    out[0], log_p = probabilities_and_logs(coefficients, rows, shift)
    for start in range(0, len(rows.X), 1024):
        block = slice(start, start + 1024)
        logit, jacobian = _logits_of_each(log_p[block])
        V = logit_covariance(covariance, rows.X[block])
        variance = np.einsum("nkj,njl,nkl->nk", jacobian, V, jacobian, optimize=True)
        half = z * np.sqrt(np.maximum(variance, 0.0))
        half[np.isinf(logit)] = 0.0
        out[1, block], out[2, block] = expit(logit - half), expit(logit + half)
    if rows.loose is not None:  # an optimum at infinity: certain there is not certain to be true
        unsure = rows.loose | (out[0] == 0) | (out[0] == 1)
        if rows.available is not None:  # what is not on offer is certain, and so is what alone is
            unsure &= rows.available & (rows.available.sum(axis=1) > 1)[:, None]
        out[1:, unsure] = np.nan
    return out


def _logits_of_each(log_p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logit of each class against all others (n, K), and its Jacobian (n, K, K) in the logits ``log_p`` (n, K)."""
    K = log_p.shape[1]
    others = np.repeat(log_p[:, None, :], K, axis=1)
    others[:, np.arange(K), np.arange(K)] = -np.inf
    top = others.max(axis=2)
    alone = top == -np.inf  # all others have prior probability 0, or are not on offer
    odds = np.exp(others - np.where(alone, 0.0, top)[:, :, None])
    total = np.where(alone, 1.0, odds.sum(axis=2))
    logit = np.where(alone, np.inf, log_p - np.where(alone, 0.0, top) - np.log(total))
    return logit, np.eye(K) - odds / total[:, :, None]


def logit_covariance(covariance: FloatArray, X: FloatArray) -> FloatArray:
    """Covariance (n, K, K) of the logits of rows ``X`` (n, p), from that of the coefficients (q, K, q, K)."""
    X1 = np.column_stack([np.ones(len(X)), X])
    result: FloatArray = np.einsum("ni,ikjl,nj->nkl", X1, covariance, X1, optimize=True)
    return result


def normal_logits(
    coefficients: Coefficients,
    rows: Rows,
    function: Any,
    *,
    covariance: FloatArray,
    shift: FloatArray | None = None,
) -> NDArray[np.bool_]:
    """Apply ``function(P, block)`` to probabilities (K, rows, points) under the normal approximation of the logits.

    Returns for each row (N,) whether its covariance is known; where it is not, all points are the estimate.
    """
    K = coefficients.weights.shape[2]
    points = ndtri(qmc.Sobol(K, rng=0).random(LOGIT_POINTS))
    known = np.empty(len(rows.X), dtype=bool)
    for start in range(0, len(rows.X), 1024):
        block = slice(start, min(start + 1024, len(rows.X)))
        V = logit_covariance(covariance, rows.X[block])
        known[block] = np.isfinite(V).all(axis=(1, 2))
        values, vectors = np.linalg.eigh(np.where(known[block, None, None], V, 0.0))
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        logits = estimate_logits(coefficients, rows, block, shift)
        L = np.moveaxis(logits[:, None, :] + np.einsum("nkj,sj->nsk", root, points), 2, 0)
        L = np.exp(L - L.max(axis=0))
        function(L / L.sum(axis=0), block)
    return known
