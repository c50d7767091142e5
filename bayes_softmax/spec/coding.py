r"""Codings (identification) and the coordinates of the model.

Softmax does not change when a constant is added to all logits, so ``K`` columns of weights are one too many.
Free coordinates :math:`\Gamma` are mapped to ``K`` columns by a contrast matrix, :math:`W = \Gamma C'`:

=============  ==================  =============================================
coding         C                   free columns
=============  ==================  =============================================
``zero-sum``   (K, K-1), C'C = I   ``K - 1``: rows of W sum to zero
``reference``  (K, K-1), [0; I]    ``K - 1``: the first class is fixed at zero
``full``       (K, K), I           ``K``: needs a proper prior
=============  ==================  =============================================

Three coordinate systems are used, all linked by constant linear maps:

* *free*: ``theta`` (d,), column by column of :math:`\Gamma`, each column's intercept before its ``p`` weights, on
  standardised features.  Column c starts at ``c p + min(c, k_b)`` and has an intercept where ``c < k_b``: all of the
  ``k_w`` columns or none, so that ``theta.reshape(k, m)`` is a matrix, or all but the last (``full`` with a flat
  intercept);
* *engine*: ``V`` (K, q), class-major, on standardised features, column 0 the intercept at the feature means;
* *raw*: ``intercept`` (K,) at x = 0 and ``weights`` (p, K) per unit of the features as given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.linalg import helmert

from bayes_softmax.core.checks import check_choice
from bayes_softmax.core.records import AnyArray, FloatArray
from bayes_softmax.data.options import CODINGS
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS


@cache
def zero_sum_contrast(n_classes: int) -> FloatArray:
    """Orthonormal basis (K, K-1) of the vectors that sum to zero (normalised Helmert contrasts).

    Examples
    --------
    >>> C = zero_sum_contrast(3)
    >>> bool(abs(C.T @ C - np.eye(2)).max() < 1e-15 and abs(C.sum(0)).max() < 1e-15)
    True
    """
    contrast: FloatArray = 0.0 - helmert(n_classes).T  # each class minus the average of those before it
    return contrast


def contrast_matrix(coding: str, n_classes: int) -> FloatArray:
    """Matrix ``C`` (K, k) of a coding, ``W = Gamma C'``."""
    builders: dict[str, Callable[[int], FloatArray]] = {
        "zero-sum": zero_sum_contrast,
        "reference": lambda n: np.eye(n)[:, 1:],
        "full": lambda n: np.eye(n),
    }
    check_choice("coding", coding, CODINGS)
    return np.array(builders[coding](n_classes), order="C")  # a copy of the cached matrix


