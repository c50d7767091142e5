r"""The joint posterior of a network's weights and of the scales of its layers' priors, in non-centred coordinates.

A coordinate of ``u = [z, h]`` is a weight over its layer's scale, or a log scale: :math:`\theta_i = e^{h_l} z_i` with
:math:`z_i \sim N(0, u_i^2)`, so that

.. math:: \log p(z, h \mid y) = \log p(y \mid \theta) + \sum_i \log N(z_i; 0, u_i^2) + \log p(h) + \text{const}.

Most weights of a wide layer are determined by their prior: given ``z`` the data then say as much about a scale as they
ever do, whereas given the weights it would be fixed to one part in the root of their number (Papaspiliopoulos, Roberts
and Sköld, *Statistical Science* 22, 2007).  Coordinates with fixed priors are the weights themselves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import carray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray, NativeDensity
from bayes_softmax.data.design import Design
from bayes_softmax.density.callbacks import compiled_logp
from bayes_softmax.density.callbacks import native_addresses as linear_addresses
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.native import Field, checked_addresses
from bayes_softmax.density.network import callbacks
from bayes_softmax.density.network.kernel import log_posterior_gradient
from bayes_softmax.density.network.posterior import NetworkPosterior, build_network_posterior
from bayes_softmax.density.network.rescaled import layers_of, prior_precisions
from bayes_softmax.density.scales.hyperpriors import log_half_t
from bayes_softmax.density.simd import pointer
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.linear import WEIGHTS
from bayes_softmax.spec.network.hidden import NetworkCoordinates
from bayes_softmax.spec.network.learned import LearnedLayer
from bayes_softmax.spec.network.logits import SKIP, hidden_names
from bayes_softmax.spec.priors import PriorTable, repeated


class LearnedData(NamedTuple):
    """The priors whose scales are learned, as compiled code reads them.

    ``scale_of`` (d,) is the number of each coordinate's scale, -1 where none is learned; ``precision`` (d,) its inverse
    prior variance at a scale of one, else zero; ``hyper`` (R, 2) scale and degrees of freedom (0: infinite) of the
    half-t prior of each scale.
    """

    scale_of: IntArray
    precision: FloatArray
    hyper: FloatArray


FIELDS = (
    Field("scale_of", np.int64, ("d",)),
    Field("precision", np.float64, ("d",)),
    Field("hyper", np.float64, ("R", 2)),
)


@nb.njit(**nb.OPTIONS | KEPT)
def log_learned_gradient(network, learned, u, out):  # type: ignore[no-untyped-def]
    """Log density of ``u = [z, h]`` up to a constant; fills its gradient (d + R,)."""
    d, R = learned.scale_of.shape[0], learned.hyper.shape[0]
    theta, gradient, value = np.empty(d), np.empty(d), 0.0
    for i in range(d):
        r = learned.scale_of[i]
        theta[i] = u[i] if r < 0 else u[i] * math.exp(u[d + r])
    value += log_posterior_gradient(network, theta, gradient)
    for r in range(R):
        log_p, out[d + r] = log_half_t(u[d + r], learned.hyper[r, 0], learned.hyper[r, 1])
        value += log_p
    for i in range(d):
        r = learned.scale_of[i]
        out[i] = gradient[i]
        if r >= 0:
            pulled = learned.precision[i] * u[i]
            value -= 0.5 * pulled * u[i]
            out[i] = gradient[i] * math.exp(u[d + r]) - pulled
            out[d + r] += gradient[i] * theta[i]
    return value


@dataclass(frozen=True, eq=False)
class LearnedScalesPosterior:
    """Log density of ``u = [z, h]``; ``base`` is the likelihood with the fixed priors only.

    ``log_prior_constant`` is that of the priors at scales of one.
    Construct it with :func:`build_learned_posterior`.
    """

    base: NetworkPosterior
    learned: LearnedData
    layers: tuple[LearnedLayer, ...]
    log_prior_constant: float

    @property
    def n_weights(self) -> int:
        """Number of free coordinates d of the network."""
        return self.base.dimension

    @property
    def dimension(self) -> int:
        """Number of coordinates d + R."""
        return self.n_weights + len(self.layers)

    @cached_property
    def log_constant(self) -> float:
        """What compiled code omits."""
        return self.log_prior_constant + sum(layer.hyperprior.log_normaliser for layer in self.layers)

    @property
    def initial(self) -> FloatArray:
        """Log scales (R,) near the middle of their prior."""
        return np.concatenate([layer.hyperprior.initial for layer in self.layers])

    def value_gradient(self, u: FloatArray) -> tuple[float, FloatArray]:
        """Log density at ``u`` (d + R,), and its gradient."""
        u, gradient = np.require(u, dtype=np.float64, requirements=["C", "A", "W"]), np.empty(self.dimension)
        value = float(log_learned_gradient(self.base.data, self.learned, u, gradient))
        return value + self.log_constant, gradient

    def log_joint(self, theta: FloatArray, h: FloatArray) -> float:
        """Log density of free coordinates (d,) and log scales (R,), the latter's Jacobian included."""
        logs = np.where(self.learned.scale_of >= 0, h[self.learned.scale_of], 0.0)
        return self.value_gradient(np.concatenate([theta * np.exp(-logs), h]))[0] - float(logs.sum())

    def unpack(self, us: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Free vectors (S, d) and log scales (S, R) of points (S, d + R)."""
        h = us[:, self.n_weights :]
        factors = np.where(self.learned.scale_of >= 0, np.exp(h)[:, self.learned.scale_of], 1.0)
        return us[:, : self.n_weights] * factors, h

    def constrain(self, h: FloatArray) -> dict[str, FloatArray]:
        """Scales by name from log scales (..., R)."""
        return {layer.hyperparameter: np.exp(h[..., r]) for r, layer in enumerate(self.layers)}

    def callbacks(self) -> NativeDensity:
        """C callbacks for the density of ``u``."""
        none = callbacks.WhiteningData(
            np.zeros(self.n_weights), np.arange(self.n_weights), np.empty(0, np.float32), np.empty(0),
            np.empty((0, 2), dtype=np.int64),
        )  # fmt: skip
        sizes = {"d": self.n_weights, "R": len(self.layers)}
        network = callbacks.pack_pointers(self.base.data, none, self.n_weights)
        own = [*checked_addresses(self.learned, FIELDS, sizes), *sizes.values()]
        table = np.concatenate([network, np.array(own, dtype=np.int64)])
        keep_alive = (self.base.parts, self.base.data, self.learned, none, table)
        return NativeDensity(logp_address(), linear_addresses()[1], int(table.ctypes.data), keep_alive)


def build_learned_posterior(
    rows: Design | Sequence[Design], coordinates: NetworkCoordinates, activation: str, priors: PriorTable
) -> LearnedScalesPosterior:
    """Compose the density; ``coordinates.hidden.learned`` says which scales are learned, ``priors`` of the last layer.

    Where a scale is learned the priors are those at a scale of one.
    """
    hidden = coordinates.hidden
    at_one = build_network_posterior(rows, coordinates, activation, priors)
    scale_of = np.full(at_one.dimension, -1, dtype=np.int64)
    precision, of_rows = np.zeros(at_one.dimension), prior_precisions(at_one)
    names = [hidden_names(layer)[0] for layer in range(1, len(hidden.sizes))]
    # The layers of the density are those with proper priors: of hidden units, then of units and features above them.
    n_units, proper = hidden.n_units, ~priors.flat_features
    names += [WEIGHTS] if proper[:n_units].any() else []
    names += [SKIP] if proper[n_units:].any() else []
    positions = dict(zip(names, layers_of(at_one), strict=True))
    flat = np.zeros(len(priors.by_default), dtype=np.bool_)
    scales = dict(zip(names, hidden.scales, strict=False))
    for r, layer in enumerate(hidden.learned):
        own = positions[layer.name]
        scale_of[own.members], precision[own.members] = r, of_rows[own.rows]
        if layer.name in (WEIGHTS, SKIP):
            flat |= (np.arange(len(flat)) < n_units) == (layer.name == WEIGHTS)
        else:
            scales[layer.name] = np.full_like(scales[layer.name], np.inf)
    features = priors.features._replace(family=np.where(flat, repeated(Flat(), 1).family[0], priors.features.family))
    without = replace(hidden, scales=tuple(scales[name] for name in names[: len(hidden.scales)]))
    base = build_network_posterior(
        rows, replace(coordinates, hidden=without), activation, replace(priors, features=features)
    )
    hyper = np.array([layer.hyperprior.parameters[:2] for layer in hidden.learned])
    return LearnedScalesPosterior(
        base, LearnedData(scale_of, precision, hyper), hidden.learned, at_one.log_prior_constant
    )


def _logp(dimension, u_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the log density of ``u``; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    user = carray(user_, (TABLE_SIZE + 5,), np.int64)
    own, n = user[TABLE_SIZE:], np.int64(dimension)
    d, R = own[3], own[4]
    learned = LearnedData(
        carray(pointer(own[0]), (d,), np.int64),
        carray(pointer(own[1]), (d,), np.float64),
        carray(pointer(own[2]), (R, 2), np.float64),
    )
    u, out = carray(u_, (n,)), carray(out_, (n,))
    value[0] = log_learned_gradient(read_network(user), learned, u, out)
    return 0 if np.isfinite(value[0]) else 4


TABLE_SIZE, read_network = callbacks.TABLE_SIZE, callbacks.read_network


def logp_address() -> int:
    """Address of the C callback; compiled at the first call."""
    return compiled_logp(_logp)
