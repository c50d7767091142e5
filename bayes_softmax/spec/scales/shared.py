"""Features that share learned scales, their units, and the names of the hyperparameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.scales.common import CommonScale
from bayes_softmax.spec.scales.hyperpriors import R2D2, HierarchicalNormal, ShrinkagePrior
from bayes_softmax.spec.scales.r2d2 import VarianceShares


class Hyperprior(Protocol):
    """A prior of hyperparameters, and the scales that these give to the features that share them.

    Formulae are in the table of :mod:`bayes_softmax.spec.scales`.
    """

    @property
    def names(self) -> Mapping[str, bool]:
        """Hyperparameters by name, and whether each feature has its own (local) or all have one (global)."""
        ...

    @property
    def standardised(self) -> bool:
        """Whether scales are per standard deviation of the feature, else per unit of it as given."""
        ...

    @property
    def heavy_tailed(self) -> bool:
        """Whether scales, and so the weights, have polynomial tails."""
        ...

    @property
    def parameters(self) -> tuple[float, float, float]:
        """Numbers that the compiled density reads."""
        ...

    @property
    def initial(self) -> FloatArray:
        """Unconstrained hyperparameters (H,) near the middle of their prior."""
        ...

    @property
    def log_normaliser(self) -> float:
        """Log normalising constant of the prior of the unconstrained hyperparameters."""
        ...

    def constrain(self, h: FloatArray) -> dict[str, FloatArray]:
        """Hyperparameters by name from unconstrained ones (..., H): global (...), local (..., features)."""
        ...

    def sds(self, values: Mapping[str, Any]) -> Any:
        """Scales (..., features), or (..., 1), for hyperparameters: NumPy arrays or PyMC variables."""
        ...

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Scales (n, features) drawn from the prior."""
        ...

    def random_variables(self, named: Callable[[str], str], dim: str) -> dict[str, Any]:
        """Hyperparameters as PyMC variables, called as ``named`` says; ``dim`` runs over the features."""
        ...


HYPERPRIORS: Mapping[type, Callable[[Any, int], Hyperprior]] = {HierarchicalNormal: CommonScale, R2D2: VarianceShares}


class SharedScale(NamedTuple):
    """Features that carry the same shrinkage prior and so share its hyperparameters.

    ``features`` are positions; a scale ``sigma`` of the prior is ``sigma / units[i]`` per unit of the raw feature;
    ``suffix`` tells the names of several shared scales apart.
    """

    prior: ShrinkagePrior
    features: tuple[int, ...]
    units: FloatArray
    suffix: str

    @property
    def hyperprior(self) -> Hyperprior:
        """Prior of the hyperparameters, for this number of features."""
        return HYPERPRIORS[type(self.prior)](self.prior, len(self.features))

    @property
    def dim(self) -> str:
        """Dimension of local hyperparameters, where not all features share them."""
        return f"feature_shrunk{self.suffix}"

    def named(self, name: str) -> str:
        """Name of a hyperparameter of this shared scale."""
        return name + self.suffix

    def constrain(self, h: FloatArray) -> dict[str, FloatArray]:
        """Hyperparameters by their names in the model from unconstrained ones (..., H)."""
        return {self.named(name): value for name, value in self.hyperprior.constrain(h).items()}

    def raw_sds(self, values: Mapping[str, Any]) -> Any:
        """Prior sd (..., features) of the raw weights given hyperparameters by their names in the model."""
        hyperprior = self.hyperprior
        return hyperprior.sds({name: values[self.named(name)] for name in hyperprior.names}) / self.units

    def draw_raw_sds(self, n: int, rng: np.random.Generator) -> FloatArray:
        """The same (n, features), drawn from their prior."""
        return self.hyperprior.draw(n, rng) / self.units

    def in_words(self) -> str:
        """Unit of the scale, and how many features share it."""
        n = len(self.features)
        shared = "learned" if n == 1 else f"learned by {n} features together"
        return f"per {'sd' if self.hyperprior.standardised else 'unit'} of the feature, {shared}"


def shared_scales(carried: Mapping[ShrinkagePrior, IntArray], spread: FloatArray) -> tuple[SharedScale, ...]:
    """The shared scales of a model, from the positions of the features that carry each prior.

    ``spread`` (p,) is the unit of each feature for priors that compare features with each other.
    """
    shared = []
    for number, (prior, features) in enumerate(carried.items(), start=1):
        suffix = "" if len(carried) == 1 else f"_{number}"
        scale = SharedScale(prior, tuple(features.tolist()), np.ones(len(features)), suffix)
        shared.append(scale._replace(units=spread[features]) if scale.hyperprior.standardised else scale)
    return tuple(shared)


def hyperparameter_dims(
    shared: Sequence[SharedScale], feature_names: Sequence[str]
) -> dict[str, tuple[str, list[str]] | None]:
    """Names of all hyperparameters; for local ones their dimension and its labels."""
    dims: dict[str, tuple[str, list[str]] | None] = {}
    for scale in shared:
        labels = [feature_names[j] for j in scale.features]
        dim = "feature" if len(labels) == len(feature_names) else scale.dim
        dims |= {scale.named(name): (dim, labels) if local else None for name, local in scale.hyperprior.names.items()}
    return dims
