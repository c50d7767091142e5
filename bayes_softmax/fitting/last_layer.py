"""The last layer of a network given its hidden layers: a linear model whose features are the hidden units.

Its posterior, with hidden layers held at a mode, is drawn by the engines of linear models, and labelled as a posterior
of the network: hidden weights and biases are kept once.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from bayes_softmax.core.errors import NotConvergedWarning, warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import Draws, FloatArray
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.observations import Observations
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, without_one
from bayes_softmax.fitting.intercept_alone import warn_if_intercept_alone
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.network_estimates import certified_optimum
from bayes_softmax.fitting.notes import notes_of
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS, LinearLogits
from bayes_softmax.spec.network.logits import SKIP, NetworkLogits
from bayes_softmax.spec.specification import Specification

SAW = "the hidden layers are held at a mode of all rows"

type Values = Mapping[str, FloatArray]
type Run = Callable[[Specification], PosteriorDraws]


def last_layer_specification(spec: Specification, hidden: Values) -> Specification:
    """The linear model of a network's last layer, given its hidden layers.

    Features of a row are the units of the last hidden layer, neither centred nor scaled, and with ``skip`` those of the
    network.  Rows are the distinct ones of ``spec``, with their counts, weights, offsets and choice sets; coding and
    priors are those of the last layer.

    Parameters
    ----------
    spec
        The network.
    hidden
        Weights and biases of its hidden layers by name; other parameters are ignored.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> spec = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"], logits=bs.MLP(hidden=2, skip=True))._spec
    >>> linear = last_layer_specification(spec, {"hidden_1": np.ones((1, 2)), "hidden_1_bias": np.zeros(2)})
    >>> linear.schema.feature_names, linear.logits.shapes["weights"]
    (('unit_1[0]', 'unit_1[1]', 'x0'), (3, 2))
    """
    logits, layers, distinct = network_of(spec), spec.hidden, spec.distinct
    assert layers is not None
    inputs = logits.inputs(Parameters({name: hidden[name][None] for name in logits.hidden_parameters}), distinct.X)
    units = tuple(f"unit_{len(logits.hidden)}[{i}]" for i in range(layers.n_units))
    names = units + (spec.schema.feature_names if layers.skip else ())
    design = replace(
        distinct,
        features=DenseFeatures(np.ascontiguousarray(inputs)),
        feature_names=names,
        standardisation=layers.of_last_layer(distinct.standardisation),
        frame=None,
    )
    return Specification(
        Observations(design, collapse=False),
        replace(spec.schema, feature_names=names, prior_sd=(), layer_sd=(), chosen_scale=False),
        replace(spec.priors, choice=None),
        LinearLogits(layers.n_inputs, logits.n_classes),
    )


def network_of(spec: Specification) -> NetworkLogits:
    """The logits of a network; raises for others."""
    if not isinstance(spec.logits, NetworkLogits):
        raise TypeError(f"logits of kind {spec.logits.kind!r} are not those of a network")
    return spec.logits


def hidden_at_mode(spec: Specification, seed: int) -> dict[str, FloatArray]:
    """Weights and biases of the hidden layers at the mode that ``map(random_seed=seed)`` finds; warns if it is none."""
    found, verdict = certified_optimum(spec, "map", SolverOptions(seed=seed))
    if not verdict.converged:
        warn_caller(
            f"the hidden layers are held where the search for a mode ended: {verdict.status}", NotConvergedWarning
        )
    return hidden_of(spec, found.mode.theta)


def hidden_of(spec: Specification, theta: FloatArray) -> dict[str, FloatArray]:
    """Weights and biases of the hidden layers, of a free vector of the network."""
    at = spec.network_coordinates.to_parameters(theta[None])
    return {name: at[name][0] for name in network_of(spec).hidden_parameters}


def sample_last_layer(spec: Specification, run: Run, starts: int, why: str = "") -> PosteriorDraws:
    """Draw the last layer with hidden layers held at a mode, found from random starts with the seed ``starts``.

    ``run`` draws from the posterior of a linear model; ``why`` says why all layers were not drawn.
    """
    start = time.perf_counter()
    hidden = hidden_at_mode(spec, starts)
    seconds = time.perf_counter() - start
    drawn = given_hidden(spec, hidden, run, why)
    timings = {**drawn.timings, "hidden layers": seconds}
    return replace(drawn, timings=timings, refit=partial(_without, spec, hidden, run))


def given_hidden(spec: Specification, hidden: Values, run: Run, why: str = "") -> PosteriorDraws:
    """Draw the last layer given the weights and biases of hidden layers."""
    linear = last_layer_specification(spec, hidden)
    drawn = run(linear)
    made = drawn.notes[len(notes_of(linear)) :]
    stats = {str(name): values.values for name, values in drawn.idata["sample_stats"].data_vars.items()}
    draws = Draws(np.empty(0), stats, drawn.tune, made, any(note.startswith(INTERRUPTED) for note in made))
    alone = warn_if_intercept_alone(linear)
    labelled = despite_interrupts(draws, partial(_as_network, spec, hidden, drawn, draws, why))
    return replace(labelled, notes=alone + labelled.notes)


def _without(spec: Specification, hidden: Values, run: Run, row: int, code: int) -> PosteriorDraws:
    """Draws of the last layer without one observation; hidden layers stay as they are."""
    return complete(given_hidden(without_one(spec, row, code), hidden, run))


def _as_network(spec: Specification, hidden: Values, linear: PosteriorDraws, draws: Draws, why: str) -> PosteriorDraws:
    """Draws of a last layer as those of the network."""
    layers, raw, shape = spec.hidden, linear.parameters, linear.shape
    assert layers is not None
    weights = raw[WEIGHTS]
    last = {INTERCEPT: raw[INTERCEPT], WEIGHTS: weights[:, : layers.n_units]}
    if layers.skip:
        last[SKIP] = weights[:, layers.n_units :]
    engine = f"last layer by {linear.engine}; hidden layers are held at the MAP{why}"
    labelled = labelled_posterior(spec, in_chains(last, shape), draws, engine, linear.timings, held=hidden)
    return replace(labelled, seen=SAW, pareto_k=linear.pareto_k, ess=linear.ess, log_evidence=linear.log_evidence)
