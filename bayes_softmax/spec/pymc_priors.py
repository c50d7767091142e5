"""The priors of a model in its ``pm.Model``: random variables of intercept and weights, and their values for draws."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.family import Family
from bayes_softmax.spec.families.normal import NormalFamily
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.priors import FamilyRows, PriorTable
from bayes_softmax.spec.scales.non_centred import non_centred_rows, non_centred_values
from bayes_softmax.spec.scales.shared import SharedScale


class PriorBlock(NamedTuple):
    """Coefficient rows of one prior family and one second parameter ``df``, or of one shared scale.

    ``members`` are feature positions, empty for the intercept; ``contrast`` is (K, k); ``scale`` is (rows, 1), or a
    number for the intercept.  ``family`` is that of the rows with fixed scales.
    """

    name: str
    dims: tuple[str, ...]
    free_dim: str
    contrast: FloatArray
    spherical: bool
    family: type[Family]
    scale: Any
    df: float
    members: tuple[int, ...]
    learned: SharedScale | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether the random variable has all K categories, so that it is the coefficients themselves."""
        K, k = self.contrast.shape
        return k == K or (self.spherical and self.family.spherical_variable_is == "coefficients")

    @property
    def is_scaled(self) -> bool:
        """Whether the random variable is the coefficients over their scale (a multivariate t)."""
        return self.spherical and self.family.spherical_variable_is == "unit-scale"


def weights_blocks(priors: PriorTable, coordinates: Coordinates) -> list[PriorBlock]:
    """One block named ``weights``, or one per prior family and per shared scale."""
    kinds, contrast = _rows_by_family(priors.features, priors.fixed), coordinates.weights_contrast
    alone = len(kinds) + len(priors.learned) == 1
    blocks = []
    for members in kinds:
        family, df = registry.family_at(int(priors.features.family[members[0]])), float(priors.features.df[members[0]])
        suffix = family.__name__.lower() + (f"_df{df:g}".replace(".", "_") if df else "")
        name, dim = ("weights", "feature") if alone else (f"weights_{suffix}", f"feature_{suffix}")
        scale = priors.features.scale[members][:, None]
        rows = tuple(members.tolist())
        blocks.append(
            PriorBlock(name, (dim,), "weights_coordinate", contrast, priors.spherical, family, scale, df, rows)
        )
    for shared in priors.learned:
        name, dim = ("weights", "feature") if alone else (f"weights_shrunk{shared.suffix}", shared.dim)
        rows = shared.features
        blocks.append(
            PriorBlock(
                name, (dim,), "weights_coordinate", contrast, priors.spherical, NormalFamily, None, 0.0, rows, shared
            )
        )
    return blocks


def _rows_by_family(rows: FamilyRows, fixed: NDArray[np.bool_]) -> list[IntArray]:
    """Positions of the rows with a fixed scale, by family and ``df``, in the order of the first of each."""
    kinds: dict[tuple[int, float], list[int]] = {}
    for j in np.flatnonzero(fixed).tolist():
        kinds.setdefault((int(rows.family[j]), float(rows.df[j])), []).append(j)
    return [np.array(members) for members in kinds.values()]


def intercept_block(priors: PriorTable, coordinates: Coordinates) -> PriorBlock | None:
    """The intercept at x = 0, or ``intercept_at_means`` where its prior is there."""
    if priors.intercept is None:
        return None
    shifted = priors.intercept_at == "means" and bool(coordinates.centre.any())
    name = "intercept_at_means" if shifted else "intercept"
    family = registry.family_of(priors.intercept)
    scale, df = family.numbers(priors.intercept)
    spherical = priors.spherical or priors.flat_intercept
    contrast = coordinates.intercept_contrast
    return PriorBlock(name, (), "intercept_coordinate", contrast, spherical, family, scale, df, ())


def free_variables(
    priors: PriorTable,
    coordinates: Coordinates,
    parameters: Mapping[str, FloatArray],
    hyper: Mapping[str, FloatArray] | None = None,
) -> dict[str, FloatArray]:
    """Values of the model's random variables, other than ``intercept`` and ``weights``, for draws of these.

    ``pm.sample_posterior_predictive`` draws from the *prior* what it does not find in a posterior, so posteriors
    carry them.  In ``parameters`` the intercept is (..., K) and the weights (..., p, K); ``hyper`` are the
    hyperparameters of learned scales by name.
    """
    intercept, weights = parameters[INTERCEPT], parameters[WEIGHTS]
    values: dict[str, FloatArray] = dict(hyper or {})
    for block in weights_blocks(priors, coordinates):
        rows = weights[..., list(block.members), :]
        if block.learned is not None:
            values |= non_centred_values(block.name, block.contrast, block.spherical, block.learned, rows, values)
        else:
            values |= free_values(block, rows)
    block_or_none = intercept_block(priors, coordinates)
    if block_or_none is not None:
        at_zero = block_or_none.name == "intercept"
        at = intercept if at_zero else intercept + np.einsum("p,...pk->...k", coordinates.centre, weights)
        values.update(free_values(block_or_none, at))
    return {name: value for name, value in values.items() if name not in (INTERCEPT, WEIGHTS)}


def free_values(block: PriorBlock, rows: FloatArray) -> dict[str, FloatArray]:
    """A block's random variable, for coefficients (..., K)."""
    if block.is_labelled:
        return {block.name: rows}
    gamma = rows @ np.linalg.pinv(block.contrast).T
    return {f"{block.name}_free": gamma / block.scale if block.is_scaled else gamma}


def weights_variable(blocks: list[PriorBlock], feature_names: Sequence[str], name: str = WEIGHTS) -> Any:
    """``weights`` (feature, category): one random variable, or one per prior family put together."""
    import pymc as pm
    import pytensor.tensor as pt

    if len(blocks) == 1:
        return _coefficients(blocks[0])
    parts: list[Any] = []
    order: list[int] = []
    for block in blocks:
        pm.modelcontext(None).add_coord(block.dims[0], [feature_names[j] for j in block.members])
        parts.append(_coefficients(block))
        order.extend(block.members)
    stacked = pt.concatenate(parts, axis=0)[np.argsort(order)]
    return pm.Deterministic(name, stacked, dims=("feature", "category"))


def intercept_variable(block: PriorBlock, coordinates: Coordinates, weights: Any) -> Any:
    """``intercept`` (category,) at x = 0, from a prior there or at the feature means."""
    import pymc as pm

    intercept = _coefficients(block)
    if block.name == "intercept":
        return intercept
    return pm.Deterministic("intercept", intercept - coordinates.centre @ weights, dims="category")


def _coefficients(block: PriorBlock) -> Any:
    """Coefficients (rows, K), or (K,) for a block without a row dimension, of one prior family."""
    import pymc as pm

    if block.learned is not None:
        dims = (*block.dims, block.free_dim)
        return non_centred_rows(block.name, (dims[0], dims[1]), block.contrast, block.spherical, block.learned)
    labelled, free = (*block.dims, "category"), (*block.dims, block.free_dim)
    if block.is_labelled:
        return _random_variable(block, block.name, labelled)
    gamma = _random_variable(block, f"{block.name}_free", free)
    if block.is_scaled:
        gamma = block.scale * gamma
    return pm.Deterministic(block.name, gamma @ block.contrast.T, dims=labelled)


def _random_variable(block: PriorBlock, name: str, dims: tuple[str, ...]) -> Any:
    """The random variable of a block."""
    family, scale, df = block.family, block.scale, block.df
    if block.spherical:
        return family.spherical_variable(name, scale, df, block.contrast.shape[1], dims)
    return family.elementwise_variable(name, scale, df, dims)
