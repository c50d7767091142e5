"""Convergence diagnostics of draws: R-hat, effective sample size and divergences, in numbers and in words."""

from dataclasses import dataclass, fields
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import counted
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import RELIABLE_PARETO_K, FloatArray

RHAT_LIMIT = 1.01  # Vehtari et al., Bayesian Analysis 16 (2021)
ESS_PER_CHAIN = 100
# Beyond these, averages over the draws are not merely imprecise: they may not estimate the posterior at all.
DOUBTFUL_RHAT, FEWEST_EFFECTIVE, FEWEST_DISTINCT = 1.05, 50, 100

# Of a quick look at quarters of the chains.  At R-hat 1.03 a quarter has an effective sample size of about 16.
PARTS, QUICK_RHAT = 4, 1.03


@dataclass(frozen=True, repr=False)
class Diagnostics:
    """Worst values over all coefficients.

    Attributes
    ----------
    max_rhat, min_ess_bulk, min_ess_tail
        Rank-normalised split R-hat and effective sample sizes, as in ArviZ.
    n_divergences
        Divergent transitions after tuning; None for samplers without them.
    steps_per_draw
        Mean number of leapfrog steps, NaN for samplers without them.
    n_chains, n_draws, tune
        Size of the run.
    pareto_k
        Tail index of the importance weights, for draws made by importance resampling; it and the weight-based
        effective sample size are their diagnostics, since R-hat does not apply to independent draws.
    independent
        Whether the draws are independent and nothing weighs them: those of a normal approximation, whose distance from
        the posterior they do not show.
    """

    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    n_divergences: int | None
    steps_per_draw: float
    n_chains: int
    n_draws: int
    tune: int
    pareto_k: float | None = None
    independent: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        """Failed diagnostics with advice, in sentences; empty if all pass."""
        found = []
        if self.independent:
            return ()
        if self.pareto_k is not None:
            if not self.pareto_k <= RELIABLE_PARETO_K:
                found.append(
                    f"Pareto k is {self.pareto_k:.2f} (limit {RELIABLE_PARETO_K}): the Laplace approximation is not "
                    "reliable here; run model.sample()"
                )
            return tuple(found)
        if self.n_divergences:
            found.append(f"{counted(self.n_divergences, 'divergence')}: raise target_accept towards 0.99")
        if self.n_chains == 1:
            found.append("R-hat needs more than one chain: draw several")
        elif np.isnan(self.max_rhat):
            found.append("R-hat is not defined, with fewer than 4 draws per chain or chains that never move: draw more")
        elif not self.max_rhat <= RHAT_LIMIT:
            found.append(f"R-hat reaches {self.max_rhat:.3f} (limit {RHAT_LIMIT}): run longer chains")
        if not min(self.min_ess_bulk, self.min_ess_tail) >= ESS_PER_CHAIN * self.n_chains:
            least = min(self.min_ess_bulk, self.min_ess_tail)
            known = "is not defined" if np.isnan(least) else f"falls to {least:.0f}"
            found.append(f"effective sample size {known}: draw more")
        return tuple(found)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Failures that make averages over the draws unusable, in sentences: beyond repair by a few more draws."""
        found = []
        if self.pareto_k is not None and not self.pareto_k <= RELIABLE_PARETO_K:
            found.append(f"laplace() is not reliable, with Pareto k {self.pareto_k:.2f} (limit {RELIABLE_PARETO_K})")
        if self.max_rhat > DOUBTFUL_RHAT:
            found.append(f"the chains disagree, with R-hat {self.max_rhat:.2f}")
        elif self.min_ess_bulk < FEWEST_EFFECTIVE:
            found.append(f"the effective sample size falls to {self.min_ess_bulk:.0f}")
        return tuple(found)

    @property
    def ok(self) -> bool:
        """Whether all diagnostics pass."""
        return not self.problems

    def __call__(self) -> NoReturn:
        """Refuse: it is read, not called."""
        raise TypeError("diagnostics is read, not called: write post.diagnostics, without parentheses")

    def __repr__(self) -> str:
        """Return the numbers, rounded, without those that the sampler does not have."""
        numbers = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "independent"}
        there = {name: value for name, value in numbers.items() if value is not None and not np.isnan(value)}
        texts = (f"{name}={value:.4g}" if abs(value) < 1000 else f"{name}={value:.0f}" for name, value in there.items())
        return f"Diagnostics({', '.join(texts)})"

    def __str__(self) -> str:
        """Return one line."""
        if self.independent:
            return f"{self.n_draws} independent draws of the approximation, which nothing corrects"
        verdict = "; ".join(self.problems) if self.problems else "all diagnostics good"
        if self.pareto_k is not None:
            size = f"{self.min_ess_bulk:.0f} of {self.n_draws} by the importance weights"
            return f"Pareto k {self.pareto_k:.2f}, effective sample size {size}: {verdict}"
        rhat = "" if self.n_chains == 1 else f"R-hat at most {self.max_rhat:.4f}, "
        divergences = "" if self.n_divergences is None else f", {counted(self.n_divergences, 'divergence')}"
        return (
            f"{rhat}ESS at least {self.min_ess_bulk:.0f} (bulk) and "
            f"{self.min_ess_tail:.0f} (tail) of {self.n_chains * self.n_draws}{divergences}: {verdict}"
        )


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


def diagnose_weighted(draws: FloatArray, ess: float, pareto_k: float | None) -> Diagnostics:
    """Diagnostics of equal-weight draws (chain, draw, m) by importance resampling; without k, of independent ones."""
    nan, independent = float("nan"), pareto_k is None
    return Diagnostics(nan, ess, ess, None, nan, draws.shape[0], draws.shape[1], 0, pareto_k, independent)


def diagnose_chains(draws: FloatArray, stats: dict[str, Any], tune: int) -> Diagnostics:
    """Diagnostics of draws (chain, draw, m) and per-draw statistics (chain, draw)."""
    table = convergence_table(draws)
    steps = stats.get("n_steps")
    return Diagnostics(
        max_rhat=float(table["r_hat"].max()),
        min_ess_bulk=float(table["ess_bulk"].min()),
        min_ess_tail=float(table["ess_tail"].min()),
        n_divergences=int(np.sum(stats["diverging"])) if "diverging" in stats else None,
        steps_per_draw=float(np.mean(steps)) if steps is not None else float("nan"),
        n_chains=draws.shape[0],
        n_draws=draws.shape[1],
        tune=tune,
    )


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
