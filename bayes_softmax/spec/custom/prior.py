"""The priors that a user's function names: their density at draws, draws from them, and a table of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import listed
from bayes_softmax.core.parameters import Parameters, size_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.custom.building import Graph
from bayes_softmax.spec.custom.calling import WHAT
from bayes_softmax.spec.custom.evaluation import compiled, function
from bayes_softmax.spec.custom.logits import OwnLogits
from bayes_softmax.spec.specification import Specification


def own(spec: Specification) -> OwnLogits:
    """The logits of a model, by a function of the user's own."""
    assert isinstance(spec.logits, OwnLogits)
    return spec.logits


def log_prior(logits: OwnLogits, parameters: Mapping[str, FloatArray]) -> FloatArray | None:
    """Log prior density (S,) of draws (S, *shape), potentials included; None where PyMC does not know it."""
    from pymc.logprob.basic import conditional_logp
    from pytensor.graph.replace import clone_replace

    graph = logits.function.graph
    values = {variable: variable.type(name) for name, variable in graph.parameters.items()}
    try:
        terms = [term.sum() for term in conditional_logp(values).values()]
    except NotImplementedError:  # of a prior without a density, as a simulator
        return None
    terms += [clone_replace(potential, values).sum() for potential in graph.model.potentials]
    named = {name: values[variable] for name, variable in graph.parameters.items()}
    evaluation = compiled([], named, sum(terms), max(size_of(logits.shapes), 1))
    return evaluation(Parameters(parameters))


def derived_values(logits: OwnLogits, parameters: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Values (chain, draw, ...) of deterministic variables that the function names, for draws of the parameters."""
    graph = logits.function.graph
    shape = next(iter(parameters.values())).shape[:2]
    flat = Parameters({name: values.reshape(-1, *values.shape[2:]) for name, values in parameters.items()})
    found = {}
    for name, variable in graph.derived.items():
        values = compiled([], graph.parameters, variable, max(size_of(logits.shapes), 1))(flat)
        found[name] = values.astype(np.float64).reshape(*shape, *values.shape[1:])
    return found


def own_prior_draws(spec: Specification, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Independent draws (n, *shape) from the priors.

    Raises
    ------
    ValueError
        If a prior is improper, or the function adds potentials, under which nothing can be drawn directly.
    """
    graph = own(spec).function.graph
    if graph.model.potentials:
        raise ValueError(
            f"{WHAT}: the function adds the potentials {listed(p.name for p in graph.model.potentials)} to its priors, "
            "from which nothing can be drawn without the data"
        )
    drawn = _drawn(graph, n, int(rng.integers(2**31)))
    return {name: np.array([draw[i] for draw in drawn], dtype=np.float64) for i, name in enumerate(graph.parameters)}


def _drawn(graph: Graph, n: int, seed: int) -> list[Any]:
    """Draws of all parameters."""
    from pymc.pytensorf import collect_default_updates, reseed_rngs

    variables = list(graph.parameters.values())
    updates = collect_default_updates(outputs=variables)
    draw = function([], variables, updates=updates)
    before = [(rng, rng.get_value()) for rng in updates]
    reseed_rngs(list(updates), seed)
    try:
        return [draw() for _ in range(n)]
    except NotImplementedError as error:
        raise ValueError(f"{WHAT}: a prior is improper, so nothing can be drawn from it: {error}") from error
    finally:
        for rng, state in before:
            rng.set_value(state)


def own_prior_table(spec: Specification) -> pd.DataFrame:
    """One row per parameter: its prior as PyMC writes it, the names of its dimensions, and how many numbers it is."""
    logits = own(spec)
    graph = logits.function.graph
    written = [str(variable.str_repr()).partition(" ~ ")[2] for variable in graph.parameters.values()]
    table = pd.DataFrame(
        {
            "prior": written,
            "dims": [", ".join(logits.dims[name]) for name in logits.shapes],
            "size": [size_of({name: shape}) for name, shape in logits.shapes.items()],
        },
        index=pd.Index(list(logits.shapes), name="parameter"),
    )
    table.attrs["note"] = "Priors named by the function of CustomLogits; plots.prior(model) shows what they imply."
    return table_of(table)
