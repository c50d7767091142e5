"""One scale for all features that share a prior: half-normal or half-t."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.scales.hyperpriors import HalfNormal, HalfStudentT, HierarchicalNormal


@dataclass(frozen=True)
class CommonScale:
    """``tau`` of ``n_features`` features, with ``h = log tau``; an implementation of ``shared.Hyperprior``."""

    prior: HierarchicalNormal
    n_features: int

    names: ClassVar[Mapping[str, bool]] = {"weights_scale": False}
    standardised: ClassVar[bool] = False

    @property
    def _df(self) -> float:
        """Degrees of freedom; 0 stands for a half-normal."""
        half = self.prior.scale_prior
        return half.df if isinstance(half, HalfStudentT) else 0.0

    @property
    def heavy_tailed(self) -> bool:
        """Half-t, not half-normal."""
        return isinstance(self.prior.scale_prior, HalfStudentT)

    @property
    def parameters(self) -> tuple[float, float, float]:
        """Scale and degrees of freedom of the half-t."""
        return self.prior.scale_prior.scale, self._df, 0.0

    @property
    def initial(self) -> FloatArray:
        """Logarithm of the half-t's scale."""
        return np.array([math.log(self.prior.scale_prior.scale)])

    @property
    def log_normaliser(self) -> float:
        """Log density of the half-t at zero."""
        df, log_scale = self._df, math.log(self.prior.scale_prior.scale)
        if df == 0.0:
            return 0.5 * math.log(2 / math.pi) - log_scale
        t = math.lgamma(0.5 * (df + 1)) - math.lgamma(0.5 * df) - 0.5 * math.log(df * math.pi) - log_scale
        return math.log(2.0) + t

    def constrain(self, h: FloatArray) -> dict[str, FloatArray]:
        """``tau`` (...) from its logarithm (..., 1)."""
        return {"weights_scale": np.exp(h[..., 0])}

    def sds(self, values: Mapping[str, Any]) -> Any:
        """``tau`` (..., 1): the same for every feature."""
        return values["weights_scale"][..., None]

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Scales (n, n_features) from the prior."""
        half = self.prior.scale_prior
        tau = np.abs(rng.standard_normal((n, 1))) * half.scale
        if isinstance(half, HalfStudentT):
            tau /= np.sqrt(rng.chisquare(half.df, size=(n, 1)) / half.df)
        return tau * np.ones(self.n_features)

    def random_variables(self, named: Callable[[str], str], dim: str) -> dict[str, Any]:
        """``tau`` as a random variable of the PyMC model in whose context this is called."""
        import pymc as pm

        half, name = self.prior.scale_prior, named("weights_scale")
        if isinstance(half, HalfNormal):
            return {name: pm.HalfNormal(name, half.scale)}
        return {name: pm.HalfStudentT(name, nu=half.df, sigma=half.scale)}
