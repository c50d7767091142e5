"""PyTensor expressions as functions of arrays, for many draws of the parameters at a time."""

import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray

NUMBERS = 2**20  # of one intermediate result that exist at a time
# Rewrites that keep precision, as log(1 + exp(x)) at large x.  The others are left out: without fusion the operations
# are NumPy's own, and compiling takes a hundredth of a second.
REWRITES = ("canonicalize", "stabilize", "specialize")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An expression of features and parameters, compiled; PyTensor's functions are for one thread at a time."""

    one: Any
    many: Any | None
    dtypes: Mapping[str, str]
    width: int
    lock: Any

    def __call__(self, parameters: Parameters, X: FloatArray | None = None) -> FloatArray:
        """Values (S, ...) at all draws, for features ``X`` where it depends on them; memory is bounded."""
        arrays = {name: np.asarray(parameters[name], dtype=dtype) for name, dtype in self.dtypes.items()}
        given: Sequence[FloatArray] = () if X is None else (X,)
        step = max(1, NUMBERS // (self.width * (1 if X is None else max(len(X), 1))))
        parts = []
        with self.lock:
            for start in range(0, parameters.n_draws, step):
                some = [values[start : start + step] for values in arrays.values()]
                parts.append(self._values(given, some))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _values(self, given: Sequence[FloatArray], some: Sequence[FloatArray]) -> FloatArray:
        """Values at some draws."""
        if self.many is not None:
            values: FloatArray = self.many(*given, *some)
            return values
        return np.array([self.one(*given, *draw) for draw in zip(*some, strict=True)])


def compiled(inputs: Sequence[Any], parameters: Mapping[str, Any], output: Any, width: int) -> Evaluation:
    """The expression ``output`` of ``inputs`` and random variables, compiled; ``width`` numbers arise in each row."""
    one = function([*inputs, *parameters.values()], output)
    dtypes = {name: variable.dtype for name, variable in parameters.items()}
    return Evaluation(one, _of_many(inputs, parameters, output), dtypes, width, threading.Lock())


def function(inputs: Sequence[Any], outputs: Any, **options: Any) -> Any:
    """A PyTensor function that is compiled in no time."""
    import pytensor
    from pytensor.compile.mode import get_mode

    mode = get_mode("FAST_COMPILE").including(*REWRITES)
    with warnings.catch_warnings():
        # Loops are compiled in C all the same, where PyTensor misses a BLAS of its own, which is for larger things.
        warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")
        return pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore", **options)


def _of_many(inputs: Sequence[Any], parameters: Mapping[str, Any], output: Any) -> Any | None:
    """The same for a stack of draws, None where an operation has no such form."""
    import pytensor.tensor as pt
    from pytensor.graph.replace import vectorize_graph

    stacks = {
        variable: pt.tensor(name, dtype=variable.dtype, shape=(None,) * (variable.ndim + 1))
        for name, variable in parameters.items()
    }
    try:
        return function([*inputs, *stacks.values()], vectorize_graph(output, stacks))
    except Exception:  # an operation says in its own way that it has none
        return None


def where_equal(evaluation: Evaluation, parameters: Parameters, X: FloatArray) -> Evaluation:
    """The evaluation, without its form for many draws where that does not give the values of single ones."""
    alone = replace(evaluation, many=None)
    if evaluation.many is None:
        return evaluation
    try:
        found, expected = evaluation(parameters, X), alone(parameters, X)
    except Exception:  # of shapes that only a single draw has
        return alone
    return evaluation if found.shape == expected.shape and np.allclose(found, expected, equal_nan=True) else alone
