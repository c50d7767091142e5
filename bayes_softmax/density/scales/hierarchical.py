"""The log posterior of a model that learns scales, in coordinates in which it is near a standard normal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import brentq

from bayes_softmax.core.errors import ImproperPosteriorError
from bayes_softmax.core.records import FloatArray, IntArray, NativeDensity
from bayes_softmax.density import callbacks
from bayes_softmax.density.log_prior import NORMAL
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.scales import factors, hyperscales, shrinkage_kernel
from bayes_softmax.density.scales.hyperscales import ShrinkageData
from bayes_softmax.spec.coding import free_vectors
from bayes_softmax.spec.hyperpriors import R2D2, HalfNormal, LearnedNormal
from bayes_softmax.spec.shrinkage import Group

RIDGE = 1e-8  # of the reference precision's diagonal: keeps factors real where neither data nor prior speak
# Above, the blocks of ``block_metric`` are factorised at every step and not one matrix of all coordinates: a
# factorisation of d^3 / 3 multiplications then outweighs the likelihood.
DENSE_DIMENSION = 100
CODES = {LearnedNormal: hyperscales.LEARNED, R2D2: hyperscales.R2D2}
MAX_OUTER = 1500  # coordinates up to which the blocks are corrected by a matrix of all of them


@dataclass(frozen=True, eq=False)
class HierarchicalPosterior:
    """Log density of ``u = [v, e]``, whitened coefficients and standardised hyperparameters.

    Made by :func:`whiten_conditionally`.  ``base`` is the likelihood with the fixed priors alone.
    """

    base: SoftmaxPosterior
    groups: tuple[Group, ...]
    shrinkage: ShrinkageData
    log_constant: float

    @property
    def n_coefficients(self) -> int:
        """Free coordinates d of the model, without the hyperparameters."""
        return self.base.dimension

    @property
    def dimension(self) -> int:
        """Number of coordinates d + H."""
        return self.n_coefficients + len(self.shrinkage.centre)

    @property
    def _log_determinant(self) -> float:
        """Log determinants of the linear parts of the change of variables."""
        outer = np.diagonal(self.shrinkage.outer).astype(np.float64)
        return float(np.linalg.slogdet(self.shrinkage.width)[1] + np.log(outer).sum())

    def value_gradient(self, u: FloatArray) -> tuple[float, FloatArray]:
        """Log density at ``u`` (d + H,), Jacobian included, and its gradient."""
        u = np.require(u, dtype=np.float64, requirements=["C", "A", "W"])
        gradient = np.empty(self.dimension)
        value = float(shrinkage_kernel.whitened_gradient(self.base.data, self.shrinkage, u, gradient))
        return value + self.log_constant + self._log_determinant, gradient

    def log_joint(self, theta: FloatArray, h: FloatArray) -> float:
        """Log-likelihood plus log prior density of the raw free coordinates (d,) and of the real ``h`` (H,)."""
        sh = self.shrinkage
        s, slope = np.empty(len(sh.log_unit)), np.empty(len(h))
        gradient, ds = np.empty(self.n_coefficients), np.empty(len(sh.log_unit))
        value = float(hyperscales.log_scales(sh, h, s, slope))
        value += float(shrinkage_kernel.joint_gradient(self.base.data, sh, theta, s + sh.log_unit, gradient, ds))
        return value + self.log_constant

    def unpack(self, us: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Free vectors (S, d) and hyperparameters (S, H) of points (S, d + H)."""
        sh, d = self.shrinkage, self.n_coefficients
        k, m = sh.linear.shape
        thetas, hypers = np.empty((len(us), d)), np.empty((len(us), len(sh.centre)))
        s, z, X = np.empty(len(sh.log_unit)), np.empty(d), np.empty((k, m, m))
        for u, theta, h in zip(np.ascontiguousarray(us), thetas, hypers, strict=True):
            shrinkage_kernel.unwhiten(sh, u, h, s, z, X, theta)
        return thetas, hypers

    def callbacks(self) -> NativeDensity:
        """C callbacks for the density of ``u``."""
        pointers = shrinkage_kernel.pack_pointers(self.base.data, self.shrinkage)
        expand = callbacks.native_addresses()[1]
        owned = (self.base.data, self.shrinkage, pointers)
        return NativeDensity(shrinkage_kernel.logp_address(), expand, int(pointers.ctypes.data), owned)


