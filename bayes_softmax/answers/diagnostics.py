"""Convergence diagnostics of draws: R-hat, effective sample size and divergences, in numbers and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from bayes_softmax.answers.chain_modes import ChainMode, in_words
from bayes_softmax.answers.convergence import convergence_table
from bayes_softmax.core.checks import counted
from bayes_softmax.core.records import RELIABLE_PARETO_K, FloatArray

RHAT_LIMIT = 1.01  # Vehtari et al., Bayesian Analysis 16 (2021)
ESS_PER_CHAIN = 100
# Beyond these, averages over the draws are not merely imprecise: they may not estimate the posterior at all.
DOUBTFUL_RHAT, FEWEST_EFFECTIVE, FEWEST_DISTINCT = 1.05, 50, 100

MOST = 0.99  # of hundreds of probabilities: a few exceed any limit by chance
RECORDS = ("kinds", "modes", "independent")  # fields that are no numbers
STACK = "averages count all chains alike, and stacking_weights() weights them by leave-one-out"


class Convergence(NamedTuple):
    """Worst values over ``n`` quantities of one kind; 99 % of them have an R-hat of at most ``rhat_99``."""

    kind: str
    n: int
    max_rhat: float
    rhat_99: float
    min_ess_bulk: float
    min_ess_tail: float

    @classmethod
    def of(cls, kind: str, table: pd.DataFrame) -> "Convergence":
        """The worst values of a table of quantities."""
        rhat = table["r_hat"]
        ends = (float(rhat.max()), float(rhat.quantile(MOST)))
        return cls(kind, len(table), *ends, float(table["ess_bulk"].min()), float(table["ess_tail"].min()))


@dataclass(frozen=True, repr=False)
class Diagnostics:
    """Worst values over all coefficients; of a network, over what it says of the data.

    With groups the coefficients are weights, covariances of effects, and up to 400 effects of levels of each grouping.
    Standard deviations and correlations of the classes' effects are not identified one by one, and not judged.

    The weights of a network have no convergence of their own: hidden units can be exchanged.  It is judged by class
    probabilities (at up to 200 rows, of classes above 0.001), the log-likelihood and the log posterior of the draws.

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
        Whether the draws are independent and nothing weighs them: those of a normal approximation, or the modes of an
        ensemble, whose distance from the posterior they do not show.
    kinds
        With groups, and where the logits are not linear: a record for each kind of quantity that is judged.
    modes
        Where the logits are not linear: the chains, grouped by the mode of the posterior that they are in; one group if
        all chains mix.
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
    kinds: tuple[Convergence, ...] = ()
    modes: tuple[ChainMode, ...] = ()
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
        elif len(self.modes) > 1:
            found.append(f"{self._apart}: {STACK}")
        elif self.kinds:
            high = [f"{kind.rhat_99:.3f} of {kind.kind}" for kind in self.kinds if kind.rhat_99 > RHAT_LIMIT]
            if high:
                found.append(f"R-hat reaches {_and(high)} (limit {RHAT_LIMIT}): run longer chains")
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
        if self.independent:
            return ()
        if self.pareto_k is not None and not self.pareto_k <= RELIABLE_PARETO_K:
            found.append(f"laplace() is not reliable, with Pareto k {self.pareto_k:.2f} (limit {RELIABLE_PARETO_K})")
        if len(self.modes) > 1:
            found.append(f"{self._apart}; {STACK}")
        elif self._rhat_of_most > DOUBTFUL_RHAT:
            found.append(f"the chains disagree, with R-hat {self._rhat_of_most:.2f}")
        elif self.min_ess_bulk < FEWEST_EFFECTIVE:
            found.append(f"the effective sample size falls to {self.min_ess_bulk:.0f}")
        return tuple(found)

    @property
    def _rhat_of_most(self) -> float:
        """R-hat that 99 % of the quantities of each kind do not exceed; the largest, where there are no kinds."""
        return max((kind.rhat_99 for kind in self.kinds), default=self.max_rhat)

    @property
    def _apart(self) -> str:
        """Modes that chains do not mix between, in words."""
        return f"the chains are in {len(self.modes)} modes and do not mix: {in_words(self.modes)}"

    @property
    def ok(self) -> bool:
        """Whether all diagnostics pass."""
        return not self.problems

    def __call__(self) -> NoReturn:
        """Refuse: it is read, not called."""
        raise TypeError("diagnostics is read, not called: write post.diagnostics, without parentheses")

    def __repr__(self) -> str:
        """Return the numbers, rounded, without those that the sampler does not have."""
        numbers = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in RECORDS}
        there = {name: value for name, value in numbers.items() if value is not None and not np.isnan(value)}
        texts = (f"{name}={value:.4g}" if abs(value) < 1000 else f"{name}={value:.0f}" for name, value in there.items())
        return f"Diagnostics({', '.join(texts)})"

    def __str__(self) -> str:
        """Return one line."""
        if self.independent:
            return f"{counted(self.n_draws, 'independent draw')} of the approximation, which nothing corrects"
        verdict = "; ".join(self.problems) if self.problems else "all diagnostics good"
        if self.pareto_k is not None:
            size = f"{self.min_ess_bulk:.0f} of {self.n_draws} by the importance weights"
            return f"Pareto k {self.pareto_k:.2f}, effective sample size {size}: {verdict}"
        of_what = f"of {_and([kind.kind for kind in self.kinds])}: " if self.kinds else ""
        most = f" ({self._rhat_of_most:.4f} for {100 * MOST:g} % of each)" if self.kinds else ""
        rhat = "" if self.n_chains == 1 else f"R-hat at most {self.max_rhat:.4f}{most}, "
        divergences = "" if self.n_divergences is None else f", {counted(self.n_divergences, 'divergence')}"
        return (
            f"{of_what}{rhat}ESS at least {self.min_ess_bulk:.0f} (bulk) and "
            f"{self.min_ess_tail:.0f} (tail) of {self.n_chains * self.n_draws}{divergences}: {verdict}"
        )


