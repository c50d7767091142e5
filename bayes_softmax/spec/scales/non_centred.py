"""Learned scales in the ``pm.Model``, in the non-centred parametrisation: weights are scales times standard normals.

Papaspiliopoulos, Roberts and Sköld, *Statistical Science* 22 (2007).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.scales.shared import SharedScale


def non_centred_rows(
    name: str, dims: tuple[str, str], contrast: FloatArray, spherical: bool, scale: SharedScale
) -> Any:
    """Coefficients (features, K): standard normal variables ``<name>_z`` times the scales.

    ``dims`` are of the features and of the free coordinates.
    """
    sigma = scale.raw_sds(scale.hyperprior.random_variables(scale.named, dims[0]))[:, None]
    return scaled_rows(name, dims, contrast, spherical, sigma)


def scaled_rows(name: str, dims: tuple[str, str], contrast: FloatArray, spherical: bool, sigma: Any) -> Any:
    """The same for scales ``sigma`` (features, 1) that are there."""
    import pymc as pm

    K, k = contrast.shape
    labelled = (dims[0], "category")
    if spherical:
        return pm.Deterministic(name, sigma * pm.ZeroSumNormal(f"{name}_z", 1.0, dims=labelled), dims=labelled)
    z = pm.Normal(f"{name}_z", 0.0, 1.0, dims=labelled if k == K else dims)
    return pm.Deterministic(name, sigma * (z @ contrast.T), dims=labelled)


def non_centred_values(
    name: str,
    contrast: FloatArray,
    spherical: bool,
    scale: SharedScale,
    rows: FloatArray,
    hyper: Mapping[str, FloatArray],
) -> dict[str, FloatArray]:
    """Values of the standard normal variables for coefficients ``rows`` (..., features, K) and hyperparameters."""
    return unscaled_values(name, contrast, spherical, scale.raw_sds(hyper), rows)


def unscaled_values(
    name: str, contrast: FloatArray, spherical: bool, sds: FloatArray, rows: FloatArray
) -> dict[str, FloatArray]:
    """The same for scales ``sds`` (..., features)."""
    z = rows / sds[..., None]
    if not spherical and contrast.shape[1] < contrast.shape[0]:
        z = z @ np.linalg.pinv(contrast).T
    return {f"{name}_z": z}
