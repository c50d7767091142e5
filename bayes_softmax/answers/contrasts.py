"""Contrasts: linear views of the K columns of coefficients, without a refit."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.schema import Schema

AVERAGE = "average"


class Average(Enum):
    """The average of all classes, also where a class is called ``"average"``."""

    OF_ALL = "average"


class View(NamedTuple):
    """Contrasts of the class columns: ``matrix`` (K, m), with a name and a class for each of its m columns."""

    matrix: FloatArray
    names: tuple[str, ...]
    classes: tuple[Label, ...]


def build_view(schema: Schema, vs: Label | Sequence[Label] | Average | None) -> View:
    """Contrasts against ``vs``: a class, a pair ``(a, b)``, ``"average"``, or None for the coding's default.

    The default is "against the first class" under reference coding, else "against the average of all classes",
    in which the coefficients of a feature sum to zero over the classes.
    """
    K = len(schema.classes)
    if vs is None:
        vs = schema.classes[0] if schema.coding == "reference" else Average.OF_ALL
    if vs is Average.OF_ALL or (vs == AVERAGE and AVERAGE not in schema.classes):
        names = tuple(f"{label} vs {AVERAGE}" for label in schema.classes)
        return View(np.eye(K) - 1.0 / K, names, schema.classes)
    if isinstance(vs, tuple | list):
        if len(vs) != 2 or vs[0] == vs[1]:
            raise ValueError(f"vs={shown(vs)} must be a class, a pair of two classes, or {AVERAGE!r}")
        a, b = (schema.class_position(label) for label in vs)
        return View((np.eye(K)[a] - np.eye(K)[b])[:, None], (f"{vs[0]} vs {vs[1]}",), (vs[0],))
    base = schema.class_position(vs)
    others = [k for k in range(K) if k != base]
    matrix = np.eye(K)[:, others] - np.eye(K)[:, [base]]
    names = tuple(f"{schema.classes[k]} vs {vs}" for k in others)
    return View(matrix, names, tuple(schema.classes[k] for k in others))
