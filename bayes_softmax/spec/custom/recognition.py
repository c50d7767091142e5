"""A file holds no code: a function that is given back to a fit is known again by what it names and makes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayes_softmax.core.checks import listed
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.custom.argument import CustomLogits
from bayes_softmax.spec.custom.building import BuiltLogits
from bayes_softmax.spec.custom.calling import WHAT
from bayes_softmax.spec.custom.logits import OwnLogits

TOLERANCE = 1e-6  # of logits made again: other machines and versions round differently


def recognisable(logits: Logits, draws: Mapping[str, FloatArray]) -> Logits:
    """The logits of a fit with these draws (chain, draw, *shape); a user's function with some that it makes."""
    if not isinstance(logits, OwnLogits):
        return logits
    return logits.fingerprinted(Parameters({name: values[0, :1] for name, values in draws.items()}))


def given_back(
    logits: Logits,
    custom: CustomLogits,
    parameters: Parameters,
    feature_names: tuple[str, ...],
    classes: tuple[Any, ...],
) -> OwnLogits:
    """The logits of a fit with their function; raises if it names other parameters, or makes other logits of them."""
    if not isinstance(logits, OwnLogits):
        raise ValueError(
            f"{WHAT}: the logits of this fit are of kind {logits.kind!r}, and not by a function of your own"
        )
    built = BuiltLogits(custom, feature_names, classes)
    graph = built.graph
    for name in logits.shapes:
        if name not in graph.shapes:
            raise ValueError(
                f"{WHAT}: the fit has the parameters {listed(logits.shapes)}, and this function names "
                f"{listed(graph.shapes)}: it is another one"
            )
    for name, shape in graph.shapes.items():
        if name not in logits.shapes:
            raise ValueError(
                f"{WHAT}: this function names {name!r}, which is no parameter of the fit: it is another one"
            )
        if shape != logits.shapes[name]:
            raise ValueError(
                f"{WHAT}: {name!r} has shape {shape}, and in the fit {logits.shapes[name]}: it is another function"
            )
        if graph.dims[name] != logits.dims[name]:
            raise ValueError(
                f"{WHAT}: {name!r} has the dimensions {listed(graph.dims[name])}, and in the fit "
                f"{listed(logits.dims[name])}: it is another function"
            )
    whole = replace(logits, built=built.tried(logits.rows))
    made = whole.fingerprinted(parameters).seen
    if made is None or logits.seen is None or not np.allclose(made, logits.seen, TOLERANCE, TOLERANCE, equal_nan=True):
        raise ValueError(
            f"{WHAT}: this function makes other logits of the same parameters and rows than the one that was fitted: "
            "it is another one, or it uses other numbers"
        )
    return whole
