"""Coefficients of a fit in scikit-learn's layout, where its logits are linear."""

from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.core.records import AnyArray, FloatArray
from bayes_softmax.spec.linear import INTERCEPT, LINEAR, WEIGHTS

ATTRIBUTES = ("coef_names_", "coef_", "intercept_")
NO_COEFFICIENTS = "the logits are not linear, so there are no coefficients; clf.result_.effects() has average effects"


class Coefficients(NamedTuple):
    """Names (p,), coefficients (K, p) and intercepts (K,); for two classes one row, second class minus first."""

    names: AnyArray
    weights: FloatArray
    intercept: FloatArray


def coefficients_of(fit: Fitted) -> Coefficients | None:
    """Those of an estimate, or the means of draws; zero for a column that did not vary.  None for other logits."""
    if fit.logits.kind != LINEAR:
        return None
    names, K = np.array(fit.schema.encoder.feature_names, dtype=object), len(fit.schema.classes)
    weights = np.zeros((len(names), K))
    weights[np.isin(names, fit.schema.feature_names)] = fit.parameters[WEIGHTS].mean(axis=0)
    intercept = fit.parameters[INTERCEPT].mean(axis=0)
    if K == 2:
        return Coefficients(names, np.diff(weights.T, axis=0), np.diff(intercept))
    return Coefficients(names, np.ascontiguousarray(weights.T), intercept)
