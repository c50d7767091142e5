"""Base rates of the population to predict for, and the shift of the logits that they imply."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.checks import as_float, describe_rows, is_number, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.schema import Schema

BaseRates = Mapping[Label, float] | pd.Series  # or anything else with ``items()``


def read_rates(schema: Schema, class_prior: BaseRates) -> FloatArray:
    """Base rates (K,) by class, checked: one probability per class, and zero for a class without observations."""
    try:
        given = list(class_prior.items())
    except AttributeError:
        example = shown({label: round(1 / len(schema.classes), 2) for label in schema.classes[:2]})[:-1]
        raise TypeError(
            f"class_prior={shown(class_prior)} must be a mapping from class to probability, such as {example}, ...}}"
        ) from None
    if not schema.class_totals:
        raise ValueError("class_prior: the fit was saved by a version that did not keep the base rates; fit it again")
    rates = np.full(len(schema.classes), np.nan)
    for label, rate in given:
        k = schema.class_position(label, "class_prior")
        if not is_number(rate):
            raise TypeError(f"class_prior: class {shown(label)} has {shown(rate)}; expected a number, 0 to 1")
        if not np.isnan(rates[k]):
            raise ValueError(f"class_prior names class {shown(label)} twice")
        rates[k] = as_float(rate)
        if not 0 <= rates[k] < np.inf:
            raise ValueError(f"class_prior: the probability of class {shown(label)} is {shown(rate)}; expected 0 to 1")
    for label, total, rate in zip(schema.classes, schema.class_totals, rates, strict=True):
        if np.isnan(rate):
            raise ValueError(f"class_prior has no probability for class {shown(label)}")
        if total == 0 and rate > 0:
            raise ValueError(
                f"class_prior: class {shown(label)} has no observation, so its base rate cannot be shifted"
            )
    if abs(rates.sum() - 1) >= 1e-6:
        raise ValueError(f"class_prior={shown(dict(given))} must be probabilities that sum to 1 (sum {rates.sum():g})")
    return rates


def prior_shift(schema: Schema, class_prior: BaseRates | None, rows: Rows) -> FloatArray | None:
    """Shift (K,) of the logits under other base rates; -inf for a class that cannot occur, never for all on offer."""
    if class_prior is None:
        return None
    rates, totals = read_rates(schema, class_prior), np.array(schema.class_totals)
    shift = np.full(len(rates), -np.inf)
    possible = rates > 0
    shift[possible] = np.log(rates[possible]) - np.log(totals[possible] / totals.sum())
    if rows.available is not None:
        nothing = np.flatnonzero(~rows.available[:, possible].any(axis=1))
        if nothing.size:
            raise ValueError(
                f"class_prior: the classes on offer in {describe_rows(rows.labels, nothing)} all have probability 0"
            )
    return shift
