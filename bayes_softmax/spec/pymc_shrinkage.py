"""Learned scales in the ``pm.Model``, non-centred, and the values of their random variables for given draws."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.hyperpriors import HalfNormal, LearnedNormal
from bayes_softmax.spec.shrinkage import Group


def hyperparameters(group: Group, h: FloatArray) -> dict[str, FloatArray]:
    """Named hyperparameters of a group from its real ones (..., H); scalars (...), local ones (..., members)."""
    family = group.family
    if isinstance(family, LearnedNormal):
        values = {"weights_scale": np.exp(h[..., 0])}
    else:
        gamma = np.exp(h[..., 1:] - h[..., 1:].max(axis=-1, keepdims=True))
        phi = gamma / gamma.sum(axis=-1, keepdims=True)
        values = {"R2": 1.0 / (1.0 + np.exp(-h[..., 0])), "phi": phi}
    return {group.named(name): value for name, value in values.items()}


def hyper_dims(groups: Sequence[Group], feature_names: Sequence[str]) -> dict[str, tuple[str, list[str]] | None]:
    """Names of all hyperparameters; for those that each member has, their dimension and its labels."""
    dims: dict[str, tuple[str, list[str]] | None] = {}
    for group in groups:
        if isinstance(group.family, LearnedNormal):
            dims[group.named("weights_scale")] = None
            continue
        labels = [feature_names[j] for j in group.members]
        dim = "feature" if len(labels) == len(feature_names) else group.dim
        dims |= {group.named("R2"): None, group.named("phi"): (dim, labels)}
    return dims


def raw_scales(group: Group, values: Mapping[str, Any]) -> Any:
    """Prior sd (..., members) of the raw weights, for named hyperparameters: NumPy arrays or PyMC variables."""
    family = group.family
    if isinstance(family, LearnedNormal):
        tau = values[group.named("weights_scale")]
        return tau[..., None] / group.units
    R2 = values[group.named("R2")]
    omega = R2 / (1.0 - R2)
    return (values[group.named("phi")] * omega[..., None]) ** 0.5 / group.units


def scale_variables(group: Group, dim: str) -> dict[str, Any]:
    """The hyperparameters as PyMC random variables; ``dim`` runs over the members."""
    import pymc as pm
    import pytensor.tensor as pt

    family, name = group.family, group.named
    if isinstance(family, LearnedNormal):
        return {name("weights_scale"): _half_t(name("weights_scale"), family.scale_prior)}
    a, b = family.mean * family.precision, (1.0 - family.mean) * family.precision
    shares = np.full(len(group.members), family.concentration)
    return {
        name("R2"): pm.Beta(name("R2"), a, b),
        name("phi"): pm.Dirichlet(name("phi"), shares, dims=dim)
        if len(shares) > 1
        else pm.Deterministic(name("phi"), pt.ones(1), dims=dim),
    }


def _half_t(name: str, prior: Any) -> Any:
    import pymc as pm

    if isinstance(prior, HalfNormal):
        return pm.HalfNormal(name, prior.scale)
    return pm.HalfStudentT(name, nu=prior.df, sigma=prior.scale)


def shrunk_rows(name: str, dims: tuple[str, str], contrast: FloatArray, spherical: bool, group: Group) -> Any:
    """Coefficients (members, K): standard normal variables ``<name>_z`` times the scales.

    ``dims`` are of the members and of the free coordinates.
    """
    import pymc as pm

    sigma = raw_scales(group, scale_variables(group, dims[0]))[:, None]
    K, k = contrast.shape
    labelled = (dims[0], "category")
    if spherical:
        return pm.Deterministic(name, sigma * pm.ZeroSumNormal(f"{name}_z", 1.0, dims=labelled), dims=labelled)
    z = pm.Normal(f"{name}_z", 0.0, 1.0, dims=labelled if k == K else dims)
    return pm.Deterministic(name, sigma * (z @ contrast.T), dims=labelled)


def shrunk_values(
    name: str, contrast: FloatArray, spherical: bool, group: Group, rows: FloatArray, hyper: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Values of the random variables for coefficients ``rows`` (..., members, K) and named hyperparameters."""
    z = rows / raw_scales(group, hyper)[..., None]
    if not spherical and contrast.shape[1] < contrast.shape[0]:
        z = z @ np.linalg.pinv(contrast).T
    return {f"{name}_z": z}
