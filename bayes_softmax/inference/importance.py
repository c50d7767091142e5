r"""Importance correction of the Laplace approximation.

Proposals are drawn in whitened coordinates from a defensive mixture,
:math:`q(z) = 0.9\, N(0, I) + 0.1\, t_5(0, I)`: the normal part is efficient, and the heavy-tailed part bounds the
weights of any log-concave density (Hesterberg, *Technometrics* 37, 1995).  The weights are Pareto-smoothed, and their
tail index k diagnoses their reliability (Vehtari, Simpson, Gelman, Yao and Gabry, *JMLR* 25, 2024).
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import gammaln, logsumexp

from bayes_softmax.core.interrupts import held_back
from bayes_softmax.core.pareto import smoothed
from bayes_softmax.core.records import FloatArray, IntArray, Whitening
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.inference.block_metric import unwhiten

T_SHARE = 0.1
T_DF = 5.0
CHUNK = 128  # points per task: fixed, so that sums do not depend on the number of threads
FEWEST_PROPOSALS = 25  # with fewer, there is no tail to fit

Progress = Callable[[int, int], None]


class Target(Protocol):
    """What proposals need of the density that they are weighted for: a ``LogDensity`` has it."""

    @property
    def dimension(self) -> int:
        """Number of coordinates d."""
        ...

    @property
    def work(self) -> float:
        """Number of multiplications of one evaluation."""
        ...

    def values(self, thetas: FloatArray) -> FloatArray:
        """Log density at many points (S, d)."""
        ...


class Proposals(NamedTuple):
    """Points (S, d), their log importance weights (S,), and the number of points evaluated before any interrupt."""

    points: FloatArray
    log_weights: FloatArray
    finished: int
    interrupted: bool = False


class ImportanceSample(NamedTuple):
    """Equal-weight draws (S, d) with diagnostics from the weights.

    ``ess`` is ``(sum w)^2 / sum w^2`` of the smoothed weights; ``log_evidence`` is the log of their mean, an estimate
    of the density's normalising constant.
    """

    points: FloatArray
    pareto_k: float
    ess: float
    log_evidence: float


class Resampled(NamedTuple):
    """Positions (draws,) of the points that were chosen, and the diagnostics of :class:`ImportanceSample`."""

    chosen: IntArray
    pareto_k: float
    ess: float
    log_evidence: float


def proposal_points(rng: np.random.Generator, n: int, dimension: int) -> FloatArray:
    """Whitened points (n, d) from the defensive mixture."""
    z = rng.normal(size=(n, dimension))
    heavy = rng.random(n) < T_SHARE
    stretch = np.sqrt(T_DF / rng.chisquare(T_DF, size=n))
    z[heavy] *= stretch[heavy, None]
    return z


def proposal_log_density(z: FloatArray) -> FloatArray:
    """Log density (n,) of the defensive mixture at whitened points (n, d)."""
    d = z.shape[1]
    squares = np.einsum("ij,ij->i", z, z)
    normal = -0.5 * (squares + d * np.log(2 * np.pi))
    constant = gammaln(0.5 * (T_DF + d)) - gammaln(0.5 * T_DF) - 0.5 * d * np.log(T_DF * np.pi)
    heavy = constant - 0.5 * (T_DF + d) * np.log1p(squares / T_DF)
    mixture: FloatArray = np.logaddexp(np.log1p(-T_SHARE) + normal, np.log(T_SHARE) + heavy)
    return mixture


def propose(
    density: Target,
    whitening: Whitening,
    n: int,
    rng: np.random.Generator,
    *,
    cores: int = 1,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> Proposals:
    """Draw ``n`` points and weight them: one log density per point, in batches of ``chunk`` on ``cores`` threads.

    After Ctrl-C the points evaluated so far are returned (``finished`` of ``n``).
    """
    z = proposal_points(rng, n, density.dimension)
    log_q = proposal_log_density(z) - whitening.log_determinant
    return weigh(density.values, unwhiten(whitening, z), log_q, cores=cores, progress=progress, chunk=chunk)


def weigh(
    values: Callable[[FloatArray], FloatArray],
    points: FloatArray,
    log_q: FloatArray,
    *,
    cores: int = 1,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> Proposals:
    """Weigh points (S, d), drawn with log density ``log_q`` (S,), by ``values``, the log density of many points.

    After Ctrl-C the points evaluated so far are returned (``finished`` of S).
    """
    n = len(points)
    starts = range(0, n, chunk)
    found, finished, interrupted = np.empty(n), 0, False
    tasks: list[Future[FloatArray]] = []
    with blas_on_one_thread(), ThreadPoolExecutor(min(max(cores, 1), os.cpu_count() or 1)) as pool:
        try:
            for start in starts:
                tasks.append(pool.submit(values, points[start : start + chunk]))
            for start, task in zip(starts, tasks, strict=True):
                task.result()
                if progress is not None:
                    progress(min(start + chunk, n), n)
        except BaseException as error:
            with held_back():
                for task in tasks:  # no further task starts
                    task.cancel()
            if not isinstance(error, KeyboardInterrupt):
                raise
            interrupted = True
    for start, task in zip(starts, tasks, strict=False):
        if task.cancelled() or task.exception() is not None:
            break
        result = task.result()
        found[start : start + len(result)] = result
        finished = start + len(result)
    log_weights = found[:finished] - log_q[:finished]
    log_weights[~np.isfinite(log_weights)] = -np.inf
    return Proposals(points[:finished], log_weights, finished, interrupted)


def pareto_smooth(log_weights: FloatArray) -> tuple[FloatArray, float]:
    """Pareto-smoothed log weights, normalised to sum to one, and their tail index k."""
    weights, k = smoothed(log_weights[None])
    normalised: FloatArray = weights[0] - logsumexp(weights[0])
    return normalised, float(k[0])


def importance_sample(proposals: Proposals, draws: int, rng: np.random.Generator) -> ImportanceSample:
    """Resample weighted points to ``draws`` equal-weight ones."""
    found = resample(proposals.log_weights, draws, rng)
    return ImportanceSample(proposals.points[found.chosen], *found[1:])


def resample(log_weights: FloatArray, draws: int, rng: np.random.Generator) -> Resampled:
    """Choose ``draws`` of weighted points for equal weights, by systematic resampling for little extra variance."""
    smooth, k = pareto_smooth(log_weights)
    weights = np.exp(smooth)
    positions = (rng.random() + np.arange(draws)) / draws
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), positions), len(weights) - 1)
    rng.shuffle(chosen)  # systematic resampling leaves copies next to each other
    log_evidence = float(logsumexp(log_weights) - np.log(len(weights)))
    return Resampled(chosen, k, float(1.0 / (weights**2).sum()), log_evidence)


def acceptance_rate(log_weights: FloatArray, rng: np.random.Generator) -> float:
    """Expected acceptance of an independence sampler with these weights: mean of ``min(1, w'/w)`` under w and q."""
    log_weights = log_weights - log_weights.max()  # avoids loss of all digits in logarithms of size 1e30
    weights = np.exp(log_weights - logsumexp(log_weights))
    current = rng.choice(len(weights), size=4 * len(weights), p=weights)
    candidate = rng.integers(len(weights), size=4 * len(weights))
    return float(np.exp(np.minimum(0.0, log_weights[candidate] - log_weights[current])).mean())
