r"""The predictive distribution of a Laplace approximation measured beside that of its mode, on data left out.

By :func:`leave_one_out`, where the precision is the curvature of all weights.  Leaving one observation of class k out
changes the approximation :math:`N(m, \Sigma)` by one Newton step.  With the Jacobian J of its row,
:math:`V = J\Sigma J'` and :math:`S = \mathrm{diag}(p) - pp'`, the row's linearised logits become

.. math:: \eta_{-} = \eta - (I - VS)^{-1} V (e_k - p), \qquad V_{-} = (I - VS)^{-1} V.

The mode predicts by the softmax of :math:`\eta_{-}` (Rad and Maleki, *JRSS B* 82, 2020), the linearised predictive by
its mean over :math:`N(\eta_{-}, V_{-})` (Vehtari, Mononen, Tolvanen, Sivula and Winther, *JMLR* 17, 2016).  Draws that
went through the network are weighted by the ratio of the two normals, so that all are compared after the same step.

Elsewhere by :func:`held_out`: both are fitted again without a fifth of the rows, on which they are compared.  Hidden
layers that are held saw all rows, and an approximate precision may be smaller than one row's part of it, :math:`J'SJ`.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, logsumexp

from bayes_softmax.answers.probabilities import HasLogits, ThinnedDraws, estimate_logits, over_blocks
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.training import Cells
from bayes_softmax.core.checks import counted
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.pareto import smoothed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.network.jacobian import free_jacobian
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.last_layer import network_of
from bayes_softmax.inference.normals import Normal
from bayes_softmax.spec.specification import Specification

WORK = 3e10  # multiplications that the measurement may take: a few seconds
MOST, FEWEST = 1000, 50  # observations that are left out
MOST_CLASSES = 300  # a system of equations of this size is solved for each
NUMBERS = 2**22  # that exist at a time
SAMPLES = 1000  # of a row's logits, for the mean of their probabilities; and draws through the network
HELD_OUT = 0.2  # of the distinct rows, in a refit
WORSE = 2.0  # standard errors of a difference that counts


class Beside(NamedTuple):
    """Log loss of a predictive distribution and of the MAP, their difference with its standard error, and ``how``."""

    loss: float
    loss_of_map: float
    difference: float
    std_error: float
    how: str

    @property
    def is_worse(self) -> bool:
        """Whether the MAP predicts better, beyond chance."""
        return self.difference > WORSE * self.std_error

    def __str__(self) -> str:
        """Return the losses in a sentence."""
        return (
            f"log loss {self.loss:.3f} beside {self.loss_of_map:.3f} of the MAP, difference {self.difference:.3f} ± "
            f"{self.std_error:.3f} ({self.how})"
        )


class _Left(NamedTuple):
    """Rows, the class of the observation that each of them is without, and how many of it (at most one).

    ``logits`` and ``p`` (n, K) are those of the mode, ``change`` (n, K) and ``covariance`` (n, K, K) the mean and
    covariance of the linearised logits' change without the observation.
    """

    rows: Rows
    codes: IntArray
    amounts: FloatArray
    logits: FloatArray
    p: FloatArray
    change: FloatArray
    covariance: FloatArray


class Approximation(NamedTuple):
    """A normal approximation around a mode, as its predictive distribution is measured.

    Attributes
    ----------
    at_mode
        The mode, as one draw.
    normal
        In the network's free coordinates.
    linearised
        The linearised network with draws of the normal.
    draws
        The network with the same draws; None if the predictive distribution is that of the linearised one.
    """

    at_mode: Parameters
    normal: Normal
    linearised: ThinnedDraws
    draws: ThinnedDraws | None


def leave_one_out(spec: Specification, given: Approximation, seed: int) -> Beside | None:
    """Leave-one-out log loss beside that of the MAP; None where that would take too long.

    ``seed`` is that of the choice of observations, and of samples of their logits.
    """
    counts, rng, K = spec.distinct.dense_counts(), np.random.default_rng(seed), spec.design.n_classes
    rows, codes = np.nonzero(counts)
    n = int(min(len(rows), MOST, WORK / (K * given.normal.work)))
    if n < min(FEWEST, len(rows)) or K > MOST_CLASSES:
        return None
    at = np.sort(rng.choice(len(rows), n, replace=False))
    losses, step = [], max(1, NUMBERS // (K * max(spec.network_coordinates.dimension, SAMPLES)))
    for start in range(0, n, step):
        some = at[start : start + step]
        left = _leave_out(spec, given, (rows[some], codes[some], counts[rows[some], codes[some]]))
        of_map = log_softmax(left.logits + left.change, axis=1)[np.arange(len(some)), left.codes]
        own = _of_linearised(left, rng) if given.draws is None else _of_draws(left, given, given.draws)
        losses.append(np.column_stack([-own, -of_map]))
    some_of = "" if n == len(rows) else f", {n} of {len(rows)} observations"
    return _summary(np.concatenate(losses), counts[rows[at], codes[at]], f"leave-one-out by one Newton step{some_of}")


def held_out(
    spec: Specification, refit: Callable[[Specification], tuple[HasLogits, HasLogits]], seed: int
) -> Beside | None:
    """Log loss beside that of the MAP on a fifth of the distinct rows; None if these are too few.

    ``refit`` gives logits with the draws, and those of the mode, of the model without these rows.
    """
    counts, n = spec.distinct.dense_counts(), spec.distinct.n_obs
    out = np.sort(np.random.default_rng(seed).permutation(n)[: math.ceil(HELD_OUT * n)])
    kept, tested = counts.copy(), counts[out]
    kept[out] = 0.0
    if not (kept.any() and tested.any()):
        return None
    rows, codes = np.nonzero(kept)
    own_scale = replace(spec, priors=replace(spec.priors, choice=None))  # is not chosen again
    fits = refit(with_cells(own_scale, Cells(rows, codes, kept[rows, codes])))
    X, offset, available = spec.distinct.encoded(out)
    new, at = Rows(X, None, offset, available=available), np.nonzero(tested)
    losses = [-_mean_log_probability(fit, new)[at] for fit in fits]
    how = f"on {counted(len(out), 'row')} that a refit left out"
    return _summary(np.column_stack(losses), tested[at], how)


def _mean_log_probability(fit: HasLogits, rows: Rows) -> FloatArray:
    """Logarithm (n, K) of the class probabilities, averaged over draws."""
    S = fit.parameters.n_draws
    parts = over_blocks(fit, rows, lambda L, _: logsumexp(L, axis=2).T - np.log(S), log=True)
    return np.concatenate(parts)


def with_note(posterior: PosteriorDraws, beside: Beside | None, call: str) -> PosteriorDraws:
    """The posterior with a note on what was measured, and a warning where the MAP predicts better."""
    if beside is None:
        note = "its log loss was not measured beside that of the MAP: compare them by evaluate() on new data"
        return replace(posterior, notes=(*posterior.notes, note))
    if beside.is_worse:
        warn_caller(f"{call} predicts worse than map() here: {beside}; prefer map() or sample()", NotReliableWarning)
    return replace(posterior, notes=(*posterior.notes, str(beside)))


def _leave_out(spec: Specification, given: Approximation, cells: tuple[IntArray, IntArray, FloatArray]) -> _Left:
    """Distinct rows, each without one observation of its class; ``cells`` are rows, classes and counts (n,)."""
    (at, codes, counts), network, normal = cells, network_of(spec), given.normal
    X, offset, available = spec.distinct.encoded(at)
    rows = Rows(X, None, offset, available=available)
    logits = estimate_logits(ThinnedDraws(network, given.at_mode), rows, slice(None))
    p, eye = np.exp(log_softmax(logits, axis=1)), np.eye(logits.shape[1])
    values = {name: value[0] for name, value in given.at_mode.arrays.items()}
    J = free_jacobian(network, spec.network_coordinates, values, X)
    T = normal.whitened(J.reshape(-1, normal.dimension)).reshape(J.shape)
    V = T @ T.transpose(0, 2, 1)
    amounts = np.minimum(counts, 1.0)
    S = amounts[:, None, None] * p[:, :, None] * (eye - p[:, None])
    covariance = np.linalg.solve(eye - V @ S, V)
    change = -np.einsum("nkl,nl->nk", covariance, amounts[:, None] * (eye[codes] - p))
    return _Left(rows, codes, amounts, logits, p, change, 0.5 * (covariance + covariance.transpose(0, 2, 1)))


def _of_linearised(left: _Left, rng: np.random.Generator) -> FloatArray:
    """Log mean probability (n,) of the class over normal logits."""
    variances, vectors = np.linalg.eigh(left.covariance)
    roots = vectors * np.sqrt(np.maximum(variances, 0.0))[:, None]
    z = rng.normal(size=(left.logits.shape[1], SAMPLES))
    L = (left.logits + left.change)[:, :, None] + roots @ z
    log_p = log_softmax(L, axis=1)[np.arange(len(L)), left.codes]
    mean: FloatArray = logsumexp(log_p, axis=1) - np.log(SAMPLES)
    return mean


def _of_draws(left: _Left, given: Approximation, draws: ThinnedDraws) -> FloatArray:
    """Log mean probability (n,) of the class over draws, weighted to be those without the observation."""
    X, n, linear = left.rows.X, len(left.codes), given.linearised.logits
    moved = linear.at(given.linearised.parameters)(X) - linear.at(given.at_mode)(X)  # (K, n, S)
    p, residual = left.p.T[:, :, None], (np.eye(left.p.shape[1])[left.codes] - left.p).T[:, :, None]
    bend = (p * moved**2).sum(axis=0) - (p * moved).sum(axis=0) ** 2
    log_ratios = left.amounts[:, None] * (0.5 * bend - (residual * moved).sum(axis=0))
    L = draws.logits.at(draws.parameters)(X)
    left.rows.complete_logits(L, slice(None))
    log_p = log_softmax(L, axis=0)[left.codes, np.arange(n)]
    mean: FloatArray = logsumexp(smoothed(log_ratios)[0] + log_p, axis=1)
    return mean


def _summary(losses: FloatArray, weights: FloatArray, how: str) -> Beside:
    """Means over the observations of losses (n, 2), the MAP's second."""
    share = weights / weights.sum()
    own, of_map = share @ losses
    difference = losses[:, 0] - losses[:, 1]
    mean = float(share @ difference)
    std_error = float(np.sqrt((share**2 * (difference - mean) ** 2).sum()))
    return Beside(float(own), float(of_map), mean, std_error, how)
