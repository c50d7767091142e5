"""The same specification written as a ``pm.Model`` to read, draw, extend and sample with PyMC.

It has data containers ``X`` and ``y_observed``, coordinates ``obs``, ``feature`` and ``category``, the raw
``intercept`` and ``weights`` with all K categories, and the likelihood ``y``.  A test holds it equal to the
compiled density, up to a constant.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.schema import Schema
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.priors import Flat, Jeffreys, Laplace, Normal, Prior, PriorTable, StudentT, known_scale
from bayes_softmax.spec.scales.hyperpriors import ShrinkagePrior
from bayes_softmax.spec.scales.non_centred import non_centred_rows, non_centred_values
from bayes_softmax.spec.scales.shared import SharedScale


class Block(NamedTuple):
    """Coefficient rows of one prior family.

    ``members`` are feature positions, empty for the intercept; ``contrast`` is (K, k).
    """

    name: str
    dims: tuple[str, ...]
    free_dim: str
    contrast: FloatArray
    spherical: bool
    families: tuple[Prior, ...]
    members: tuple[int, ...]
    shared: SharedScale | None = None

    @property
    def sigma(self) -> Any:
        """Scales, (rows, 1) or a number for the intercept."""
        scales = np.array([1.0 if isinstance(f, Flat | Jeffreys) else known_scale(f) for f in self.families])
        return scales[:, None] if self.dims else scales[0]

    @property
    def is_labelled(self) -> bool:
        """Whether the random variable has all K categories, so that it is the coefficients themselves."""
        K, k = self.contrast.shape
        return k == K or (self.spherical and isinstance(self.families[0], Normal))

    @property
    def is_scaled(self) -> bool:
        """Whether the random variable is the coefficients over their scale (a multivariate t)."""
        return self.spherical and isinstance(self.families[0], StudentT)


def weights_blocks(priors: PriorTable, coordinates: Coordinates) -> list[Block]:
    """One block named ``weights``, or one per prior family and per shared scale."""
    shared = priors.shared_scales
    groups: dict[tuple[Any, ...], list[int]] = {}
    for j, family in enumerate(priors.weights):
        if not isinstance(family, ShrinkagePrior):
            groups.setdefault((type(family), getattr(family, "df", None)), []).append(j)
    blocks = []
    for (family, df), members in groups.items():
        name, dim = "weights", "feature"
        if len(groups) + len(shared) > 1:
            suffix = family.__name__.lower() + ("" if df is None else f"_df{df:g}".replace(".", "_"))
            name, dim = f"weights_{suffix}", f"feature_{suffix}"
        families = tuple(priors.weights[j] for j in members)
        contrast = coordinates.weights_contrast
        blocks.append(Block(name, (dim,), "weights_coordinate", contrast, priors.spherical, families, tuple(members)))
    for scale in shared:
        alone = len(groups) + len(shared) == 1
        name, dim = ("weights", "feature") if alone else (f"weights_shrunk{scale.suffix}", scale.dim)
        blocks.append(
            Block(
                name,
                (dim,),
                "weights_coordinate",
                coordinates.weights_contrast,
                priors.spherical,
                (scale.family,),
                scale.features,
                scale,
            )
        )
    return blocks


def intercept_block(priors: PriorTable, coordinates: Coordinates) -> Block | None:
    """The intercept at x = 0, or ``intercept_at_means`` where its prior is there."""
    if priors.intercept is None:
        return None
    shifted = priors.intercept_at == "means" and bool(coordinates.centre.any())
    name = "intercept_at_means" if shifted else "intercept"
    spherical = priors.spherical or priors.flat_intercept
    contrast = coordinates.intercept_contrast
    return Block(name, (), "intercept_coordinate", contrast, spherical, (priors.intercept,), ())


def free_variables(
    priors: PriorTable,
    coordinates: Coordinates,
    intercept: FloatArray,
    weights: FloatArray,
    hyper: Mapping[str, FloatArray] | None = None,
) -> dict[str, FloatArray]:
    """Values of the model's random variables, other than ``intercept`` and ``weights``, for draws of these.

    ``pm.sample_posterior_predictive`` draws from the *prior* what it does not find in a posterior, so posteriors
    carry them.  ``intercept`` is (..., K) and ``weights`` (..., p, K); ``hyper`` are the hyperparameters of
    learned scales by name.
    """
    values: dict[str, FloatArray] = dict(hyper or {})
    for block in weights_blocks(priors, coordinates):
        rows = weights[..., list(block.members), :]
        if block.shared is not None:
            values |= non_centred_values(block.name, block.contrast, block.spherical, block.shared, rows, values)
        else:
            values |= _free_values(block, rows)
    block_or_none = intercept_block(priors, coordinates)
    if block_or_none is not None:
        at_zero = block_or_none.name == "intercept"
        at = intercept if at_zero else intercept + np.einsum("p,...pk->...k", coordinates.centre, weights)
        values.update(_free_values(block_or_none, at))
    return {name: value for name, value in values.items() if name not in ("intercept", "weights")}


def _free_values(block: Block, rows: FloatArray) -> dict[str, FloatArray]:
    """A block's random variable, for coefficients (..., K)."""
    if block.is_labelled:
        return {block.name: rows}
    gamma = rows @ np.linalg.pinv(block.contrast).T
    return {f"{block.name}_free": gamma / block.sigma if block.is_scaled else gamma}


