"""Scores of class predictions that do not care what the classes are called or in which order they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.results.calibration import calibration_error, calibration_table, top_label_table
from bayes_softmax.results.fitted import Fitted, check_count, training_of
from bayes_softmax.results.intervals import resolve_interval
from bayes_softmax.results.loo import checked_cells, newton_loo
from bayes_softmax.results.prediction import encode_rows, mean_probabilities
from bayes_softmax.results.probabilities import Rows
from bayes_softmax.spec.build import read_weights
from bayes_softmax.spec.design import Label, Response
from bayes_softmax.spec.frames import is_frame, require_columns, to_pandas
from bayes_softmax.spec.labels import parse_response
from bayes_softmax.spec.schema import Schema

MEANINGS = {
    "accuracy": "share of units whose most probable class is right; 1 is best",
    "balanced_accuracy": "mean over the classes of the share that is found; 1 is best",
    "log_loss": "minus the mean log probability of the observed class, nats; 0 is best",
    "brier": "mean squared distance of probabilities from what occurred, 0 to 2; 0 is best",
    "mcfadden_r2": "share of the log loss of the class frequencies that the features remove; 1 is best",
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
        See :meth:`to_frame`, which says what each means.  The log loss of a posterior is that of its mean
        probabilities (leave-one-out: of the means without the unit).
    std_error
        Standard errors over the units, of the scores that are means over them.
    confusion
        Units by observed class (rows) and most probable class (columns).
    calibration
        One-vs-rest: rows ``(class, bin)``, mean predicted probability, observed frequency, Wilson interval, units.
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
            f"Evaluation, {self.kind}: {self.n_units:g} units, {len(self.confusion)} classes\n"
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
        (N,) frequency weights of ``data``, or the name of a column.
    offset
        (N, K) for ``data``, if the model has an offset that is not among its columns.
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
    check_count("n_bins", n_bins)
    rates = np.array(fit.schema.class_totals)
    if data is not None:
        if loo:
            raise ValueError("loo=True leaves out units of the data of the fit; it takes no new data")
        rows, counts = _new_data(fit.schema, data, y, weights, offset)
        return score("new data", mean_probabilities(fit.coefficients, rows), counts, fit.schema, rates, n_bins)
    if y is not None or weights is not None:
        raise ValueError("y and weights belong to new data; give data too")
    training = training_of(fit, "evaluate()")
    if not loo:
        P = mean_probabilities(fit.coefficients, training.rows)
        return score("in-sample", P, training.counts, fit.schema, rates, n_bins)
    P = checked_cells(fit, training).probabilities if fit.delta_covariance is None else newton_loo(fit, training)
    cells = training.cells
    counts = np.zeros_like(P)
    counts[np.arange(len(P)), cells.codes] = cells.units
    return score("leave-one-out", P, counts, fit.schema, rates - np.eye(len(rates))[cells.codes], n_bins)


def _new_data(schema: Schema, data: Any, y: Any, weights: Any, offset: Any) -> tuple[Rows, FloatArray]:
    """Encoded rows and weighted counts (N, K) of new data."""
    rows = encode_rows(schema, data, offset)
    if y is None:
        y = _response_columns(schema, data)
    response = parse_response(y, schema.classes, schema.response_name)
    n = len(response.codes) if response.codes is not None else len(_counts(response))
    if n != len(rows.X):
        raise ValueError(f"data has {len(rows.X)} rows, but y has {n}")
    row_weights = read_weights(weights, data, n, rows.index)
    if response.codes is None:
        counts = _counts(response)
    else:
        counts = np.zeros((n, len(schema.classes)))
        counts[np.arange(n), response.codes] = 1.0
    return rows, counts if row_weights is None else counts * row_weights[:, None]


def _counts(response: Response) -> FloatArray:
    assert response.counts is not None
    return response.counts


def _response_columns(schema: Schema, data: Any) -> Any:
    """The response among the columns of the data: labels, or counts by class."""
    if not is_frame(data):
        raise ValueError("data is an array: pass the observed classes as y")
    frame = to_pandas(data)
    if schema.response_name in frame.columns:
        return frame[schema.response_name]
    if all(c in frame.columns for c in schema.classes):
        return frame[list(schema.classes)]
    require_columns(frame, [schema.response_name])
    return None  # not reached: the line before names the column that is missing


def score(kind: str, P: FloatArray, counts: FloatArray, schema: Schema, rates: FloatArray, n_bins: int) -> Evaluation:
    """Scores of probabilities (n, K) for weighted counts (n, K); ``rates`` (K,) or (n, K) are the null model's."""
    classes: tuple[Label, ...] = schema.classes
    total, K = float(counts.sum()), len(classes)
    if total <= 0:
        raise ValueError("there is no observation to score")
    top = P.argmax(axis=1)
    right = np.eye(K)[top]
    with np.errstate(divide="ignore"):
        losses = -np.log(P)
        null = -np.log(rates / rates.sum(axis=-1, keepdims=True))
    brier = (P**2).sum(axis=1, keepdims=True) - 2 * P + 1.0
    found = np.array([np.bincount(top, weights=counts[:, k], minlength=K) for k in range(K)])
    confusion = pd.DataFrame(found, pd.Index(list(classes), name="observed"), pd.Index(list(classes), name="predicted"))
    scores = {"accuracy": right, "log_loss": losses, "brier": brier}
    means = {name: _mean(values, counts) for name, values in scores.items()}
    seen = found.sum(axis=1) > 0
    interval = resolve_interval(None, "eti")
    calibration = calibration_table(P, counts, classes, interval, n_bins)
    return Evaluation(
        kind=kind,
        n_units=total,
        **{name: value for name, (value, _) in means.items()},
        balanced_accuracy=float((np.diag(found)[seen] / found[seen].sum(axis=1)).mean()),
        mcfadden_r2=1.0 - means["log_loss"][0] / _mean(np.broadcast_to(null, P.shape), counts)[0],
        calibration_error=calibration_error(calibration),
        std_error={name: error for name, (_, error) in means.items()},
        confusion=confusion,
        calibration=calibration,
        top_label=top_label_table(P, counts, interval, n_bins),
    )


def _mean(values: FloatArray, counts: FloatArray) -> tuple[float, float]:
    """Mean of a score (n, K) over the units of ``counts`` (n, K), and its standard error."""
    used = counts > 0
    v, w = values[used], counts[used]
    mean = float(np.average(v, weights=w))
    if not np.isfinite(mean):
        return mean, float("nan")
    return mean, float(np.sqrt((w * (v - mean) ** 2).sum() / max(w.sum() - 1, 1) / w.sum()))
