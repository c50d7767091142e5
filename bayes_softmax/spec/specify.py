"""From the arguments of the front door to a :class:`Specification`: rows are read and priors resolved, once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayes_softmax.core.checks import check_flags
from bayes_softmax.core.errors import UnusedClassWarning, warn_caller
from bayes_softmax.data import build
from bayes_softmax.data.doubtful_levels import doubtful_factors
from bayes_softmax.data.numeric_labels import numeric_warning
from bayes_softmax.data.observations import Observations
from bayes_softmax.data.options import Options
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.sources.build import SourceRows, rows_from_formula
from bayes_softmax.data.sources.recognise import source_of
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.data.sources.tables import rows_from_table
from bayes_softmax.data.standardise import used_rows
from bayes_softmax.data.unused_classes import unused_warning
from bayes_softmax.spec.autoscale import ColumnsInMemory, ColumnsSummed, FeatureColumns
from bayes_softmax.spec.by_term import priors_by_feature
from bayes_softmax.spec.custom.argument import CustomLogits
from bayes_softmax.spec.custom.specify import custom_specification, refuse_priors
from bayes_softmax.spec.groups.specify import refuse_other_logits, with_groups
from bayes_softmax.spec.linear import LinearLogits
from bayes_softmax.spec.network.specify import names_beside_features, split_prior, with_logits
from bayes_softmax.spec.prior_draws import prior_sds
from bayes_softmax.spec.resolve import resolve_priors
from bayes_softmax.spec.specification import Specification


def from_arrays(X: Any, y: Any, feature_names: Any, intercept: bool, options: Options) -> Specification:
    """Model of arrays, or of a data frame ``X`` with ``y`` aligned to it."""
    found = rows_from_table(X, y, feature_names, intercept, options)
    if found is not None:
        return _specify(*found, options)
    _refuse_for_sources(options)
    design, schema = build.design_from_arrays(X, y, feature_names, intercept, options)
    return _specify(Observations(design, options.collapse), schema, options)


def from_formula(formula: str, data: Any, options: Options) -> Specification:
    """Model of ``response ~ terms`` over the columns of a data frame."""
    source = source_of(data)
    if source is not None:
        rows, schema = rows_from_formula(formula, source, options)
        return _specify(rows, schema, options)
    _refuse_for_sources(options)
    design, schema = build.design_from_formula(formula, data, options)
    return _specify(Observations(design, options.collapse), schema, options)


def _refuse_for_sources(options: Options) -> None:
    """Raise for arguments of rows that are read in passes."""
    for argument in ("client", "scratch", "checkpoint"):
        if getattr(options, argument) is not None:
            raise ValueError(
                f"{argument}= is for rows that are read in passes, from Parquet, a lazy or a Dask data frame; these "
                "are in memory: leave it at None"
            )


def _specify(rows: SourceRows, schema: Schema, options: Options) -> Specification:
    """Resolve the priors; warn of classes without an observation that were not declared, and of measured responses."""
    check_flags(collapse=options.collapse)
    if schema.groups:
        refuse_other_logits(options)
    custom = options.logits if isinstance(options.logits, CustomLogits) else None
    if custom is not None:
        refuse_priors(options)
        options = replace(options, logits=None)
    known, (prior, of_layers) = rows.summary, split_prior(options.prior, options.logits)
    if isinstance(prior, Mapping):
        terms, layers = schema.encoder.named_terms, names_beside_features(options.logits)
        prior = priors_by_feature(prior, known.feature_names, terms, layers)
    priors = resolve_priors(
        prior,
        options.intercept_prior,
        coding=schema.coding,
        columns=_columns_of(rows),
        scale=known.standardisation.scale,
        feature_names=known.feature_names,
        has_intercept=known.has_intercept,
    )
    sds = prior_sds(priors, known.standardisation.centre, known.n_classes)
    schema = replace(schema, prior_sd=sds, dropped_flat=priors.all_flat)
    # Levels of a categorical that never occur become classes; the user did not declare them.
    class_rows = rows.class_rows
    message = unused_warning(known) if options.classes is None and class_rows is not None else None
    if message is not None:
        warn_caller(message, UnusedClassWarning)
    measured = numeric_warning(known, class_rows)
    for doubt in ([] if measured is None else [measured]) + doubtful_factors(schema.encoder, known):
        warn_caller(doubt)
    logits = LinearLogits(known.n_features, known.n_classes)
    linear = Specification(rows, schema, priors, logits)
    if schema.groups or options.group_prior is not None:
        return with_groups(linear, options.group_prior)
    return with_logits(linear, options.logits, of_layers) if custom is None else custom_specification(linear, custom)


def _columns_of(rows: SourceRows) -> FeatureColumns:
    """The columns of the features, over the rows that hold observations."""
    if isinstance(rows, StreamedRows):
        known = rows.summary
        return ColumnsSummed(np.hypot(known.mean, known.sd), known.two_valued_ranges, known.has_intercept)
    design = rows.design
    used = design.totals > 0
    totals = design.totals if used.all() else design.totals[used]
    return ColumnsInMemory(used_rows(design.features, used), totals, design.has_intercept)
