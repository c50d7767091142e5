"""R-hat, effective sample sizes and Monte Carlo errors of draws, as numbers."""

from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray

# Of a quick look at quarters of the chains.  At R-hat 1.03 a quarter has an effective sample size of about 16.
PARTS, QUICK_RHAT = 4, 1.03


def convergence_table(draws: FloatArray) -> pd.DataFrame:
    """ESS (bulk, tail), R-hat and MCSE of each quantity in draws (chain, draw, m).

    Quantities that never vary (the fixed class of reference coding) get NaN without a warning.
    """
    load_in_full("arviz_stats", "arviz_stats.base")
    from arviz_base import rcParams
    from arviz_stats.base import array_stats

    flat = draws.reshape(*draws.shape[:2], -1)
    varies = np.ptp(flat, axis=(0, 1)) > 0
    table = pd.DataFrame(np.nan, index=range(flat.shape[2]), columns=["ess_bulk", "ess_tail", "r_hat", "mcse_mean"])
    if varies.any() and flat.shape[1] >= 4:
        x: Any = flat[:, :, varies]
        axes = {"chain_axis": 0, "draw_axis": 1}
        with np.errstate(divide="ignore", invalid="ignore"):  # chains that never move have no variance
            table.loc[varies, "ess_bulk"] = np.round(array_stats.ess(x, method="bulk", **axes))
            tail = array_stats.ess(x, method="tail", prob=rcParams["stats.ci_prob"], **axes)
            table.loc[varies, "ess_tail"] = np.round(tail)
            r_hat = array_stats.rhat(x, method="rank", **axes)
            table.loc[varies, "r_hat"] = np.where(r_hat > 1e6, np.inf, r_hat)  # zero variances, up to rounding
            table.loc[varies, "mcse_mean"] = array_stats.mcse(x, method="mean", **axes)
    return table


def sd_of(flat: FloatArray) -> FloatArray:
    """Standard deviation (m,) of draws (S, m); NaN for a single draw."""
    sd: FloatArray = flat.std(axis=0, ddof=1) if len(flat) > 1 else np.full(flat.shape[1], np.nan)
    return sd


def weighted_table(draws: FloatArray, ess: float) -> pd.DataFrame:
    """The same columns for equal-weight draws (chain, draw, m) resampled from a weighted sample of this ESS."""
    flat = draws.reshape(-1, int(np.prod(draws.shape[2:])))
    varies = np.ptp(flat, axis=0) > 0
    size = np.where(varies, np.round(ess), np.nan)
    mcse = np.where(varies, sd_of(flat) / np.sqrt(ess), np.nan)
    return pd.DataFrame({"ess_bulk": size, "ess_tail": size, "r_hat": np.nan, "mcse_mean": mcse})


def seem_mixed(draws: FloatArray) -> bool:
    """Whether a quick look at draws (chain, draw, m) shows no sign of what ``doubts`` are about.

    The classical R-hat of quarters of the chains, in a bounded scale and of distances from the middle, is nearly 1.  It
    takes milliseconds where ranks of thousands of quantities take seconds, and errs on the side of looking closer.
    """
    chains, n, m = draws.shape
    length = n // PARTS
    if length < 4 or not np.isfinite(draws).all():
        return False
    low, middle, high = np.quantile(draws.reshape(-1, m), [0.25, 0.5, 0.75], axis=0)
    spread = high - low
    varies = spread > 0
    bounded = np.arctan((draws[:, -length * PARTS :, varies] - middle[varies]) / spread[varies])
    parts = bounded.reshape(chains * PARTS, length, -1)
    for values in (parts, np.abs(parts)):
        within = values.var(axis=1, ddof=1).mean(axis=0)
        between = values.mean(axis=1).var(axis=0, ddof=1)
        if not (between <= (QUICK_RHAT**2 - 1.0 + 1.0 / length) * within).all():
            return False
    return bool(varies.any() or not np.ptp(draws, axis=(0, 1)).any())


def n_distinct(draws: FloatArray) -> int:
    """Number of distinct draws (draw, ...), by the coordinate with the widest range."""
    flat = draws.reshape(len(draws), -1)
    return len(np.unique(flat[:, np.argmax(np.ptp(flat, axis=0))]))


def relative_ess(draws: FloatArray) -> float:
    """Effective over actual number of draws (chain, draw, ...), averaged over what varies; 1 for a single chain."""
    from arviz_stats.base import array_stats

    flat = draws.reshape(*draws.shape[:2], -1)
    varying = flat[:, :, np.ptp(flat, axis=(0, 1)) > 0]
    if draws.shape[0] == 1 or draws.shape[1] < 4 or varying.shape[2] == 0:
        return 1.0  # ArviZ's convention
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that never move have no variance
        ess = array_stats.ess(varying, method="mean", chain_axis=0, draw_axis=1)
    return float(np.mean(ess)) / float(flat.shape[0] * flat.shape[1])
