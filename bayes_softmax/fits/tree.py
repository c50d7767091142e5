"""The labelled tree of a posterior: an ``xarray.DataTree`` that ArviZ and PyMC read."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.answers.labels import group_coordinates, observation_coordinate
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import RowsInMemory, TrainingData
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.spec.custom.logits import OwnLogits

HELD = "held"  # group of parameters that are the same in all draws, or in all draws of each member
GROUP_COLUMNS = "group_columns"  # levels and terms of the rows' groupings, among the data
MEMBER = "member"  # its dimension, where there are members


def build_idata(
    logits: Logits,
    draws: Mapping[str, FloatArray],
    free: Mapping[str, FloatArray],
    stats: Mapping[str, Any],
    training: TrainingData | RowsOfSource | None,
    schema: Schema,
    engine: str,
    group: str = "posterior",
    hyper: Mapping[str, tuple[str, Sequence[str]] | None] | None = None,
) -> xr.DataTree:
    """Labelled tree of draws of parameters (chain, draw, *shape), and statistics (chain, draw).

    ``free`` are the PyMC model's other random variables, so that PyMC's functions can use the tree.  Those in
    ``hyper`` are hyperparameters, with the dimension and its labels where they have one.  The groups of the data are
    omitted where the rows are not in memory; answers read them from ``training``.
    """
    hyper = hyper or {}
    chains, length = next(iter(draws.values())).shape[:2]
    coords = {
        "chain": np.arange(chains),
        "draw": np.arange(length),
        "feature": np.array(schema.feature_names, dtype=str),
        "category": schema.category_coordinate,
        **_unit_coordinates(logits, draws),
        **group_coordinates(schema),
    }
    # Parameters of more dimensions first, on purpose: az.summary (ArviZ 1.3) labels rows wrongly unless the dimensions
    # of a data set first appear in the order in which each variable has them.
    variables: dict[str, Any] = {}
    for name in sorted(draws, key=lambda name: -draws[name].ndim):
        variables[name] = (("chain", "draw", *logits.dims[name]), draws[name])
    for name, values in free.items():
        # Dimensions of their own keep ArviZ's order rule; those of the intercept are the categories.
        dims = [f"{name}_dim_{i}" for i in range(values.ndim - 2)]
        if name == "intercept_at_means":
            dims = ["category"]
        local = hyper.get(name)
        if local is not None:
            dims = [local[0]]
            coords[local[0]] = np.array(local[1], dtype=str)
        variables[name] = (("chain", "draw", *dims), values)
    if isinstance(logits, OwnLogits):
        coords |= logits.labels
    attrs: dict[str, Any] = {"inference_library": "bayes_softmax", "engine": engine, "sample_dims": ["chain", "draw"]}
    if hyper:
        attrs["hyperparameters"] = list(hyper)
    sampled = {k: coords[k] for k in ("chain", "draw")}
    groups = {
        group: xr.Dataset(variables, coords=coords, attrs=attrs),
        "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in stats.items()}, coords=sampled, attrs=attrs),
        **(data_groups(training, schema) if isinstance(training, RowsInMemory) else {}),
    }
    return xr.DataTree.from_dict(groups)


def held_group(logits: Logits, held: Mapping[str, FloatArray], schema: Schema) -> xr.DataTree:
    """Parameters (*shape), or (member, *shape), that are the same in all draws, or in those of each member.

    Each is kept once, in a group of its own: ArviZ's summaries pass it by.
    """
    features = np.array(schema.feature_names, dtype=str)
    coords = {"feature": features} if any("feature" in logits.dims[name] for name in held) else {}
    coords |= _unit_coordinates(logits, held)
    variables = {}
    for name, values in held.items():
        members = (MEMBER,) * (values.ndim - len(logits.dims[name]))
        variables[name] = ((*members, *logits.dims[name]), values)
    return xr.DataTree(xr.Dataset(variables, coords=coords))


def held_parameters(group: xr.Dataset, logits: Logits) -> dict[str, FloatArray]:
    """The same as arrays (1 or members, *shape)."""
    found = {}
    for name, values in group.data_vars.items():
        members = [MEMBER] if MEMBER in values.dims else []
        array = values.transpose(*members, *logits.dims[str(name)]).values
        found[str(name)] = array if members else array[None]
    return found


def _unit_coordinates(logits: Logits, values: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Numbers along the dimensions that are neither features nor categories, as hidden units are."""
    sizes = {d: n for name in values for d, n in zip(logits.dims[name], logits.shapes[name], strict=True)}
    return {dim: np.arange(n) for dim, n in sizes.items() if dim not in ("feature", "category")}


def data_groups(training: RowsInMemory, schema: Schema) -> dict[str, xr.Dataset]:
    """The data of the model: responses and weights of the rows as given, features of the distinct rows.

    Where rows were collapsed, features have the dimension ``pattern``, and ``pattern_of_obs`` maps rows to patterns.
    """
    distinct, response = training.distinct, training.response
    coords: dict[str, Any] = {
        "obs": observation_coordinate(training.index),
        "category": schema.category_coordinate,
    }
    observed: dict[str, Any] = (
        {"y": ("obs", response.codes)} if response.codes is not None else {"y": (("obs", "category"), response.counts)}
    )
    collapsed = distinct.n_obs != training.n_obs
    dim = "pattern" if collapsed else "obs"
    constant: dict[str, Any] = {"X": ((dim, "feature"), distinct.X)}
    if collapsed:
        constant["pattern_of_obs"] = ("obs", training.row_map)
    if training.weights is not None:
        constant["frequency_weights"] = ("obs", training.weights)
    if distinct.offset is not None:
        constant["offset"] = ((dim, "category"), distinct.offset)
    if distinct.available is not None:
        constant["available"] = ((dim, "category"), distinct.available)
    if distinct.group_columns is not None:
        constant[GROUP_COLUMNS] = ((dim, "group_column"), distinct.group_columns)
    features = {"feature": np.array(schema.feature_names, dtype=str)}
    return {
        "observed_data": xr.Dataset(observed, coords=coords, attrs={"response": schema.response_name}),
        "constant_data": xr.Dataset(constant, coords={**coords, **features}),
    }
