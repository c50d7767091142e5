"""From the moments of a source to what a model needs of its rows: standardisation, features that vary, a sample."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Standardisation
from bayes_softmax.data.finishing import NOTHING, why_nothing, with_unused
from bayes_softmax.data.sources.moments import Moments, Provisional
from bayes_softmax.data.sources.reader import FrameReader
from bayes_softmax.data.sources.rows import RowSummary, kept_features
from bayes_softmax.data.standardise import LARGEST, standardised_by


def provisional_of(sample: Design) -> Standardisation:
    """A standardisation from some rows, for sums over all."""
    if not sample.n_features:
        return sample.standardisation
    with np.errstate(over="ignore", invalid="ignore"):
        centre, scale = sample.X.mean(axis=0), sample.X.std(axis=0)
    fine = np.isfinite(centre) & np.isfinite(scale)
    usable = fine & (scale > 0)
    return Standardisation(np.where(fine, centre, 0.0), np.where(usable, scale, 1.0))


def kept_of(moments: Moments, constant: str, *, has_intercept: bool) -> tuple[NDArray[np.bool_], tuple[float, ...]]:
    """Which features are in the model: all, or those that vary on request; and the values of the others."""
    kept = np.ones(moments.values.shape[1], dtype=bool)
    if constant == "drop" and moments.n_used:
        kept = moments.values[0] < moments.values[1]
        if not has_intercept:
            kept |= moments.values[0] != 0
    return kept, tuple(moments.values[0, ~kept].tolist())


def summary_of(moments: Moments, provisional: Provisional, reader: FrameReader, kept: NDArray[np.bool_]) -> RowSummary:
    """The summary of rows of these moments, for the features that are in the model."""
    if not moments.n_used:
        alone = reader.options.available is not None and moments.n_forced > 0
        raise ValueError(why_nothing(reader.options.weights, alone=alone))
    moments = kept_features(kept, moments)
    at = Standardisation(*(values[kept] for values in provisional.at))
    names, has_intercept = reader.feature_names, reader.encoder.has_intercept
    if not names and not has_intercept:
        raise ValueError(NOTHING)
    _check_range(moments, names)
    _check_weightless(moments, names, has_intercept=has_intercept)
    mean, sd = moments.about(at)
    low, high = moments.values

    def ends(j: int) -> tuple[float, float]:
        return float(low[j]), float(high[j])

    exact = standardised_by(mean, sd, low == high, ends, names, has_intercept=has_intercept)
    response = with_unused(reader.response, moments.class_counts, moments.class_rows)
    products = _cross_products(moments.gram, at, exact, has_intercept=has_intercept)
    return RowSummary(response, names, has_intercept, exact, moments, mean, sd, products)


def _cross_products(gram: FloatArray, at: Standardisation, to: Standardisation, *, has_intercept: bool) -> FloatArray:
    """The Gram matrix of features standardised otherwise."""
    change = np.diag(np.append(1.0, at.scale / to.scale))
    change[1:, 0] = (at.centre - to.centre) / to.scale
    products: FloatArray = change @ gram @ change.T
    return products if has_intercept else products[1:, 1:]


def _check_range(moments: Moments, names: tuple[str, ...]) -> None:
    """Raise for a feature whose squares overflow, or are lost."""
    size = np.abs(moments.values).max(axis=0, initial=0.0)
    for j in np.flatnonzero(~(size < LARGEST) | ((size > 0) & (size < 1 / LARGEST))).tolist():
        raise ValueError(
            f"X: column {shown(names[j])} has values up to {size[j]:g} in size; squares of values beyond {LARGEST:g}, "
            f"or all below {1 / LARGEST:g}, are lost in double precision: change its unit"
        )


def _check_weightless(moments: Moments, names: tuple[str, ...], *, has_intercept: bool) -> None:
    """Raise for a feature that is constant only because of rows of weight zero."""
    low, high = moments.values
    constant = (low == high) & (has_intercept | (low == 0))
    for j in np.flatnonzero(constant & ((moments.others[0] < low) | (moments.others[1] > high))).tolist():
        raise ValueError(
            f"X: column {shown(names[j])} is {low[j]:g} in every row that counts; it differs only in rows of weight "
            "zero: leave the column out, or pass constant='drop'"
        )


def sample_design(sample: Design, reader: FrameReader, total_weight: float) -> Design:
    """The sample as the model reads rows, with weights that add up to the observations of all rows."""
    design = next(iter(reader.finished([sample])))
    held = design.total_weight
    factor = total_weight / held if held > 0 else 1.0
    weights: FloatArray = np.ones(design.n_obs) if design.weights is None else design.weights
    return replace(design, weights=weights * factor, n_dropped=0)
