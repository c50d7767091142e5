"""The same specification written as a ``pm.Model`` to read, draw, extend and sample with PyMC.

It has data containers ``X`` and ``y_observed``, coordinates ``obs``, ``feature`` and ``category``, the raw
``intercept`` and ``weights`` with all K categories, and the likelihood ``y``.  A test holds it equal to the
compiled density, up to a constant.
"""

from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.design import Design
from bayes_softmax.spec.priors import Flat, Normal, Prior, PriorTable, StudentT
from bayes_softmax.spec.schema import Schema


class _Block(NamedTuple):
    """Coefficient rows of one prior family: their name, dimensions, contrast (K, k) and whether spherical."""

    name: str
    dims: tuple[str, ...]
    free_dim: str
    contrast: FloatArray
    spherical: bool


def build_pymc_model(design: Design, coordinates: Coordinates, priors: PriorTable, schema: Schema) -> Any:
    """The model as a ``pm.Model``; PyMC is imported here and nowhere before."""
    import pymc as pm
    import pytensor.tensor as pt

    coords: dict[str, Any] = {
        "obs": np.arange(design.n_obs),
        "feature": list(schema.feature_names),
        "category": list(schema.classes),
        "weights_coordinate": np.arange(coordinates.weights_contrast.shape[1]),
        "intercept_coordinate": np.arange(coordinates.n_free_intercept),
    }
    with pm.Model(coords=coords) as model:
        X = pm.Data("X", design.X, dims=("obs", "feature"))
        logits = pt.zeros((X.shape[0], design.n_classes))
        weights = None
        if design.n_features:
            weights = _weights(priors, coordinates, schema)
            logits = X @ weights
        if priors.intercept is not None:
            logits = logits + _intercept(priors, coordinates, weights)
        if design.offset is not None:
            logits = logits + pm.Data("offset", design.offset, dims=("obs", "category"))
        _likelihood(design, logits)
    return model


def _weights(priors: PriorTable, coordinates: Coordinates, schema: Schema) -> Any:
    """``weights`` (feature, category): one random variable, or one per prior family put together."""
    import pymc as pm
    import pytensor.tensor as pt

    contrast = coordinates.weights_contrast
    groups: dict[tuple[Any, ...], list[int]] = {}
    for j, family in enumerate(priors.weights):
        groups.setdefault((type(family), getattr(family, "df", None)), []).append(j)
    if len(groups) == 1:
        block = _Block("weights", ("feature",), "weights_coordinate", contrast, priors.spherical)
        return _rows(list(priors.weights), block)
    parts, order = [], []
    for (family, df), members in groups.items():
        suffix = family.__name__.lower() + ("" if df is None else f"_df{df:g}".replace(".", "_"))
        dim = f"feature_{suffix}"
        pm.modelcontext(None).add_coord(dim, [schema.feature_names[j] for j in members])
        block = _Block(f"weights_{suffix}", (dim,), "weights_coordinate", contrast, priors.spherical)
        parts.append(_rows([priors.weights[j] for j in members], block))
        order.extend(members)
    stacked = pt.concatenate(parts, axis=0)[np.argsort(order)]
    return pm.Deterministic("weights", stacked, dims=("feature", "category"))


def _intercept(priors: PriorTable, coordinates: Coordinates, weights: Any) -> Any:
    """``intercept`` (category,) at x = 0, from a prior there or at the feature means."""
    import pymc as pm

    assert priors.intercept is not None
    shifted = priors.intercept_at == "means" and weights is not None and bool(coordinates.centre.any())
    name = "intercept_at_means" if shifted else "intercept"
    block = _Block(
        name,
        (),
        "intercept_coordinate",
        coordinates.intercept_contrast,
        priors.spherical or priors.flat_intercept,
    )
    intercept = _rows([priors.intercept], block)
    if not shifted:
        return intercept
    return pm.Deterministic("intercept", intercept - coordinates.centre @ weights, dims="category")


def _rows(families: list[Prior], block: _Block) -> Any:
    """Coefficients (rows, K), or (K,) for a block without a row dimension, of one prior family."""
    import pymc as pm

    first = families[0]
    sigma = np.array([1.0 if isinstance(f, Flat) else f.scale for f in families])
    sigma = sigma[:, None] if block.dims else sigma[0]
    K, k = block.contrast.shape
    labelled, free = (*block.dims, "category"), (*block.dims, block.free_dim)
    if isinstance(first, Normal) and block.spherical:
        return pm.ZeroSumNormal(block.name, sigma=sigma, dims=labelled)
    if k == K:
        return _elementwise(first, block.name, sigma, labelled)
    name = f"{block.name}_free"
    if isinstance(first, StudentT) and block.spherical:
        gamma = sigma * pm.MvStudentT(name, nu=first.df, mu=np.zeros(k), scale=np.eye(k), dims=free)
    else:
        gamma = _elementwise(first, name, sigma, free)
    return pm.Deterministic(block.name, gamma @ block.contrast.T, dims=labelled)


def _elementwise(family: Prior, name: str, sigma: Any, dims: tuple[str, ...]) -> Any:
    """Independent coordinates of one family."""
    import pymc as pm

    if isinstance(family, Normal):
        return pm.Normal(name, 0.0, sigma, dims=dims)
    if isinstance(family, StudentT):
        return pm.StudentT(name, nu=family.df, mu=0.0, sigma=sigma, dims=dims)
    return pm.Flat(name, dims=dims)


def _likelihood(design: Design, logits: Any) -> None:
    """Categorical for labels, Multinomial for counts and whole weights, a weighted sum of logs for other weights."""
    import pymc as pm
    import pytensor.tensor as pt

    response = design.response
    if response.codes is not None and design.weights is None:
        y = pm.Data("y_observed", response.codes, dims="obs")
        pm.Categorical("y", logit_p=logits, observed=y, dims="obs")
        return
    counts = design.dense_counts()
    y = pm.Data("y_observed", counts if (counts % 1).any() else counts.astype(np.int64), dims=("obs", "category"))
    if (counts % 1).any():
        log_p = logits - pt.logsumexp(logits, axis=1, keepdims=True)
        pm.Potential("y_weighted", (y * log_p).sum())
    else:
        pm.Multinomial("y", n=y.sum(axis=1), p=pm.math.softmax(logits, axis=1), observed=y, dims=("obs", "category"))
