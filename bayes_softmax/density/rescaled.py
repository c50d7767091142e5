"""The same rows under wider or narrower priors of the weights."""

from dataclasses import replace

import numpy as np

from bayes_softmax.density import prior
from bayes_softmax.density.posterior import SoftmaxPosterior


def with_scaled_weights(density: SoftmaxPosterior, factor: float) -> SoftmaxPosterior:
    r"""The density with the scales of all weights' proper priors multiplied, in the same coordinates.

    A density :math:`f^{-k} p(g / f)` of k coordinates is normalised like p: the log prior's constant falls by
    :math:`k \log f` for each feature.
    """
    scaled = prior.rows_that_are(density.data.family, "proper")
    scaled[: int(density.coordinates.has_intercept)] = False
    with np.errstate(over="ignore"):
        scale = np.where(scaled, factor * density.data.scale, density.data.scale)
    k = int(density.coordinates.weights_contrast.shape[1])
    constant = density.log_prior_constant - k * int(scaled.sum()) * float(np.log(factor))
    return replace(density, data=density.data._replace(scale=scale), log_prior_constant=constant)