def build_pymc_model(design: Design, coordinates: Coordinates, priors: PriorTable, schema: Schema) -> Any:
    """The model as a ``pm.Model``; PyMC is imported here and nowhere before."""
    if priors.is_jeffreys:
        raise ValueError(
            "prior=Jeffreys() has no pm.Model: its density depends on the features through a determinant, and it is "
            "for map(); for a model to sample from use prior=None (autoscaled) or Normal"
        )
    load_in_full("pymc")
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
            weights = _weights(weights_blocks(priors, coordinates), schema)
            logits = X @ weights
        block = intercept_block(priors, coordinates)
        if block is not None:
            logits = logits + _intercept(block, coordinates, weights)
        if design.offset is not None:
            logits = logits + pm.Data("offset", design.offset, dims=("obs", "category"))
        if design.available is not None:  # a mask: no coefficient hears of a class where it is not on offer
            available = pm.Data("available", design.available, dims=("obs", "category"))
            logits = pt.switch(available, logits, -np.inf)
        _likelihood(design, logits)
    return model


def _weights(blocks: list[Block], schema: Schema) -> Any:
    """``weights`` (feature, category): one random variable, or one per prior family put together."""
    import pymc as pm
    import pytensor.tensor as pt

    if len(blocks) == 1:
        return _rows(blocks[0])
    parts: list[Any] = []
    order: list[int] = []
    for block in blocks:
        pm.modelcontext(None).add_coord(block.dims[0], [schema.feature_names[j] for j in block.members])
        parts.append(_rows(block))
        order.extend(block.members)
    stacked = pt.concatenate(parts, axis=0)[np.argsort(order)]
    return pm.Deterministic("weights", stacked, dims=("feature", "category"))


def _intercept(block: Block, coordinates: Coordinates, weights: Any) -> Any:
    """``intercept`` (category,) at x = 0, from a prior there or at the feature means."""
    import pymc as pm

    intercept = _rows(block)
    if block.name == "intercept":
        return intercept
    return pm.Deterministic("intercept", intercept - coordinates.centre @ weights, dims="category")


def _rows(block: Block) -> Any:
    """Coefficients (rows, K), or (K,) for a block without a row dimension, of one prior family."""
    import pymc as pm

    if block.shared is not None:
        dims = (*block.dims, block.free_dim)
        return non_centred_rows(block.name, (dims[0], dims[1]), block.contrast, block.spherical, block.shared)
    first = block.families[0]
    labelled, free = (*block.dims, "category"), (*block.dims, block.free_dim)
    if isinstance(first, Normal) and block.spherical:
        return pm.ZeroSumNormal(block.name, sigma=block.sigma, dims=labelled)
    if block.is_labelled:
        return _elementwise(first, block.name, block.sigma, labelled)
    name, k = f"{block.name}_free", block.contrast.shape[1]
    if isinstance(first, StudentT) and block.spherical:
        unit = pm.MvStudentT(name, nu=first.df, mu=np.zeros(k), scale=np.eye(k), dims=free)
        gamma = block.sigma * unit
    elif isinstance(first, Laplace) and block.spherical:
        gamma = _spherical_laplace(name, block.sigma * np.ones(k), free)
    else:
        gamma = _elementwise(first, name, block.sigma, free)
    return pm.Deterministic(block.name, gamma @ block.contrast.T, dims=labelled)