def _and(texts: Sequence[str]) -> str:
    """``"a"``, ``"a and b"``, ``"a, b and c"``."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def diagnose_weighted(draws: FloatArray, ess: float, pareto_k: float | None) -> Diagnostics:
    """Diagnostics of equal-weight draws (chain, draw, m) made by importance resampling; without k independent ones."""
    nan, (chains, length, _) = float("nan"), draws.shape
    return Diagnostics(nan, ess, ess, None, nan, chains, length, 0, pareto_k, independent=pareto_k is None)


def diagnose_chains(draws: FloatArray, stats: dict[str, Any], tune: int) -> Diagnostics:
    """Diagnostics of draws (chain, draw, m) and per-draw statistics (chain, draw)."""
    return _of_table(convergence_table(draws), draws.shape, stats, tune)


def diagnose_kinds(
    kinds: Mapping[str, FloatArray], stats: dict[str, Any], tune: int, modes: tuple[ChainMode, ...]
) -> Diagnostics:
    """Diagnostics of draws (chain, draw, m) of quantities of several kinds."""
    if not kinds:
        raise ValueError("diagnostics need the data of the fit, which was saved without them (data=False)")
    tables = {name: convergence_table(draws) for name, draws in kinds.items()}
    shape = next(iter(kinds.values())).shape
    found = tuple(Convergence.of(name, table) for name, table in tables.items())
    return replace(_of_table(pd.concat(tables.values()), shape, stats, tune), kinds=found, modes=modes)


def _of_table(table: pd.DataFrame, shape: tuple[int, ...], stats: dict[str, Any], tune: int) -> Diagnostics:
    """Diagnostics of the quantities of a table and per-draw statistics (chain, draw)."""
    steps = stats.get("n_steps")
    return Diagnostics(
        max_rhat=float(table["r_hat"].max()),
        min_ess_bulk=float(table["ess_bulk"].min()),
        min_ess_tail=float(table["ess_tail"].min()),
        n_divergences=int(np.sum(stats["diverging"])) if "diverging" in stats else None,
        steps_per_draw=float(np.mean(steps)) if steps is not None else float("nan"),
        n_chains=shape[0],
        n_draws=shape[1],
        tune=tune,
    )
