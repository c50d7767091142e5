"""Simulation-based calibration of NUTS over all weights of a network, by what the network says of the data.

Weights have labels that switch, so ranks are those of function values: differences of logits at four points, the
log-likelihood of all data, and the log prior.  400 data sets of N = 25 rows, p = 2, K = 3 are drawn from the prior of a
network with two hidden units, and 99 nearly independent draws of each posterior rank the true function.  Tests and
their error rate, 0.001 for all together, are those of ``test_calibration``.  Seed 2025.

NUTS accepts or rejects by the density itself, so an error of the gradient alone leaves it exact in the long run, and
shows as chains that hardly move: their draws rank the truth too high or too low.
"""

import ctypes
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba import types

import bayes_softmax as bs
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import NativeDensity
from bayes_softmax.fitting.network_sampling import Whitened, near, starting_points
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.inference.layer_whitening import shift, unwhiten_layers
from bayes_softmax.inference.nuts_by_chain import nuts_by_chain
from tests.verify.test_calibration import ERROR_RATE, KEPT, uniformity

pytestmark = pytest.mark.verify

SIMULATIONS, ROWS, THIN = 400, 25, 6
WRONG = 6  # weights and biases of the hidden units
POINTS = np.array([[-1.0, -1.0], [1.5, 0.0], [0.0, 1.5], [3.0, -3.0]])
PRIOR = bs.Normal(1.0)


class Planted(NamedTuple):
    """A whitened density whose gradient is wrong: the derivatives of the first weights have the other sign."""

    right: Whitened

    @property
    def dimension(self) -> int:
        return self.right.dimension

    def value_gradient(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        raise NotImplementedError("the sampler calls the callbacks")

    def callbacks(self) -> NativeDensity:
        native = self.right.callbacks()
        double, address = ctypes.POINTER(ctypes.c_double), ctypes.c_void_p
        called = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, double, double, double, address)
        right = called(native.logp_address)

        @numba.cfunc(types.int64(types.uint64, *[types.CPointer(types.double)] * 3, types.voidptr))
        def wrong(d, z, out, value, user):
            status = right(d, z, out, value, user)
            for j in range(WRONG):
                out[j] = -out[j]
            return status

        return native._replace(logp_address=wrong.address, keep_alive=(native.keep_alive, right, wrong))


def network(X: np.ndarray, y: np.ndarray, scale: float = 1.0) -> bs.SoftmaxRegression:
    """The model; its features are standardised with those of all simulations, so that they are left as they are."""
    prior = {"hidden_1": bs.Normal(scale), "weights": PRIOR}
    return bs.SoftmaxRegression(
        X, y, classes=[0, 1, 2], logits=bs.MLP(hidden=2), prior=prior, intercept_prior=PRIOR, collapse=False
    )


def logits(model: bs.SoftmaxRegression, thetas: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Logits (K, n, S) of free vectors (S, d)."""
    return model._spec.logits.at(Parameters(model._spec.network_coordinates.to_parameters(thetas)))(X)


def quantities(model: bs.SoftmaxRegression, thetas: np.ndarray) -> np.ndarray:
    """What is ranked (S, m)."""
    density = network_density(model._spec)
    L = logits(model, thetas, POINTS)
    values = np.concatenate([L[1] - L[0], L[2] - L[0]]).T
    priors = np.array([density.log_prior(theta) for theta in thetas])
    return np.column_stack([values, [density.value(theta) for theta in thetas] - priors, priors])


def p_values(*, simulations: int = SIMULATIONS, scale: float = 1.0, planted: bool = False) -> np.ndarray:
    """Three p-values per ranked quantity; the fit may be given a planted error."""
    rng, ranks, thin = np.random.default_rng(2025), [], 1 if planted else THIN
    for simulation in range(simulations):
        X = rng.normal(size=(ROWS, 2))
        truth = network(X, np.arange(ROWS) % 3)
        theta = rng.normal(size=network_density(truth._spec).dimension)
        y = (logits(truth, theta[None], X)[:, :, 0] + rng.gumbel(size=(3, ROWS))).argmax(axis=0)
        truth, model = network(X, y), network(X, y, scale)
        density, mode = network_density(model._spec), starting_points(model._spec, 1, simulation).points
        start, whitening = near(density, mode, simulation) - mode, shift(mode[0])
        right = Whitened(density, whitening)
        drawn, _ = nuts_by_chain(
            [Planted(right) if planted else right], start, draws=thin * KEPT, tune=200 if thin > 1 else 50, cores=1,
            seed=simulation, target_accept=0.8, progressbar=False,
        )  # fmt: skip
        thetas = unwhiten_layers(whitening, drawn.points[0, thin - 1 :: thin])
        ranks.append((quantities(truth, thetas) < quantities(truth, theta[None])).sum(axis=0))
    return uniformity(np.array(ranks))


def test_ranks_of_function_values_are_uniform() -> None:
    found = p_values()
    assert found.min() > ERROR_RATE / len(found)


def test_a_wider_prior_is_found() -> None:
    assert (found := p_values(simulations=200, scale=1.5)).min() < ERROR_RATE / len(found)


def test_an_error_in_back_propagation_is_found() -> None:
    assert (found := p_values(simulations=25, planted=True)).min() < ERROR_RATE / len(found)
