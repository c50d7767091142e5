"""Group-level effects in a ``pm.Model``: hyperparameters, effects that are non-centred, and their values for draws.

A grouping ``g`` has the random variables ``g_sd``, of each block of correlated columns the Cholesky factor of its
correlations (PyMC's LKJ), and standard normal ``g_z`` (levels, free coordinates).  Effects ``g``, their covariance
``g_covariance`` and the correlations ``g_correlation`` of all columns are made of these.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes_softmax.core.checks import listed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.groups.log_prior import correlation_name, sd_name
from bayes_softmax.spec.groups.structure import GroupEffects, covariance_name
from bayes_softmax.spec.scales.hyperpriors import HalfNormal

LARGEST_VALUES = 2**26  # bytes of draws of effects, beyond which those of z are left out
SMALLEST = 1e-14  # eigenvalue of a covariance that is told from zero, over the largest


def standardised_name(name: str) -> str:
    """Name of the standard normal variables of a grouping's levels."""
    return f"{name}_z"


def group_variables(effects: tuple[GroupEffects, ...]) -> dict[str, Any]:
    """Effects (G, q, K) of each grouping, by name."""
    return {own.name: _effects(own) for own in effects}


def _effects(own: GroupEffects) -> Any:
    """Effects of one grouping's levels; coordinates are added to the model that is being made."""
    import pymc as pm
    import pytensor.tensor as pt

    q, K, name = own.n_terms, len(own.contrast), own.name
    level, term, other = f"{name}_level", f"{name}_term", f"{name}_term_other"
    model = pm.modelcontext(None)
    model.add_coords({level: list(own.grouping.levels), term: list(own.grouping.terms)})
    model.add_coords({other: list(own.grouping.terms), "category_other": list(model.coords["category"])})
    sd, factor = _sds(own), _correlation_factor(own)
    pm.Deterministic(correlation_name(name), factor @ factor.T)
    root = own.mapping.T @ (sd[own.sd_of_column][:, None] * factor)
    free = root @ root.T
    z = pm.Normal(standardised_name(name), 0.0, 1.0, shape=(own.grouping.n_levels, own.n_free))
    u = (z @ pt.linalg.cholesky(free).T).reshape((own.grouping.n_levels, q, -1))
    to_classes = np.kron(np.eye(q), own.to_classes)
    covariance = (to_classes @ free @ to_classes.T).reshape((q, K, q, K))
    pm.Deterministic(covariance_name(name), covariance, dims=(term, "category", other, "category_other"))
    return pm.Deterministic(name, u @ own.to_classes.T, dims=(level, term, "category"))


def _sds(own: GroupEffects) -> Any:
    """Standard deviations (n_sds,), whose priors are of one family and differ in scale."""
    import pymc as pm

    priors, (_, _, scale) = own.scale_of_sd, own.numbers()
    if isinstance(priors[0], HalfNormal):
        return pm.HalfNormal(sd_name(own.name), scale)
    return pm.HalfStudentT(sd_name(own.name), nu=priors[0].df, sigma=scale)


def correlated_blocks(own: GroupEffects) -> dict[str, IntArray]:
    """Columns of each block of more than one, by the name of the Cholesky factor of its correlations."""
    labels = own.block_of_column
    blocks = [members for b in np.unique(labels) if len(members := np.flatnonzero(labels == b)) > 1]
    name = f"{correlation_name(own.name)}_factor"
    if len(blocks) == 1:
        return {name: blocks[0]}
    return {f"{name}_{i}": members for i, members in enumerate(blocks)}


def _correlation_factor(own: GroupEffects) -> Any:
    """Cholesky factor (n, n) of the correlations of all columns."""
    import pymc as pm
    import pytensor.tensor as pt

    factor = pt.eye(len(own.block_of_column))
    for name, members in correlated_blocks(own).items():
        own_factor = pm.LKJCorr(name, n=len(members), eta=own.prior.correlation.eta)
        factor = factor[members[:, None], members].set(own_factor)
    return factor


def group_values(
    effects: tuple[GroupEffects, ...], parameters: Mapping[str, FloatArray], hyper: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Values of these random variables, for draws (chain, draw, *shape) of effects and hyperparameters.

    With full coding the logits say nothing of the mean of a level's effects over the classes: it is taken as zero.
    Draws of ``g_z`` are left out where those of the effects need more than 64 MB.
    """
    values = dict(hyper)
    for own in effects:
        if sd_name(own.name) not in hyper:
            continue
        sds, correlation = hyper[sd_name(own.name)], hyper[correlation_name(own.name)]
        for name, members in correlated_blocks(own).items():
            values[name] = _cholesky(correlation[..., members[:, None], members])
        effects_of_levels = parameters[own.name]
        if effects_of_levels.nbytes > LARGEST_VALUES:
            continue
        u = _free(own, effects_of_levels)
        scaled = own.mapping.T * sds[..., None, own.sd_of_column]
        factor = _cholesky(scaled @ correlation @ np.swapaxes(scaled, -1, -2))
        values[standardised_name(own.name)] = np.swapaxes(np.linalg.solve(factor, np.swapaxes(u, -1, -2)), -1, -2)
    return values


def left_out(effects: tuple[GroupEffects, ...], values: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """A note where draws of z are not among the values."""
    names = [name for own in effects if (name := standardised_name(own.name)) not in values]
    if not names:
        return ()
    return (
        f"draws of {listed(names)} were left out, as those of the effects need more than {LARGEST_VALUES >> 20} MB: "
        "pm.sample_posterior_predictive would draw effects from their prior; use posterior_predictive()",
    )


def _cholesky(matrices: FloatArray) -> FloatArray:
    """Cholesky factors (..., n, n) of covariances, also of those that are singular up to rounding."""
    try:
        return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrices)
        kept = np.maximum(values, SMALLEST * np.maximum(values[..., -1:], np.finfo(float).tiny))
        upper = np.linalg.qr(np.sqrt(kept)[..., :, None] * np.swapaxes(vectors, -1, -2), mode="r")
        signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        return np.swapaxes(signs[..., :, None] * upper, -1, -2)


def _free(own: GroupEffects, effects: FloatArray) -> FloatArray:
    """Free coordinates (..., G, q k) of effects (..., G, q, K)."""
    free = effects @ np.linalg.pinv(own.to_classes).T
    return free.reshape(*free.shape[:-2], -1)
