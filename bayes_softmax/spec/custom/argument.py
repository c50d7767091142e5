"""What the user writes for logits by a function of their own: ``CustomLogits(build, dims={"unit": 8})``."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.checks import listed, shown

OWN_DIMS = ("obs", "feature", "category", "chain", "draw")
Labels = int | Sequence[Any]


@dataclass(frozen=True)
class CustomLogits:
    r"""Logits by a function of your own, with priors that it names: :math:`\eta = f_\theta(x)` in PyTensor.

    ``build(x)`` is called inside a ``pm.Model``.  It gets the encoded features, a PyTensor matrix (n, p) with columns
    in the order of ``model.feature_names``, as given and not standardised.  It names its parameters with their priors
    (``pm.Normal("w", ...)``), and returns the logits, a PyTensor matrix (n, K).  Nothing is added to them but the
    offset: no intercept, and no coding.  The logits of a row may depend on that row of ``x`` alone, and the priors not
    on ``x``.  Give them proper priors: whether a posterior is proper is not examined.  Deterministic variables of the
    parameters alone are kept with the draws; data and potentials may be named too.

    ``sample()`` draws by PyMC (``engine="pymc"``), which compiles the model first, and all answers of a posterior are
    there.  What needs the package's own density of the model is not: ``mle``, ``map``, ``laplace`` and other engines.
    A saved fit holds no code: ``bs.load(path, logits=CustomLogits(build))`` gives the function back to it, after a
    check that it makes the logits that it made.

    Parameters
    ----------
    build
        The function.  It is called several times, and must do the same each time.
    dims
        Dimensions that the priors may name besides ``"feature"`` and ``"category"``: a mapping from name to length, or
        to labels.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used; the message names it, its value and what is allowed.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> import pymc as pm
    >>> def build(x):
    ...     bend = pm.Normal("bend", 0, 1, dims="feature")
    ...     weights = pm.Normal("weights", 0, 1, dims=("feature", "category"))
    ...     return (x + bend * x**2) @ weights
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"], logits=bs.CustomLogits(build))
    >>> prior = model.sample_prior(draws=200, random_seed=1)
    >>> prior.idata["prior"]["weights"].dims
    ('chain', 'draw', 'feature', 'category')
    """

    build: Callable[[Any], Any]
    dims: Mapping[str, Labels] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.build, type) or not callable(self.build):
            raise TypeError(f"build={shown(self.build)} must be a function of the features that returns logits")
        try:
            inspect.signature(self.build).bind(None)
        except TypeError as error:
            raise TypeError(
                f"build={shown(self.build)} must take one argument, the features; calling it so: {error}"
            ) from None
        except ValueError:  # a function without a signature, as some written in C
            pass
        object.__setattr__(self, "dims", _labels(self.dims))

    @property
    def coords(self) -> dict[str, Sequence[Any]]:
        """Labels of the dimensions; of those given by their length, positions."""
        given = self.dims or {}
        return {name: range(labels) if isinstance(labels, int) else labels for name, labels in given.items()}


def _labels(dims: Any) -> dict[str, Labels] | None:
    """The dimensions as lengths or tuples of labels; raises for what are none."""
    if dims is None:
        return None
    if not isinstance(dims, Mapping):
        raise TypeError(f"dims={shown(dims)} must map names of dimensions to lengths or labels, as in {{'unit': 8}}")
    return {_name(name): _of_dim(name, labels) for name, labels in dims.items()}


def _name(name: Any) -> str:
    """The name of a dimension."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"dims: {shown(name)} is no name of a dimension")
    if name in OWN_DIMS:
        raise ValueError(f"dims: {name!r} is a dimension of the model itself ({listed(OWN_DIMS)}); choose another name")
    return name


def _of_dim(name: str, labels: Any) -> Labels:
    """Length, or labels, of one dimension."""
    wrong = f"dims[{name!r}]={shown(labels)} must be a length of at least 1, or a list of different labels"
    if isinstance(labels, int | np.integer) and not isinstance(labels, bool):
        if labels < 1:
            raise ValueError(wrong)
        return int(labels)
    if isinstance(labels, str | bytes) or not isinstance(labels, Sequence | np.ndarray):
        raise TypeError(wrong)
    plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
    if not (all(isinstance(label, str) for label in plain) or all(type(label) is int for label in plain)):
        raise TypeError(f"{wrong}, all texts or all whole numbers")
    if not plain or len(set(plain)) < len(plain):
        raise ValueError(wrong)
    return tuple(plain)
