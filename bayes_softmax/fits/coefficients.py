"""Coefficients of an estimate with their uncertainty: contrasts, and the covariance of all as a table."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.contrasts import View
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS


def contrasts_of(
    coefficients: FloatArray, variances: FloatArray, limits: FloatArray, view: View
) -> tuple[FloatArray, FloatArray]:
    """Contrasts of coefficients (q, K) as one draw (1, q, m), and their standard errors (q, m).

    ``variances`` (q, K, K) are covariances over the classes.  Where ``limits`` (q, m) are not zero the contrast is
    infinite or not determined: the limit takes its place, and its error is NaN.
    """
    estimate = coefficients @ view.matrix
    variance = np.einsum("km,ikl,lm->im", view.matrix, variances, view.matrix, optimize=True)
    error = np.where(limits == 0, np.sqrt(np.maximum(variance, 0.0)), np.nan)
    return np.where(limits == 0, estimate, limits)[None], error


def covariance_table(schema: Schema, covariance: FloatArray) -> pd.DataFrame:
    """Covariances (q, K, q, K) with rows and columns ``(feature, category)``, intercept first."""
    features = [INTERCEPT, *schema.feature_names]
    index = pd.MultiIndex.from_product([features, list(schema.classes)], names=["feature", "category"])
    flat = covariance.reshape(len(index), len(index))
    return table_of(pd.DataFrame(flat, index=index, columns=index), others=Format("ratio"))


def errors_after(values: Mapping[str, xr.DataArray], covariance: FloatArray) -> dict[str, xr.DataArray]:
    """Standard errors of the parameters after intercept and weights, such as effects of levels, from that of all."""
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    found, at = {}, 0
    for name, value in values.items():
        if name not in (INTERCEPT, WEIGHTS):
            found[name] = value.copy(data=errors[at : at + value.size].reshape(value.shape))
        at += value.size
    return found
