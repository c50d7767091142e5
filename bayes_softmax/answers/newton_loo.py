"""Approximate leave-one-out of an estimate, by one Newton step."""

import numpy as np
from scipy.special import softmax

from bayes_softmax.answers.fitted import Fitted, without_intervals
from bayes_softmax.answers.probabilities import estimate_logits
from bayes_softmax.answers.rows import short_blocks
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.records import FloatArray


def newton_loo(fit: Fitted, training: TrainingData) -> FloatArray:
    r"""Class probabilities (cells, K) of an estimate with one observation of the cell left out, by one Newton step.

    With the covariance V of the row's logits and :math:`S = \mathrm{diag}(p) - pp'`, leaving out an observation of
    class k changes the logits by :math:`-(I - VS)^{-1} V (e_k - p)` (Pregibon, *Annals of Statistics* 9, 1981; Rad and
    Maleki, *JRSS B* 82, 2020).
    """
    covariance = fit.delta_covariance
    if without_intervals(fit):
        raise ValueError("leave-one-out of an estimate of a network is not approximated; kfold() fits it again")
    check_whole_counts(training)
    if covariance is None or fit.limits is not None or not np.isfinite(covariance).all():
        raise ValueError("leave-one-out of an estimate needs a certified optimum: its covariance is not known")
    out, eye = [], np.eye(fit.logits.n_classes)
    for rows in training.blocks():
        cells = rows.cells
        for own in short_blocks(len(cells.rows)):
            at = rows.rows.take(cells.rows[own])
            logits = estimate_logits(fit, at, slice(None))
            P, V = softmax(logits, axis=1), fit.logits.covariance(fit.parameters, at.X, covariance)
            S = P[:, :, None] * (eye - P[:, None, :])
            residual = eye[cells.codes[own]] - P
            move = np.linalg.solve(eye - V @ S, np.einsum("nkl,nl->nk", V, residual)[:, :, None])[:, :, 0]
            out.append(softmax(logits - move, axis=1))
    return np.concatenate(out)


def check_whole_counts(training: TrainingData, question: str = "loo") -> None:
    """Raise unless weights and counts are whole numbers of observations, as ``question`` needs them."""
    if not training.whole_counts:
        raise ValueError(
            "the weights or counts are not whole numbers, so there are no observations to leave out one by one; "
            f"{question}(by='row') leaves out whole rows with their weights"
        )
