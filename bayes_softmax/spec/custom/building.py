"""What a user's function makes: found out by calling it once, tried on a few rows, and compiled when first needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.checks import counted
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.parameters import Parameters, Shapes
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.custom.argument import CustomLogits
from bayes_softmax.spec.custom.calling import (
    WHAT,
    call,
    check_names,
    check_random,
    depends_on,
    parameter_dims,
    parameter_shapes,
)
from bayes_softmax.spec.custom.evaluation import Evaluation, compiled, where_equal

TRIED_DRAWS, TRIED_SEED = 2, 1


class Graph(NamedTuple):
    """A model without observations, its features ``x``, its parameters by name, and the logits (n, K).

    ``derived`` are deterministic variables of the parameters alone, which draws keep too.
    """

    model: Any
    x: Any
    parameters: dict[str, Any]
    logits: Any
    shapes: Shapes
    dims: dict[str, tuple[str, ...]]
    derived: dict[str, Any]


@dataclass(frozen=True, eq=False)
class BuiltLogits:
    """A function for given features and classes.

    Copies and pickles hold the user's function, and not what was compiled from it.
    """

    custom: CustomLogits
    feature_names: tuple[str, ...]
    classes: tuple[Any, ...]

    @property
    def name(self) -> str:
        """What the user's function is called."""
        build: Any = self.custom.build
        return str(getattr(build, "__name__", type(build).__name__))

    @cached_property
    def graph(self) -> Graph:
        """What the function makes."""
        return self._made()

    def _made(self) -> Graph:
        load_in_full("pymc")
        import pymc as pm
        import pytensor.tensor as pt

        with pm.Model(coords=self.coords) as model:
            x = pt.matrix("x", shape=(None, len(self.feature_names)), dtype="float64")
            logits = call(self.custom, x, len(self.classes))
        check_names(model, x)
        check_random(logits, model)
        parameters = {variable.name: variable for variable in model.free_RVs}
        shapes, dims = parameter_shapes(model), parameter_dims(model)
        derived = {variable.name: variable for variable in model.deterministics if not depends_on(variable, x)}
        return Graph(model, x, parameters, logits, shapes, dims, derived)

    @property
    def coords(self) -> dict[str, Sequence[Any]]:
        """Dimensions that the priors may name, with their labels."""
        return {"feature": list(self.feature_names), "category": list(self.classes), **self.custom.coords}

    @cached_property
    def evaluation(self) -> Evaluation:
        """The logits (S, n, K) of draws of the parameters and features (n, p)."""
        return self._compiled(self.graph)

    def _compiled(self, graph: Graph) -> Evaluation:
        sizes = [size for shape in graph.shapes.values() for size in shape]
        width = max([len(self.classes), len(self.feature_names), *sizes])
        return compiled([graph.x], graph.parameters, graph.logits, width)

    @cached_property
    def _start(self) -> Parameters:
        """A few values that the priors allow."""
        from pymc.initial_point import make_initial_point_fn

        model = self.graph.model
        real = {variable for variable in model.free_RVs if variable.dtype.startswith("float")}
        start = make_initial_point_fn(model=model, jitter_rvs=real, return_transformed=False)
        points = [start(seed) for seed in range(TRIED_SEED, TRIED_SEED + TRIED_DRAWS)]
        return Parameters(
            {name: np.array([point[name] for point in points], dtype=np.float64) for name in self.graph.shapes}
        )

    def tried(self, X: FloatArray) -> "BuiltLogits":
        """The same; raises unless on these rows it is a function of each row by itself, and always the same."""
        evaluation = where_equal(self.evaluation, self._start, X[:1])
        self.__dict__["evaluation"] = evaluation  # instead of the one before
        together = self._shaped(evaluation, X)
        alone = np.concatenate([self._shaped(evaluation, X[i : i + 1]) for i in range(len(X))], axis=1)
        if not np.allclose(together, alone, equal_nan=True):
            raise ValueError(
                f"{WHAT}: the logits of a row depend on the other rows, so they would be others for every set of rows; "
                "compute means, scales and the like beforehand"
            )
        if (together >= 0).all() and np.allclose(together.sum(axis=2), 1.0):
            raise ValueError(
                f"{WHAT}: the function made probabilities, whose rows add up to one; it must return logits, whose "
                "softmax the model takes: without the softmax at its end, or the logarithm of the probabilities"
            )
        again = self._made()
        if (again.shapes, again.dims) != (self.graph.shapes, self.graph.dims) or not np.allclose(
            self._shaped(self._compiled(again), X), together, equal_nan=True
        ):
            raise ValueError(
                f"{WHAT}: the function makes other logits each time that it is called; draw random numbers before, "
                "outside of it"
            )
        return self

    def _shaped(self, evaluation: Evaluation, X: FloatArray) -> FloatArray:
        """Logits (S, n, K) at a few parameters; raises for other shapes, and where the rows are not any number."""
        expected = (TRIED_DRAWS, len(X), len(self.classes))
        must = f"{expected[1:]}, as of any number of rows, from x alone"
        try:
            found = evaluation(self._start, X)
        except Exception as error:
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"{WHAT}: the function must make logits of shape {must}; of {counted(len(X), 'row')} it failed: {told}"
            ) from error
        if found.shape != expected:
            raise ValueError(
                f"{WHAT}: the function made logits of shape {found.shape[1:]} of {counted(len(X), 'row')}; they must "
                f"have {must}"
            )
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
