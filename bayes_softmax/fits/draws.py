"""What a posterior holds: draws with labels, in an ArviZ-compatible tree, and their quality."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.contraction import prior_dominated, prior_notes
from bayes_softmax.answers.contrasts import View
from bayes_softmax.answers.convergence import convergence_table, n_distinct, relative_ess, weighted_table
from bayes_softmax.answers.diagnostics import (
    FEWEST_DISTINCT,
    Diagnostics,
    diagnose_chains,
    diagnose_kinds,
    diagnose_weighted,
)
from bayes_softmax.answers.effective import p_waic
from bayes_softmax.answers.fitted import Refit, RefitCells
from bayes_softmax.answers.function_space import (
    Judged,
    coefficients_alone,
    hyperparameters,
    judged_quantities,
    modes_of,
)
from bayes_softmax.answers.layers import ALL, layers_in_words
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.tables import size_in_words
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import counted
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.fits.storage.records import PosteriorRecord
from bayes_softmax.fits.tree import HELD, held_parameters
from bayes_softmax.spec.linear import GROUPS, INTERCEPT, LINEAR, WEIGHTS, require_linear
from bayes_softmax.spec.network.linearised import network_in

NEXT_STEP = "Next: prior_sensitivity(), or a fit with a wider prior to compare"


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorDraws:
    """Draws from the posterior as answers see them; users hold a ``Posterior``.

    Attributes
    ----------
    idata
        ``xarray.DataTree`` with groups ``posterior`` (``intercept`` and ``weights``, always with all K
        categories, or the parameters of other logits), ``sample_stats``, ``observed_data`` and ``constant_data``;
        ``az.summary(post.idata)`` works.
    schema
        Names and encodings.
    engine
        The sampler, and why it was chosen.
    tune
        Tuning steps of each chain.
    logits
        Logits of rows as a function of the parameters.
    notes
        Remarks for the reader on how the draws were made.
    timings
        Seconds per stage.
    pareto_k, ess, log_evidence
        For ``laplace()``: tail index and effective sample size of the importance weights, and log of the
        normalising constant (under proper priors the marginal likelihood); None for Markov chains.
    seen
        What was fitted to all rows and is the same in all draws, as a clause: "the hidden layers are held at a mode of
        all rows".  Leave-one-out cannot make it forget a row: :meth:`Posterior.loo` says so, and ``compare_models``
        refuses it.  Empty where all that was fitted varies over the draws.
    training
        The data, for scores and averages over them; None if the fit was saved without data.
    refit
        Refits without one observation, for exact leave-one-out; None after loading.
    refit_cells
        Draws again from the posterior of other numbers of the observations, for cross-validation; None after loading.
    """

    idata: xr.DataTree
    schema: Schema
    engine: str
    tune: int
    logits: Logits
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    pareto_k: float | None = None
    ess: float | None = None
    log_evidence: float | None = None
    training: TrainingData | RowsOfSource | None = None
    refit: Refit | None = None
    refit_cells: RefitCells | None = None
    seen: str = ""

    @property
    def group(self) -> str:
        """Group of ``idata`` that holds the draws: ``"posterior"``, or ``"prior"`` of ``sample_prior()``."""
        return "posterior" if "posterior" in self.idata.children else "prior"

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains, and of draws per chain."""
        sizes = self.idata[self.group].dataset.sizes
        return sizes["chain"], sizes["draw"]

    @cached_property
    def parameters(self) -> Parameters:
        """All draws in one axis, by name (S, *shape); the intercept of a model without one is zero."""
        posterior, n = self.idata[self.group].dataset, math.prod(self.shape)
        arrays, held = {}, self._held
        for name, shape in self.logits.shapes.items():
            if name in held:
                continue
            if name in posterior:
                values = posterior[name].transpose("chain", "draw", *self.logits.dims[name]).values
                arrays[name] = np.ascontiguousarray(values.reshape(n, *shape))
            else:
                arrays[name] = np.zeros((n, *shape))
        return Parameters(arrays, held)

    @property
    def _held(self) -> dict[str, FloatArray]:
        """Parameters (1 or members, *shape) that are the same in all draws, or in those of each member, by name."""
        return held_parameters(self.idata[HELD].dataset, self.logits) if HELD in self.idata.children else {}

    @cached_property
    def draws(self) -> FloatArray:
        """Raw coefficients (chain, draw, q, K) of linear logits, intercept first (zero if there is none)."""
        require_linear(self.logits, "the draws")
        flat = np.concatenate([self.parameters[INTERCEPT][:, None], self.parameters[WEIGHTS]], axis=1)
        return flat.reshape(*self.shape, -1, len(self.schema.classes))

    @cached_property
    def _flat(self) -> FloatArray:
        """All parameters (chain, draw, d) in their flat order."""
        return self.parameters.flat().reshape(*self.shape, -1)

    @property
    def kind(self) -> str:
        """``"posterior"``, also for prior draws, which :attr:`is_prior` marks."""
        return "posterior"

    @property
    def is_prior(self) -> bool:
        """Whether these are draws of ``sample_prior()``."""
        return self.group == "prior"

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return self.shape[0]

    @property
    def is_estimate(self) -> bool:
        """False."""
        return False

    @property
    def delta_covariance(self) -> None:
        """None: the uncertainty of every answer comes from the draws."""
        return

    @cached_property
    def effective(self) -> dict[str, float] | None:
        """Effective number of all parameters together, by the draws; None without data, or with too few draws."""
        if self.training is None or isinstance(self.training, RowsOfSource) or self.is_prior:
            return None
        if self.parameters.n_draws < FEWEST_DISTINCT:
            return None
        return {ALL: p_waic(self, self.training)}

    @property
    def limits(self) -> None:
        """None: a proper posterior leaves no direction undetermined."""
        return

    @property
    def caution(self) -> None:
        """None: the reliability of draws is judged by :attr:`diagnostics`."""
        return

    @cached_property
    def relative_ess(self) -> float:
        """Effective over actual number of draws: averaged over what is judged, or from the importance weights."""
        if self.ess is not None:
            return self.ess / float(self.shape[1])
        return relative_ess(self._flat if self._has_coefficients_alone else self.all_draws)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Divergences, and worst R-hat and ESS over coefficients (in their own coding) and hyperparameters.

        Where the logits are not linear, over what the draws say of the data; with groups, over the weights, the
        covariances of effects, and up to 400 effects of levels of each grouping.
        """
        if self.is_prior:
            raise ValueError("diagnostics are of a posterior, and these are independent draws from the prior")
        stats = {str(name): values.values for name, values in self.idata["sample_stats"].data_vars.items()}
        if self.ess is not None:
            return diagnose_weighted(self._told_apart_by, self.ess, self.pareto_k)
        if self._has_coefficients_alone:
            return diagnose_chains(self.all_draws, stats, self.tune)
        modes = modes_of(self._judged, stats, self.shape)
        return diagnose_kinds(self._judged.kinds, stats, self.tune, modes)

    @property
    def all_draws(self) -> FloatArray:
        """All quantities (chain, draw, m) by which convergence is judged.

        Parameters and hyperparameters, in their own coding; with groups or where the logits are not linear, the
        quantities of :mod:`bayes_softmax.answers.function_space`.
        """
        if self._has_coefficients_alone:
            return np.concatenate([self._flat, hyperparameters(self)], axis=2)
        return self._judged.all(self.shape)

    @property
    def _has_coefficients_alone(self) -> bool:
        """Whether all parameters are coefficients, each of which is judged."""
        return self.logits.is_linear and self.logits.kind != GROUPS

    @property
    def _told_apart_by(self) -> FloatArray:
        """Parameters (chain, draw, m) by which draws are told apart; without the effects of thousands of levels."""
        return coefficients_alone(self) if self.logits.kind == GROUPS else self._flat

    @cached_property
    def _judged(self) -> Judged:
        """Quantities by which draws are judged where not by each coefficient."""
        return judged_quantities(self)

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """Reasons why averages over these draws are unusable, in sentences; empty if there are none."""
        if self.is_prior:
            return ()
        S = self.parameters.n_draws
        distinct = n_distinct(self._told_apart_by.reshape(S, -1))
        few = () if distinct >= min(FEWEST_DISTINCT, S) else (f"only {distinct} of {S} draws are distinct",)
        return few + self.diagnostics.doubts

    def contrast_values(self, view: View) -> tuple[FloatArray, None]:
        """The draws (S, q, m) of contrasts of the class columns, intercept first; they need no standard errors."""
        draws = self.draws @ view.matrix
        return draws.reshape(-1, *draws.shape[2:]), None

    def draw_quality(self, quantities: FloatArray) -> pd.DataFrame:
        """Effective sample sizes, R-hat and Monte Carlo error, a row per quantity (S, ...) of the draws."""
        draws = quantities.reshape(*self.shape, -1)
        return convergence_table(draws) if self.ess is None else weighted_table(draws, self.ess)

    @cached_property
    def prior_dominated(self) -> tuple[str, ...]:
        """Features that the prior determines more than the data, by the contraction of pairwise contrasts."""
        require_linear(self.logits, "prior_dominated")
        flat = self.draws.reshape(-1, *self.draws.shape[2:])
        if len(flat) < 2:
            return ()
        centred = flat - flat.mean(axis=0)
        return prior_dominated(self.schema, np.einsum("sik,sil->ikl", centred, centred) / (len(flat) - 1))

    @property
    def record(self) -> PosteriorRecord:
        """The record that a file keeps: all but the functions that refit."""
        return PosteriorRecord(**{name: getattr(self, name) for name in PosteriorRecord._fields})

    def _brief(self) -> Brief:
        """The draws, the engine and the diagnostics."""
        chains, draws = self.shape
        known = self.schema.prior_sd and not self.is_prior and self.logits.kind == LINEAR
        network = network_in(self.logits)
        return Brief(
            f"{self.group.capitalize()}: {counted(chains, 'chain')} x {counted(draws, 'draw')}, "
            f"{size_in_words(self.schema)}",
            (
                *([] if network is None else [layers_in_words(network)]),
                f"engine: {self.engine}",
                *(() if self.is_prior else (str(self.diagnostics),)),
            ),
            (*self.notes, *prior_notes(self.prior_dominated if known else (), NEXT_STEP)),
        )

    __repr__ = as_text
    _repr_html_ = as_markup
