"""Point estimates of a network: the best of several local optima, its certificate, and its labels."""

from functools import partial

import numpy as np

from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.answers.training import Cells, training_data
from bayes_softmax.core.errors import NotConvergedWarning, warn_caller
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.networks import network_density, network_modes
from bayes_softmax.fitting.notes import notes_of
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.spec.specification import Specification

RESTARTS = 4


def network_estimate(spec: Specification, kind: str, options: SolverOptions) -> Estimate:
    """Maximise the log posterior of a network from several random starts and label the best result."""
    restarts = RESTARTS if options.restarts is None else options.restarts
    limits = {} if options.max_iterations is None else {"max_iterations": options.max_iterations}
    found = network_modes(spec, restarts, np.random.default_rng(options.seed), **limits)
    density, theta = network_density(spec), found.points[0]
    status = "converged" if found.is_stationary else "stopped before the gradient vanished"
    if not found.is_stationary:
        warn_caller(f"{kind}() {status}", NotConvergedWarning)
    log_prior = density.log_prior(theta)
    values = {name: draws[0] for name, draws in spec.network_coordinates.to_parameters(theta[None]).items()}
    return Estimate(
        kind=kind,
        values=label_parameters(spec.logits, values, spec.schema),
        log_likelihood=float(found.values[0]) - log_prior,
        log_prior=log_prior,
        total_weight=spec.design.total_weight,
        n_obs=spec.design.n_obs,
        converged=found.is_stationary,
        status=status,
        gradient_norm=float(found.gradient_norms[0]),
        newton_decrement=np.nan,
        n_iterations=int(found.n_iterations[0]),
        history=-found.values[:1] / spec.design.total_weight,
        schema=spec.schema,
        logits=spec.logits,
        notes=notes_of(spec),
        training=training_data(spec.design, spec.collapsed),
        refit_cells=partial(_again, spec, kind, options),
    )


def _again(spec: Specification, kind: str, options: SolverOptions, cells: Cells, seed: int) -> Estimate:
    """The same kind of estimate from other numbers of the observations, from the same starts."""
    return network_estimate(with_cells(spec, cells), kind, options)
