r"""Whitening by the normal that is nearest to the posterior, in place of the expansion at its mode.

With few observations a level, the curvature at the conditional mode exceeds that over the posterior, and the sds at
their approximate mode are too small: by many posterior sds where there are thousands of levels.  So gradient and
curvature are averaged over points of the normal itself (Opper and Archambeau, *Neural Computation* 21, 2009), and the
hyperparameters maximise the evidence bound, the average of the log density over these points in whitened coordinates.
On 361 levels with 3.6 observations each, effective draws of hyperparameters rose from 2450 of 4000 to between 3300 and
4250.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.linearised import Expansion, LevelExpansion
from bayes_softmax.density.groups.posterior import GroupsPosterior
from bayes_softmax.density.hyper_root import hyper_root

MAX_ROUNDS, ENOUGH = 6, 0.1  # sds of a hyperparameter
MAX_MOVE = 3.0  # sds of a hyperparameter in a round
SEARCH = {"maxiter": 15, "maxfun": 20}
POINTS, LEVEL_POINTS = (4, 12), 4000  # least and most points; about how many of them over all levels
SD_LIMITS = (0.02, 2.0)  # of a hyperparameter
STEP = 1e-2  # for second derivatives
ROOT_POINTS = 300  # pairs of points over all hyperparameters: with many of these, few serve
# One trial does not bound the effects of a level: with large sds their distribution has the shape of its prior, and
# whitening by all of the curvature gave divergences there, by this share none.
SHARE_OF_SINGLES = 0.3


def at_average(density: GroupsPosterior) -> GroupsPosterior:
    """The density whitened by the nearest normal, starting from its whitening at the mode."""
    points, start = _points(density), density.data.root
    for _ in range(MAX_ROUNDS):
        H = points.shape[1] - density.layout.size
        bounds = [(-MAX_MOVE, MAX_MOVE)] * H
        e = minimize(
            _negative, np.zeros(H), (density, points), jac=True, method="L-BFGS-B", bounds=bounds, options=SEARCH
        ).x
        density = _averaged(density, _at_hyper(density, points, e), start)
        if np.abs(e).max() < ENOUGH:
            break
    data = density.data
    return replace(density, data=data._replace(root=np.ascontiguousarray(data.root @ _root(density, points))))


def _points(density: GroupsPosterior) -> FloatArray:
    """Standard normal points (S, dimension) in pairs, with hyperparameters at zero; always the same."""
    least, most = POINTS
    pairs = min(max(LEVEL_POINTS // max(G for G, _ in density.layout.shapes), least), most) // 2
    half = np.random.default_rng(0).normal(size=(pairs, density.dimension))
    half[:, density.layout.size :] = 0.0
    return np.concatenate([half, -half])


def _at_hyper(density: GroupsPosterior, points: FloatArray, e: FloatArray) -> FloatArray:
    moved = points.copy()
    moved[:, density.layout.size :] = e
    return moved


def _negative(e: FloatArray, density: GroupsPosterior, points: FloatArray) -> tuple[float, FloatArray]:
    """Minus the evidence bound at standardised hyperparameters, up to a constant, and its gradient."""
    total, of_e = 0.0, np.zeros(len(e))
    for z in _at_hyper(density, points, e):
        value, gradient = density.value_gradient(z)
        total += value / len(points)
        of_e += gradient[density.layout.size :] / len(points)
    return (-total, -of_e) if np.isfinite(total) else (1e300, np.zeros(len(e)))


def _averaged(density: GroupsPosterior, points: FloatArray, root: FloatArray) -> GroupsPosterior:
    """Whitened by the average expansion over points that share their hyperparameters."""
    layout = density.layout
    centre = density.to_model(np.concatenate([np.zeros(layout.size), points[0, layout.size :]]))
    xs = [layout.flat(density.to_model(z)) for z in points]
    expansion = _mean([density.rows.expansion(x) for x in xs])
    if layout.exact:
        return density.expanded(centre, _with_singles_shrunk(density, expansion), root)
    gradients = [density.conditional_gradient(layout.point(x, centre.hyper)) for x in xs]
    found = density.expanded(centre, expansion, root)
    x = layout.flat(centre) + found.curvature_there().solve(np.mean(gradients, axis=0))
    precisions = found.precisions()
    levels = tuple(  # where the average gradient is zero, that of the log-likelihood balances the prior
        own and own._replace(gradient=layout.effects(x, j) @ precisions[j]) for j, own in enumerate(expansion.levels)
    )
    shrunk = _with_singles_shrunk(density, expansion._replace(levels=levels))
    return found.expanded(layout.point(x, centre.hyper), shrunk, root).bordered()


def _mean(expansions: Sequence[Expansion]) -> Expansion:
    """The average, entry by entry."""
    levels: list[LevelExpansion | None] = []
    for j, own in enumerate(expansions[0].levels):
        others = [found for each in expansions if (found := each.levels[j]) is not None]
        levels.append(own and LevelExpansion(*(np.mean(arrays, axis=0) for arrays in zip(*others, strict=True))))
    rest = [np.mean(arrays, axis=0) for arrays in zip(*(each[1:] for each in expansions), strict=True)]
    return Expansion(tuple(levels), *rest)


def _with_singles_shrunk(density: GroupsPosterior, expansion: Expansion) -> Expansion:
    """With a share of the expansion in levels of one trial."""
    levels = []
    for own, rows in zip(expansion.levels, density.levels, strict=True):
        trials = np.bincount(rows.codes, density.design.totals, rows.n_levels)
        share = np.where(trials <= 1.0, SHARE_OF_SINGLES, 1.0)
        levels.append(own and LevelExpansion(*(share.reshape(-1, *[1] * (a.ndim - 1)) * a for a in own)))
    return expansion._replace(levels=tuple(levels))


def _root(density: GroupsPosterior, points: FloatArray) -> FloatArray:
    """Symmetric root (H, H) of the covariance of standardised hyperparameters, from the bound's curvature."""
    H, pairs = len(density.data.location), len(points) // 2
    some = np.arange(max(1, min(pairs, ROOT_POINTS // H)))
    points = np.concatenate([points[some], points[pairs + some]])
    return hyper_root(lambda e: _negative(e, density, points)[1], H, STEP, SD_LIMITS)