def shrinkage_data(base: SoftmaxPosterior, groups: Sequence[Group]) -> ShrinkageData:
    """The hyperparameters' part of what the kernel reads, centred at typical values of their prior; no blocks yet."""
    p = base.coordinates.n_features
    sd = base.coordinates.scale
    of_feature = np.full(p, -1, dtype=np.int64)
    members = [j for group in groups for j in group.members]
    of_feature[members] = np.arange(len(members))
    units = np.concatenate([group.units for group in groups])
    centre = [_typical(group) for group in groups]
    rows = np.cumsum([0, *(len(group.members) for group in groups)])
    hypers = np.cumsum([0, *(len(h) for h in centre)])
    return ShrinkageData(
        precision=np.empty((0, 0, 0)),
        linear=np.empty((0, 0)),
        mixing=np.eye(1),
        row=of_feature,
        log_unit=np.log(sd[members] / units),
        family=np.array([CODES[type(group.family)] for group in groups], dtype=np.int64),
        parameters=np.array([_parameters(group) for group in groups]),
        first_row=rows.astype(np.int64),
        first_hyper=hypers.astype(np.int64),
        centre=np.concatenate(centre),
        width=np.eye(hypers[-1]),
        stretch=np.zeros(2),
        outer=np.empty((0, 0), dtype=np.float32),
        n_columns=int(base.coordinates.weights_contrast.shape[1]),
    )


def engine_scales(sh: ShrinkageData, h: FloatArray) -> FloatArray:
    """Scales (R,) of the shrunk rows at ``h``, on standardised features."""
    s = np.empty(len(sh.log_unit))
    hyperscales.log_scales(sh, h, s, np.empty(len(h)))
    return np.exp(s + sh.log_unit)


def conditional(base: SoftmaxPosterior, sh: ShrinkageData, scales: FloatArray) -> SoftmaxPosterior:
    """The posterior of the coefficients given the scales (R,) of the shrunk rows on standardised features."""
    first = int(base.coordinates.has_intercept)
    shrunk = first + np.flatnonzero(_rows_of_features(base, sh) >= 0)
    family, scale = base.data.family.copy(), base.data.scale.copy()
    family[shrunk] = NORMAL
    scale[shrunk] = scales[_rows_of_features(base, sh)[shrunk - first]]
    return replace(base, data=base.data._replace(family=family, scale=scale))


def whiten_conditionally(
    base: SoftmaxPosterior, groups: tuple[Group, ...], sh: ShrinkageData, theta: FloatArray, h: FloatArray
) -> HierarchicalPosterior:
    """The density in coordinates whitened given the hyperparameters, from the conditional mode ``theta`` at ``h``."""
    blocks = base.block_metric(theta) if base.dimension > DENSE_DIMENSION else None
    k_b, of_feature = base.coordinates.n_free_intercept, _rows_of_features(base, sh)
    if blocks is None:
        precision, mixing = base.metric(theta)[None], np.eye(1)
        row = free_vectors(np.full(k_b, -1), np.tile(of_feature, (sh.n_columns, 1)))
    else:
        precision, mixing = blocks.precisions.copy(), blocks.mixing
        row = np.concatenate([np.full(min(k_b, 1), -1), of_feature])
    inverse = np.where(row >= 0, engine_scales(sh, h)[row] ** -2.0, 0.0)
    diagonal = np.arange(len(row))
    precision[:, diagonal, diagonal] *= 1.0 + RIDGE
    precision[:, diagonal, diagonal] += RIDGE * inverse
    columns = np.empty(precision.shape[:2])
    factors.unmix(theta, mixing, columns)
    linear = np.einsum("eij,ej->ei", precision, columns) + inverse * columns
    sh = sh._replace(
        precision=np.ascontiguousarray(precision),
        linear=linear,
        mixing=np.ascontiguousarray(mixing),
        row=np.ascontiguousarray(row, dtype=np.int64),
        centre=h.copy(),
        stretch=np.array([0.0, float(np.log(engine_scales(sh, h)).mean())]),
    )
    return HierarchicalPosterior(base, groups, sh, _log_constant(base, groups, sh.n_columns))


def corrected(density: HierarchicalPosterior, theta: FloatArray, h: FloatArray) -> HierarchicalPosterior:
    """The same density with ``z = outer v``, which makes good at the reference what the blocks miss of the Hessian."""
    sh, base = density.shrinkage, density.base
    k, m = sh.linear.shape
    if k == 1 or base.dimension > MAX_OUTER:
        return density
    reference = replace(density, shrinkage=sh._replace(centre=h))
    origin = reference.unpack(np.zeros((1, density.dimension)))[0]
    transform = reference.unpack(np.eye(k * m, density.dimension))[0] - origin  # its rows are those of T'
    H = conditional(base, sh, engine_scales(sh, h)).metric(theta)
    factor = cholesky(transform @ H @ transform.T, lower=True)
    outer = solve_triangular(factor, np.eye(k * m), lower=True, trans="T")
    return replace(density, shrinkage=sh._replace(outer=np.ascontiguousarray(outer, dtype=np.float32)))


