"""Changes of variables of several blocks, such as the layers of a network, one after the other."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from bayes_softmax.core.records import BlockMetric, FloatArray, IntArray, LayerWhitening, Whitening
from bayes_softmax.inference.block_metric import block_whitening, unwhiten, whiten_gradient


def layer_whitening(mode: FloatArray, order: IntArray, metrics: Sequence[BlockMetric]) -> LayerWhitening:
    """Whiten by a metric of one block for each layer, whose coordinates are ``order`` (d,) in ``mode`` (d,).

    >>> metrics = [BlockMetric(np.full((1, 1, 1), 4.0), np.eye(1)), BlockMetric(np.eye(2)[None], np.eye(1))]
    >>> whitening = layer_whitening(np.zeros(3), np.array([2, 0, 1]), metrics)
    >>> unwhiten_layers(whitening, np.array([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 3.0, 0.5]]
    """
    found = [block_whitening(np.zeros(metric.precisions.shape[0] * metric.precisions.shape[1]), metric)
             for metric in metrics]  # fmt: skip
    blocks, mixings = (tuple(getattr(each, name) for each in found) for name in ("blocks", "mixing"))
    return LayerWhitening(mode, order, blocks, mixings, sum(each.log_determinant for each in found))


def shift(mode: FloatArray) -> LayerWhitening:
    """The change of variables ``theta = mode + z``."""
    return LayerWhitening(mode, np.arange(len(mode)), (), (), 0.0)


def unwhiten_layers(whitening: LayerWhitening, z: FloatArray) -> FloatArray:
    """Points ``theta`` (S, d) for whitened points ``z`` (S, d)."""
    theta = np.empty_like(z)
    if not whitening.blocks:
        theta[:, whitening.order] = whitening.mode[whitening.order] + z
    for own, columns in _layers(whitening):
        theta[:, whitening.order[columns]] = unwhiten(own, z[:, columns])
    return theta


def whiten_layer_gradient(whitening: LayerWhitening, gradient: FloatArray) -> FloatArray:
    """``T' gradient[order]`` for one gradient (d,)."""
    ordered = gradient[whitening.order]
    if not whitening.blocks:
        return ordered
    return np.concatenate([whiten_gradient(own, ordered[columns]) for own, columns in _layers(whitening)])


def _layers(whitening: LayerWhitening) -> Iterator[tuple[Whitening, slice]]:
    """Each layer's change of variables, and its coordinates; none without blocks."""
    ordered = whitening.mode[whitening.order]
    ends = np.cumsum([0, *(blocks.shape[0] * blocks.shape[1] for blocks in whitening.blocks)]).tolist()
    for blocks, mixing, (start, end) in zip(whitening.blocks, whitening.mixings, itertools.pairwise(ends), strict=True):
        yield Whitening(ordered[start:end], blocks, mixing, 0.0), slice(start, end)
