"""Scores of class predictions that do not care what the classes are called or in which order they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.base_rates import BaseRates, prior_shift, read_rates
from bayes_softmax.answers.calibration import calibration_error, calibration_table, top_label_table, top_shares
from bayes_softmax.answers.cautions import row_cautions, unknown_rows, warn_of
from bayes_softmax.answers.fitted import Fitted, training_of
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.loo import checked_cells, newton_loo
from bayes_softmax.answers.new_data import check_logits
from bayes_softmax.answers.prediction import probabilities_and_logs, read_rows
from bayes_softmax.answers.probabilities import Rows
from bayes_softmax.core.checks import check_counts, check_flags, counted, listed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.available import Mask, check_outcomes, without_forced
from bayes_softmax.data.design import dense_counts
from bayes_softmax.data.frames import check_aligned, is_frame, to_pandas
from bayes_softmax.data.labels import parse_response
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.weights import read_weights

MEANINGS = {
    "accuracy": "share of units whose most probable class is right, ties shared out; 1 is best",
    "balanced_accuracy": "mean over the classes of the share that is found; 1 is best",
    "log_loss": "minus the mean log probability of the observed class, nats; 0 is best",
    "brier": "mean squared distance of probabilities from what occurred, 0 to 2; 0 is best",
    "mcfadden_r2": "share of the log loss of the class frequencies that the features remove; 1 is best, "
    "NaN where these exclude a class that occurs",
    "calibration_error": "mean distance of predicted from observed frequencies, all classes; 0 is best",
}


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Scores of a fit on its own data, on new data, or leave-one-out; made by ``evaluate()``.

    Attributes
    ----------
    kind
        ``"in-sample"``, ``"new data"`` or ``"leave-one-out"``.
    n_units
        Units scored: the sum of weights or counts.
    accuracy, balanced_accuracy, log_loss, brier, mcfadden_r2, calibration_error
        See :meth:`to_frame`, which says what each means; where not every class is on offer, class frequencies are
        shared out among those that are.  The log loss of a posterior is that of its mean
        probabilities (leave-one-out: of the means without the unit), from logarithms that do not underflow.  McFadden's
        R2 is NaN where the log loss of the class frequencies is infinite, so that any model would beat them: where a
        class occurs that had no observation, or leave-one-out a class with a single one.
    std_error
        Standard errors over the units, of the scores that are means over them.
    confusion
        Units by observed class (rows) and most probable class (columns).  Classes within 1e-12 of the highest
        probability share a unit equally, here and in the accuracies, so that no order of classes decides a tie.
    calibration
        One-vs-rest: rows ``(class, bin)``, mean predicted probability, observed frequency, Wilson interval, units.
        Of a class, the rows in which it is on offer.
    top_label
        The same for the most probable class of each row: confidence and accuracy.
    """

    kind: str
    n_units: float
    accuracy: float
    balanced_accuracy: float
    log_loss: float
    brier: float
    mcfadden_r2: float
    calibration_error: float
    std_error: Mapping[str, float]
    confusion: pd.DataFrame
    calibration: pd.DataFrame
    top_label: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row for each score: value, standard error over the units (NaN where it is not a mean), meaning."""
        rows = {
            name: (getattr(self, name), self.std_error.get(name, np.nan), meaning) for name, meaning in MEANINGS.items()
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=[self.kind, "std_error", "meaning"])
        return table.rename_axis("score")

    def __repr__(self) -> str:
        """Return the scores in a few lines."""
        error = self.std_error
        return (
            f"Evaluation, {self.kind}: {counted(self.n_units, 'unit')}, {len(self.confusion)} classes\n"
            f"  accuracy {self.accuracy:.3f} ± {error['accuracy']:.3f}, balanced {self.balanced_accuracy:.3f}\n"
            f"  log loss {self.log_loss:.4f} ± {error['log_loss']:.4f} nats, Brier {self.brier:.4f} ± "
            f"{error['brier']:.4f}\n"
            f"  McFadden R2 {self.mcfadden_r2:.3f}, calibration error {self.calibration_error:.3f}"
        )


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
) -> Evaluation:
    """Score the predictions: in-sample, on new data, or leave-one-out.

    All scores are of probabilities by class; none depends on the names or the order of the classes, and weights and
    counts count as so many units.

    Parameters
    ----------
    data
        New data with the columns of the model; default the data of the fit.
    y
        Observed classes of ``data`` (labels, one-hot rows or counts); default its columns of the response.
    weights
        (N,) frequency weights of ``data``, or the name of a column; default the column that held the weights of the
        fit, if they were given by name and ``data`` has it (pass ones to score each row once).
    offset
        (N, K) for ``data``, if the model has an offset that is not among its columns.
    available
        (N, K) for ``data``, if the model has choice sets and ``data`` has no columns for them.  Rows
        with one class on offer are not scored.
    class_prior
        Base rates of ``data``, as in :meth:`predict_proba`; the class frequencies of McFadden's R2 are then these.
    loo
        Leave-one-out on the data of the fit: what new data would bring.  By importance weights for a posterior (see
        :meth:`loo` for their check), by one Newton step for an estimate.
    n_bins
        Bins of the calibration tables, of about equal numbers of units.

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
    schema = fit.schema
    rates = np.array(schema.class_totals or [np.nan] * len(schema.classes))  # the first saved fits do not know them
    if data is not None:
        if loo:
            raise ValueError("loo=True leaves out units of the data of the fit; it takes no new data")
        rows = read_rows(fit, data, offset, available)
        unknown = unknown_rows(rows)
        if unknown.any():
            raise ValueError(f"evaluate(): {'; '.join(row_cautions(fit, rows))}. Leave these rows out")
        warn_of(fit, row_cautions(fit, rows))
        counts = _new_counts(schema, data, y, weights=weights, rows=rows)
        rates = rates if class_prior is None else read_rates(schema, class_prior)
        found = probabilities_and_logs(fit.coefficients, rows, prior_shift(schema, class_prior, rows))
        predicted = Predicted(*found, rows.available)
        return score("new data", predicted, counts, schema=schema, rates=rates, n_bins=n_bins)
    if any(argument is not None for argument in (y, weights, offset, available)):
        raise ValueError("y, weights, offset and available belong to new data; give data too")
    if class_prior is not None:
        raise ValueError("class_prior belongs to new data: the data of the fit have their own base rates")
    training = training_of(fit, "evaluate()")
    check_logits(schema, fit.coefficients, training.rows)
    if not loo:
        predicted = Predicted(*probabilities_and_logs(fit.coefficients, training.rows), training.rows.available)
        return score("in-sample", predicted, training.counts, schema=schema, rates=rates, n_bins=n_bins)
    P = checked_cells(fit, training).probabilities if fit.delta_covariance is None else newton_loo(fit, training)
    cells = training.cells
    counts = np.zeros_like(P)
    counts[np.arange(len(P)), cells.codes] = cells.units
    rates = rates - np.eye(len(rates))[cells.codes]
    with np.errstate(divide="ignore"):
        predicted = Predicted(P, np.log(P), training.rows.take(cells.rows).available)
    return score("leave-one-out", predicted, counts, schema=schema, rates=rates, n_bins=n_bins)


