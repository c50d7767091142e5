"""The R2-induced Dirichlet decomposition: a total variance, and the share of it that each feature has."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.scales.hyperpriors import R2D2


@dataclass(frozen=True)
class VarianceShares:
    """``R2`` and shares ``phi`` of ``n_features`` features; an implementation of ``shared.Hyperprior``."""

    prior: R2D2
    n_features: int

    names: ClassVar[Mapping[str, bool]] = {"R2": False, "phi": True}
    standardised: ClassVar[bool] = True
    heavy_tailed: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[float, float, float]:
        """``a, b`` of the Beta prior of ``R2``, and the Dirichlet's concentration."""
        m, n = self.prior.mean, self.prior.precision
        return m * n, (1.0 - m) * n, self.prior.concentration

    @property
    def initial(self) -> FloatArray:
        """The mean of ``R2``, and equal shares."""
        m = self.prior.mean
        return np.concatenate([[math.log(m / (1 - m))], np.zeros(self.n_features)])

    @property
    def log_normaliser(self) -> float:
        """Of the Beta density, and of the Gamma densities whose shares are Dirichlet."""
        a, b, concentration = self.parameters
        return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - self.n_features * math.lgamma(concentration)

    def constrain(self, h: FloatArray) -> dict[str, FloatArray]:
        """``R2`` (...) and ``phi`` (..., n_features) from ``h`` (..., 1 + n_features)."""
        gamma = np.exp(h[..., 1:] - h[..., 1:].max(axis=-1, keepdims=True))
        return {"R2": 1.0 / (1.0 + np.exp(-h[..., 0])), "phi": gamma / gamma.sum(axis=-1, keepdims=True)}

    def sds(self, values: Mapping[str, Any]) -> Any:
        """Scales (..., n_features), ``sqrt(phi omega)``."""
        R2 = values["R2"]
        omega = R2 / (1.0 - R2)
        return (values["phi"] * omega[..., None]) ** 0.5

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Scales (n, n_features) from the prior."""
        a, b, concentration = self.parameters
        R2 = rng.beta(a, b, size=(n, 1))
        phi = rng.dirichlet(np.full(self.n_features, concentration), size=n)
        scales: FloatArray = np.sqrt(phi * R2 / (1 - R2))
        return scales

    def random_variables(self, named: Callable[[str], str], dim: str) -> dict[str, Any]:
        """``R2`` and ``phi`` as random variables of the PyMC model in whose context this is called."""
        import pymc as pm
        import pytensor.tensor as pt

        a, b, concentration = self.parameters
        if self.n_features > 1:
            phi = pm.Dirichlet(named("phi"), np.full(self.n_features, concentration), dims=dim)
        else:
            phi = pm.Deterministic(named("phi"), pt.ones(1), dims=dim)
        return {named("R2"): pm.Beta(named("R2"), a, b), named("phi"): phi}
