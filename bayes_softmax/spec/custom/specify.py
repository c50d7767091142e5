"""From the specification of a linear model to that of a user's own function on the same rows."""

from dataclasses import replace
from typing import Any

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.options import Options
from bayes_softmax.spec.custom.argument import CustomLogits
from bayes_softmax.spec.custom.building import BuiltLogits
from bayes_softmax.spec.custom.calling import WHAT
from bayes_softmax.spec.custom.logits import OwnLogits
from bayes_softmax.spec.priors import PriorTable
from bayes_softmax.spec.specification import Specification

TRIED_ROWS = 3


def refuse_priors(options: Options) -> None:
    """Raise for arguments that are about coefficients of the package's own."""
    for name, default in (("prior", None), ("intercept_prior", None), ("coding", "zero-sum")):
        given = getattr(options, name)
        if given is not default and given != default:
            raise ValueError(
                f"{name}={shown(given)} was given beside {WHAT}, whose function names the priors of its parameters and "
                "makes the logits of all classes itself"
            )


def custom_specification(linear: Specification, custom: CustomLogits) -> Specification:
    """The model with the logits of a user's function in place of linear ones.

    Raises
    ------
    ValueError, TypeError
        If the function makes no logits of the rows, or names what cannot be a parameter.
    """
    design, schema = linear.design, linear.schema
    built = BuiltLogits(custom, schema.feature_names, schema.classes)
    rows = some_rows(design.X)
    graph = built.tried(rows).graph
    logits = OwnLogits(
        design.n_features, design.n_classes, graph.shapes, graph.dims, design.standardisation.scale, rows, built=built
    )
    return replace(linear, schema=replace(schema, prior_sd=()), priors=_no_priors(linear.priors), logits=logits)


def some_rows(X: FloatArray) -> FloatArray:
    """(3, p) rows of values that occur in each column, each of another row, so that no observation is shown."""
    columns: list[Any] = []
    for j, column in enumerate(X.T):
        levels = np.modf(np.arange(1, TRIED_ROWS + 1) / (TRIED_ROWS + 1) + j * 0.6180339887)[0]
        columns.append(np.quantile(column, levels, method="nearest"))
    return np.array(columns).reshape(X.shape[1], TRIED_ROWS).T.copy()


def _no_priors(priors: PriorTable) -> PriorTable:
    """No coefficient row: the priors are in the function."""
    none = np.zeros(len(priors.by_default), dtype=np.bool_)
    return replace(
        priors, features=priors.features.of(none), intercept=None, intercept_at="zero", by_default=priors.by_default[:0]
    )
