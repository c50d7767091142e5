"""From the draws of any engine to a labelled posterior."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from bayes_softmax.core.errors import warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED, held_back
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import Draws, FloatArray
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fits.tree import HELD, build_idata, held_group
from bayes_softmax.fitting.notes import notes_of
from bayes_softmax.fitting.streamed import training_of_model
from bayes_softmax.spec.custom.recognition import recognisable
from bayes_softmax.spec.groups.log_prior import log_hyperprior_draws
from bayes_softmax.spec.groups.pymc_variables import left_out
from bayes_softmax.spec.parameter_draws import log_prior_of_draws, random_variables_of_draws
from bayes_softmax.spec.scales.shared import hyperparameter_dims
from bayes_softmax.spec.specification import Specification


def labelled_posterior(
    spec: Specification,
    parameters: Mapping[str, FloatArray],
    drawn: Draws,
    engine: str,
    timings: Mapping[str, float],
    *,
    group: str = "posterior",
    hyper: dict[str, FloatArray] | None = None,
    held: Mapping[str, FloatArray] | None = None,
) -> PosteriorDraws:
    """Draws of the parameters by name (chain, draw, *shape), as a posterior.

    ``engine`` names the method that drew them; ``hyper`` holds the draws of learned scales, by name; ``held`` are
    parameters (*shape) that are the same in all draws, or (member, *shape) in all draws of each member, by name.
    """
    held = held or {}
    unknown = spec.learns_scales and not hyper  # draws from the prior keep no hyperparameters
    free = {} if unknown else random_variables_of_draws(spec, parameters, hyper)
    stats = dict(drawn.stats)
    if not spec.learns_scales:  # with learned scales it would have to include the hyperparameters
        shape = next(iter(parameters.values())).shape[:2]
        flat = {name: values.reshape(shape[0] * shape[1], *values.shape[2:]) for name, values in parameters.items()}
        parts = Parameters(flat, {name: _with_members(spec, name, values) for name, values in held.items()}).parts()
        log_prior = [log_prior_of_draws(spec, {**some.arrays, **some.held}) for _, some in parts]
        known = [values for values in log_prior if values is not None]
        if len(known) == len(log_prior):
            stats["log_prior"] = np.concatenate(known).reshape(shape)
            if spec.groups and hyper:
                stats["log_prior"] = stats["log_prior"] + log_hyperprior_draws(spec.groups, hyper)
    training = training_of_model(spec)
    hyper_dims = hyperparameters_of(spec) if hyper else {}
    draws = {name: parameters[name] for name in spec.parameters if name not in held}
    logits = recognisable(spec.logits, parameters)
    idata = build_idata(logits, draws, free, stats, training, spec.schema, engine, group, hyper_dims)
    if held:
        idata[HELD] = held_group(spec.logits, held, spec.schema)
    notes = notes_of(spec) + drawn.notes + (left_out(spec.groups, free) if hyper else ())
    return PosteriorDraws(idata, spec.schema, engine, drawn.tune, logits, notes, timings, training=training)


def hyperparameters_of(spec: Specification) -> dict[str, tuple[str, list[str]] | None]:
    """Names of the hyperparameters of a model; for local ones their dimension and its labels."""
    layers = () if spec.hidden is None else spec.hidden.learned
    of_features = hyperparameter_dims(spec.priors.learned, spec.schema.feature_names)
    return of_features | dict.fromkeys([layer.hyperparameter for layer in layers])


def _with_members(spec: Specification, name: str, values: FloatArray) -> FloatArray:
    """Held values with a first dimension of members, of length one if there are none."""
    return values if values.ndim > len(spec.logits.dims[name]) else values[None]


def in_chains(parameters: Mapping[str, FloatArray], shape: tuple[int, ...]) -> dict[str, FloatArray]:
    """Parameters (chain, draw, *shape) of parameters (S, *shape); ``shape`` says how many chains, and draws of each."""
    return {name: values.reshape(*shape, *values.shape[1:]) for name, values in parameters.items()}


def despite_interrupts(drawn: Draws, label: Callable[[], PosteriorDraws]) -> PosteriorDraws:
    """Label finished draws; a first Ctrl-C during labelling loses nothing."""
    with held_back(pressed_before=drawn.interrupted) as noted:
        posterior = label()
    late = (noted.times or drawn.interrupted) and not drawn.notes
    if not late:
        return posterior
    note = f"{INTERRUPTED} when all draws were finished"
    warn_caller(note)
    return replace(posterior, notes=(*posterior.notes, note))
