"""Generalised Gauss-Newton curvature of minus a network's log-likelihood, in free coordinates; shapes as compiled."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel, ranges
from bayes_softmax.density.network import curvature
from bayes_softmax.density.network.parts import NetworkPart
from bayes_softmax.spec.network.hidden import NetworkCoordinates

NUMBERS = 2**21  # of inputs and roots that exist at a time


class Outputs(NamedTuple):
    """Groups of outputs with the same inputs, as the table of :mod:`bayes_softmax.density.network.curvature`.

    ``contrasts`` (K, c) of the last layer's outputs, and ``order`` (d,) the positions of the coefficients, group by
    group, in the free vector.
    """

    groups: IntArray
    contrasts: FloatArray
    order: IntArray


class Rows(NamedTuple):
    """Inputs (m, n), roots (o, K, n) and expected counts (K, n) of some rows."""

    inputs: FloatArray
    roots: FloatArray
    counts: FloatArray


class Point(NamedTuple):
    """Hidden weights, the last layer's coefficients ``V`` (K, q), and the network's sizes and options."""

    hidden: FloatArray
    V: FloatArray
    layout: tuple[IntArray, IntArray]


def outputs_of(coordinates: NetworkCoordinates) -> Outputs:
    """The outputs of a network: of each hidden layer its units, and of the last one its free columns.

    Where the intercept has other contrasts than the weights it is a group of its own.
    """
    hidden, last = coordinates.hidden, coordinates.last
    groups, unit, start, at = [], 0, 0, 0
    for fan_in, units in itertools.pairwise(hidden.sizes):
        groups.append((unit, units, start, 1 + fan_in, at))
        unit, start, at = unit + units, start + 1 + fan_in, at + units * (1 + fan_in)
    k_b, k_w, p = last.n_free_intercept, int(last.weights_contrast.shape[1]), last.n_features
    if last.is_matrix:
        first = int(last.has_intercept)
        groups.append((unit, k_w, start + 1 - first, first + p, at))
        order, contrasts = np.arange(coordinates.dimension), last.weights_contrast
    else:
        groups += [(unit, k_b, start, 1, at), (unit + k_b, k_w, start + 1, p, at + k_b)]
        intercept, weights = last.split(np.arange(at, coordinates.dimension))
        order = np.concatenate([np.arange(at), intercept, weights.ravel()])
        contrasts = np.concatenate([last.intercept_contrast, last.weights_contrast], axis=1)
    return Outputs(np.array(groups, dtype=np.int64), np.ascontiguousarray(contrasts), order)


def rows_at(parts: Sequence[NetworkPart], at: Point, contrasts: FloatArray) -> Iterator[Rows]:
    """Inputs, roots and counts of all rows at a point, some at a time.

    The last layer's roots are those of ``contrasts`` (K, c).
    """
    (sizes, options), K = at.layout, len(at.V)
    n_inputs = int((1 + sizes).sum()) + (int(sizes[0]) if options[1] else 0)
    n_outputs = int(sizes[1:].sum()) + contrasts.shape[1]
    for part in parts:
        B = part.data.rows.Z.shape[2]
        step = max(1, NUMBERS // (B * (n_inputs + (n_outputs + 1) * K)))
        for start in range(0, part.n_blocks, step):
            n = (min(start + step, part.n_blocks) - start) * B
            rows = Rows(np.empty((n_inputs, n)), np.empty((n_outputs, K, n)), np.empty((K, n)))

            def fill(first: int, end: int, part: NetworkPart = part, rows: Rows = rows, start: int = start) -> None:
                curvature.fill_rows(part.data, *at[:2], contrasts, at.layout, rows, (start, start + first, start + end))

            in_parallel(fill, ranges(n // B, float(n * (at.hidden.size + at.V.size) * K)))
            yield rows


def gauss_newton(rows: Iterator[Rows], outputs: Outputs) -> FloatArray:
    """The curvature (d, d): for each output products of its inputs with the scaled inputs of all later ones."""
    groups, d = outputs.groups, len(outputs.order)
    group_of = np.repeat(np.arange(len(groups)), groups[:, 1])
    G = np.zeros((d, d))

    def slabs(some: Rows, first: int, end: int) -> None:
        X = np.empty((d, some.inputs.shape[1]))
        for output in range(first, end):
            group = int(group_of[output])
            first_output, _, start, q, at = groups[group].tolist()
            to = at + (output - first_output) * q
            curvature.scaled_inputs(some.inputs, some.roots, groups, group, output, X)
            G[to : to + q, to:] += some.inputs[start : start + q] @ X[to:].T

    with blas_on_one_thread():  # its threads would be in the way of ours
        for some in rows:
            tasks = ranges(len(group_of), 0.5 * d * d * some.inputs.shape[1])
            in_parallel(partial(slabs, some), tasks)
    curvature.mirror(G)
    back = np.argsort(outputs.order)
    return G if (np.diff(back) == 1).all() else G[np.ix_(back, back)]
