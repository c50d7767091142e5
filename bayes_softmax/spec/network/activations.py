r"""Activations of hidden units: value, slope and bound in NumPy, and the expression in PyTensor.

=============  ==========================================  ===========================================
``"tanh"``     :math:`\tanh u`                             bounded by one
``"relu"``     :math:`\max(u, 0)`
``"gelu"``     :math:`u\,\Phi(u)`                          the exact one, with the normal distribution
``"softplus"`` :math:`\log(1 + e^u)`
=============  ==========================================  ===========================================

The compiled forms are in ``density/network/activations.py``, in the same order.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from bayes_softmax.core.records import FloatArray

type Elementwise = Callable[[FloatArray], FloatArray]
NODES = 64  # of a Gauss-Hermite rule: a kink at zero leaves errors of a few tenths of a per cent


class Activation(NamedTuple):
    """``value`` and ``slope`` at pre-activations; ``bound`` of ``|value|`` given one of ``|u|``, non-decreasing."""

    value: Elementwise
    slope: Elementwise
    bound: Elementwise
    expression: Callable[[Any], Any]


def _tanh_slope(u: FloatArray) -> FloatArray:
    e = np.exp(-2.0 * np.abs(u))  # 1 - tanh(u)^2 would lose its digits where units are saturated
    slope: FloatArray = 4.0 * e / np.square(1.0 + e)
    return slope


def _relu(u: FloatArray) -> FloatArray:
    return np.maximum(u, 0.0)


def _relu_slope(u: FloatArray) -> FloatArray:
    return (u > 0).astype(np.float64)


def _gelu(u: FloatArray) -> FloatArray:
    value: FloatArray = u * ndtr(u)
    return value


def _gelu_slope(u: FloatArray) -> FloatArray:
    slope: FloatArray = ndtr(u) + u * np.exp(-0.5 * np.square(u)) / np.sqrt(2 * np.pi)
    return slope


def _softplus(u: FloatArray) -> FloatArray:
    value: FloatArray = np.maximum(u, 0.0) + np.log1p(np.exp(-np.abs(u)))
    return value


def _softplus_slope(u: FloatArray) -> FloatArray:
    slope: FloatArray = expit(u)
    return slope


def _same(u: FloatArray) -> FloatArray:
    return u


def _tanh_expression(u: Any) -> Any:
    from pytensor.tensor import tanh

    return tanh(u)


def _relu_expression(u: Any) -> Any:
    from pytensor.tensor import switch

    return switch(u > 0, u, 0.0)


def _gelu_expression(u: Any) -> Any:
    from pytensor.tensor import erfc

    return 0.5 * u * erfc(-u / np.sqrt(2.0))


def _softplus_expression(u: Any) -> Any:
    from pytensor.tensor import softplus

    return softplus(u)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(np.tanh, _tanh_slope, lambda u: np.minimum(u, 1.0), _tanh_expression),
    "relu": Activation(_relu, _relu_slope, _same, _relu_expression),
    "gelu": Activation(_gelu, _gelu_slope, _same, _gelu_expression),
    "softplus": Activation(_softplus, _softplus_slope, lambda u: u + np.log(2.0), _softplus_expression),
}


KINKED = ("relu",)  # activations without a derivative at zero


def code_of(name: str) -> int:
    """The number by which compiled code knows an activation."""
    return list(ACTIVATIONS).index(name)


def unit_rms(name: str, sd: float) -> float:
    """Root mean square of a unit whose pre-activation is normal with mean zero.

    >>> round(unit_rms("relu", 2.0), 2), round(unit_rms("tanh", 1e6), 2)
    (1.41, 1.0)
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return float(np.sqrt(weights @ np.square(ACTIVATIONS[name].value(sd * nodes)) / weights.sum()))
