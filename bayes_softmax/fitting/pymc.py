"""``pm.sample`` on the PyMC model, for comparison and for models outside the compiled density."""

import time
from typing import Any

import numpy as np

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import Draws, FloatArray
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.labelling import despite_interrupts, hyperparameters_of, labelled_posterior
from bayes_softmax.fitting.network_sampling import near, refuse_improper_network, starting_points
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.fitting.problem import problem_of
from bayes_softmax.fitting.refusals import refuse_improper, refuse_jeffreys
from bayes_softmax.fitting.scales import prepare_hierarchy
from bayes_softmax.fitting.settings import SamplerSettings, refuse_too_many
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.inference.interrupted import keep_chains
from bayes_softmax.spec.parameter_draws import random_variables_of_draws
from bayes_softmax.spec.pymc_model import build_pymc_model
from bayes_softmax.spec.specification import Specification

TITLE = "pymc (pm.sample on the pm.Model)"
DEFAULT_TUNE = 1000  # PyMC's default


def sample_pymc(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """``pm.sample`` on a new copy of the PyMC model, with the result labelled like any other posterior."""
    load_in_full("pymc", "nutpie")
    import pymc as pm

    refuse_jeffreys(spec)
    tune = DEFAULT_TUNE if settings.tune is None else settings.tune
    refuse_too_many(spec, "sample", settings.chains, settings.draws, tune)
    if spec.hidden is None:
        _refuse_improper(spec)
    else:
        refuse_improper_network(spec)
    options = {k: v for k, v in settings._asdict().items() if v is not None and k not in ("seed", "tune")}
    start = time.perf_counter()
    # Each chain with a start of its own is for PyMC's sampler, which adds no jitter under this initialisation.
    starts: dict[str, Any] = (
        {} if spec.hidden is None else {"initvals": initial_values(spec, settings), "init": "adapt_diag"}
    )
    with build_pymc_model(spec):
        tree = pm.sample(
            tune=tune,
            random_seed=settings.seed,
            compute_convergence_checks=False,
            quiet=not settings.progressbar,
            **options,
            **starts,
        )
    timings = {"sampling": time.perf_counter() - start}
    # After Ctrl-C unfinished chains are padded with NaN, or missing.
    finished = _finished_draws(tree)
    left, length, notes = keep_chains([*finished, *[0] * (settings.chains - len(finished))], settings.draws)

    def label() -> PosteriorDraws:
        part = {"chain": left, "draw": slice(length)}
        posterior, stats = (tree[group].to_dataset().isel(part) for group in ("posterior", "sample_stats"))
        parameters = {  # zero where the pm.Model has no such variable: no intercept, or no features
            name: posterior[name].values if name in posterior else np.zeros((len(left), length, *shape))
            for name, shape in spec.logits.shapes.items()
        }
        kept_stats = {str(k): v.values for k, v in stats.data_vars.items() if v.dims == ("chain", "draw")}
        known = hyperparameters_of(spec)
        hyper = {name: posterior[name].values for name in known if name in posterior}
        drawn = Draws(np.empty(0), kept_stats, tune, notes)
        return labelled_posterior(spec, parameters, drawn, TITLE, timings, hyper=hyper)

    return despite_interrupts(Draws(np.empty(0), {}, tune, notes, bool(notes)), label)


def initial_values(spec: Specification, settings: SamplerSettings) -> list[dict[str, FloatArray]]:
    """Values of the random variables of a network's ``pm.Model`` where each chain starts: as for our own NUTS."""
    modes = starting_points(spec, settings.chains, settings.seed).points
    points = near(network_density(spec), modes, settings.seed)
    parameters = spec.network_coordinates.to_parameters(points)
    draws = {name: values[:, None] for name, values in parameters.items()}
    variables = {name: values[:, 0] for name, values in random_variables_of_draws(spec, draws).items()} | parameters
    names = [variable.name for variable in build_pymc_model(spec).free_RVs]
    return [{name: variables[name][chain] for name in names} for chain in range(settings.chains)]


def _refuse_improper(spec: Specification) -> None:
    """Raise if the posterior is improper, which PyMC would not notice."""
    if spec.priors.is_proper:
        return
    if spec.priors.learns_scales:
        prepare_hierarchy(spec)
    else:
        refuse_improper(spec, solve(problem_of(spec).density.surrogate, SolverOptions()))


def _finished_draws(tree: Any) -> list[int]:
    """Number of draws of each chain before the first missing one."""
    missing = None
    for values in tree["posterior"].to_dataset().data_vars.values():
        empty = values.isnull().any([dim for dim in values.dims if dim not in ("chain", "draw")])
        missing = empty if missing is None else missing | empty
    if missing is None:
        return []
    return [int(np.argmax(chain)) if chain.any() else len(chain) for chain in missing.values]
