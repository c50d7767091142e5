"""Weights of chains that do not mix, by stacking of their leave-one-out predictions."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.cautions import joined, noted
from bayes_softmax.answers.convergence import convergence_table
from bayes_softmax.answers.elpd_data import elpd_data
from bayes_softmax.answers.fitted import Sampled, training_of
from bayes_softmax.answers.function_space import log_likelihood
from bayes_softmax.answers.loo_limits import FEWEST_DRAWS, good_k
from bayes_softmax.answers.newton_loo import check_whole_counts
from bayes_softmax.answers.pointwise import Pointwise, cell_loo
from bayes_softmax.answers.probabilities import ThinnedDraws
from bayes_softmax.answers.seen import warn_of_what_saw, what_saw
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import check_flags, counted
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.progress import steps
from bayes_softmax.display.digits import Format, estimates
from bayes_softmax.display.table import table_of

MIXED = "all chains are in one mode: their plain average needs no weights"


def stacking_weights(fit: Sampled, *, progressbar: bool = True) -> pd.DataFrame:
    """Weight each chain by the best mixture of the chains' leave-one-out predictions.

    Chains that do not mix are not visited in proportion to the probability of their modes, so an average that counts
    all draws alike estimates no posterior.  Stacking asks instead which mixture of the chains predicts best (Yao,
    Vehtari and Gelman, *Journal of Machine Learning Research* 23, 2022, "Stacking for non-mixing Bayesian
    computations").  Of chains that agree any weights are as good as others.

    Parameters
    ----------
    progressbar
        Whether progress is shown where it takes longer than a moment.

    Returns
    -------
    DataFrame
        A row per ``chain``: its ``weight``, ``elpd`` and ``se`` by leave-one-out from its draws alone, ``p``, the
        effective number of parameters, and ``high_k``, the observations whose Pareto k is too large; for logits that
        are not linear also ``mode``, the group in ``diagnostics.modes``, and its ``log_posterior``.

    Raises
    ------
    ValueError
        For a single chain, for less than 100 draws per chain, and for a fit that was saved without its data.

    Warns
    -----
    NotReliableWarning
        If Pareto k is too large for some observations, or hidden layers or scales saw the row that is left out.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 5, ["a", "b", "a", "b"] * 5)
    >>> post = model.sample(draws=200, chains=2, random_seed=1, progressbar=False)
    >>> weights = post.stacking_weights()["weight"]
    >>> round(float(weights.sum()), 6)
    1.0

    Probabilities of the mixture:

    >>> P = post.predict_draws([[1.5]]).mean("draw")
    >>> round(float((P * weights.to_xarray()).sum("chain").sum()), 6)
    1.0
    """
    check_flags(progressbar=progressbar)
    training = training_of(fit, "stacking_weights()")
    _check(fit)
    check_whole_counts(training, "stacking_weights()")
    load_in_full("arviz_stats", "arviz_stats.base")
    warn_of_what_saw(fit)
    with steps("chains", fit.n_chains) as done:
        results = [_of_chain(fit, training, chain, done) for chain in range(fit.n_chains)]
    table = _table(fit, results, training)
    high = int(table["high_k"].sum())
    if high:
        warn_caller(
            f"stacking_weights(): Pareto k is above {good_k(fit.shape[1]):.2f} for {counted(high, 'observation')} of "
            "single chains: their weights are rough",
            NotReliableWarning,
        )
    mixed = MIXED if len(fit.diagnostics.modes) == 1 else None
    return noted(table, joined(what_saw(fit), mixed))


def _check(fit: Sampled) -> None:
    """Raise where there is nothing to weight, or too little to judge it."""
    if fit.is_prior:
        raise ValueError("stacking_weights() needs a posterior, and these are draws from the prior; use model.sample()")
    n_chains, n_draws = fit.shape
    if n_chains == 1:
        raise ValueError("stacking_weights() weights chains, and there is one; draw several, as in sample(chains=4)")
    if n_draws < FEWEST_DRAWS:
        raise ValueError(
            f"stacking_weights() needs at least {FEWEST_DRAWS} draws per chain to judge their weights; there are "
            f"{n_draws}"
        )


def _of_chain(fit: Sampled, training: TrainingData, chain: int, done: Any) -> Pointwise:
    """Leave-one-out from the draws of one chain."""
    own = ThinnedDraws(fit.logits, fit.parameters.chain(chain, fit.n_chains))
    likelihood = log_likelihood(own, training)
    effective = float(convergence_table(likelihood[None, :, None])["ess_bulk"].iloc[0])
    share = effective / len(likelihood) if effective > 0 else 1.0
    found = cell_loo(own, training, min(share, 1.0))
    done(1)
    return found


def _table(fit: Sampled, results: list[Pointwise], training: TrainingData) -> pd.DataFrame:
    """Weights and scores of the chains."""
    from arviz_stats import compare

    _, cell = training.observations()
    limit = good_k(fit.shape[1])
    scored = {str(chain): _as_arviz(found, cell, fit.shape[1], limit) for chain, found in enumerate(results)}
    weights = compare(scored, method="stacking", round_to="none")["weight"]
    chains = np.asarray(fit.idata[fit.group]["chain"]).tolist()
    table = pd.DataFrame(
        {
            "weight": [float(weights[name]) for name in scored],
            "elpd": [one.elpd for one in scored.values()],
            "se": [one.se for one in scored.values()],
            "p": [one.p for one in scored.values()],
            "high_k": [int((~(found.pareto_k[cell] <= limit)).sum()) for found in results],
        },
        index=pd.Index(chains, name="chain"),
    )
    modes = fit.diagnostics.modes
    if modes:
        place = {chain: number for number, mode in enumerate(modes) for chain in mode.chains}
        table["mode"] = [place[chain] for chain in range(fit.n_chains)]
        table["log_posterior"] = [modes[place[chain]].log_posterior for chain in range(fit.n_chains)]
    return table_of(table, {"weight": Format("share"), "p": Format("rough")} | estimates("elpd", "se"))


def _as_arviz(found: Pointwise, cell: Any, n_draws: int, limit: float) -> Any:
    """The scores of the observations as ``az.compare`` takes them."""
    own = found.elpd[cell]
    elpd_i = xr.DataArray(own, dims="obs", coords={"obs": np.arange(len(own))})
    return elpd_data(elpd_i, found.lppd[cell], found.pareto_k[cell], n_draws, limit)
