"""Posteriors of small networks with draws that any test may have: near modes, or by NUTS with a mode per chain."""

from typing import Any

import numpy as np

import bayes_softmax as bs
from bayes_softmax.core.records import Draws, FloatArray, Whitening
from bayes_softmax.fitting.labelling import in_chains, labelled_posterior
from bayes_softmax.fitting.networks import network_density, network_modes
from bayes_softmax.inference.nuts import whitened_nuts


def posterior_of(model: bs.SoftmaxRegression, thetas: FloatArray, stats: Any = None) -> bs.Posterior:
    """Free vectors (chain, draw, d) as a posterior of the model."""
    spec = model._spec
    flat = spec.network_coordinates.to_parameters(thetas.reshape(-1, thetas.shape[2]))
    drawn = Draws(thetas, stats or {}, 0)
    parameters = in_chains(flat, thetas.shape[:2])
    return bs.Posterior(labelled_posterior(spec, parameters, drawn, "by hand", {}))


def near_modes(model: bs.SoftmaxRegression, draws: int = 50, chains: int = 2, spread: float = 0.1) -> bs.Posterior:
    """Independent draws around the best of three modes: no posterior, but its shapes and its answers."""
    rng = np.random.default_rng(0)
    mode = network_modes(model._spec, 3, rng).points[0]
    return posterior_of(model, mode + spread * rng.normal(size=(chains, draws, len(mode))))


def by_nuts(model: bs.SoftmaxRegression, draws: int = 500, chains: int = 4, tune: int = 500) -> bs.Posterior:
    """Exact draws, each chain from a mode of its own, in the free coordinates as they are."""
    density = network_density(model._spec)
    modes = network_modes(model._spec, chains, np.random.default_rng(0))
    parts = []
    for chain in range(chains):
        d = density.dimension
        mode, scale = modes.points[chain % len(modes.points)], 0.3
        whitening = Whitening(mode, np.eye(d, dtype=np.float32)[None] * np.float32(scale), np.eye(1), d * np.log(scale))
        options: Any = {"draws": draws, "tune": tune, "chains": 1, "cores": 1, "seed": chain, "progressbar": False}
        parts.append(whitened_nuts(density, whitening, target_accept=None, **options))
    thetas = np.concatenate([modes.points[c % len(modes.points)] + 0.3 * part.points for c, part in enumerate(parts)])
    stats = {name: np.concatenate([part.stats[name] for part in parts]) for name in parts[0].stats}
    return posterior_of(model, thetas, stats)
