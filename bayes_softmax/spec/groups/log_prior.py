r"""Log prior density of the hyperparameters of group-level effects, in plain NumPy.

That of standard deviations and correlations as the priors are given.  The LKJ density of n columns is
:math:`\det(R)^{\eta - 1} / \prod_{k=1}^{n-1} (2^{2 b_k - 1} B(b_k, b_k))^{n-k}` with
:math:`b_k = \eta + (n - k - 1) / 2` (Lewandowski, Kurowicka and Joe, *Journal of Multivariate Analysis* 100, 2009).
"""

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import betaln, gammaln

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.scales.hyperpriors import HalfNormal, ScalePrior


def log_hyperprior_draws(effects: tuple[GroupEffects, ...], hyper: Mapping[str, FloatArray]) -> FloatArray:
    """Normalised log density of standard deviations (..., n_sds) and correlations (..., n, n) of all groupings."""
    total: FloatArray = np.zeros(())
    for e in effects:
        sds = hyper[sd_name(e.name)]
        for r, prior in enumerate(e.scale_of_sd):
            total = total + _log_scale_density(prior, sds[..., r])
        for block in np.unique(e.block_of_column):
            members = np.flatnonzero(e.block_of_column == block)
            if len(members) > 1:
                correlation = hyper[correlation_name(e.name)][..., members[:, None], members]
                total = total + _log_lkj(e.prior.correlation.eta, correlation)
    return total


def sd_name(name: str) -> str:
    """Name of the standard deviations of a grouping's columns."""
    return f"{name}_sd"


def correlation_name(name: str) -> str:
    """Name of their correlations."""
    return f"{name}_correlation"


def hyperparameters(effects: GroupEffects, h: FloatArray) -> dict[str, FloatArray]:
    """Standard deviations (S, n_sds) and correlations (S, n, n) of the columns, of hyperparameters (S, H).

    They are not identified one by one.
    """
    factor = effects.correlation_factor(h)
    return {
        sd_name(effects.name): effects.sds(h),
        correlation_name(effects.name): factor @ np.swapaxes(factor, -1, -2),
    }


def group_hyperparameters(effects: tuple[GroupEffects, ...]) -> list[str]:
    """Names of the hyperparameters of all groupings."""
    return [name for e in effects for name in (sd_name(e.name), correlation_name(e.name))]


def _log_scale_density(prior: ScalePrior, sd: FloatArray) -> FloatArray:
    """Log density of a standard deviation."""
    squared = np.square(sd / prior.scale)
    if isinstance(prior, HalfNormal):
        value: FloatArray = 0.5 * math.log(2.0 / math.pi) - math.log(prior.scale) - 0.5 * squared
        return value
    nu = prior.df
    constant = math.log(2.0) + float(gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu)) - 0.5 * math.log(nu * math.pi)
    density: FloatArray = constant - math.log(prior.scale) - 0.5 * (nu + 1.0) * np.log1p(squared / nu)
    return density


def _log_lkj(eta: float, correlation: FloatArray) -> FloatArray:
    """Log density of correlation matrices (..., n, n)."""
    n = correlation.shape[-1]
    k = np.arange(1, n)
    b = eta + 0.5 * (n - k - 1)
    constant = float(((n - k) * ((2.0 * b - 1.0) * math.log(2.0) + betaln(b, b))).sum())
    density: FloatArray = (eta - 1.0) * np.linalg.slogdet(correlation)[1] - constant
    return density
