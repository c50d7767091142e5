"""The covariance of the effects of a grouping's levels: its form, its priors, and its hyperparameters as numbers.

Hyperparameters ``h`` are the logarithms of the standard deviations, then the inverse hyperbolic tangents of partial
correlations, from which the Cholesky factor of the correlations is made row by row (Lewandowski, Kurowicka and Joe,
*Journal of Multivariate Analysis* 100, 2009).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.groups.grouping import Grouping
from bayes_softmax.spec.groups.arguments import GroupNormal
from bayes_softmax.spec.scales.hyperpriors import HalfNormal, ScalePrior


@dataclass(frozen=True, eq=False)
class GroupEffects:
    """The effects of one grouping, with their prior.

    Attributes
    ----------
    grouping
        Levels and terms.
    prior
        As it was given.
    scales
        Prior of the standard deviation of each term's effects, q of them.
    coding, contrast
        Coding of the model, and its contrasts (K, k): the free coordinates of a level are (q, k), term by term.
    """

    grouping: Grouping
    prior: GroupNormal
    scales: tuple[ScalePrior, ...]
    coding: str
    contrast: FloatArray

    @property
    def name(self) -> str:
        """Name of the grouping, and of the effects."""
        return self.grouping.name

    @property
    def covariance_name(self) -> str:
        """Name of the effects' covariance."""
        return covariance_name(self.name)

    @property
    def n_terms(self) -> int:
        """q."""
        return len(self.grouping.terms)

    @property
    def n_free(self) -> int:
        """Free coordinates of a level, m = q k."""
        return self.n_terms * int(self.contrast.shape[1])

    @property
    def n_columns(self) -> int:
        """Columns of each term with a standard deviation of their own: K, under reference coding K - 1."""
        return int(self.contrast.shape[self.coding == "reference"])

    @cached_property
    def mapping(self) -> FloatArray:
        """``M`` (n, m): free coordinates are ``M'`` times the n = q n_columns columns."""
        own = self.contrast if self.coding == "zero-sum" else np.eye(self.n_columns)
        return np.ascontiguousarray(np.kron(np.eye(self.n_terms), own))

    @cached_property
    def sd_of_column(self) -> IntArray:
        """Place (n,) of the standard deviation of each column."""
        n = self.n_terms * self.n_columns
        return np.arange(n) // (self.n_columns if self.prior.covariance == "exchangeable" else 1)

    @property
    def n_sds(self) -> int:
        """Number of standard deviations."""
        return int(self.sd_of_column[-1]) + 1

    @cached_property
    def block_of_column(self) -> IntArray:
        """Block (n,) of each column: only columns of one block are correlated."""
        n = self.n_terms * self.n_columns
        if self.prior.covariance != "unstructured":
            return np.arange(n)
        return np.zeros(n, dtype=np.int64) if self.grouping.coupled else np.arange(n) // self.n_columns

    @cached_property
    def pair(self) -> IntArray:
        """(n, n) for j < i the place of a partial correlation among all of them, -1 where it is zero."""
        block = self.block_of_column
        correlated = (block[:, None] == block) & np.tri(len(block), k=-1, dtype=bool)
        pair = np.full(correlated.shape, -1, dtype=np.int64)
        pair[correlated] = np.arange(int(correlated.sum()))
        return pair

    @cached_property
    def power(self) -> FloatArray:
        """Exponent (n,) of each diagonal entry of the Cholesky factor in the LKJ density."""
        power, block = np.zeros(len(self.block_of_column)), self.block_of_column
        for b in np.unique(block):
            members = np.flatnonzero(block == b)
            size, within = len(members), np.arange(len(members))
            power[members] = np.where(within > 0, size - 1 - within + 2.0 * (self.prior.correlation.eta - 1.0), 0.0)
        return power

    @property
    def n_correlations(self) -> int:
        """Number of partial correlations."""
        return int(self.pair.max(initial=-1)) + 1

    @property
    def n_hyper(self) -> int:
        """Number of hyperparameters."""
        return self.n_sds + self.n_correlations

    @property
    def dimension(self) -> int:
        """Coordinates of the effects of all levels, and of the hyperparameters."""
        return self.grouping.n_levels * self.n_free + self.n_hyper

    @property
    def scale_of_sd(self) -> tuple[ScalePrior, ...]:
        """Prior of each standard deviation."""
        each = self.n_sds // self.n_terms
        return tuple(prior for prior in self.scales for _ in range(each))

    def numbers(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Family, second parameter and scale (n_sds,) of the standard deviations' priors: 0 half-normal, 1 half-t."""
        priors = self.scale_of_sd
        family = np.array([0 if isinstance(p, HalfNormal) else 1 for p in priors], dtype=np.int64)
        df = np.array([1.0 if isinstance(p, HalfNormal) else p.df for p in priors])
        return family, df, np.array([p.scale for p in priors], dtype=np.float64)

    def sds(self, h: FloatArray) -> FloatArray:
        """Standard deviations (..., n_sds) of hyperparameters (..., H)."""
        sds: FloatArray = np.exp(h[..., : self.n_sds])
        return sds

    def correlation_factor(self, h: FloatArray) -> FloatArray:
        """Cholesky factor (..., n, n) of the correlations of hyperparameters (..., H)."""
        n, partial = len(self.pair), np.tanh(h[..., self.n_sds :])
        factor = np.zeros((*h.shape[:-1], n, n))
        for i in range(n):
            left = np.ones(h.shape[:-1])
            for j in np.flatnonzero(self.pair[i] >= 0):
                c = partial[..., self.pair[i, j]]
                factor[..., i, j] = c * np.sqrt(left)
                left = left * (1.0 - c * c)
            factor[..., i, i] = np.sqrt(left)
        return factor

    def free_root(self, h: FloatArray) -> FloatArray:
        """Root (..., m, n) of the covariance of the free coordinates, ``M' D`` times the factor of the correlations."""
        sds = self.sds(h)[..., self.sd_of_column]
        root: FloatArray = self.mapping.T @ (sds[..., None] * self.correlation_factor(h))
        return root

    def free_covariance(self, h: FloatArray) -> FloatArray:
        """Covariance (..., m, m) of the free coordinates."""
        root = self.free_root(h)
        covariance: FloatArray = root @ np.swapaxes(root, -1, -2)
        return covariance

    def effects(self, free: FloatArray) -> FloatArray:
        """Effects (..., q, K) of free coordinates (..., m); with full coding, less their mean over the classes."""
        shaped = free.reshape(*free.shape[:-1], self.n_terms, -1)
        effects: FloatArray = shaped @ self.to_classes.T
        return effects

    def covariance(self, h: FloatArray) -> FloatArray:
        """Covariance (..., q, K, q, K) of the effects."""
        q, k = self.n_terms, self.to_classes.shape[1]
        free = self.free_covariance(h).reshape(*h.shape[:-1], q, k, q, k)
        covariance: FloatArray = np.einsum("ca,...sate,de->...sctd", self.to_classes, free, self.to_classes)
        return covariance

    @property
    def to_classes(self) -> FloatArray:
        """(K, k) maps the free coordinates of a term to its effects."""
        if self.coding != "full":
            return self.contrast
        K = len(self.contrast)
        return np.eye(K) - 1.0 / K


def covariance_name(name: str) -> str:
    """Name of the covariance of a grouping's effects."""
    return f"{name}_covariance"
