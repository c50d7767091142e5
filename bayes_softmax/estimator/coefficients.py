"""Coefficients of a fit in scikit-learn's layout, where its logits are linear."""

from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.core.records import AnyArray, FloatArray
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS, WITH_WEIGHTS

ATTRIBUTES = ("coef_names_", "coef_", "intercept_")
NO_COEFFICIENTS = "the logits are not linear, so there are no coefficients; clf.result_.effects() has average effects"


class Coefficients(NamedTuple):
    """Names (p,), coefficients (K, p) and intercepts (K,); for two classes one row, second class minus first."""

    names: AnyArray
    weights: FloatArray
    intercept: FloatArray


def coefficients_of(fit: Fitted) -> Coefficients | None:
    """Those of an estimate, or the means of draws; zero for a column that did not vary.  None for other logits."""
    if fit.logits.kind not in WITH_WEIGHTS:
        return None
    names, K = np.array(fit.schema.encoder.feature_names, dtype=object), len(fit.schema.classes)
    weights = np.zeros((len(names), K))
    weights[np.isin(names, fit.schema.feature_names)] = fit.parameters[WEIGHTS].mean(axis=0)
    intercept = fit.parameters[INTERCEPT].mean(axis=0)
    if K == 2:
        return Coefficients(names, np.diff(weights.T, axis=0), np.diff(intercept))
    return Coefficients(names, np.ascontiguousarray(weights.T), intercept)


def set_coefficients(estimator: Any) -> None:
    """Set those of the estimator's fit as its attributes, where there are any, and delete those of an earlier fit."""
    found = coefficients_of(estimator.result_._fitted)
    if found is not None:
        estimator.coef_names_, estimator.coef_, estimator.intercept_ = found
        return
    for name in set(vars(estimator)) & set(ATTRIBUTES):
        delattr(estimator, name)
