"""From encoded rows to a design: features that vary, standardised, in a range that double precision can use."""

from dataclasses import replace
from typing import Any

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.available import check_outcomes, read_available, without_forced
from bayes_softmax.data.class_columns import class_column_names
from bayes_softmax.data.design import Design, Response, Standardisation
from bayes_softmax.data.features import Features
from bayes_softmax.data.offset import read_offset
from bayes_softmax.data.options import Options
from bayes_softmax.data.rows_in_short import RowsInShort
from bayes_softmax.data.schema import Encoder, Schema
from bayes_softmax.data.standardise import check_range, check_weightless, standardise, used_rows, without_constant

NOTHING = "the model has neither features nor an intercept: there is nothing to estimate"


def unscaled(p: int) -> Standardisation:
    """The standardisation that changes nothing."""
    return Standardisation(np.zeros(p), np.ones(p))


def raw_design_of(
    features: Features,
    index: Any,
    response: Response,
    weights: FloatArray | None,
    encoder: Encoder,
    data: Any,
    options: Options,
    n_dropped: int,
) -> Design:
    """The design of encoded rows with all features, not standardised; offset and choice sets are read from the data.

    A row with one class on offer has weight zero.
    """
    (n_obs, p), classes, available = features.shape, response.classes, None
    if options.available is not None:
        available = read_available(options.available, data, n_obs, classes, index)
        check_outcomes(available, response, index)
        weights = without_forced(weights, available)
    offset = None if options.offset is None else read_offset(options.offset, data, n_obs, classes)
    return Design(
        features, response, weights, offset, tuple(encoder.feature_names), encoder.has_intercept, unscaled(p), index,
        n_dropped, available=available,
    )  # fmt: skip


def finished_design(
    raw: Design, encoder: Encoder, options: Options, class_rows: IntArray | None
) -> tuple[Design, Schema]:
    """The design of encoded rows, and its schema; constant columns are refused, or dropped on request.

    ``class_rows`` are those of all rows as given, (2, K) as of :meth:`Design.class_rows`.
    """
    X, names, index, totals = raw.features, raw.feature_names, raw.index, raw.totals
    used = totals > 0  # rows that hold no observation must not move centre, scale or default prior
    if not used.any():
        counts = raw.response.counts
        alone = raw.available is not None and (counts is None or bool(counts.any()))
        raise ValueError(why_nothing(options.weights, alone=alone))
    X, names, dropped = without_constant(X, names, used, options.constant, has_intercept=encoder.has_intercept)
    rows, row_totals = used_rows(X, used), totals if used.all() else totals[used]
    if not used.all():
        check_weightless(X, names, used, index, has_intercept=encoder.has_intercept)
    with np.errstate(over="ignore", invalid="ignore"):  # overflow of large values, which the next check names
        standardisation = standardise(rows, row_totals, names, has_intercept=encoder.has_intercept)
    check_range(X, names, standardisation.scale, index)
    if not names and not encoder.has_intercept:
        raise ValueError(NOTHING)
    design = replace(raw, features=X, feature_names=names, standardisation=standardisation)
    design = replace(design, response=with_unused(design.response, design.class_counts(), class_rows))
    return design, schema_of(design, encoder, options, dropped)


def with_unused(response: Response, counts: FloatArray, class_rows: IntArray | None) -> Response:
    """The response with the classes that have no observation, of which some may occur in rows without weight."""
    classes = np.array(response.classes, dtype=object)
    none = counts == 0
    rows, alone = (np.zeros_like(none), none) if class_rows is None else (class_rows[0], class_rows[0] == class_rows[1])
    weightless = none & (rows > 0)
    unused, weightless, alone = (tuple(classes[at]) for at in (none, weightless, weightless & alone))
    return replace(response, unused=unused, weightless=weightless, alone=alone)


def why_nothing(given_weights: Any, *, alone: bool) -> str:
    """Why no row holds an observation; ``alone`` if all observations are of classes that are on offer alone."""
    if alone:
        return "available: no observation had more than one class on offer, so there is nothing to estimate"
    what = "all counts are zero" if given_weights is None else "all rows have weight or count zero"
    return f"y: {what}; at least one observation is needed"


def schema_of(rows: RowsInShort, encoder: Encoder, options: Options, dropped: tuple[float, ...]) -> Schema:
    """What new data need, and the names in the answers."""
    response = rows.response
    return Schema(
        classes=response.classes,
        response_name=response.name,
        unused_classes=response.unused,
        feature_names=rows.feature_names,
        encoder=encoder,
        coding=options.coding,
        has_intercept=encoder.has_intercept,
        offset_columns=class_column_names(options.offset, response.classes),
        has_offset=options.offset is not None,
        class_totals=tuple(rows.class_counts().tolist()),
        weights_column=options.weights if isinstance(options.weights, str) else None,
        available_columns=class_column_names(options.available, response.classes),
        has_available=options.available is not None,
        dropped_values=dropped,
    )
