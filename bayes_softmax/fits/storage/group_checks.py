"""Checks of the parameters of group-level effects in a file: their labels, and covariances that are covariances."""

import numpy as np
import xarray as xr

from bayes_softmax.answers.labels import group_coordinates
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.spec.groups.structure import covariance_name

ROUNDING = 1e-6  # relative to the largest variance
MOST_WORK = 2e8  # multiplications above which eigenvalues of covariances are not looked at


def check_group_parameters(parameters: xr.Dataset, schema: Schema) -> None:
    """Check the labels of levels and terms, and the covariance of each grouping; shapes have been checked."""
    for dim, labels in group_coordinates(schema).items():
        if dim in parameters.coords and parameters[dim].values.tolist() != np.asarray(labels).tolist():
            raise ValueError(f"the labels of {dim!r} are not those of the model")
    for grouping in schema.groups:
        name = covariance_name(grouping.name)
        size = len(grouping.terms) * len(schema.classes)
        reason = _no_covariance(parameters[name].values.reshape(-1, size, size))
        if reason is not None:
            raise ValueError(f"{name!r} is no covariance: {reason}")


def _no_covariance(matrices: FloatArray) -> str | None:
    """Why one of the matrices (S, d, d) is no covariance; None if all are."""
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    allowed = ROUNDING * np.abs(matrices).max(axis=(1, 2))
    if (np.abs(matrices - matrices.transpose(0, 2, 1)) > allowed[:, None, None]).any():
        return "it is not symmetric"
    if (variances < -allowed[:, None]).any():
        return "it has a negative variance"
    if len(matrices) * matrices.shape[1] ** 3 <= MOST_WORK and (np.linalg.eigvalsh(matrices)[:, 0] < -allowed).any():
        return "it has a negative eigenvalue"
    return None