def _elementwise(family: Prior, name: str, sigma: Any, dims: tuple[str, ...]) -> Any:
    """Independent coordinates of one family."""
    import pymc as pm

    if isinstance(family, Normal):
        return pm.Normal(name, 0.0, sigma, dims=dims)
    if isinstance(family, StudentT):
        return pm.StudentT(name, nu=family.df, mu=0.0, sigma=sigma, dims=dims)
    if isinstance(family, Laplace):
        return pm.Laplace(name, mu=0.0, b=sigma, dims=dims)
    return pm.Flat(name, dims=dims)


def _spherical_laplace(name: str, b: FloatArray, dims: tuple[str, ...]) -> Any:
    """Rows ``g`` (rows, k) with density proportional to ``exp(-|g| / b)``; ``b`` (rows, k) repeats each row's scale."""
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.tensor.type_other import NoneTypeT

    k = b.shape[-1]
    log_surface = math.log(2) + 0.5 * k * math.log(math.pi) - math.lgamma(0.5 * k)

    def logp(value: Any, b: Any) -> Any:
        squares = (value**2).sum(axis=-1)
        inside = pt.gt(squares, 0)  # at zero the norm's derivative is taken as zero, not NaN
        norm = pt.switch(inside, pt.sqrt(pt.switch(inside, squares, 1.0)), 0.0)
        return -norm / b[..., 0] - k * pt.log(b[..., 0]) - (log_surface + math.lgamma(k))

    def draw(b: Any, size: Any) -> Any:
        rows = b.shape[:-1] if isinstance(size.type, NoneTypeT) else size
        direction = pm.Normal.dist(0.0, 1.0, size=pt.concatenate([rows, [k]]))
        radius = pm.Gamma.dist(k, 1.0, size=rows)
        return b * (radius / pt.sqrt((direction**2).sum(axis=-1)))[..., None] * direction

    return pm.CustomDist(
        name,
        b,
        logp=logp,
        dist=draw,
        support_point=lambda rv, *_: pt.zeros_like(rv),
        signature="(k)->(k)",
        dims=dims,
    )


def _likelihood(design: Design, logits: Any) -> None:
    """Categorical for labels, Multinomial for counts and whole weights, a weighted sum of logs for other weights."""
    import pymc as pm
    import pytensor.tensor as pt

    response, available = design.response, design.available
    # A row with one class on offer has weight zero, and likelihood one: it may as well count.
    alike = design.weights is None or (
        available is not None and bool((design.weights == (available.sum(axis=1) > 1)).all())
    )
    if response.codes is not None and alike:
        y = pm.Data("y_observed", response.codes, dims="obs")
        pm.Categorical("y", logit_p=logits, observed=y, dims="obs")
        return
    counts = design.dense_counts()
    y = pm.Data("y_observed", counts if (counts % 1).any() else counts.astype(np.int64), dims=("obs", "category"))
    if (counts % 1).any():
        log_p = logits - pt.logsumexp(logits, axis=1, keepdims=True)
        terms = y * log_p
        pm.Potential("y_weighted", (terms if available is None else pt.switch(available, terms, 0.0)).sum())
    else:
        p = pm.math.softmax(logits, axis=1)
        if available is not None:  # the same numbers, but of their logarithm's slope at zero nothing is passed on
            p = pt.switch(available, p, 0.0)
        pm.Multinomial("y", n=y.sum(axis=1), p=p, observed=y, dims=("obs", "category"))
