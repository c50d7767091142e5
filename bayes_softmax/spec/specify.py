"""From the arguments of the front door to a :class:`Specification`: rows are read and priors resolved, once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bayes_softmax.core.checks import check_flags
from bayes_softmax.core.errors import UnusedClassWarning, warn_caller
from bayes_softmax.data import build
from bayes_softmax.data.design import Design
from bayes_softmax.data.doubtful_levels import doubtful_factors
from bayes_softmax.data.numeric_labels import numeric_warning
from bayes_softmax.data.observations import Observations
from bayes_softmax.data.options import Options
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.standardise import used_rows
from bayes_softmax.data.unused_classes import unused_warning
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
    return _specify(*build.design_from_arrays(X, y, feature_names, intercept, options), options)


def from_formula(formula: str, data: Any, options: Options) -> Specification:
    """Model of ``response ~ terms`` over the columns of a data frame."""
    return _specify(*build.design_from_formula(formula, data, options), options)


def _specify(design: Design, schema: Schema, options: Options) -> Specification:
    """Resolve the priors; warn of classes without an observation that were not declared, and of measured responses."""
    check_flags(collapse=options.collapse)
    if schema.groups:
        refuse_other_logits(options)
    custom = options.logits if isinstance(options.logits, CustomLogits) else None
    if custom is not None:
        refuse_priors(options)
        options = replace(options, logits=None)
    used, (prior, of_layers) = design.totals > 0, split_prior(options.prior, options.logits)
    if isinstance(prior, Mapping):
        terms, layers = schema.encoder.named_terms, names_beside_features(options.logits)
        prior = priors_by_feature(prior, design.feature_names, terms, layers)
    priors = resolve_priors(
        prior,
        options.intercept_prior,
        coding=schema.coding,
        X=used_rows(design.features, used),
        totals=design.totals[used],
        scale=design.standardisation.scale,
        feature_names=design.feature_names,
        has_intercept=design.has_intercept,
    )
    sds = prior_sds(priors, design.standardisation.centre, design.n_classes)
    schema = replace(schema, prior_sd=sds, dropped_flat=priors.all_flat)
    # Levels of a categorical that never occur become classes; the user did not declare them.
    message = unused_warning(design) if options.classes is None else None
    if message is not None:
        warn_caller(message, UnusedClassWarning)
    measured = numeric_warning(design)
    for doubt in ([] if measured is None else [measured]) + doubtful_factors(schema.encoder, design):
        warn_caller(doubt)
    logits = LinearLogits(design.n_features, design.n_classes)
    linear = Specification(Observations(design, options.collapse), schema, priors, logits)
    if schema.groups or options.group_prior is not None:
        return with_groups(linear, options.group_prior)
    return with_logits(linear, options.logits, of_layers) if custom is None else custom_specification(linear, custom)
