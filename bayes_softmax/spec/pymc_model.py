"""The same specification written as a ``pm.Model`` to read, draw, extend and sample with PyMC.

It has data containers ``X`` and ``y_observed``, coordinates ``obs``, ``feature`` and ``category``, the raw
``intercept`` and ``weights`` with all K categories, and the likelihood ``y``; a network also has the weights and biases
of its hidden layers, ``hidden_1``, ``hidden_1_bias``, ..., over units ``unit_1``, ...; groupings are described in
:mod:`bayes_softmax.spec.groups.pymc_variables`, with levels and terms of the rows in ``group_columns``.  A test holds
it equal to the compiled density, up to a constant.  Under ``CustomLogits`` the variables are those that the function
names.
"""

from typing import Any

import numpy as np

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.data.design import Design
from bayes_softmax.spec.custom.logits import OwnLogits
from bayes_softmax.spec.groups.pymc_variables import group_variables
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.pymc_variables import network_variables
from bayes_softmax.spec.pymc_priors import intercept_block, intercept_variable, weights_blocks, weights_variable
from bayes_softmax.spec.specification import Specification


def build_pymc_model(spec: Specification) -> Any:
    """The model as a ``pm.Model``; PyMC is imported here and nowhere before."""
    design, coordinates, priors, schema = spec.design, spec.coordinates, spec.priors, spec.schema
    if priors.is_jeffreys:
        raise ValueError(
            "prior=Jeffreys() has no pm.Model: its density depends on the features through a determinant, and it is "
            "for map(); for a model to sample from use prior=None (autoscaled) or Normal"
        )
    load_in_full("pymc")
    import pymc as pm
    import pytensor.tensor as pt

    coords: dict[str, Any] = {"obs": np.arange(design.n_obs)}
    if isinstance(spec.logits, OwnLogits):
        coords |= spec.logits.function.coords
    else:
        coords |= {
            "feature": list(schema.feature_names),
            "category": list(schema.classes),
            "weights_coordinate": np.arange(coordinates.weights_contrast.shape[1]),
            "intercept_coordinate": np.arange(coordinates.n_free_intercept),
        }
    with pm.Model(coords=coords) as model:
        X = pm.Data("X", design.X, dims=("obs", "feature"))
        inputs = X
        if design.group_columns is not None:
            columns = pm.Data("group_columns", design.group_columns, dims=("obs", "group_column"))
            inputs = pt.concatenate([X, columns], axis=1)
        logits = spec.logits.expression(inputs, _variables(spec))
        if design.offset is not None:
            logits = logits + pm.Data("offset", design.offset, dims=("obs", "category"))
        if design.available is not None:  # a mask: no coefficient depends on a class where it is not on offer
            available = pm.Data("available", design.available, dims=("obs", "category"))
            logits = pt.switch(available, logits, -np.inf)
        _likelihood(design, logits)
    return model


def _variables(spec: Specification) -> dict[str, Any]:
    """The parameters by name; none of a function that names them itself."""
    if isinstance(spec.logits, OwnLogits):
        return {}
    if spec.hidden is not None:
        return network_variables(spec)
    return _linear_variables(spec) | group_variables(spec.groups)


def _linear_variables(spec: Specification) -> dict[str, Any]:
    """Weights and intercept, as far as the model has them."""
    priors, coordinates, variables = spec.priors, spec.coordinates, dict[str, Any]()
    if spec.design.n_features:
        variables[WEIGHTS] = weights_variable(weights_blocks(priors, coordinates), spec.schema.feature_names)
    block = intercept_block(priors, coordinates)
    if block is not None:
        variables[INTERCEPT] = intercept_variable(block, coordinates, variables.get(WEIGHTS))
    return variables


def _likelihood(design: Design, logits: Any) -> None:
    """Categorical for labels, Multinomial for counts and whole weights, a weighted sum of logs for other weights."""
    import pymc as pm
    import pytensor.tensor as pt

    response, available = design.response, design.available
    # A row with one class on offer has weight zero, but also likelihood one: it may count as an observation.
    alike = design.weights is None or (
        available is not None and bool((design.weights == (available.sum(axis=1) > 1)).all())
    )
    if response.codes is not None and alike:
        y = pm.Data("y_observed", response.codes, dims="obs")
        pm.Categorical("y", logit_p=logits, observed=y, dims="obs")
        return
    counts = design.dense_counts()
    y = pm.Data("y_observed", counts if (counts % 1).any() else counts.astype(np.int64), dims=("obs", "category"))
    if (counts % 1).any():
        log_p = logits - pt.logsumexp(logits, axis=1, keepdims=True)
        terms = y * log_p
        pm.Potential("y_weighted", (terms if available is None else pt.switch(available, terms, 0.0)).sum())
    else:
        p = pm.math.softmax(logits, axis=1)
        if available is not None:  # the same values, but the logarithm's slope at zero is not passed on
            p = pt.switch(available, p, 0.0)
        pm.Multinomial("y", n=y.sum(axis=1), p=p, observed=y, dims=("obs", "category"))
