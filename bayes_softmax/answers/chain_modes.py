"""Modes of a posterior that chains do not mix between: which chains agree with which."""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core.checks import counted, listed
from bayes_softmax.core.records import FloatArray

# R-hat of two chains whose means differ by 0.8 standard deviations.  With an effective sample size of 50 per chain, the
# largest of a thousand quantities stays below it where the chains agree.
APART = 1.1
SHORTEST = 100  # draws a chain; shorter chains may disagree for want of mixing alone
SHOWN_MODES = 3


class ChainMode(NamedTuple):
    """Chains that agree with each other, and the average of the log posterior over their draws (NaN if not known).

    ``started_at`` is the highest log posterior of the modes at which they started; NaN where no start was recorded.
    """

    chains: tuple[int, ...]
    log_posterior: float
    started_at: float

    def __str__(self) -> str:
        """Return the chains, and the heights that are known."""
        several = "chains" if len(self.chains) > 1 else "chain"
        heights = [
            f"{what} {height:.1f}"
            for what, height in (("log posterior", self.log_posterior), ("from a mode at", self.started_at))
            if np.isfinite(height)
        ]
        return f"{several} {listed(self.chains)}{f' ({", ".join(heights)})' if heights else ''}"


def chain_modes(
    draws: FloatArray, log_posterior: FloatArray | None, started_at: FloatArray | None
) -> tuple[ChainMode, ...]:
    """Chains of draws (chain, draw, m) grouped by the mode that they are in, the highest first.

    ``log_posterior`` (chain, draw) is that of the draws, ``started_at`` (chain,) that of the starting points.  Chains
    of fewer than :data:`SHORTEST` draws are taken together.
    """
    found = []
    for chains in _agreeing(draws) if draws.shape[1] >= SHORTEST else [tuple(range(len(draws)))]:
        own = list(chains)
        height = np.nan if log_posterior is None else float(log_posterior[own].mean())
        start = np.nan if started_at is None else float(started_at[own].max())
        found.append(ChainMode(chains, height, start))
    return tuple(sorted(found, key=lambda mode: (-np.nan_to_num(mode.log_posterior, nan=-np.inf), mode.chains)))


def in_words(modes: tuple[ChainMode, ...]) -> str:
    """Several modes as the subject of a sentence."""
    named = [str(mode) for mode in modes[:SHOWN_MODES]]
    more = len(modes) - len(named)
    return f"{'; '.join(named)}{f'; and {counted(more, "other mode")}' if more else ''}"


def _agreeing(draws: FloatArray) -> list[tuple[int, ...]]:
    """Groups of chains connected by pairs whose largest R-hat is below ``APART``."""
    n_chains = len(draws)
    groups = [{chain} for chain in range(n_chains)]
    for a in range(n_chains):
        for b in range(a + 1, n_chains):
            own, other = (next(group for group in groups if chain in group) for chain in (a, b))
            if own is not other and _largest_rhat(draws[[a, b]]) < APART:
                own |= other
                groups.remove(other)
    return sorted(tuple(sorted(group)) for group in groups)


def _largest_rhat(pair: FloatArray) -> float:
    """The largest split R-hat of two chains (2, draw, m), of values bounded around the median of both."""
    half = pair.shape[1] // 2
    low, middle, high = np.quantile(pair, [0.25, 0.5, 0.75], axis=(0, 1))
    varies = high > low
    if half < 2 or not varies.any():
        return 1.0 if not np.ptp(pair, axis=(0, 1)).any() else np.inf
    bounded = np.arctan((pair[:, -2 * half :, varies] - middle[varies]) / (high - low)[varies])
    parts = bounded.reshape(4, half, -1)
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = parts.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # parts that never move have no variance
        squares = (half - 1) / half + between / within
    return float(np.sqrt(np.nan_to_num(squares, nan=1.0).max()))
