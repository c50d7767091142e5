r"""The predictive distribution of a Laplace approximation measured beside that of its mode, by leave-one-out.

Leaving one observation of class k out of a row changes the approximation :math:`N(m, \Sigma)` by one Newton step.  With
the row's Jacobian J, :math:`V = J\Sigma J'` and :math:`S = \mathrm{diag}(p) - pp'`, its linearised logits become

.. math:: \eta_{-} = \eta - (I - VS)^{-1} V (e_k - p), \qquad V_{-} = (I - VS)^{-1} V.

The mode predicts by the softmax of :math:`\eta_{-}` (Rad and Maleki, *JRSS B* 82, 2020), the linearised predictive by
its mean over :math:`N(\eta_{-}, V_{-})` (Vehtari, Mononen, Tolvanen, Sivula and Winther, *JMLR* 17, 2016).  Draws that
went through the network are weighted by the ratio of the two normals, so that all are compared after the same step.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, logsumexp

from bayes_softmax.answers.probabilities import ThinnedDraws, estimate_logits
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.pareto import smoothed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.network.jacobian import free_jacobian
from bayes_softmax.inference.normals import Normal
from bayes_softmax.spec.network.linearised import LinearisedNetwork
from bayes_softmax.spec.specification import Specification

WORK = 3e10  # multiplications that the measurement may take: a few seconds
MOST, FEWEST = 1000, 50  # observations that are left out
MOST_CLASSES = 300  # a system of equations of this size is solved for each
NUMBERS = 2**22  # that exist at a time
SAMPLES = 1000  # of a row's logits, for the mean of their probabilities; and draws through the network
WORSE = 2.0  # standard errors of a difference that counts


class Beside(NamedTuple):
    """Leave-one-out log loss of a predictive distribution and of the MAP; their difference and its standard error.

    ``n`` of ``total`` pairs of a distinct row and an observed class were measured.
    """

    loss: float
    loss_of_map: float
    difference: float
    std_error: float
    n: int
    total: int

    @property
    def is_worse(self) -> bool:
        """Whether the MAP predicts better, beyond chance."""
        return self.difference > WORSE * self.std_error

    def __str__(self) -> str:
        """Return the losses in a sentence."""
        some = "" if self.n == self.total else f", {self.n} of {self.total} observations"
        return (
            f"log loss {self.loss:.3f} beside {self.loss_of_map:.3f} of the MAP, difference {self.difference:.3f} ± "
            f"{self.std_error:.3f} (leave-one-out by one Newton step{some})"
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


def beside_map(
    spec: Specification, linearised: LinearisedNetwork, normal: Normal, draws: Parameters | None, seed: int
) -> Beside | None:
    """Leave-one-out log loss beside that of the MAP; None where that would take too long.

    Parameters
    ----------
    linearised
        The network around its mode.
    normal
        The approximation around the mode, in the free coordinates of the network.
    draws
        Draws of the parameters, whose logits are the network's; None for the linearised predictive.
    seed
        Of the choice of observations, and of samples of their logits.
    """
    counts, rng, K = spec.distinct.dense_counts(), np.random.default_rng(seed), spec.design.n_classes
    rows, codes = np.nonzero(counts)
    n = int(min(len(rows), MOST, WORK / (K * normal.work)))
    if n < min(FEWEST, len(rows)) or K > MOST_CLASSES:
        return None
    at = np.sort(rng.choice(len(rows), n, replace=False))
    thinned = None if draws is None else draws.thinned(SAMPLES, 1)
    losses, step = [], max(1, NUMBERS // (K * max(normal.dimension, SAMPLES)))
    for start in range(0, n, step):
        some = at[start : start + step]
        left = _leave_out(spec, linearised, normal, (rows[some], codes[some], counts[rows[some], codes[some]]))
        of_map = log_softmax(left.logits + left.change, axis=1)[np.arange(len(some)), left.codes]
        own = _of_linearised(left, rng) if thinned is None else _of_draws(left, linearised, thinned)
        losses.append(np.column_stack([-own, -of_map]))
    return _summary(np.concatenate(losses), counts[rows[at], codes[at]], len(rows))


def warn_if_worse(beside: Beside, call: str) -> None:
    """Warn where the MAP predicts better."""
    if beside.is_worse:
        warn_caller(
            f"{call} predicts worse than map() here: {beside}. Prefer map(), laplace(structure='last-layer') or "
            "sample()",
            NotReliableWarning,
        )


def _leave_out(
    spec: Specification, linearised: LinearisedNetwork, normal: Normal, cells: tuple[IntArray, IntArray, FloatArray]
) -> _Left:
    """Distinct rows, each without one observation of its class; ``cells`` are rows, classes and counts (n,)."""
    at, codes, counts = cells
    X, offset, available = spec.distinct.encoded(at)
    rows = Rows(X, None, offset, available=available)
    logits = estimate_logits(ThinnedDraws(linearised, linearised.at_point), rows, slice(None))
    p, eye = np.exp(log_softmax(logits, axis=1)), np.eye(logits.shape[1])
    values = {name: value[0] for name, value in linearised.at_point.arrays.items()}
    J = free_jacobian(linearised.network, spec.network_coordinates, values, X)
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


def _of_draws(left: _Left, linearised: LinearisedNetwork, draws: Parameters) -> FloatArray:
    """Log mean probability (n,) of the class over draws, weighted to be those without the observation."""
    X, n = left.rows.X, len(left.codes)
    moved = linearised.at(draws)(X) - linearised.at(linearised.at_point)(X)  # (K, n, S)
    p, residual = left.p.T[:, :, None], (np.eye(left.p.shape[1])[left.codes] - left.p).T[:, :, None]
    bend = (p * moved**2).sum(axis=0) - (p * moved).sum(axis=0) ** 2
    log_ratios = left.amounts[:, None] * (0.5 * bend - (residual * moved).sum(axis=0))
    L = linearised.network.at(draws)(X)
    left.rows.complete_logits(L, slice(None))
    log_p = log_softmax(L, axis=0)[left.codes, np.arange(n)]
    mean: FloatArray = logsumexp(smoothed(log_ratios)[0] + log_p, axis=1)
    return mean


def _summary(losses: FloatArray, weights: FloatArray, total: int) -> Beside:
    """Means over the observations of losses (n, 2), the MAP's second."""
    share = weights / weights.sum()
    own, of_map = share @ losses
    difference = losses[:, 0] - losses[:, 1]
    mean = float(share @ difference)
    std_error = float(np.sqrt((share**2 * (difference - mean) ** 2).sum()))
    return Beside(float(own), float(of_map), mean, std_error, len(losses), total)
