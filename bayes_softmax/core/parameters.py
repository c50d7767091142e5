"""Parameters of a logit function by name, and derivatives of any such function from a few of its methods.

Covariances and derivatives are in the flat order of all parameters: that of their names, each in C order.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from bayes_softmax.core.records import FloatArray

# Central differences: the cube root of the rounding unit balances rounding and curvature.
STEP = 6e-6
ROUNDINGS = 1e4  # the smallest step, in units in the last place

Shapes = Mapping[str, tuple[int, ...]]
Function = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Parameters:
    """Draws of named arrays, each (S, *shape); a point estimate is one draw.

    Parameters that are the same in many draws are ``held``, as (G, *shape): the draws are G parts of equal length, one
    after the other, and within a part the values do not vary.

    Examples
    --------
    >>> draws = Parameters({"intercept": np.zeros((10, 3)), "weights": np.zeros((10, 4, 3))})
    >>> draws.n_draws, draws.thinned(4, n_chains=2).n_draws, draws["weights"].shape
    (10, 4, (10, 4, 3))
    >>> partly = Parameters({"intercept": np.zeros((10, 3))}, held={"hidden_1": np.ones((1, 7, 5))})
    >>> partly["hidden_1"].shape, partly.flat().shape
    ((10, 7, 5), (10, 3))
    """

    arrays: Mapping[str, FloatArray]
    held: Mapping[str, FloatArray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> FloatArray:
        if name in self.arrays:
            return self.arrays[name]
        values = self.held[name]
        if len(values) == 1:  # without a copy of it for every draw
            return np.broadcast_to(values, (self.n_draws, *values.shape[1:]))
        return np.repeat(values, self.n_draws // len(values), axis=0)

    @property
    def n_draws(self) -> int:
        """S."""
        return len(next(iter(self.arrays.values())))

    def parts(self) -> Iterator[tuple[slice, "Parameters"]]:
        """The draws of each part within which the held parameters do not vary, and their places among all."""
        size = self.n_draws // self._n_parts
        for g in range(self._n_parts):
            draws = slice(g * size, (g + 1) * size)
            arrays = {name: values[draws] for name, values in self.arrays.items()}
            yield draws, Parameters(arrays, {name: values[g : g + 1] for name, values in self.held.items()})

    def thinned(self, n_draws: int, n_chains: int) -> "Parameters":
        """About ``n_draws`` of the draws, evenly taken from each chain; all of them if there are no more.

        Of parameters that are held in several parts, evenly from each part: a chain has one or several whole parts.
        """
        S, n_parts = self.n_draws, max(n_chains, self._n_parts)
        if n_draws >= S:
            return self
        length, kept = S // n_parts, max(n_draws // n_parts, 1)
        within = np.linspace(0, length - 1, kept).astype(np.int64)
        chosen = (np.arange(n_parts)[:, None] * length + within).ravel()
        return Parameters({name: values[chosen] for name, values in self.arrays.items()}, self.held)

    def chain(self, chain: int, n_chains: int) -> "Parameters":
        """The draws of one chain; all chains are of the same length, one after the other."""
        length, n_parts = self.n_draws // n_chains, self._n_parts
        own = slice(chain * length, (chain + 1) * length)
        of_chain = slice(chain * n_parts // n_chains, (chain + 1) * n_parts // n_chains) if n_parts > 1 else slice(1)
        held = {name: values[of_chain] for name, values in self.held.items()}
        return Parameters({name: values[own] for name, values in self.arrays.items()}, held)

    @property
    def _n_parts(self) -> int:
        return len(next(iter(self.held.values()))) if self.held else 1

    def flat(self) -> FloatArray:
        """(S, d) the parameters of each draw that are not held, in the flat order."""
        return np.concatenate([values.reshape(len(values), -1) for values in self.arrays.values()], axis=1)


def size_of(shapes: Shapes) -> int:
    """Number of parameters d."""
    return sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes.values())


def covariance_by_jacobian(jacobian: FloatArray, covariance: FloatArray) -> FloatArray:
    """Covariance (n, K, K) of logits with Jacobian (n, K, d), from that of the parameters (d, d)."""
    result: FloatArray = jacobian @ covariance @ jacobian.transpose(0, 2, 1)
    return result


def pull_back_by_jacobian(jacobian: FloatArray, derivatives: FloatArray) -> FloatArray:
    """Derivatives (m, d) in the parameters, of derivatives (n, m, K) in logits with Jacobian (n, K, d)."""
    result: FloatArray = np.tensordot(derivatives, jacobian, axes=([0, 2], [0, 1]))
    return result


def slope_by_differences(logits: Function, X: FloatArray, change: FloatArray, scale: FloatArray) -> FloatArray:
    """Derivative (K, n, S) of ``logits(X)`` as features ``X`` (n, p) move by ``change`` (n, p) or (1, p) per unit.

    ``scale`` (p,) sets the size of a small change of each feature.
    """
    upper, lower, width = ends_of_step(X, change, scale)
    slope = logits(upper)
    slope -= logits(lower)
    slope /= width[:, None]
    return slope


def pull_back_slope_by_differences(
    pull_back: Callable[[FloatArray, FloatArray], FloatArray],
    X: FloatArray,
    change: FloatArray,
    derivatives: FloatArray,
    scale: FloatArray,
) -> FloatArray:
    """Derivatives (m, d) in the parameters, of derivatives (n, m, K) in :func:`slope_by_differences`.

    ``pull_back(X, derivatives)`` does the same for derivatives in the logits.
    """
    upper, lower, width = ends_of_step(X, change, scale)
    weighted = derivatives / width[:, None, None]
    return pull_back(upper, weighted) - pull_back(lower, weighted)


def ends_of_step(X: FloatArray, change: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Features (n, p) a small step up and down along a change (n, p) or (1, p), and the distance (n,) in its units."""
    smallest = np.maximum(STEP * scale, ROUNDINGS * np.spacing(np.abs(X)))
    with np.errstate(divide="ignore"):
        step = (smallest / np.abs(change)).min(axis=1, initial=np.inf)
    step = np.where(np.isinf(step), 1.0, step)  # a change of zero
    move = step[:, None] * change
    return X + move, X - move, 2.0 * step
