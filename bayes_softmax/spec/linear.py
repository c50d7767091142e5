r"""The linear logit function, :math:`\eta = b + xW`: intercept ``b`` (K,) and weights ``W`` (p, K)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.checks import listed, shown
from bayes_softmax.core.parameters import Parameters, Shapes
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray

LINEAR, INTERCEPT, WEIGHTS = "linear", "intercept", "weights"
GROUPS = "groups"
WITH_WEIGHTS = (LINEAR, GROUPS)  # kinds with an intercept and a weight for each feature and class
COVARIANCE_NUMBERS = 2**21  # that exist at a time while covariances of logits are computed


@dataclass(frozen=True)
class LinearLogits:
    """A linear function of the features; the intercept of a model without one is zero.

    Examples
    --------
    >>> logits = LinearLogits(n_features=1, n_classes=2)
    >>> estimate = Parameters({"intercept": np.array([[1.0, 0.0]]), "weights": np.array([[[2.0, 0.0]]])})
    >>> logits.at(estimate)(np.array([[3.0]]))[:, 0, 0].tolist()
    [7.0, 0.0]
    """

    n_features: int
    n_classes: int

    def __post_init__(self) -> None:
        """Sizes may come from a file: 7.0 is none."""
        for name, size in asdict(self).items():
            if type(size) is not int or size < 0:
                raise ValueError(f"{name}={shown(size)} must be a whole number, zero or more")

    @property
    def kind(self) -> str:
        """``"linear"``."""
        return LINEAR

    @property
    def shapes(self) -> Shapes:
        """Intercept (K,) and weights (p, K)."""
        return {INTERCEPT: (self.n_classes,), WEIGHTS: (self.n_features, self.n_classes)}

    @property
    def dims(self) -> Mapping[str, tuple[str, ...]]:
        """Categories, and features."""
        return {INTERCEPT: ("category",), WEIGHTS: ("feature", "category")}

    @property
    def is_linear(self) -> bool:
        """True."""
        return True

    @property
    def compiled(self) -> str:
        """``"linear"``."""
        return LINEAR

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        """``b + xW`` for all draws."""
        weights = np.ascontiguousarray(parameters[WEIGHTS].transpose(2, 1, 0))  # (K, p, S)
        intercept = parameters[INTERCEPT].T[:, None, :]

        def logits(X: FloatArray) -> FloatArray:
            L: FloatArray = np.matmul(X, weights)
            L += intercept
            return L

        return logits

    def bounds(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """By the largest coefficient over the draws, without a copy of the draws."""
        weights, intercept = parameters[WEIGHTS], parameters[INTERCEPT]
        largest = np.maximum(weights.max(axis=0), -weights.min(axis=0))  # (p, K)
        bounds: FloatArray = (np.abs(X) @ largest).max(axis=1) + np.abs(intercept).max()
        return bounds

    def covariance(self, parameters: Parameters, X: FloatArray, covariance: FloatArray) -> FloatArray:
        """``x V x'`` with a constant before the features."""
        X1 = np.column_stack([np.ones(len(X)), X])
        (n, q), K = X1.shape, self.n_classes
        V = covariance.reshape(q, K, q, K).transpose(0, 2, 1, 3).reshape(q * q, K * K)
        result, step = np.empty((n, K, K)), max(1, COVARIANCE_NUMBERS // (q * q))
        for start in range(0, n, step):
            rows = X1[start : start + step]
            squares = (rows[:, :, None] * rows[:, None, :]).reshape(-1, q * q)
            result[start : start + step] = (squares @ V).reshape(-1, K, K)  # einsum would not use BLAS
        return result

    def pull_back(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """``sum_n x_n B_n`` with a constant before the features."""
        intercept, weights = derivatives.sum(axis=0)[:, None], _weighted(X, derivatives)
        return np.concatenate([intercept, weights], axis=1).reshape(len(weights), -1)

    def slope(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """``change W``, for the features that change."""
        used = np.flatnonzero(change.any(axis=0))
        weights = np.ascontiguousarray(parameters[WEIGHTS][:, used].transpose(2, 1, 0))
        slope: FloatArray = np.matmul(change[:, used], weights)
        return slope

    def pull_back_slope(
        self, parameters: Parameters, X: FloatArray, change: FloatArray, derivatives: FloatArray
    ) -> FloatArray:
        """``sum_n change_n B_n``: the intercept moves no slope."""
        if len(change) == 1:  # the same in all rows
            weights = change[0][:, None] * derivatives.sum(axis=0)[:, None, :]
        else:
            weights = _weighted(change, derivatives)
        intercept = np.zeros((len(weights), 1, self.n_classes))
        return np.concatenate([intercept, weights], axis=1).reshape(len(weights), -1)

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        """``X @ weights + intercept``, or one of these."""
        if WEIGHTS in variables:
            logits = X @ variables[WEIGHTS]
        else:
            from pytensor.tensor import zeros  # noqa: PLC0415 (heavy)

            logits = zeros((X.shape[0], self.n_classes))
        return logits + variables[INTERCEPT] if INTERCEPT in variables else logits

    def to_data(self) -> dict[str, Any]:
        """Its sizes."""
        return asdict(self)


def _weighted(X: FloatArray, B: FloatArray) -> FloatArray:
    """``sum_n x_n B_n`` for ``X`` (n, p) and ``B`` (n, m, K), as (m, p, K)."""
    n, m, K = B.shape
    product: FloatArray = (X.T @ B.reshape(n, m * K)).reshape(X.shape[1], m, K)
    return product.transpose(1, 0, 2)


def require_linear(logits: Logits, what: str) -> None:
    """Raise where a question is about coefficients of features, which some logits do not have."""
    if logits.kind not in WITH_WEIGHTS:
        raise ValueError(
            f"{what}: that is a question about coefficients, and the logits of this fit are not linear but of kind "
            f"{logits.kind!r}, with the parameters {listed(logits.shapes)}; effects(), contrast() and predict_proba() "
            "answer for any logits"
        )
