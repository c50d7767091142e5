"""The logit function of :class:`CustomLogits` on given features and classes, and the one of a file, without code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_softmax.core.checks import listed, shown
from bayes_softmax.core.parameters import (
    Parameters,
    Shapes,
    covariance_by_jacobian,
    pull_back_by_jacobian,
    pull_back_slope_by_differences,
    size_of,
    slope_by_differences,
)
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.custom.building import BuiltLogits
from bayes_softmax.spec.custom.calling import WHAT, call, parameter_dims

CUSTOM = "custom"
STEP = 6e-6  # of central differences: the cube root of the rounding unit
SHOWN_VALUES = 3


@dataclass(frozen=True, eq=False)
class OwnLogits:
    """Logits by the user's function.

    Attributes
    ----------
    n_features, n_classes
        Sizes of the model.
    shapes, dims
        Shape, and names of the dimensions, of each parameter.
    scale
        (p,) standard deviations of the features in the data of the fit: sizes of small changes.
    rows
        (m, p) a few rows, made of values that occur in the data.
    seen
        (m, K) logits of these rows at the first draw of the fit, by which the function is known again; None before.
    built
        The function; None where a fit was read from a file without it.
    """

    n_features: int
    n_classes: int
    shapes: Shapes
    dims: Mapping[str, tuple[str, ...]]
    scale: FloatArray
    rows: FloatArray
    seen: FloatArray | None = None
    built: BuiltLogits | None = None

    @property
    def kind(self) -> str:
        """``"custom"``."""
        return CUSTOM

    @property
    def is_linear(self) -> bool:
        """False: that is not known."""
        return False

    @property
    def compiled(self) -> None:
        """None: only PyMC knows it."""
        return

    @property
    def is_known(self) -> bool:
        """Whether the function is here, and not only what a file says of it."""
        return self.built is not None

    @property
    def function(self) -> BuiltLogits:
        """The function; raises where it is not known."""
        if self.built is None:
            raise ValueError(
                "that is a question about logits, and the function that makes those of this fit is not in its file, "
                "which holds no code: bs.load(path, logits=bs.CustomLogits(build)) gives it back"
            )
        return self.built

    @property
    def labels(self) -> dict[str, Sequence[Any]]:
        """Labels of the dimensions of the parameters that are neither features nor classes, as the user gave them."""
        used = {dim for dims in self.dims.values() for dim in dims}
        coords = {} if self.built is None else self.built.custom.coords
        return {dim: list(labels) for dim, labels in coords.items() if dim in used}

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        """The function, compiled by PyTensor, for some draws at a time; raises where a logit is not finite."""
        evaluate = self.function.evaluation

        def logits(X: FloatArray) -> FloatArray:
            found = evaluate(parameters, X)
            if not np.isfinite(found).all():
                raise ValueError(self._not_finite(X, found))
            return np.ascontiguousarray(found.transpose(2, 1, 0))

        return logits

    def _not_finite(self, X: FloatArray, found: FloatArray) -> str:
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=(0, 2)))[0])
        named = zip(self.function.feature_names, X[row].tolist(), strict=True)
        at = ", ".join(f"{name}={value:g}" for name, value in list(named)[:SHOWN_VALUES])
        more = ", ..." if self.n_features > SHOWN_VALUES else ""
        return f"{WHAT}: the function made logits that are not finite, of a row with {at}{more}"

    def bounds(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """Zero: there is no bound of a function that is not known, and :meth:`at` refuses logits that overflow."""
        return np.zeros(len(X))

    def covariance(self, parameters: Parameters, X: FloatArray, covariance: FloatArray) -> FloatArray:
        """``J V J'``, with the Jacobian by central differences."""
        return covariance_by_jacobian(self._jacobian(parameters, X), covariance)

    def pull_back(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """``sum_n B_n J_n``, with the Jacobian by central differences."""
        return pull_back_by_jacobian(self._jacobian(parameters, X), derivatives)

    def _jacobian(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """(n, K, d) derivatives in the parameters at the first draw: central differences, all steps as draws."""
        flat = parameters.flat()[0]
        step = STEP * np.maximum(np.abs(flat), 1.0)
        points = np.concatenate([flat + np.diag(step), flat - np.diag(step)])
        upper, lower = np.split(self.at(_named(points, self.shapes))(X), 2, axis=2)
        jacobian: FloatArray = ((upper - lower) / (2.0 * step)).transpose(1, 0, 2)
        return jacobian

    def slope(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """By central differences in the features."""
        return slope_by_differences(self.at(parameters), X, change, self.scale)

    def pull_back_slope(
        self, parameters: Parameters, X: FloatArray, change: FloatArray, derivatives: FloatArray
    ) -> FloatArray:
        """By central differences in the features."""

        def pull_back(X: FloatArray, derivatives: FloatArray) -> FloatArray:
            return self.pull_back(parameters, X, derivatives)

        return pull_back_slope_by_differences(pull_back, X, change, derivatives, self.scale)

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        """The logits of given variables; without any, the function is called and names them in the current model."""
        import pymc as pm
        import pytensor.tensor as pt
        from pytensor.graph.replace import clone_replace

        function = self.function
        X = pt.specify_shape(X, (None, self.n_features))
        if variables:
            graph = function.graph
            return clone_replace(
                graph.logits, {graph.x: X} | {graph.parameters[name]: one for name, one in variables.items()}
            )
        logits = call(function.custom, X, self.n_classes)
        if parameter_dims(pm.modelcontext(None)) != self.dims:
            raise ValueError(
                f"{WHAT}: the function named {listed(self.shapes)} when the model was made, and others now"
            )
        return logits

    def to_data(self) -> dict[str, Any]:
        """Parameters, and a few logits by which the function is known again."""
        return {
            "n_features": self.n_features,
            "n_classes": self.n_classes,
            "parameters": [[name, list(shape), list(self.dims[name])] for name, shape in self.shapes.items()],
            "scale": self.scale.tolist(),
            "rows": self.rows.tolist(),
            "seen": None if self.seen is None else self.seen.tolist(),
        }

    def fingerprinted(self, parameters: Parameters) -> "OwnLogits":
        """The same, with the logits at the first draw, which need not be finite: these are no rows of the data."""
        return replace(self, seen=self.function.evaluation(_first(parameters), self.rows)[0])


def own_logits(
    n_features: int, n_classes: int, parameters: list[Any], scale: list[float], rows: list[Any], seen: list[Any] | None
) -> OwnLogits:
    """The function of :meth:`OwnLogits.to_data`, without code; raises where the data are damaged."""
    shapes = {name: tuple(shape) for name, shape, _ in parameters}
    dims = {name: tuple(named) for name, _, named in parameters}
    sizes = [n_features, n_classes, *(n for shape in shapes.values() for n in shape)]
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"sizes {shown(sizes)} must be whole numbers, none negative")
    if len(shapes) < len(parameters) or not shapes:
        raise ValueError("its parameters must have different names")
    for name, own in dims.items():
        if not all(isinstance(one, str) for one in (name, *own)) or len(own) != len(shapes[name]):
            raise ValueError(f"parameter {shown(name)} must have a name for each of its dimensions")
    return OwnLogits(
        n_features,
        n_classes,
        shapes,
        dims,
        _numbers(scale, (n_features,)),
        _numbers(rows, (len(rows), n_features)),
        None if seen is None else np.array(seen, dtype=np.float64).reshape(len(rows), n_classes),
    )


def _numbers(values: list[Any], shape: tuple[int, ...]) -> FloatArray:
    array = np.array(values, dtype=np.float64).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("its numbers must be finite")
    return array


def _named(points: FloatArray, shapes: Shapes) -> Parameters:
    """Parameters of flat vectors (S, d)."""
    ends = np.cumsum([size_of({name: shape}) for name, shape in shapes.items()])[:-1]
    parts = np.split(points, ends, axis=1)
    return Parameters(
        {name: part.reshape(len(points), *shapes[name]) for name, part in zip(shapes, parts, strict=True)}
    )


def _first(parameters: Parameters) -> Parameters:
    """The first draw."""
    return Parameters({name: values[:1] for name, values in parameters.arrays.items()})
