"""``pm.sample`` on the PyMC model, for comparison and for models outside the compiled density."""

import time
from typing import Any

import numpy as np

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import Draws, FloatArray
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.labelling import despite_interrupts, hyperparameters_of, labelled_posterior
from bayes_softmax.fitting.network_sampling import near, starting_points
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.fitting.problem import problem_of
from bayes_softmax.fitting.refusals import refuse_improper, refuse_improper_network, refuse_jeffreys
from bayes_softmax.fitting.scales import prepare_hierarchy
from bayes_softmax.fitting.settings import SamplerSettings, refuse_too_many
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.inference.interrupted import keep_chains
from bayes_softmax.spec.custom.logits import OwnLogits
from bayes_softmax.spec.groups.log_prior import group_hyperparameters
from bayes_softmax.spec.parameter_draws import random_variables_of_draws
from bayes_softmax.spec.pymc_model import build_pymc_model
from bayes_softmax.spec.specification import Specification

TITLE = "pymc (pm.sample on the pm.Model)"
DEFAULT_TUNE = 1000  # PyMC's default


def sample_pymc(
    spec: Specification, settings: SamplerSettings, starts: FloatArray | None = None, title: str = TITLE
) -> PosteriorDraws:
    """``pm.sample`` on a new copy of the PyMC model, with the result labelled like any other posterior.

    ``starts`` (chains, d) are free vectors at which the chains start, as they are, of a network those of our own NUTS:
    nutpie would give all chains the same, so PyMC's own sampler runs then.  ``title`` names the method in the result.
    """
    load_in_full("pymc", "nutpie")
    import pymc as pm

    refuse_jeffreys(spec)
    tune = DEFAULT_TUNE if settings.tune is None else settings.tune
    refuse_too_many(spec, "sample", settings.chains, settings.draws, tune, whole_network=True)
    if spec.hidden is None:
        _refuse_improper(spec)
    else:
        refuse_improper_network(spec)
        if starts is None and not spec.learns_scales:
            starts = network_starts(spec, settings)
    options = {k: v for k, v in settings._asdict().items() if v is not None and k not in ("seed", "tune")}
    if isinstance(spec.logits, OwnLogits):  # not what the function derives from them and from all rows
        options["var_names"] = list(spec.logits.shapes)
    start = time.perf_counter()
    with build_pymc_model(spec) as model:
        if starts is not None:
            options |= {"initvals": _values_at(spec, model, starts), "init": "adapt_diag", "nuts_sampler": "pymc"}
        tree = pm.sample(
            tune=tune,
            random_seed=settings.seed,
            compute_convergence_checks=False,
            quiet=not settings.progressbar,
            **options,
        )
    timings = {"sampling": time.perf_counter() - start}
    # After Ctrl-C unfinished chains are padded with NaN, or missing.
    finished = _finished_draws(tree)
    left, length, notes = keep_chains([*finished, *[0] * (settings.chains - len(finished))], settings.draws)

    def label() -> PosteriorDraws:
        part = {"chain": left, "draw": slice(length)}
        posterior, stats = (tree[group].to_dataset().isel(part) for group in ("posterior", "sample_stats"))
        parameters = {  # zero where the pm.Model has no such variable: no intercept, or no features
            name: posterior[name].values.astype(np.float64)
            if name in posterior
            else np.zeros((len(left), length, *shape))
            for name, shape in spec.logits.shapes.items()
        }
        kept_stats = {  # numbers: a file has no place for nutpie's messages about divergences
            str(k): v.values
            for k, v in stats.data_vars.items()
            if v.dims == ("chain", "draw") and v.dtype.kind in "fiub"
        }
        known = [*hyperparameters_of(spec), *group_hyperparameters(spec.groups)]
        hyper = {name: posterior[name].values for name in known if name in posterior}
        drawn = Draws(np.empty(0), kept_stats, tune, notes)
        return labelled_posterior(spec, parameters, drawn, title, timings, hyper=hyper)

    return despite_interrupts(Draws(np.empty(0), {}, tune, notes, bool(notes)), label)


def network_starts(spec: Specification, settings: SamplerSettings) -> FloatArray:
    """Where the chains of a network start, (chains, d): near modes of their own, as those of our own NUTS do."""
    modes = starting_points(spec, settings.chains, settings.seed).points
    return near(network_density(spec), modes, settings.seed)


def _values_at(spec: Specification, model: Any, thetas: FloatArray) -> list[dict[str, FloatArray]]:
    """Values of the model's random variables at free vectors (S, d), where no scale is learned."""
    coordinates = spec.coordinates if spec.hidden is None else spec.network_coordinates
    parameters = {name: values[:, None] for name, values in coordinates.to_parameters(thetas).items()}
    values = parameters | random_variables_of_draws(spec, parameters)
    return [{rv.name: values[rv.name][chain, 0] for rv in model.free_RVs} for chain in range(len(thetas))]


def _refuse_improper(spec: Specification) -> None:
    """Raise if the posterior is improper, which PyMC would not notice."""
    if spec.hidden is not None:
        refuse_improper_network(spec)
        return
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
