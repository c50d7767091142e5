"""Class probabilities and classes of new data, with intervals, other base rates, and what is uncertain about them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri, xlogy
from scipy.stats import qmc

from bayes_softmax.core.records import FloatArray
from bayes_softmax.results.fitted import Fitted
from bayes_softmax.results.intervals import Interval, draws_interval, normal_quantile, resolve_interval
from bayes_softmax.results.probabilities import Coefficients, Rows, over_blocks
from bayes_softmax.spec.design import Label
from bayes_softmax.spec.frames import is_frame, missing_rows, require_columns, to_pandas
from bayes_softmax.spec.schema import Schema

MISSING = ("error", "nan")
LOGIT_POINTS = 256  # of a Sobol sequence, for averages over the normal approximation of a row's logits


def predict_proba(
    fit: Fitted,
    data: Any,
    ci_prob: float | None = None,
    *,
    offset: Any = None,
    class_prior: Mapping[Label, float] | None = None,
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
    class_prior
        Base rates where the predictions will be used, by class; they need not be those of the data.  With the base
        rates :math:`\pi_k` of the data, :math:`p'_k \propto p_k\, \pi'_k / \pi_k` in every draw, which is exact if
        the features within each class are distributed as before (Saerens, Latinne and Decaestecker, *Neural
        Computation* 14, 2002).
    missing
        ``"error"`` (default), or ``"nan"``: rows with missing values get missing probabilities.

    Returns
    -------
    DataFrame
        Rows as in ``data``; columns are the classes, or ``(class, statistic)`` with intervals.

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
    rows = encode_rows(fit.schema, data, offset, missing)
    shift = prior_shift(fit.schema, class_prior)
    if ci_prob is None:
        return probability_frame(fit.schema, rows, mean_probabilities(fit.coefficients, rows, shift))
    interval = resolve_interval(ci_prob, "eti")
    if fit.delta_covariance is None:
        values, center, ends = draw_intervals(fit.coefficients, rows, interval, shift), "mean", interval.columns()
    else:
        values = delta_intervals(fit.coefficients, fit.delta_covariance, rows, interval, shift)
        center, ends = "estimate", interval.columns("wald")
    return interval_frame(fit.schema, rows, values, center, ends)


def predict(
    fit: Fitted,
    data: Any,
    *,
    offset: Any = None,
    class_prior: Mapping[Label, float] | None = None,
    missing: str = "error",
) -> pd.Series:
    """Most probable class of each row of ``data``; arguments as in :meth:`predict_proba`."""
    rows = encode_rows(fit.schema, data, offset, missing)
    probabilities = mean_probabilities(fit.coefficients, rows, prior_shift(fit.schema, class_prior))
    return label_series(fit.schema, rows, probabilities)


def uncertainty(fit: Fitted, data: Any, *, offset: Any = None, missing: str = "error") -> pd.DataFrame:
    r"""Split of each prediction's uncertainty, in nats.

    ``total`` is the entropy of the mean probabilities, ``aleatoric`` the mean entropy over the draws (what no amount
    of data would remove), and ``epistemic`` their difference, the mutual information of class and coefficients (what
    more data would remove); Depeweg et al., *ICML* 2018.  An estimate uses the normal approximation of its logits.

    Parameters
    ----------
    data, offset, missing
        As in :meth:`predict_proba`.

    Returns
    -------
    DataFrame
        Rows as in ``data``; columns ``total``, ``aleatoric``, ``epistemic``, between 0 and log K.
    """
    rows = encode_rows(fit.schema, data, offset, missing)
    out = np.empty((3, len(rows.X)))

    def split(P: FloatArray, block: slice) -> None:
        out[0, block] = _entropy(P.mean(axis=2))
        out[1, block] = _entropy(P).mean(axis=1)

    if fit.delta_covariance is None:
        over_blocks(fit.coefficients, rows, split)
    else:
        normal_logits(fit.coefficients, fit.delta_covariance, rows, split)
    out[2] = np.maximum(out[0] - out[1], 0.0)
    return pd.DataFrame(rows.expand(out.T), index=rows.index, columns=["total", "aleatoric", "epistemic"])


def _entropy(P: FloatArray) -> FloatArray:
    """Entropy over the first axis."""
    result: FloatArray = -xlogy(P, P).sum(axis=0)
    return result


# ---------------------------------------------------------------------- data in


def encode_rows(schema: Schema, data: Any, offset: Any = None, missing: str = "error") -> Rows:
    """Encode new data; errors name column and row."""
    if missing not in MISSING:
        raise ValueError(f"missing={missing!r} is not known; use one of {', '.join(map(repr, MISSING))}")
    if missing == "error":
        X, index = schema.encode(data)
        return Rows(X, index, schema.encode_offset(data, offset, len(X)))
    frame = to_pandas(data) if is_frame(data) else pd.DataFrame(np.asarray(data, dtype=np.float64))
    names = [*schema.input_columns, *schema.offset_columns] if is_frame(data) else list(frame.columns)
    require_columns(frame, map(str, names))
    keep = np.flatnonzero(~missing_rows(frame.rename(columns=str), map(str, names)))
    complete = frame.iloc[keep] if is_frame(data) else frame.iloc[keep].to_numpy()
    X, _ = schema.encode(complete)
    kept_offset = to_pandas(offset).iloc[keep] if is_frame(offset) else offset
    if isinstance(offset, np.ndarray | list):
        kept_offset = np.asarray(offset)[keep]
    return Rows(X, frame.index, schema.encode_offset(complete, kept_offset, len(X)), keep)


def prior_shift(schema: Schema, class_prior: Mapping[Label, float] | None) -> FloatArray | None:
    """What other base rates add to the logits (K,)."""
    if class_prior is None:
        return None
    if not isinstance(class_prior, Mapping):
        raise TypeError(f"class_prior={class_prior!r} must be a mapping from class to probability")
    for label in class_prior:
        schema.class_position(label, "class_prior")
    absent = [c for c in schema.classes if c not in class_prior]
    if absent:
        raise ValueError(f"class_prior has no probability for class {absent[0]!r}")
    rates = np.array([float(class_prior[c]) for c in schema.classes])
    if not (np.isfinite(rates).all() and (rates >= 0).all() and abs(rates.sum() - 1) < 1e-6):
        raise ValueError(f"class_prior={dict(class_prior)!r} must be probabilities that sum to 1 (sum {rates.sum():g})")
    totals = np.array(schema.class_totals)
    for label, total, rate in zip(schema.classes, totals, rates, strict=True):
        if total == 0 and rate > 0:
            raise ValueError(f"class_prior: class {label!r} has no observation, so its base rate cannot be shifted")
    with np.errstate(divide="ignore", invalid="ignore"):
        shift: FloatArray = np.log(rates) - np.log(totals / totals.sum())
    return np.where(rates == 0, -np.inf, shift)


# ---------------------------------------------------------------------- probabilities


def mean_probabilities(coefficients: Coefficients, rows: Rows, shift: FloatArray | None = None) -> FloatArray:
    """Probabilities (N, K) averaged over the draws."""
    mean = np.empty((len(rows.X), coefficients.weights.shape[2]))

    def average(P: FloatArray, block: slice) -> None:
        mean[block] = P.mean(axis=2).T

    over_blocks(coefficients, rows, average, shift=shift)
    return mean


def draw_intervals(
    coefficients: Coefficients, rows: Rows, interval: Interval, shift: FloatArray | None = None
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
    covariance: FloatArray,
    rows: Rows,
    interval: Interval,
    shift: FloatArray | None = None,
) -> FloatArray:
    r"""Estimate, lower and upper end (3, N, K) by the delta method on :math:`\log p_k/(1-p_k)`.

    With :math:`\partial\,\mathrm{logit}(p_k)/\partial\eta_j = (\delta_{jk} - p_j)/(1 - p_k)`; the ends are mapped
    back, so they stay inside (0, 1).  ``covariance`` is (q, K, q, K) of the raw coefficients, intercept first.
    """
    K = coefficients.weights.shape[2]
    out = np.empty((3, len(rows.X), K))
    z = normal_quantile(interval)
    out[0] = mean_probabilities(coefficients, rows, shift)
    for start in range(0, len(rows.X), 1024):
        block = slice(start, start + 1024)
        p = out[0, block]
        jacobian = np.eye(K) - p[:, None, :]
        variance = np.einsum("nkj,njl,nkl->nk", jacobian, logit_covariance(covariance, rows.X[block]), jacobian,
                             optimize=True)  # fmt: skip
        odds_error = z * np.sqrt(np.maximum(variance, 0.0)) / np.maximum(1.0 - p, 1e-300)
        with np.errstate(divide="ignore", over="ignore"):
            logit = np.log(p) - np.log1p(-p)
            out[1:, block] = 1 / (1 + np.exp(odds_error - logit)), 1 / (1 + np.exp(-odds_error - logit))
    return out


def logit_covariance(covariance: FloatArray, X: FloatArray) -> FloatArray:
    """Covariance (n, K, K) of the logits of rows ``X`` (n, p), from that of the coefficients (q, K, q, K)."""
    X1 = np.column_stack([np.ones(len(X)), X])
    result: FloatArray = np.einsum("ni,ikjl,nj->nkl", X1, covariance, X1, optimize=True)
    return result


def normal_logits(coefficients: Coefficients, covariance: FloatArray, rows: Rows, function: Any) -> None:
    """Apply ``function(P, block)`` to probabilities (K, rows, points) under the normal approximation of the logits."""
    K = coefficients.weights.shape[2]
    points = ndtri(qmc.Sobol(K, rng=0).random(LOGIT_POINTS))
    for start in range(0, len(rows.X), 1024):
        block = slice(start, min(start + 1024, len(rows.X)))
        values, vectors = np.linalg.eigh(logit_covariance(covariance, rows.X[block]))
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        logits = (rows.X[block] @ coefficients.weights[0] + coefficients.intercept[0])[:, None, :]
        if rows.offset is not None:
            logits = logits + rows.offset[block, None, :]
        L = np.moveaxis(logits + np.einsum("nkj,sj->nsk", root, points), 2, 0)
        L = np.exp(L - L.max(axis=0))
        function(L / L.sum(axis=0), block)


# ---------------------------------------------------------------------- answers out


def probability_frame(schema: Schema, rows: Rows, probabilities: FloatArray) -> pd.DataFrame:
    """(N, K) probabilities with the data's row index and class names as columns."""
    columns = pd.Index(list(schema.classes), name=schema.response_name)
    return pd.DataFrame(rows.expand(probabilities), index=rows.index, columns=columns)


def interval_frame(schema: Schema, rows: Rows, values: FloatArray, center: str, ends: tuple[str, str]) -> pd.DataFrame:
    """(3, N, K) estimates and ends as columns ``(class, statistic)``."""
    stats = (center, *ends)
    columns = pd.MultiIndex.from_product([list(schema.classes), stats], names=[schema.response_name, "statistic"])
    flat = values.transpose(1, 2, 0).reshape(values.shape[1], len(columns))
    return pd.DataFrame(rows.expand(flat), index=rows.index, columns=columns)


def label_series(schema: Schema, rows: Rows, probabilities: FloatArray) -> pd.Series:
    """Most probable class of each row, as a series with the data's row index; missing where a value was."""
    labels = pd.Series(list(schema.classes)).iloc[probabilities.argmax(axis=1)].to_numpy()
    if rows.position is None:
        return pd.Series(labels, index=rows.index, name=schema.response_name)
    known = pd.Series(labels, index=rows.position).astype(object)
    full = known.reindex(range(len(rows.index)))
    return pd.Series(full.to_numpy(), index=rows.index, name=schema.response_name)
