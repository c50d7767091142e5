r"""Draws of a model with group-level effects from its priors, in plain NumPy.

Standard deviations and partial correlations are drawn, and effects given these.  Under LKJ the partial correlation of
columns i > j of n, given the columns before j, is :math:`2 B - 1` with :math:`B \sim \mathrm{Beta}(b, b)` and
:math:`b = \eta + (n - 2 - j) / 2`, all independent (Lewandowski, Kurowicka and Joe, *Journal of Multivariate Analysis*
100, 2009, for a C-vine; columns are numbered from 0).
"""

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.grouping import code_columns
from bayes_softmax.spec.groups.log_prior import hyperparameters
from bayes_softmax.spec.groups.logits import GroupLogits
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.prior_draws import prior_draws
from bayes_softmax.spec.scales.hyperpriors import HalfNormal, ScalePrior
from bayes_softmax.spec.specification import Specification

LARGEST = 1.0 - 1e-15  # partial correlation, whose inverse hyperbolic tangent is finite


def group_prior_draws(
    spec: Specification, n: int, rng: np.random.Generator, logits: GroupLogits | None = None
) -> dict[str, FloatArray]:
    """Independent draws (n, *shape) of parameters and hyperparameters by name; ``logits`` may have other levels."""
    drawn = prior_draws(spec.priors, spec.coordinates, n, rng, feature_names=spec.schema.feature_names)
    shapes = spec.logits.shapes if logits is None else logits.shapes
    for own in spec.groups:
        h = hyperparameter_draws(own, n, rng)
        drawn[own.name] = effect_draws(own, h, shapes[own.name][0], rng)
        drawn[own.covariance_name] = own.covariance(h)
        drawn |= hyperparameters(own, h)
    return drawn


def hyperparameter_draws(own: GroupEffects, n: int, rng: np.random.Generator) -> FloatArray:
    """Hyperparameters (n, H) of a grouping: logarithms of sds, then inverse hyperbolic tangents."""
    h = np.empty((n, own.n_hyper))
    for r, prior in enumerate(own.scale_of_sd):
        h[:, r] = np.log(_draw_scale(prior, n, rng))
    for i, j in np.argwhere(own.pair >= 0).tolist():
        members = np.flatnonzero(own.block_of_column == own.block_of_column[i])
        b = own.prior.correlation.eta + 0.5 * (len(members) - 2 - (j - int(members[0])))
        partial = np.clip(2.0 * rng.beta(b, b, n) - 1.0, -LARGEST, LARGEST)
        h[:, own.n_sds + int(own.pair[i, j])] = np.arctanh(partial)
    return h


def effect_draws(own: GroupEffects, h: FloatArray, n_levels: int, rng: np.random.Generator) -> FloatArray:
    """Effects (S, G, q, K) of as many levels given hyperparameters (S, H)."""
    root = own.free_root(h)
    z = rng.standard_normal((len(h), n_levels, root.shape[-1]))
    return own.effects(z @ np.swapaxes(root, -1, -2))


def _draw_scale(prior: ScalePrior, n: int, rng: np.random.Generator) -> FloatArray:
    """Standard deviations (n,) from their prior."""
    unit = rng.standard_normal(n) if isinstance(prior, HalfNormal) else rng.standard_t(prior.df, n)
    drawn: FloatArray = np.maximum(prior.scale * np.abs(unit), np.finfo(float).tiny)
    return drawn


def at_levels_of(logits: GroupLogits, X: FloatArray) -> tuple[GroupLogits, FloatArray]:
    """The same function of the levels of these rows alone, numbered anew, and the rows (n, p + c) in that numbering."""
    X, n_levels = X.copy(), dict[str, int]()
    for g, at in zip(logits.groups, code_columns(logits.n_features, logits.groups), strict=True):
        seen, X[:, at] = np.unique(X[:, at], return_inverse=True)
        n_levels[g.name] = len(seen)
    return logits.with_levels(n_levels), X
