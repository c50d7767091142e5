r"""The logit function of a network: :math:`\eta = b + a_L W \;(+\, x S)`, with hidden units :math:`a_L`.

.. math:: a_0 = (x - m) / s, \qquad a_l = \varphi(a_{l-1} H_l + h_l), \quad l = 1, \dots, L

``m`` and ``s`` are the centre and scale of the features in the data of the fit, and part of the function.  Weights
``S`` of the features (``skip``) are per unit of the features as given.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.checks import check_choice, check_flags, shown
from bayes_softmax.core.parameters import Parameters, Shapes, pull_back_slope_by_differences, size_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.activations import ACTIVATIONS, Activation
from bayes_softmax.spec.network.last_layer import logits_of_parts, slope_of_parts
from bayes_softmax.spec.network.passes import SKIP, Passes, hidden_names, summed_gradients

__all__ = ["NETWORK", "SKIP", "NetworkLogits", "hidden_names"]

NETWORK = "network"
NUMBERS = 2**21  # that exist at a time beside arguments and results


@dataclass(frozen=True)
class NetworkLogits:
    """A network's logits; the intercept of a model without one is zero.

    Examples
    --------
    >>> logits = NetworkLogits(2, 3, (4,), "tanh", False, (0.0, 0.0), (1.0, 1.0))
    >>> {name: shape for name, shape in logits.shapes.items()}
    {'hidden_1': (2, 4), 'hidden_1_bias': (4,), 'intercept': (3,), 'weights': (4, 3)}
    >>> zero = Parameters({name: np.zeros((5, *shape)) for name, shape in logits.shapes.items()})
    >>> logits.at(zero)(np.ones((7, 2))).shape
    (3, 7, 5)
    """

    n_features: int
    n_classes: int
    hidden: tuple[int, ...]
    activation: str
    skip: bool
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        """All may come from a file, which writes tuples as lists."""
        for name in ("hidden", "centre", "scale"):
            if not isinstance(getattr(self, name), list | tuple):
                raise TypeError(f"{name}={shown(getattr(self, name))} must be a list of numbers")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        sizes = {"n_features": self.n_features, "n_classes": self.n_classes}
        for name, size in sizes.items() | {("hidden", size) for size in self.hidden}:
            if type(size) is not int or size < int(name == "hidden"):
                raise ValueError(f"{name}={shown(getattr(self, name))} must be whole numbers, none negative")
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_flags(skip=self.skip)
        if not self.hidden:
            raise ValueError("hidden=() is a linear function: its logits are LinearLogits")
        for name in ("centre", "scale"):
            numbers = getattr(self, name)
            finite = all(isinstance(number, float) and np.isfinite(number) for number in numbers)
            if len(numbers) != self.n_features or not finite or (name == "scale" and min(numbers, default=1.0) <= 0):
                raise ValueError(f"{name}={shown(numbers)} must be {self.n_features} finite numbers, scales positive")

    @property
    def kind(self) -> str:
        """``"network"``."""
        return NETWORK

    @property
    def shapes(self) -> Shapes:
        """Weights and biases of each hidden layer, then intercept (K,), weights (H_L, K) and skip weights (p, K)."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (fan_in, units) in enumerate(zip((self.n_features, *self.hidden), self.hidden, strict=False), 1):
            weights, bias = hidden_names(layer)
            shapes |= {weights: (fan_in, units), bias: (units,)}
        shapes |= {INTERCEPT: (self.n_classes,), WEIGHTS: (self.hidden[-1], self.n_classes)}
        return shapes | ({SKIP: (self.n_features, self.n_classes)} if self.skip else {})

    @property
    def dims(self) -> Mapping[str, tuple[str, ...]]:
        """Features, units of each layer, and categories."""
        dims: dict[str, tuple[str, ...]] = {}
        inputs = "feature"
        for layer in range(1, len(self.hidden) + 1):
            weights, bias = hidden_names(layer)
            dims |= {weights: (inputs, f"unit_{layer}"), bias: (f"unit_{layer}",)}
            inputs = f"unit_{layer}"
        dims |= {INTERCEPT: ("category",), WEIGHTS: (inputs, "category")}
        return dims | ({SKIP: ("feature", "category")} if self.skip else {})

    @property
    def is_linear(self) -> bool:
        """False."""
        return False

    @property
    def compiled(self) -> str:
        """``"network"``."""
        return NETWORK

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        """The forward pass, for some draws at a time; through hidden layers that are held, once for all draws."""
        if self.holds_hidden(parameters):
            return logits_of_parts(parameters, self._skip, self.inputs)

        def logits(X: FloatArray) -> FloatArray:
            L = np.empty((self.n_classes, len(X), parameters.n_draws))
            for draws, some in self._stacks(parameters, len(X)):
                eta = self._passes.units(some, X) @ some[WEIGHTS]
                eta += some[INTERCEPT][:, None]
                if self.skip:
                    eta += X @ some[SKIP]
                L[:, :, draws] = eta.transpose(2, 1, 0)
            return L

        return logits

    def inputs(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """Inputs (n, H_L) of the last layer, in the first draw: its units, and with skip the features."""
        units = self._passes.units(self._first(parameters), X)[0]
        return np.concatenate([units, X], axis=1) if self.skip else units

    def bounds(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """By the largest parameters over the draws, layer by layer."""
        arrays = {**parameters.arrays, **parameters.held}
        largest = {name: np.maximum(a.max(axis=0), -a.min(axis=0)) for name, a in arrays.items()}
        units = (np.abs(X) + np.abs(self.centre)) / np.asarray(self.scale)
        for layer in range(1, len(self.hidden) + 1):
            weights, bias = hidden_names(layer)
            units = self._activation.bound(units @ largest[weights] + largest[bias])
        bounds = units @ largest[WEIGHTS] + largest[INTERCEPT]
        if self.skip:
            bounds += np.abs(X) @ largest[SKIP]
        result: FloatArray = bounds.max(axis=1)
        return result

    def covariance(self, parameters: Parameters, X: FloatArray, covariance: FloatArray) -> FloatArray:
        """``J V J'`` with the Jacobian of some rows at a time."""
        K, d = self.n_classes, size_of(self.shapes)
        result, eye, step = np.empty((len(X), K, K)), np.eye(K), max(1, NUMBERS // (K * d))
        for start in range(0, len(X), step):
            rows = X[start : start + step]
            J = self._by_row(parameters, rows, np.broadcast_to(eye, (len(rows), K, K)))  # (n, K, d)
            VJ = (J.reshape(-1, d) @ covariance).reshape(J.shape)
            result[start : start + step] = VJ @ J.transpose(0, 2, 1)
        return result

    def pull_back(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """Back-propagation of all sums together, some rows at a time."""
        n, m, _ = derivatives.shape
        total, step = np.zeros((m, size_of(self.shapes))), max(1, NUMBERS // max(m * max(self.hidden), 1))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            layers = self._back(parameters, X[rows], derivatives[rows])
            total += np.concatenate(
                [_summed(inputs, deltas).reshape(m, -1) for inputs, deltas in (layers[name] for name in self.shapes)],
                axis=1,
            )
        return total

    def slope(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """The chain rule forwards, for some draws at a time; through hidden layers that are held, once for all."""
        if self.holds_hidden(parameters):
            return slope_of_parts(parameters, self._skip, lambda some: self._changed(some, X, change))
        slope = np.empty((self.n_classes, len(X), parameters.n_draws))
        for draws, some in self._stacks(parameters, len(X)):
            moved = self._moved(some, X, change) @ some[WEIGHTS]
            if self.skip:
                moved = moved + change @ some[SKIP]
            slope[:, :, draws] = moved.transpose(2, 1, 0)
        return slope

    def pull_back_slope(
        self, parameters: Parameters, X: FloatArray, change: FloatArray, derivatives: FloatArray
    ) -> FloatArray:
        """By central differences in the features."""

        def pull_back(X: FloatArray, derivatives: FloatArray) -> FloatArray:
            return self.pull_back(parameters, X, derivatives)

        return pull_back_slope_by_differences(pull_back, X, change, derivatives, np.asarray(self.scale))

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        """The forward pass in PyTensor."""
        units = (X - np.asarray(self.centre)) / np.asarray(self.scale)
        for layer in range(1, len(self.hidden) + 1):
            weights, bias = hidden_names(layer)
            units = self._activation.expression(units @ variables[weights] + variables[bias])
        logits = units @ variables[WEIGHTS]
        if self.skip and SKIP in variables:
            logits = logits + X @ variables[SKIP]
        return logits + variables[INTERCEPT] if INTERCEPT in variables else logits

    def to_data(self) -> dict[str, Any]:
        """Sizes, activation and standardisation."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def _activation(self) -> Activation:
        return ACTIVATIONS[self.activation]

    @property
    def hidden_parameters(self) -> tuple[str, ...]:
        """Names of the weights and biases of hidden layers."""
        return tuple(name for layer in range(1, len(self.hidden) + 1) for name in hidden_names(layer))

    @property
    def _skip(self) -> str | None:
        return SKIP if self.skip else None

    def holds_hidden(self, parameters: Parameters) -> bool:
        """Whether the hidden layers are the same in many draws."""
        return all(name in parameters.held for name in self.hidden_parameters)

    def _first(self, parameters: Parameters) -> Parameters:
        """The hidden layers of the first draw."""
        return Parameters({name: parameters[name][:1] for name in self.hidden_parameters})

    def _moved(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """Slopes (1 or S, n, H_L) of the last hidden units."""
        moved: FloatArray = change / np.asarray(self.scale)
        for layer, slope_at in enumerate(self._passes.slopes(parameters, X), 1):
            moved = slope_at * (moved @ parameters[hidden_names(layer)[0]])
        return moved

    def _changed(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """Slopes (n, H_L) of the inputs of the last layer, in the first draw."""
        moved = self._moved(self._first(parameters), X, change)[0]
        return np.concatenate([moved, np.broadcast_to(change, X.shape)], axis=1) if self.skip else moved

    def _stacks(self, parameters: Parameters, n_rows: int) -> Iterator[tuple[slice, Parameters]]:
        """Some draws at a time: as many as bounded memory allows for these rows."""
        width = n_rows * (2 * sum(self.hidden) + self.n_classes)
        step = max(1, NUMBERS // max(width, 1))
        for start in range(0, parameters.n_draws, step):
            draws = slice(start, start + step)
            yield draws, Parameters({name: values[draws] for name, values in parameters.arrays.items()})

    def sum_of_gradients(
        self, parameters: Parameters, X: FloatArray, probabilities: FloatArray, weights: FloatArray
    ) -> FloatArray:
        """Sums over rows of the gradients of the class probabilities (K, n, S) in the features: (p, K, S).

        Rows have ``weights`` (n,).  The slopes in all features cost little more than the slope in one.
        """
        total = np.empty((self.n_features, self.n_classes, parameters.n_draws))
        for draws, some in self._stacks(parameters, len(X)):
            P = np.ascontiguousarray(probabilities[:, :, draws].transpose(2, 1, 0))
            total[:, :, draws] = summed_gradients(self._passes, some, X, P, weights).transpose(1, 2, 0)
        return total

    @property
    def _passes(self) -> Passes:
        return Passes(self.hidden, self._activation, np.asarray(self.centre), np.asarray(self.scale))

    def _back(
        self, parameters: Parameters, X: FloatArray, derivatives: FloatArray
    ) -> dict[str, tuple[FloatArray | None, FloatArray]]:
        """For each parameter the inputs (n, a), None for a bias, and the derivatives (n, m, b) in its outputs."""
        found = self._passes.back(parameters, X, derivatives)
        return found | {SKIP: (X, derivatives)}

    def _by_row(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """Derivatives (n, m, d) of m sums of each row."""
        layers, (n, m, _) = self._back(parameters, X, derivatives), derivatives.shape
        parts = []
        for name in self.shapes:
            inputs, deltas = layers[name]
            outer = deltas if inputs is None else inputs[:, None, :, None] * deltas[:, :, None, :]
            parts.append(outer.reshape(n, m, -1))
        return np.concatenate(parts, axis=2)


def _summed(inputs: FloatArray | None, deltas: FloatArray) -> FloatArray:
    """``sum_n a_n delta_n'`` for inputs (n, a) and derivatives (n, m, b), as (m, a, b); (m, b) for a bias."""
    if inputs is None:
        total: FloatArray = deltas.sum(axis=0)
        return total
    n, m, b = deltas.shape
    product: FloatArray = (inputs.T @ deltas.reshape(n, m * b)).reshape(inputs.shape[1], m, b)
    return product.transpose(1, 0, 2)
