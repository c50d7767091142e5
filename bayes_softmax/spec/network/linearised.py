r"""A network's logits as a linear function of its parameters around a point :math:`m`, such as the MAP.

.. math:: \eta(x; \theta) = f(x; m) + J(x)\,(\theta - m), \qquad J(x) = \partial f(x; \theta) / \partial\theta \,|_m

The Gauss-Newton curvature of a network is the Hessian of this model.  The predictive distribution of a Laplace
approximation with that curvature is therefore this function's, under the same draws of :math:`\theta` (Immer, Korzepa
and Bauer, *AISTATS* 2021).  ``J(x)(theta - m)`` is computed by the chain rule forwards, without the Jacobian.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.core.parameters import Parameters, Shapes, size_of, slope_by_differences
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.activations import ACTIVATIONS, Activation
from bayes_softmax.spec.network.logits import NUMBERS, SKIP, NetworkLogits, hidden_names

LINEARISED = "linearised network"
STEEPEST = 1.13  # bound of the slopes of all activations; gelu's reaches 1.129


@dataclass(frozen=True)
class LinearisedNetwork:
    """The logits of ``network``, linear in its parameters around ``point``, which holds them in their flat order.

    Examples
    --------
    >>> network = NetworkLogits(1, 2, (1,), "tanh", False, (0.0,), (1.0,))
    >>> logits = LinearisedNetwork(network, (0.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    >>> moved = {name: np.full((1, *shape), 0.5) for name, shape in logits.shapes.items()}
    >>> logits.at(Parameters(moved))(np.array([[2.0]])).ravel().tolist()
    [2.0, 0.5]
    """

    network: NetworkLogits
    point: tuple[float, ...]

    def __post_init__(self) -> None:
        """Both may come from a file, which writes a network as its data and tuples as lists."""
        if isinstance(self.network, dict):
            object.__setattr__(self, "network", NetworkLogits(**self.network))
        if not isinstance(self.network, NetworkLogits):
            raise TypeError(f"network={shown(self.network)} must be the logits of a network")
        if not isinstance(self.point, list | tuple):
            raise TypeError(f"point={shown(self.point)} must be a list of numbers")
        object.__setattr__(self, "point", tuple(self.point))
        size, point = size_of(self.network.shapes), np.asarray(self.point)
        if point.dtype != np.float64 or point.shape != (size,) or not np.isfinite(point).all():
            raise ValueError(f"point={shown(self.point)} must be {size} finite numbers")

    @property
    def kind(self) -> str:
        """``"linearised network"``."""
        return LINEARISED

    @property
    def n_classes(self) -> int:
        """K."""
        return self.network.n_classes

    @property
    def shapes(self) -> Shapes:
        """Those of the network."""
        return self.network.shapes

    @property
    def dims(self) -> Mapping[str, tuple[str, ...]]:
        """Those of the network."""
        return self.network.dims

    @property
    def is_linear(self) -> bool:
        """False: it is linear in the parameters, not in the features."""
        return False

    @property
    def compiled(self) -> None:
        """None: its draws are those of a normal distribution."""
        return

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        """The logits at the point, plus their change along each draw, for some draws at a time."""
        moves = {name: parameters[name] - value for name, value in self._point.items()}

        def logits(X: FloatArray) -> FloatArray:
            units, slopes, eta = self._forward(X)
            S, width = parameters.n_draws, len(X) * (2 * sum(self.network.hidden) + self.n_classes)
            L, step = np.empty((self.n_classes, len(X), S)), max(1, NUMBERS // max(width, 1))
            for start in range(0, S, step):
                draws = slice(start, start + step)
                some = {name: move[draws] for name, move in moves.items()}
                L[:, :, draws] = (eta + self._change(X, units, slopes, some)).transpose(2, 1, 0)
            return L

        return logits

    def bounds(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """By the largest parameters at the point, and their largest moves over the draws, layer by layer."""
        network, at = self.network, {name: np.abs(value) for name, value in self._point.items()}
        moves = {name: np.abs(parameters[name] - value).max(axis=0) for name, value in self._point.items()}
        units: FloatArray = (np.abs(X) + np.abs(network.centre)) / np.asarray(network.scale)
        moved = np.zeros_like(units)
        for layer in range(1, len(network.hidden) + 1):
            weights, bias = hidden_names(layer)
            moved = STEEPEST * (units @ moves[weights] + moves[bias] + moved @ at[weights])
            units = self._activation.bound(units @ at[weights] + at[bias])
        bounds = units @ (at[WEIGHTS] + moves[WEIGHTS]) + at[INTERCEPT] + moves[INTERCEPT] + moved @ at[WEIGHTS]
        if network.skip:
            bounds += np.abs(X) @ (at[SKIP] + moves[SKIP])
        result: FloatArray = bounds.max(axis=1)
        return result

    def covariance(self, parameters: Parameters, X: FloatArray, covariance: FloatArray) -> FloatArray:
        """By the network's Jacobian at the point."""
        return self.network.covariance(self.at_point, X, covariance)

    def pull_back(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """Back-propagation through the network at the point."""
        return self.network.pull_back(self.at_point, X, derivatives)

    def slope(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """By central differences in the features."""
        return slope_by_differences(self.at(parameters), X, change, np.asarray(self.network.scale))

    def pull_back_slope(
        self, parameters: Parameters, X: FloatArray, change: FloatArray, derivatives: FloatArray
    ) -> FloatArray:
        """That of the network at the point."""
        return self.network.pull_back_slope(self.at_point, X, change, derivatives)

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        """The chain rule forwards in PyTensor; a parameter absent from the model stays at the point."""
        from pytensor.gradient import grad

        point, network = self._point, self.network
        moves = {name: variables[name] - value for name, value in point.items() if name in variables}
        units, moved = (X - np.asarray(network.centre)) / np.asarray(network.scale), 0.0
        for layer in range(1, len(network.hidden) + 1):
            weights, bias = hidden_names(layer)
            before = units @ point[weights] + point[bias]
            along = units @ moves[weights] + moves[bias] + (moved @ point[weights] if layer > 1 else 0.0)
            units = self._activation.expression(before)
            moved = grad(units.sum(), before) * along
        logits = units @ variables[WEIGHTS] + point[INTERCEPT] + moved @ point[WEIGHTS]
        if network.skip:
            logits = logits + X @ variables.get(SKIP, point[SKIP])
        return logits + moves[INTERCEPT] if INTERCEPT in moves else logits

    def to_data(self) -> dict[str, Any]:
        """The network's data, and the point."""
        return {"network": self.network.to_data(), "point": list(self.point)}

    @property
    def at_point(self) -> Parameters:
        """The point as one draw."""
        return Parameters({name: value[None] for name, value in self._point.items()})

    @property
    def _activation(self) -> Activation:
        return ACTIVATIONS[self.network.activation]

    @cached_property
    def _point(self) -> dict[str, FloatArray]:
        """The point by name, each of the parameter's shape."""
        flat, named, start = np.array(self.point), {}, 0
        for name, shape in self.shapes.items():
            end = start + int(np.prod(shape, dtype=np.int64))
            named[name] = flat[start:end].reshape(shape)
            start = end
        return named

    def _forward(self, X: FloatArray) -> tuple[list[FloatArray], list[FloatArray], FloatArray]:
        """Inputs (n, H_l) of each layer at the point, slopes of the hidden units, and logits (n, K)."""
        network, point, slopes = self.network, self._point, []
        units = [(X - network.centre) / np.asarray(network.scale)]
        for layer in range(1, len(network.hidden) + 1):
            weights, bias = hidden_names(layer)
            before = units[-1] @ point[weights] + point[bias]
            units.append(self._activation.value(before))
            slopes.append(self._activation.slope(before))
        eta: FloatArray = units[-1] @ point[WEIGHTS] + point[INTERCEPT]
        return units, slopes, eta + X @ point[SKIP] if network.skip else eta

    def _change(
        self, X: FloatArray, units: list[FloatArray], slopes: list[FloatArray], moves: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Directional derivatives (S, n, K) of the logits along moves (S, *shape) of the parameters."""
        point, moved = self._point, np.zeros((1, *units[0].shape))  # features do not move
        for layer, slope in enumerate(slopes, 1):
            weights, bias = hidden_names(layer)
            before = units[layer - 1] @ moves[weights] + moves[bias][:, None]
            if layer > 1:
                before += moved @ point[weights]
            before *= slope
            moved = before
        change: FloatArray = units[-1] @ moves[WEIGHTS] + moves[INTERCEPT][:, None] + moved @ point[WEIGHTS]
        if self.network.skip:
            change += X @ moves[SKIP]
        return change


def network_in(logits: Logits) -> NetworkLogits | None:
    """The network of logits that are one's, linearised or not; None for others."""
    if isinstance(logits, LinearisedNetwork):
        return logits.network
    return logits if isinstance(logits, NetworkLogits) else None