def _new_counts(schema: Schema, data: Any, y: Any, *, weights: Any, rows: Rows) -> FloatArray:
    """Weighted counts (N, K) of new data; none in a row with one class on offer."""
    index = rows.index
    if y is None:
        y = _response_columns(schema, data)
    weights = schema.weights_of(data, weights)
    for other, argument in ((y, "y"), (weights, "weights")):
        check_aligned(data, other, argument, "data")
    response = parse_response(y, schema.classes, schema.response_name)
    counts = dense_counts(response, None)
    if len(counts) != len(index):
        raise ValueError(f"data has {counted(len(index), 'row')}, but y has {len(counts)}")
    row_weights = read_weights(weights, data, len(index), index)
    if rows.available is not None:
        check_outcomes(rows.available, response, index)
        row_weights = without_forced(row_weights, rows.available)
    return dense_counts(response, row_weights)


def _response_columns(schema: Schema, data: Any) -> Any:
    """The response among the columns of the data: labels, or counts by class."""
    if not is_frame(data):
        raise ValueError("data is an array: pass the observed classes as y")
    frame = to_pandas(data)
    if schema.response_name in frame.columns:
        return frame[schema.response_name]
    features = {c for c in schema.classes if str(c) in schema.input_columns}  # classes 0, 1 and columns 0, 1
    if not features and all(c in frame.columns for c in schema.classes):
        return frame[list(schema.classes)]
    raise ValueError(
        f"data has no column {schema.response_name!r}, nor one of counts for each of the classes "
        f"{listed(schema.classes)}; pass the observed classes as y"
    )


