"""Draws from a density that costs little, by a population of Markov chains that learn their steps from each other.

Differential evolution: a chain moves by a multiple of the difference of two chains of the other half of the
population (ter Braak, *Statistics and Computing* 16, 2006), so that steps have the shape of the density, whatever its
scales and correlations.  After enough steps the chains are as many nearly independent draws.
"""

from collections.abc import Callable

import numpy as np

from bayes_softmax.core.records import FloatArray

JITTER = 1e-3  # sd of a small move that keeps the population from collapsing onto a subspace
FULL_MOVE = 0.1  # share of moves by the whole difference, from mode to mode


def evolve(
    log_densities: Callable[[FloatArray], FloatArray], start: FloatArray, steps: int, rng: np.random.Generator
) -> FloatArray:
    """Points (S, d) of as many chains after so many steps from ``start`` (S, d), with S at least 4.

    ``log_densities`` returns the log densities (S,) of many points, up to a constant.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> S = np.array([[4.0, 1.9], [1.9, 1.0]])
    >>> P = np.linalg.inv(S)
    >>> found = evolve(lambda x: -0.5 * np.einsum("si,ij,sj->s", x, P, x), rng.normal(size=(4000, 2)), 200, rng)
    >>> bool(np.allclose(np.cov(found.T), S, rtol=0.1))
    True
    """
    points, d = start.copy(), start.shape[1]
    values = log_densities(points)
    halves = np.array_split(np.arange(len(points)), 2)
    for _ in range(steps):
        for own, others in (halves, halves[::-1]):
            pairs = _distinct_pairs(len(own), others, rng)
            share = np.where(rng.random(len(own)) < FULL_MOVE, 1.0, 2.38 / np.sqrt(2.0 * d))
            move = share[:, None] * (points[pairs[0]] - points[pairs[1]])
            tried = points[own] + move + JITTER * rng.normal(size=move.shape)
            found = log_densities(tried)
            accepted = np.log(rng.random(len(own))) < found - values[own]
            points[own[accepted]], values[own[accepted]] = tried[accepted], found[accepted]
    return points


def _distinct_pairs(n: int, among: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two different members for each of ``n`` chains."""
    first = rng.integers(len(among), size=n)
    second = (first + 1 + rng.integers(len(among) - 1, size=n)) % len(among)
    return among[first], among[second]