@dataclass(frozen=True)
class Coordinates:
    """The linear maps between free, engine and raw coordinates.

    Parameters
    ----------
    intercept_contrast
        (K, k_b); k_b = 0 for a model without an intercept.
    weights_contrast
        (K, k_w); the same as the intercept's where ``k_b = k_w``.
    centre, scale
        (p,) mean (zero where nothing is centred) and standard deviation of the features.
    """

    intercept_contrast: FloatArray
    weights_contrast: FloatArray
    centre: FloatArray
    scale: FloatArray

    @property
    def n_classes(self) -> int:
        """K."""
        return int(self.weights_contrast.shape[0])

    @property
    def n_features(self) -> int:
        """p, without the intercept."""
        return int(self.scale.shape[0])

    @property
    def n_free_intercept(self) -> int:
        """k_b."""
        return int(self.intercept_contrast.shape[1])

    @property
    def has_intercept(self) -> bool:
        """Whether the first engine column is an intercept."""
        return self.n_free_intercept > 0

    @property
    def n_columns(self) -> int:
        """q = p + 1 with an intercept, p without."""
        return self.n_features + int(self.has_intercept)

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.n_free_intercept + int(self.weights_contrast.shape[1]) * self.n_features

    @property
    def is_matrix(self) -> bool:
        """Whether a free vector is a matrix (k, m): all its columns have an intercept, or none has."""
        return self.n_free_intercept in (0, self.weights_contrast.shape[1])

    def split(self, vectors: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Intercepts (..., k_b) and weights (..., k_w, p) of free vectors (..., d).

        Views where the vectors are matrices (:attr:`is_matrix`), else the weights are a copy.
        """
        k_b, k_w, p, shape = self.n_free_intercept, self.weights_contrast.shape[1], self.n_features, vectors.shape[:-1]
        if not k_b:
            return vectors[..., :0], vectors.reshape(*shape, k_w, p)
        columns = vectors[..., : k_b * (p + 1)].reshape(*shape, k_b, p + 1)
        intercept, weights = columns[..., 0], columns[..., 1:]
        if self.is_matrix:
            return intercept, weights
        return intercept, np.concatenate([weights, vectors[..., None, k_b * (p + 1) :]], axis=-2)

    def to_engine(self, thetas: FloatArray) -> FloatArray:
        """Engine coefficients (S, K, q) of free vectors (S, d)."""
        if self.is_matrix:
            columns = thetas.reshape(len(thetas), self.weights_contrast.shape[1], self.n_columns)
            whole: FloatArray = self.weights_contrast @ columns
            return whole
        intercept, weights = self.split(thetas)
        at_means = intercept @ self.intercept_contrast.T
        return np.concatenate([at_means[:, :, None], self.weights_contrast @ weights], axis=2)

    def pull_back(self, gradient: FloatArray) -> FloatArray:
        """Free gradient (d, ...) of a gradient (K, q, ...) in engine coefficients."""
        K, q, *rest = gradient.shape
        columns = (self.weights_contrast.T @ gradient.reshape(K, -1)).reshape(-1, *rest)
        if self.is_matrix:
            return columns
        k_b = self.n_free_intercept
        columns[: k_b * q : q] = (self.intercept_contrast.T @ gradient[:, 0].reshape(K, -1)).reshape(k_b, *rest)
        return np.delete(columns, k_b * q, axis=0)

    def pull_back_matrix(self, hessian: FloatArray) -> FloatArray:
        """Free Hessian (d, d) of a symmetric Hessian (K, q, K, q) in engine coefficients."""
        half = self.pull_back(hessian)
        if self.is_matrix:  # without a copy of its transpose
            full = (self.weights_contrast.T @ half).reshape(self.dimension, self.dimension)
        else:
            full = self.pull_back(np.moveaxis(half, 0, -1))
        return 0.5 * (full + full.T)

    def to_raw(self, thetas: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Raw intercept (S, K) and weights (S, p, K) of free vectors (S, d)."""
        engine = self.to_engine(thetas)
        weights = engine[:, :, int(self.has_intercept) :] / self.scale
        if not self.has_intercept:
            return np.zeros(weights.shape[:2]), np.ascontiguousarray(weights.transpose(0, 2, 1))
        intercept = engine[:, :, 0] - weights @ self.centre
        if self.n_free_intercept < self.weights_contrast.shape[1]:
            intercept = intercept @ self._intercept_projection
        return intercept, np.ascontiguousarray(weights.transpose(0, 2, 1))

    def to_parameters(self, thetas: FloatArray) -> dict[str, FloatArray]:
        """The same by the names that linear logits give them."""
        return dict(zip((INTERCEPT, WEIGHTS), self.to_raw(thetas), strict=True))

    @cached_property
    def _intercept_projection(self) -> FloatArray:
        """Projection of the raw intercept onto the columns of its coding.

        It is needed only where the weights have ``K`` free columns and the intercept ``K-1``: there the shift ``-m'W``
        has a common part that softmax ignores.
        """
        return self.intercept_contrast @ np.linalg.pinv(self.intercept_contrast)

    def from_raw(self, intercept: FloatArray, weights: FloatArray) -> FloatArray:
        """Free vector (d,) of a raw intercept (K,) and weights (p, K) that lie in the coding."""
        engine_weights = (weights * self.scale[:, None]).T
        centred = intercept + self.centre @ weights
        return free_vectors(
            np.linalg.pinv(self.intercept_contrast) @ centred, np.linalg.pinv(self.weights_contrast) @ engine_weights
        )

    @property
    def log_jacobian(self) -> float:
        """Log determinant of the map from free to raw free coordinates: a density's log integral changes by it."""
        return -int(self.weights_contrast.shape[1]) * float(np.log(self.scale).sum())

    @cached_property
    def raw_map(self) -> FloatArray:
        """Matrix ``R`` ((p + 1) K, d): raw coefficients ``[intercept; weights]`` row by row as ``R theta``."""
        intercept, weights = self.to_raw(np.eye(self.dimension))
        stacked = np.concatenate([intercept[:, None, :], weights], axis=1)
        return stacked.reshape(self.dimension, -1).T.copy()


def build_coordinates(
    coding: str,
    n_classes: int,
    centre: FloatArray,
    scale: FloatArray,
    *,
    has_intercept: bool,
    flat_intercept: bool,
) -> Coordinates:
    """Coordinates of a model; a flat intercept stays zero-sum under full coding, where it is not identified."""
    weights_contrast = contrast_matrix(coding, n_classes)
    intercept_coding = "zero-sum" if coding == "full" and flat_intercept else coding
    intercept_contrast = contrast_matrix(intercept_coding, n_classes)
    if not has_intercept:
        intercept_contrast = np.zeros((n_classes, 0))
    return Coordinates(intercept_contrast, weights_contrast, centre, scale)


def free_vectors(intercept: AnyArray, weights: AnyArray) -> AnyArray:
    """Free vectors (..., d) of intercepts (..., k_b) and weights (..., k_w, p): the inverse of ``split``."""
    k_b, (k_w, p) = intercept.shape[-1], weights.shape[-2:]
    shape = weights.shape[:-2]
    if not k_b:
        return weights.reshape(*shape, k_w * p)
    columns = np.concatenate([intercept[..., None], weights[..., :k_b, :]], axis=-1).reshape(*shape, k_b * (p + 1))
    if k_b == k_w:
        return columns
    return np.concatenate([columns, weights[..., k_b:, :].reshape(*shape, (k_w - k_b) * p)], axis=-1)
