"""The call of a user's function inside a ``pm.Model``: what it returned and what it named, checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes_softmax.core.checks import counted, listed, shown
from bayes_softmax.spec.custom.argument import OWN_DIMS, CustomLogits

OWN_NAMES = ("X", "y", "y_observed", "y_weighted", "offset", "available")  # of other variables of the pm.Model
WHAT = "logits=CustomLogits(...)"


def call(custom: CustomLogits, x: Any, n_classes: int) -> Any:
    """The logits that the function makes of the features ``x``, inside the current model; its own errors get a note."""
    from pytensor.graph.basic import Variable

    try:
        found = custom.build(x)
    except Exception as error:
        dims = listed(("feature", "category", *custom.coords))
        error.add_note(
            f"raised by the function of {WHAT}, called with the features x, a PyTensor matrix (n, {x.type.shape[1]}); "
            f"its priors may name the dimensions {dims}, and others that dims= gives a length or labels"
        )
        raise
    if not isinstance(found, Variable):
        kind = "None" if found is None else f"an object of type {type(found).__name__}"
        raise TypeError(f"{WHAT}: the function returned {kind}, and must return the logits, a PyTensor matrix (n, K)")
    if found.type.ndim != 2:
        raise ValueError(
            f"{WHAT}: the function returned a PyTensor variable with {counted(found.type.ndim, 'dimension')}, and must "
            f"return the logits, a matrix (n, {n_classes})"
        )
    if found.type.shape[1] not in (None, n_classes):
        raise ValueError(
            f"{WHAT}: the function returned logits with {counted(found.type.shape[1], 'column')} for "
            f"{counted(n_classes, 'class', 'classes')}; a class to compare the others with has a column of zeros"
        )
    if found.type.dtype not in ("float64", "float32"):
        raise TypeError(
            f"{WHAT}: the function returned logits of dtype {found.type.dtype}, and must return real numbers"
        )
    return found.astype("float64")


def check_names(model: Any, x: Any) -> None:
    """Raise for variables of the model that the package cannot keep, or that no prior may depend on."""
    if not model.free_RVs:
        raise ValueError(
            f'{WHAT}: the function names no parameters; give each a prior by its name, as in pm.Normal("w", 0, 1)'
        )
    if model.observed_RVs:
        raise ValueError(
            f"{WHAT}: the function names the observed variables {listed(rv.name for rv in model.observed_RVs)}; the "
            "classes alone are observed, by the model itself"
        )
    dims = {dim for dims in parameter_dims(model).values() for dim in dims}
    for name in model.named_vars:
        if name in OWN_NAMES:
            raise ValueError(f"{WHAT}: {name!r} is the name of another variable of the pm.Model; choose another name")
        if name in dims or name in OWN_DIMS:
            raise ValueError(f"{WHAT}: {name!r} is the name of a dimension, so no variable can have it")
        if "/" in name or not name:
            raise ValueError(f"{WHAT}: {name!r} cannot be kept in a file, where '/' divides paths; choose another name")
    for variable in (*model.free_RVs, *model.potentials):
        if depends_on(variable, x):
            raise ValueError(
                f"{WHAT}: the shape or the prior of {variable.name!r} depends on the rows x, so it would be another "
                "for every set of rows; compute the number beforehand"
            )


def depends_on(variable: Any, x: Any) -> bool:
    """Whether the features are among what a variable is made of."""
    from pytensor.graph.traversal import ancestors

    return any(one is x for one in ancestors([variable]))


def check_random(logits: Any, model: Any) -> None:
    """Raise unless the logits depend on parameters, and on no other random variables, whose values are unknown."""
    from pytensor.graph.traversal import ancestors

    known = set(model.free_RVs)
    if known.isdisjoint(ancestors([logits])):
        raise ValueError(
            f"{WHAT}: the logits depend on none of the parameters {listed(rv.name for rv in model.free_RVs)}"
        )
    for variable in ancestors([logits], blockers=known):
        if variable not in known and variable.owner is not None and _is_random(variable.owner.op):
            raise ValueError(
                f"{WHAT}: the logits depend on a random variable without a name in the model "
                f'({shown(str(variable.owner.op))}); name it as a parameter, as in pm.Normal("w", 0, 1)'
            )


def _is_random(op: Any) -> bool:
    from pymc.distributions.distribution import SymbolicRandomVariable
    from pytensor.tensor.random.op import RandomVariable

    return isinstance(op, RandomVariable | SymbolicRandomVariable)


def parameter_dims(model: Any) -> dict[str, tuple[str, ...]]:
    """Dimension names of each parameter; where a variable names none, ``<name>_dim_0`` and so on."""
    found = {}
    for variable in model.free_RVs:
        named = model.named_vars_to_dims.get(variable.name) or (None,) * variable.ndim
        found[variable.name] = tuple(dim or f"{variable.name}_dim_{i}" for i, dim in enumerate(named))
    return found


def parameter_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters."""
    shapes: Mapping[str, Any] = model.eval_rv_shapes()
    return {rv.name: tuple(int(n) for n in np.atleast_1d(shapes[rv.name])) for rv in model.free_RVs}