def stretched(
    density: HierarchicalPosterior, theta: FloatArray, scales: FloatArray, factor: float
) -> HierarchicalPosterior:
    """The same density with the stretch that explains how the coefficients' sds grow with the scales.

    ``theta`` is the conditional mode at ``scales``, which are ``factor`` times those that the density is whitened at.
    """
    sh, base = density.shrinkage, density.base
    blocks = base.block_metric(theta) if len(sh.mixing) > 1 else None
    curvature = base.metric(theta)[None] if blocks is None else blocks.precisions
    shrunk = sh.row >= 0
    inverse = np.where(shrunk, scales[sh.row] ** -2.0, 0.0)
    found = _mean_log_sd(curvature, inverse, shrunk)

    def excess(power: float) -> float:
        r = factor**power
        return math.log(r) + _mean_log_sd(sh.precision, inverse * r**2, shrunk) - found

    power = 0.0 if excess(0.0) >= 0 else 1.0 if excess(1.0) <= 0 else float(brentq(excess, 0.0, 1.0, xtol=1e-3))
    return replace(density, shrinkage=sh._replace(stretch=np.array([power, sh.stretch[1]])))


def _mean_log_sd(precision: FloatArray, inverse: FloatArray, shrunk: NDArray[np.bool_]) -> float:
    """Mean log sd of the shrunk coordinates under blocks of precision plus a diagonal."""
    try:
        covariance = np.linalg.inv(precision + np.diag(inverse))
    except np.linalg.LinAlgError as error:
        raise ImproperPosteriorError(
            "the posterior cannot be sampled: along some direction neither data nor priors say anything that double "
            "precision holds; give the coefficients proper priors, and features and offsets sizes that can be compared"
        ) from error
    return 0.5 * float(np.log(np.diagonal(covariance, axis1=1, axis2=2)[:, shrunk]).mean())


def recentred(density: HierarchicalPosterior, h: FloatArray, width: FloatArray) -> HierarchicalPosterior:
    """The same density with the hyperparameters standardised as ``h = centre + width e``."""
    return replace(density, shrinkage=density.shrinkage._replace(centre=h.copy(), width=np.ascontiguousarray(width)))


def _rows_of_features(base: SoftmaxPosterior, sh: ShrinkageData) -> IntArray:
    """Shrunk row of each feature (p,), -1 for none."""
    return sh.row[len(sh.row) - base.coordinates.n_features :]


def _parameters(group: Group) -> FloatArray:
    """Parameters of a group, in the order the kernel reads them."""
    family, out = group.family, np.zeros(hyperscales.N_PARAMETERS)
    if isinstance(family, LearnedNormal):
        prior = family.scale_prior
        out[:2] = prior.scale, 0.0 if isinstance(prior, HalfNormal) else prior.df
    else:
        out[:] = family.mean * family.precision, (1 - family.mean) * family.precision, family.concentration
    return out


def _typical(group: Group) -> FloatArray:
    """Hyperparameters near the middle of their prior, where the search for a reference starts."""
    family, p = group.family, len(group.members)
    if isinstance(family, LearnedNormal):
        return np.array([math.log(family.scale_prior.scale)])
    return np.concatenate([[math.log(family.mean / (1 - family.mean))], np.zeros(p)])


def _log_constant(base: SoftmaxPosterior, groups: Sequence[Group], n_columns: int) -> float:
    """What the kernel leaves out: normalising constants, and raw for standardised coordinates."""
    total = base.offset_term + base.log_prior_constant
    for group in groups:
        sd = base.coordinates.scale[list(group.members)]
        total += n_columns * float((np.log(sd) - 0.5 * math.log(2 * math.pi)).sum()) + _hyper_constant(group)
    return total


def _hyper_constant(group: Group) -> float:
    """Log normalising constant of the prior of a group's real hyperparameters."""
    family, p = group.family, len(group.members)
    if isinstance(family, LearnedNormal):
        prior = family.scale_prior
        return _half_t_constant(prior.scale, 0.0 if isinstance(prior, HalfNormal) else prior.df)
    a, b = family.mean * family.precision, (1 - family.mean) * family.precision
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - p * math.lgamma(family.concentration)


def _half_t_constant(scale: float, df: float) -> float:
    """Log density at zero of a half-t (df = 0: half-normal)."""
    if df == 0.0:
        return 0.5 * math.log(2 / math.pi) - math.log(scale)
    t = math.lgamma(0.5 * (df + 1)) - math.lgamma(0.5 * df) - 0.5 * math.log(df * math.pi) - math.log(scale)
    return math.log(2.0) + t
