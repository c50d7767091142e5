"""Scores of class predictions, invariant to the names and the order of the classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_softmax.answers.calibration import calibration_error, calibration_table, cuts_of, top_label_table
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.tallies import Predicted, Tally, tally_of
from bayes_softmax.core.checks import counted
from bayes_softmax.core.errors import warn_caller
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.missing import dropped_notes
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.display.digits import Format, estimates
from bayes_softmax.display.table import table_of

NOTHING = "there is no observation to score"
MEANINGS = {
    "accuracy": "share of observations whose most probable class is right, ties shared equally; 1 is best",
    "balanced_accuracy": "recall averaged over the classes; 1 is best",
    "log_loss": "minus the mean log probability of the observed class, nats; 0 is best",
    "brier": "mean squared distance of the probabilities from the one-hot outcome, 0 to 2; 0 is best",
    "mcfadden_r2": "relative reduction of the log loss of the class frequencies; 1 is best, "
    "NaN where these give probability 0 to an observed class",
    "calibration_error": "mean absolute difference of predicted and observed frequencies, all classes; 0 is best",
}


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Scores of a fit on its own data, on new data, or leave-one-out; made by ``evaluate()``.

    Attributes
    ----------
    kind
        ``"in-sample"``, ``"new data"`` or ``"leave-one-out"``.
    n_observations
        Observations scored: the sum of weights or counts.
    accuracy, balanced_accuracy, log_loss, brier, mcfadden_r2, calibration_error
        Defined in :meth:`to_frame`; where not every class is on offer, class frequencies are renormalised over those
        that are.  The log loss of a posterior is that of its mean
        probabilities (leave-one-out: of the means without the observation), from logarithms that do not underflow.
        McFadden's R2 is NaN where the log loss of the class frequencies is infinite: where a scored class had no
        observation in the fit or, leave-one-out, a single one.
    std_error
        Standard errors of the scores that are means over observations.
    confusion
        Observations by observed class (rows) and most probable class (columns).  Classes within 1e-12 of the highest
        probability share an observation equally, here and in the accuracies, so that no order of classes decides a tie.
    calibration
        One-vs-rest: rows ``(class, bin)``, mean predicted probability, observed frequency, Wilson interval,
        ``n_observations``.  A class is judged in the rows in which it is on offer.
    top_label
        The same table for the most probable class of each row: confidence and accuracy.
    n_dropped
        Rows of new data that were left out for missing values.
    notes
        What was done otherwise with rows that are read in passes.
    """

    kind: str
    n_observations: float
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
    n_dropped: int = 0
    notes: tuple[str, ...] = ()

    @property
    def n_units(self) -> float:
        """Deprecated name of :attr:`n_observations`."""
        warn_caller("n_units is now n_observations", FutureWarning)
        return self.n_observations

    def to_frame(self) -> pd.DataFrame:
        """One row per score: value, standard error over the observations (NaN where it is not a mean), meaning."""
        rows = {
            name: (getattr(self, name), self.std_error.get(name, np.nan), meaning) for name, meaning in MEANINGS.items()
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=[self.kind, "std_error", "meaning"])
        return table_of(table.rename_axis("score"), estimates(self.kind, "std_error"))

    def _brief(self) -> Brief:
        """The scores in a few lines."""
        error = self.std_error
        return Brief(
            f"Evaluation, {self.kind}: {counted(self.n_observations, 'observation')}, {len(self.confusion)} classes",
            (
                f"accuracy {self.accuracy:.3f} ± {error['accuracy']:.3f}, balanced {self.balanced_accuracy:.3f}",
                f"log loss {self.log_loss:.4f} ± {error['log_loss']:.4f} nats, "
                f"Brier {self.brier:.4f} ± {error['brier']:.4f}",
                f"McFadden R2 {self.mcfadden_r2:.3f}, calibration error {self.calibration_error:.3f}",
            ),
            (*dropped_notes(self.n_dropped), *self.notes),
            tables=(("scores", self.to_frame()), ("confusion", self.confusion)),
        )

    __repr__ = as_text
    _repr_html_ = as_markup


def score(
    kind: str, predicted: Predicted, counts: FloatArray, *, schema: Schema, rates: FloatArray, n_bins: int
) -> Evaluation:
    """Scores of predictions for weighted counts (n, K); ``rates`` (K,) or (n, K) are the null model's."""
    if counts.sum() <= 0:
        raise ValueError(NOTHING)
    cuts = cuts_of(predicted.P, counts, n_bins, predicted.available)
    return evaluation_of(kind, tally_of(predicted, counts, rates, cuts), schema)


def evaluation_of(kind: str, found: Tally, schema: Schema, notes: tuple[str, ...] = ()) -> Evaluation:
    """Scores of the observations of a tally."""
    if found.total <= 0:
        raise ValueError(NOTHING)
    labels, confusion = list(schema.classes), found.confusion
    seen = confusion.sum(axis=1) > 0
    interval = resolve_interval(None, "eti")
    table = pd.DataFrame(confusion, pd.Index(labels, name="observed"), pd.Index(labels, name="predicted"))
    calibration = calibration_table(found.bins, schema.classes, interval)
    log_loss = found.means["log_loss"].mean
    return Evaluation(
        kind=kind,
        n_observations=found.total,
        accuracy=found.means["accuracy"].mean,
        log_loss=log_loss,
        brier=found.means["brier"].mean,
        balanced_accuracy=float((np.diag(confusion)[seen] / confusion[seen].sum(axis=1)).mean()),
        mcfadden_r2=_mcfadden(log_loss, found.null.mean),
        calibration_error=calibration_error(calibration),
        std_error={name: mean.error for name, mean in found.means.items()},
        confusion=table_of(table, others=Format("count")),
        calibration=calibration,
        top_label=top_label_table(found.bins, interval),
        notes=notes,
    )


def _mcfadden(log_loss: float, null: float) -> float:
    """Relative reduction of the null model's log loss; NaN where that loss is infinite or zero."""
    return 1.0 - log_loss / null if np.isfinite(null) and null > 0 else float("nan")
