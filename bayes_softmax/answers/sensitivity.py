"""Log likelihood and log prior per draw, for ArviZ's functions, and the sensitivity of the posterior to each."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.contrasts import View, build_view
from bayes_softmax.answers.effects import effects
from bayes_softmax.answers.fitted import Sampled, training_of
from bayes_softmax.answers.function_space import UNIDENTIFIED, log_likelihood
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.loo_limits import FEWEST_DRAWS
from bayes_softmax.answers.probabilities import announce, over_blocks, row_log_likelihood
from bayes_softmax.answers.source_loo import log_likelihood_of_source
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.summary import coefficient_index
from bayes_softmax.core.checks import check_between, counted
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.groups.structure import covariance_name
from bayes_softmax.spec.linear import WITH_WEIGHTS

SAMPLE_DIMS = ("chain", "draw")
CONFLICT, STRONG = "potential prior-data conflict", "potential strong prior / weak likelihood"
CONFLICT_MEANS = "A conflict: the data lie where the prior finds them implausible. "
WHAT_TO_DO = (
    "Compare effects() with those of a fit with priors of twice the scale: where they hardly change, the prior does no "
    "harm; else report both"
)


def add_log_likelihood(fit: Sampled) -> xr.DataTree:
    """Add the group ``log_likelihood`` to ``idata``, which it returns, so that ``az.loo(post.idata)`` works.

    An array of N x draws numbers, whose size is logged above 256 MiB.  Rows count with their weight and all their
    counts: ``az.loo`` then leaves out whole rows, as in ``post.loo(by="row")``; rows without an observation (weight
    zero, or one class on offer) are not included.  :meth:`loo` needs no such array.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> post = model.laplace(draws=100, random_seed=1, progressbar=False)
    >>> post.add_log_likelihood()["log_likelihood"]["y"].shape
    (1, 100, 333)
    """
    training = training_of(fit, "add_log_likelihood()")
    observed = np.flatnonzero(training.totals > 0)
    shape = (*fit.shape, len(observed))
    announce("add_log_likelihood()", shape)
    values = np.empty((shape[0] * shape[1], shape[2]))

    for part in training.given_blocks():
        first, end = np.searchsorted(observed, [part.place.start, part.place.stop])
        own = observed[first:end] - part.first
        counts, out = part.counts[own], values[:, first:end]

        def fill(L: FloatArray, block: slice, counts: FloatArray = counts, out: FloatArray = out) -> None:
            out[:, block] = row_log_likelihood(L, counts[block]).T

        over_blocks(fit, part.rows.take(own), fill, log=True)
    coords = {"obs": np.asarray(observation_coordinate(training.index))[observed]}
    group = xr.Dataset({"y": ((*SAMPLE_DIMS, "obs"), values.reshape(shape))}, coords={**coords, **_draw_coords(fit)})
    fit.idata["log_likelihood"] = xr.DataTree(group)
    return fit.idata


def add_log_prior(fit: Sampled) -> xr.DataTree:
    """Add the group ``log_prior`` to ``idata``: one number per draw, for ``az.psense_summary``; returns ``idata``.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> post = model.laplace(draws=100, random_seed=1, progressbar=False)
    >>> post.add_log_prior()["log_prior"]["prior"].shape
    (1, 100)
    """
    fit.idata["log_prior"] = xr.DataTree(xr.Dataset({"prior": _log_prior(fit)}))
    return fit.idata


def prior_sensitivity(fit: Sampled, threshold: float = 0.05) -> pd.DataFrame:
    """Sensitivity of each coefficient to a small change in the weight of the prior or of the likelihood.

    Power-scaling sensitivity (Kallioinen, Paananen, Bürkner and Vehtari, *Statistics and Computing* 34, 2024), by
    ArviZ's ``psense``, from the log likelihood of all data and the log prior of each draw: no array of rows x draws is
    made.

    Parameters
    ----------
    threshold
        Sensitivity above which a diagnosis is given; ArviZ's default, 0.05.

    Returns
    -------
    DataFrame
        Rows ``(feature, contrast)`` as in :meth:`summary`; of a network, whose weights have no meaning of their own,
        ``(effect, class)`` of the average effects, as in :meth:`effects`; for other logits one for each parameter.
        With groups also ``sd`` of the effects of each grouping and term; the prior is that of weights and
        hyperparameters, as what the levels' effects have is part of the model;
        columns ``prior``, ``likelihood`` and ``diagnosis``, in the words of ``az.psense_summary``.  Where both
        sensitivities are at least the threshold, prior and data may be in conflict; where only that to the prior is,
        the prior is strong or the likelihood weak.  ``attrs["note"]`` says what to do.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 5, ["a", "b", "a", "b"] * 5)
    >>> table = model.laplace(random_seed=1, progressbar=False).prior_sensitivity()
    >>> table.columns.tolist()
    ['prior', 'likelihood', 'diagnosis']
    """
    check_between("threshold", threshold, 0.0, np.inf)
    if not isinstance(fit.training, RowsOfSource):
        training_of(fit, "prior_sensitivity()")
    if fit.is_prior:
        raise ValueError(
            "prior_sensitivity() needs a posterior, and these are draws from the prior; use model.sample()"
        )
    n_draws = fit.parameters.n_draws
    if n_draws < FEWEST_DRAWS:
        raise ValueError(
            f"prior_sensitivity() needs at least {FEWEST_DRAWS} draws to judge its weights; there are {n_draws}"
        )
    if fit.doubts:
        warn_caller(f"prior_sensitivity() is not reliable here: {'; '.join(fit.doubts)}", NotReliableWarning)
    if np.ptp(_log_prior(fit).values) == 0:
        raise ValueError("prior_sensitivity(): every prior is flat, so there is nothing to scale")
    if isinstance(fit.training, RowsOfSource):
        of_draws = log_likelihood_of_source(fit, fit.training)
    else:
        of_draws = log_likelihood(fit, training_of(fit, "prior_sensitivity()"))
    index, values = _coefficients(fit)
    values = values.reshape(*fit.shape, len(index))
    summed = xr.DataArray(of_draws.reshape(fit.shape), dims=SAMPLE_DIMS, coords=_draw_coords(fit))
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"row": ((*SAMPLE_DIMS, "index"), values)}, coords=_draw_coords(fit)),
            "log_likelihood": xr.Dataset({"y": summed}),
            "log_prior": xr.Dataset({"prior": _log_prior(fit)}),
        }
    )
    table = pd.DataFrame({group: _sensitivity(tree, group) for group in ("prior", "likelihood")}, index=index)
    return _diagnosed(table, threshold)


def _coefficients(fit: Sampled) -> tuple[pd.Index, FloatArray]:
    """Names and draws (S, m) of the contrasts of :meth:`summary`; of effects or parameters if logits are not linear."""
    if fit.logits.kind in WITH_WEIGHTS:
        view = build_view(fit.schema, None)
        index = coefficient_index(fit.schema, view)
        values, _ = fit.contrast_values(view)
        flat = values.reshape(len(values), -1)
        of_groups, sds = _spreads(fit, view)
        of_weights = flat[:, flat.shape[1] - len(index) :]
        return index.append(of_groups) if len(of_groups) else index, np.hstack([of_weights, sds])
    if fit.logits.kind in UNIDENTIFIED:
        drawn = effects(fit, n_draws=fit.parameters.n_draws, draws=True)
        levels = [drawn[dim].values.tolist() for dim in ("change", "category")]
        index = pd.MultiIndex.from_product(levels, names=["effect", "class"])
        return index, np.asarray(drawn).reshape(-1, len(index))
    names = [
        f"{name}{list(place) if place else ''}"
        for name, shape in fit.logits.shapes.items()
        for place in np.ndindex(*shape)
    ]
    return pd.Index(names, name="parameter"), fit.parameters.flat()


def _spreads(fit: Sampled, view: View) -> tuple[pd.MultiIndex, FloatArray]:
    """Names and draws (S, m) of the standard deviations of contrasts of the effects of each grouping and term."""
    names, found = list[tuple[str, str]](), [np.empty((fit.parameters.n_draws, 0))]
    for grouping in fit.schema.groups:
        covariance = fit.parameters[covariance_name(grouping.name)]
        for t, term in enumerate(grouping.terms):
            variance = np.einsum("km,skl,lm->sm", view.matrix, covariance[:, t, :, t], view.matrix)
            found.append(np.sqrt(np.maximum(variance, 0.0)))
            names += [(f"sd({term} | {grouping.name})", name) for name in view.names]
    return pd.MultiIndex.from_tuples(names, names=["feature", "contrast"]), np.hstack(found)


def _sensitivity(tree: xr.DataTree, group: str) -> FloatArray:
    """Sensitivity (m,) of the rows to the log prior or the log likelihood; NaN where a row does not vary."""
    load_in_full("arviz_stats", "arviz_stats.base")
    from arviz_stats import psense

    try:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: FloatArray = psense(tree, group=group)["row"].values
    except ValueError as error:  # too few distinct weights for ArviZ's tail fit
        raise ValueError(
            "prior_sensitivity(): too few distinct draws for the tail of their importance weights to be "
            "judged; draw more"
        ) from error
    return found


def _diagnosed(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The table with a diagnosis of each row, and how many rows are sensitive to the prior."""
    to_prior, to_likelihood = (table[name] >= threshold for name in ("prior", "likelihood"))
    fine = np.where(table.isna().any(axis=1), "", "✓")
    table["diagnosis"] = np.where(to_prior, np.where(to_likelihood, CONFLICT, STRONG), fine).astype(object)
    if to_prior.any():
        conflict = bool((to_prior & to_likelihood).any())
        table.attrs["note"] = (
            f"{to_prior.sum()} of {counted(len(table), 'row')} depend on the prior (sensitivity of at least "
            f"{threshold:g}). {CONFLICT_MEANS if conflict else ''}{WHAT_TO_DO}"
        )
    return table_of(table, others=Format("hundredths"))


def _log_prior(fit: Sampled) -> Any:
    stats = fit.idata["sample_stats"]
    if "log_prior" not in stats:
        raise ValueError(
            "the log prior of the draws is not stored with this fit (priors that learn their scale, or a file of an "
            "older version)"
        )
    return stats["log_prior"]


def _draw_coords(fit: Sampled) -> dict[str, Any]:
    return {name: fit.idata[fit.group][name].values for name in SAMPLE_DIMS}
