"""MAP estimates along the scale of the prior, from one that rules them to the maximum-likelihood estimate."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bayes_softmax.core.checks import check_between, shown
from bayes_softmax.core.methods import of_self
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fitting import door
from bayes_softmax.spec.rescaled import with_scaled_priors
from bayes_softmax.spec.specification import HasSpecification

# From a thousandth of the model's scales to a thousand times them, eight factors for a power of ten, 1 among them.
SCALES: tuple[float, ...] = tuple(np.logspace(-3, 3, 49).round(12).tolist())


@of_self
def map_path(model: HasSpecification, scales: Sequence[float] | None = None) -> dict[float, PointEstimate]:
    """MAP estimates with the scales of all priors multiplied by each of several factors, the intercept's among them.

    Small factors let the prior rule; as they grow, the estimate tends to that of :meth:`mle`, where it exists.
    ``plots.map_path`` shows them.

    Parameters
    ----------
    scales
        Positive factors; 1 is the model itself.  Default: 49 from 0.001 to 1000.

    Returns
    -------
    dict
        The estimate for each factor, in increasing order.

    Raises
    ------
    ValueError
        If no prior of the weights has a fixed scale.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
    >>> path = model.map_path([0.1, 1, 10])
    >>> [float(abs(estimate.weights).max().round(2)) for estimate in path.values()]
    [0.03, 0.39, 0.45]
    """
    factors = _factors(SCALES if scales is None else scales)
    specs = {factor: with_scaled_priors(model._spec, factor) for factor in factors}  # refused before any work
    return {factor: door.point_estimate(spec, "map", "newton", None, None) for factor, spec in specs.items()}


def _factors(scales: Any) -> list[float]:
    """Distinct factors in increasing order."""
    if isinstance(scales, str) or not isinstance(scales, Iterable):
        raise TypeError(f"scales={shown(scales)} must be a sequence of positive numbers, for example [0.1, 1, 10]")
    factors = [check_between("scales", factor, 0.0, np.inf) for factor in scales]
    if not factors:
        raise ValueError("scales is empty; give at least one positive number")
    return sorted(set(factors))
