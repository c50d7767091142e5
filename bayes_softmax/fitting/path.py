"""MAP estimates along the scale of the prior, from one that rules them to the maximum-likelihood estimate."""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Sequence, ValuesView
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from bayes_softmax.core.checks import check_between, counted, is_number, shown
from bayes_softmax.core.methods import of_self
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fitting import door
from bayes_softmax.spec.custom.refusals import refuse_custom
from bayes_softmax.spec.rescaled import with_scaled_priors
from bayes_softmax.spec.specification import HasSpecification

# From a thousandth of the model's scales to a thousand times them, eight factors for a power of ten, 1 among them.
SCALES: tuple[float, ...] = tuple(np.logspace(-3, 3, 49).round(12).tolist())


@final
@dataclass(frozen=True, eq=False, repr=False)
class MapPath:
    """MAP estimates by the factor of the priors' scales, in increasing order; it is read as a dictionary.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> path = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map_path([0.1, 1, 10])
    >>> print(path)
    MAP estimates for 3 scales of the prior, from 0.1 to 10 times the model's
      path[1.0] is one of them, path.items() are all; plots.map_path(model) shows
        them
    >>> list(path), path[10].converged
    ([0.1, 1.0, 10.0], True)
    """

    _estimates: dict[float, PointEstimate]

    def __getitem__(self, scale: float) -> PointEstimate:
        """The estimate for a factor; a ``KeyError`` names the nearest one."""
        try:
            return self._estimates[scale]
        except (KeyError, TypeError):
            raise KeyError(f"{shown(scale)} is not among the scales{self._nearest(scale)}") from None

    def _nearest(self, scale: Any) -> str:
        if not is_number(scale) or not scale > 0:
            return f"; they are numbers from {min(self):g} to {max(self):g}"
        return f"; the nearest is {min(self, key=lambda factor: abs(np.log(factor / scale)))!r}"

    def __iter__(self) -> Iterator[float]:
        """Factors in increasing order."""
        return iter(self._estimates)

    def __len__(self) -> int:
        """Return the number of estimates."""
        return len(self._estimates)

    def __contains__(self, scale: object) -> bool:
        """Whether there is an estimate for a factor."""
        return scale in self._estimates

    def keys(self) -> KeysView[float]:
        """Factors."""
        return self._estimates.keys()

    def values(self) -> ValuesView[PointEstimate]:
        """Estimates."""
        return self._estimates.values()

    def items(self) -> ItemsView[float, PointEstimate]:
        """Factors with their estimates."""
        return self._estimates.items()

    def _brief(self) -> Brief:
        """How many there are, and how they are read."""
        first = next((factor for factor in self if factor == 1), min(self))
        return Brief(
            f"MAP estimates for {counted(len(self), 'scale')} of the prior, from {min(self):g} to {max(self):g} times "
            "the model's",
            (f"path[{first!r}] is one of them, path.items() are all; plots.map_path(model) shows them",),
            tuple(
                f"{counted(n, 'estimate')} without a certified optimum: see .status"
                for n in [sum(not estimate.converged for estimate in self.values())]
                if n
            ),
        )

    __repr__ = as_text
    _repr_html_ = as_markup


@of_self
def map_path(model: HasSpecification, scales: Sequence[float] | None = None) -> MapPath:
    """MAP estimates with the scales of all priors multiplied by each of several factors, the intercept's among them.

    Small factors let the prior rule; as they grow, the estimate tends to that of :meth:`mle`, where it exists.
    ``plots.map_path`` shows them.  Of a network all layers' scales are multiplied, and each estimate is the best of
    its own starts: those of two factors may be different modes.

    Parameters
    ----------
    scales
        Positive factors; 1 is the model itself.  Default: 49 from 0.001 to 1000.

    Returns
    -------
    MapPath
        The estimate for each factor, in increasing order, read as a dictionary: ``path[1]``, ``path.items()``.

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
    refuse_custom(model._spec.logits, "map_path()")
    specs = {factor: with_scaled_priors(model._spec, factor) for factor in factors}  # refused before any work
    return MapPath({f: door.point_estimate(spec, "map") for f, spec in specs.items()})


def _factors(scales: Any) -> list[float]:
    """Distinct factors in increasing order."""
    if isinstance(scales, str) or not isinstance(scales, Iterable):
        raise TypeError(f"scales={shown(scales)} must be a sequence of positive numbers, for example [0.1, 1, 10]")
    factors = [check_between("scales", factor, 0.0, np.inf) for factor in scales]
    if not factors:
        raise ValueError("scales is empty; give at least one positive number")
    return sorted(set(factors))