class Predicted(NamedTuple):
    """Predicted probabilities (n, K), their logarithms, finite where the former underflow, and what was on offer."""

    P: FloatArray
    log_P: FloatArray
    available: Mask | None = None


def score(
    kind: str, predicted: Predicted, counts: FloatArray, *, schema: Schema, rates: FloatArray, n_bins: int
) -> Evaluation:
    """Scores of predictions for weighted counts (n, K); ``rates`` (K,) or (n, K) are the null model's."""
    P, total = predicted.P, float(counts.sum())
    if total <= 0:
        raise ValueError("there is no observation to score")
    right = top_shares(P)
    brier = (P**2).sum(axis=1, keepdims=True) - 2 * P + 1.0
    scores = {"accuracy": right, "log_loss": -predicted.log_P, "brier": brier}
    means = {name: _mean(values, counts) for name, values in scores.items()}
    found = counts.T @ right
    labels = list(schema.classes)
    seen = found.sum(axis=1) > 0
    interval = resolve_interval(None, "eti")
    if predicted.available is not None:  # the null model, too, divides a row among what is on offer
        rates = rates * predicted.available
    calibration = calibration_table(
        P, counts, schema.classes, interval=interval, n_bins=n_bins, available=predicted.available
    )
    return Evaluation(
        kind=kind,
        n_units=total,
        **{name: value for name, (value, _) in means.items()},
        balanced_accuracy=float((np.diag(found)[seen] / found[seen].sum(axis=1)).mean()),
        mcfadden_r2=_mcfadden(means["log_loss"][0], rates, counts),
        calibration_error=calibration_error(calibration),
        std_error={name: error for name, (_, error) in means.items()},
        confusion=pd.DataFrame(found, pd.Index(labels, name="observed"), pd.Index(labels, name="predicted")),
        calibration=calibration,
        top_label=top_label_table(P, counts, interval=interval, n_bins=n_bins),
    )


def _mcfadden(log_loss: float, rates: FloatArray, counts: FloatArray) -> float:
    """Share of the null model's log loss that is removed; NaN where that is infinite, or zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = -np.log(rates / rates.sum(axis=-1, keepdims=True))
    null, _ = _mean(np.broadcast_to(losses, counts.shape), counts)
    return 1.0 - log_loss / null if np.isfinite(null) and null > 0 else float("nan")


def _mean(values: FloatArray, counts: FloatArray) -> tuple[float, float]:
    """Mean of a score (n, K) over the units of ``counts`` (n, K), and its standard error."""
    used = counts > 0
    v, w = values[used], counts[used]
    mean = float(np.average(v, weights=w))
    if not np.isfinite(mean):
        return mean, float("nan")
    return mean, float(np.sqrt((w * (v - mean) ** 2).sum() / max(w.sum() - 1, 1) / w.sum()))
