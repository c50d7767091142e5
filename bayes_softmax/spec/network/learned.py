r"""Learned scales of a network's layers: normal priors whose standard deviation has a prior of its own.

Given its scale :math:`\tau` the weights of a layer, and a hidden layer's biases, are :math:`N(0, (\tau u)^2)`, where
``u`` is one per unit of the layer's inputs (standardised features, units; of ``skip`` the features as given).  The
tables of a model hold ``u`` where they hold the scale of a fixed prior.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.scales.common import CommonScale
from bayes_softmax.spec.scales.hyperpriors import HierarchicalNormal, ScalePrior


class LearnedLayer(NamedTuple):
    """A layer whose scale is learned: ``hidden_1``, ..., ``weights`` or ``skip``; and the prior of the scale."""

    name: str
    scale_prior: ScalePrior

    @property
    def hyperparameter(self) -> str:
        """Name of the scale."""
        return f"{self.name}_scale"

    @property
    def prior(self) -> HierarchicalNormal:
        """The prior of the layer, as it is printed."""
        return HierarchicalNormal(self.scale_prior)

    @property
    def hyperprior(self) -> CommonScale:
        """The prior of the scale."""
        return CommonScale(self.prior, 1)

    def random_variable(self) -> Any:
        """The scale in the PyMC model in whose context this is called."""
        found = self.hyperprior.random_variables(lambda _: self.hyperparameter, "")
        return found[self.hyperparameter]


def scales_of(layers: Sequence[LearnedLayer], values: Mapping[str, Any]) -> dict[str, Any]:
    """The scale of each layer by the layer's name, from hyperparameters by theirs."""
    return {layer.name: values[layer.hyperparameter] for layer in layers}


def drawn_scales(layers: Sequence[LearnedLayer], n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Scales (n,) from their priors, by the layer's name."""
    return {layer.name: layer.hyperprior.draw(n, rng)[:, 0] for layer in layers}
