"""The joint posterior of coefficients and hyperparameters, in coordinates in which it is nearly standard normal."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes_softmax.core.records import FloatArray, NativeDensity
from bayes_softmax.density.callbacks import native_addresses
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.scales.callbacks import logp_address, pack_hierarchy
from bayes_softmax.density.scales.conditional import ConditionalNormal
from bayes_softmax.density.scales.hyperpriors import HyperpriorData, log_hyperprior, log_normaliser
from bayes_softmax.density.scales.kernel import (
    WhitenedCoordinates,
    change_of_variables,
    log_conditional_posterior,
    whitened_joint_gradient,
)
from bayes_softmax.spec.scales.shared import SharedScale


@dataclass(frozen=True, eq=False)
class HierarchicalPosterior:
    """Log density of ``u = [v, e]``, whitened coefficients and standardised hyperparameters.

    Constructed by :func:`bayes_softmax.density.scales.marginal.whitened_posterior`.  ``base`` is the likelihood with
    the fixed priors only.
    """

    base: SoftmaxPosterior
    shared: tuple[SharedScale, ...]
    hyper: HyperpriorData
    normal: ConditionalNormal
    coordinates: WhitenedCoordinates

    def __post_init__(self) -> None:
        """Require all rows in memory, without which compiled code could not compute the log posterior."""
        require_in_memory(self.base)

    @property
    def n_coefficients(self) -> int:
        """Number of free coordinates d of the model, without the hyperparameters."""
        return self.base.dimension

    @property
    def dimension(self) -> int:
        """Number of coordinates d + H."""
        return self.n_coefficients + len(self.coordinates.location)

    @cached_property
    def log_constant(self) -> float:
        """Terms omitted by the compiled joint density: normalising constants, and the Jacobian of standardisation."""
        base = self.base
        return base.offset_term + base.log_prior_constant + log_normaliser(self.shared, base.coordinates)

    @cached_property
    def log_determinant(self) -> float:
        """Log determinants of the constant linear parts of the change of variables."""
        residual = np.diagonal(self.coordinates.residual).astype(np.float64)
        return float(np.linalg.slogdet(self.coordinates.root)[1] + np.log(residual).sum())

    def value_gradient(self, u: FloatArray) -> tuple[float, FloatArray]:
        """Log density at ``u`` (d + H,), Jacobian included, and its gradient."""
        u = np.require(u, dtype=np.float64, requirements=["C", "A", "W"])
        gradient = np.empty(self.dimension)
        data, hyper = self.base.data, self.hyper
        value = float(whitened_joint_gradient(data, hyper, self.normal, self.coordinates, u, gradient))
        return value + self.log_constant + self.log_determinant, gradient

    def log_joint(self, theta: FloatArray, h: FloatArray) -> float:
        """Log-likelihood plus log prior density of raw free coordinates (d,) and unconstrained ``h`` (H,)."""
        s, unused = np.empty(len(self.hyper.log_unit)), np.empty(len(h))
        gradient, ds = np.empty(self.n_coefficients), np.empty(len(s))
        value = float(log_hyperprior(self.hyper, h, s, unused))
        s += self.hyper.log_unit
        value += float(log_conditional_posterior(self.base.data, self.hyper, theta, s, gradient, ds))
        return value + self.log_constant

    def unpack(self, us: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Free vectors (S, d) and unconstrained hyperparameters (S, H) of points (S, d + H)."""
        d, (k, m) = self.n_coefficients, self.normal.information.shape
        thetas, hypers = np.empty((len(us), d)), np.empty((len(us), self.dimension - d))
        s, z, X = np.empty(len(self.hyper.log_unit)), np.empty(d), np.empty((k, m, m))
        for u, theta, h in zip(np.ascontiguousarray(us), thetas, hypers, strict=True):
            change_of_variables(self.hyper, self.normal, self.coordinates, u, h, s, z, X, theta)
        return thetas, hypers

    def constrain(self, h: FloatArray) -> dict[str, FloatArray]:
        """Hyperparameters by name from unconstrained ones (..., H)."""
        parts = np.split(h, self.hyper.first_hyper[1:-1], axis=-1)
        named: dict[str, FloatArray] = {}
        for scale, part in zip(self.shared, parts, strict=True):
            named |= scale.constrain(part)
        return named

    def callbacks(self) -> NativeDensity:
        """C callbacks for the density of ``u``."""
        table = pack_hierarchy(self.base.data, self.hyper, self.normal, self.coordinates)
        return NativeDensity(logp_address(), native_addresses()[1], int(table.ctypes.data), (self, table))


def require_in_memory(base: SoftmaxPosterior) -> None:
    """Raise for a density with a part of rows that compiled code does not reach."""
    if not len(base.data.parts):
        raise ValueError(
            "learned scales need rows in memory, all of them: their density is compiled as a whole, and some part of "
            "the rows is elsewhere; fixed scales do without"
        )
