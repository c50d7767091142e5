"""NUTS over all weights of a network, each chain from a mode of its own.

Chains start beside modes from independent random starts (a tenth of the prior's standard deviations away: at a mode
itself gradients vanish, from which the sampler takes its first scales) and run in the free coordinates as they are,
which nutpie scales while tuning.  Whitening by the curvature at the mode was measured and is not worth its price:

==========================  ===================  ================  ==================  ======================
*4 chains, target 0.8*      *coordinates*        *leapfrogs*       *processor time*    *smallest ESS a second*
two moons, 10 units, d=41   as they are          70                1.8 s               1840
(4 x 1000 draws)            by layers            81                2.7 s               1270
                            dense                133               4.2 s               690
digits, 50 units, d=3509    as they are          68                7.9 s               8
(2 x 100 draws)             by layers            69                10.1 s              7
digits, ``Normal(1.5)``     as they are          854               164 s               0.7
(2 x 150 draws)             by layers            511               116 s               0.8
==========================  ===================  ================  ==================  ======================

with ESS of class probabilities of held-out rows.  The posterior is wide where the prior decides, far wider than the
curvature at a mode says, and curved where the data do.
"""

import time
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.function_space import START
from bayes_softmax.core.records import Draws, FloatArray, LayerWhitening, NativeDensity
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.networks import network_density, random_starts, unit_of
from bayes_softmax.fitting.refusals import refuse_improper_network
from bayes_softmax.fitting.settings import SamplerSettings, refuse_too_many
from bayes_softmax.inference.layer_whitening import shift, unwhiten_layers, whiten_layer_gradient
from bayes_softmax.inference.nuts_by_chain import nuts_by_chain
from bayes_softmax.inference.restarts import Restarts, lbfgs_restarts
from bayes_softmax.spec.specification import Specification

TITLE = "nuts over all layers (each chain from a mode of its own, nutpie)"
TUNE = 200
TARGET_ACCEPT = 0.8
START_STREAM, BESIDE_STREAM = 4, 5  # random numbers of the starts must not repeat those of the draws
BESIDE = 0.1  # standard deviations of the prior
MOST_ITERATIONS = 1000  # of the search for a mode, from which the tuning steps move away again


class AllLayers(NamedTuple):
    """Draws of free vectors (chain, draw, d), and the modes (chain, d) from which the chains started.

    The statistics include ``logp``, the log posterior of each draw, and :data:`START`.
    """

    drawn: Draws
    modes: FloatArray


class Whitened(NamedTuple):
    """A network's log posterior after a change of variables."""

    density: NetworkPosterior
    whitening: LayerWhitening
    native: bool = True

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return self.density.dimension

    def value_gradient(self, z: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior at ``z``, without the determinant of the change, and its gradient."""
        theta = unwhiten_layers(self.whitening, z[None])[0]
        value, gradient = self.density.value_gradient_on_one_thread(theta)
        return value - self.density.log_prior_constant, whiten_layer_gradient(self.whitening, gradient)

    def callbacks(self) -> NativeDensity | None:
        """C callbacks for the same density."""
        return self.density.native(self.whitening) if self.native else None


def starting_points(spec: Specification, chains: int, seed: int) -> Restarts:
    """A mode for each chain, from independent random starts: those of :func:`sample_all_layers` under this seed.

    Kinks of the density are rounded off for this.
    """
    density = network_density(spec).surrogate
    rng = np.random.default_rng([seed, START_STREAM])
    starts = random_starts(density.coordinates, chains, rng)
    evaluate, unit = density.value_gradient_on_one_thread, unit_of(density)
    return lbfgs_restarts(evaluate, starts, density.total_weight, MOST_ITERATIONS, unit=unit)


def sample_all_layers(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw all weights by NUTS."""
    with blas_on_one_thread():
        refuse_improper_network(spec)
        tune = TUNE if settings.tune is None else settings.tune
        refuse_too_many(spec, "sample", settings.chains, settings.draws, tune, whole_network=True)
        start = time.perf_counter()
        density = network_density(spec)
        density.value_gradient_on_one_thread(np.zeros(density.dimension))
        compiled = time.perf_counter()
        modes = starting_points(spec, settings.chains, settings.seed)
        found = time.perf_counter()
        result = draw_all_layers(density, modes.points, settings)
        timings = {"compile": compiled - start, "mode": found - compiled, "sampling": time.perf_counter() - found}
        return despite_interrupts(result.drawn, lambda: _labelled(spec, result.drawn, timings))


def near(density: NetworkPosterior, modes: FloatArray, seed: int) -> FloatArray:
    """Points (chains, d) beside the modes, a tenth of the prior's standard deviations away.

    nutpie refuses to start where the gradient of some coordinate is zero.
    """
    rng = np.random.default_rng([seed, BESIDE_STREAM])
    return np.array([mode + BESIDE * density.prior_scales(mode) * rng.normal(size=len(mode)) for mode in modes])


def draw_all_layers(density: NetworkPosterior, modes: FloatArray, settings: SamplerSettings) -> AllLayers:
    """Draw free vectors by NUTS, each chain from one of ``modes`` (chains, d)."""
    whitenings = [shift(mode) for mode in modes]
    drawn, kept = nuts_by_chain(
        [Whitened(density, whitening) for whitening in whitenings],
        near(density, modes, settings.seed) - modes,
        draws=settings.draws,
        tune=TUNE if settings.tune is None else settings.tune,
        cores=settings.cores,
        seed=settings.seed,
        target_accept=TARGET_ACCEPT if settings.target_accept is None else settings.target_accept,
        progressbar=settings.progressbar,
    )
    chains = zip(kept.tolist(), drawn.points, strict=True)
    points = np.stack([unwhiten_layers(whitenings[chain], z) for chain, z in chains])
    heights = np.array([density.value(mode) for mode in modes[kept]])
    logp = drawn.stats["logp"] + density.log_prior_constant
    stats = drawn.stats | {"logp": logp, START: np.repeat(heights[:, None], points.shape[1], axis=1)}
    return AllLayers(drawn._replace(points=points, stats=stats), modes[kept])


def _labelled(spec: Specification, drawn: Draws, timings: dict[str, float]) -> PosteriorDraws:
    """Draws of free vectors as a posterior of the network's parameters."""
    flat = spec.network_coordinates.to_parameters(drawn.points.reshape(-1, drawn.points.shape[2]))
    return labelled_posterior(spec, in_chains(flat, drawn.points.shape[:2]), drawn, TITLE, timings)
