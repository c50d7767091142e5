"""Entry points of this room: arguments are checked, then the fitting code is loaded and run.

That code needs Numba, which ``import bayes_softmax`` does not load; loading is completed even after Ctrl-C.
"""

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.protocols import LogDensity, WhitenedDensity
from bayes_softmax.fits.forecast import Forecast
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting.settings import SamplerSettings, check_run, check_weighted_run
from bayes_softmax.spec.specification import HasSpecification, Specification


def log_density(spec: Specification) -> LogDensity | WhitenedDensity:
    """The density that is maximised or sampled, in whitened coordinates if scales are learned."""
    load_in_full("bayes_softmax.fitting.scales")
    from bayes_softmax.fitting.problem import density_of, objective_of
    from bayes_softmax.fitting.scales import prepare_hierarchy

    if spec.priors.learns_scales:
        return prepare_hierarchy(spec).density
    return objective_of(spec, density_of(spec))


def point_estimate(
    spec: Specification, kind: str, solver: str, max_iterations: int | None, learning_rate: float | None
) -> PointEstimate:
    """Maximise; ``kind`` is the name of the estimate, ``"mle"`` or ``"map"``."""
    load_in_full("bayes_softmax.fitting.estimates")
    from bayes_softmax.fitting import estimates
    from bayes_softmax.fitting.solvers import SolverOptions

    return PointEstimate(estimates.point_estimate(spec, kind, SolverOptions(solver, max_iterations, learning_rate)))


def sample(spec: Specification, settings: SamplerSettings, engine: str) -> Posterior:
    """Draw from the posterior by the named engine."""
    check_run(settings)
    load_in_full("bayes_softmax.fitting.engines")
    from bayes_softmax.fitting import engines

    engines.check_engine(engine, settings.target_accept)
    return Posterior(engines.sample(spec, settings, engine))


def laplace(spec: Specification, draws: int, seed: int, *, progressbar: bool) -> Posterior:
    """Draw from the Laplace approximation, with importance weights."""
    check_weighted_run(draws, progressbar=progressbar)
    load_in_full("bayes_softmax.fitting.weighted")
    from bayes_softmax.fitting.weighted import sample_laplace

    return Posterior(sample_laplace(spec, draws, seed, progressbar))


def forecast(
    model: HasSpecification, draws: int = 1000, tune: int | None = None, chains: int = 4, *, cores: int | None = None
) -> Forecast:
    """Time and memory that ``sample()`` and ``laplace()`` will take here, from about a second of measurements.

    Parameters
    ----------
    draws, tune, chains, cores
        The run to forecast, as in :meth:`sample`.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"])
    >>> sorted(model.forecast().sampling_seconds)
    ['independence', 'laplace', 'nuts']
    """
    settings = SamplerSettings(draws, tune, chains, cores)
    check_run(settings)
    load_in_full("bayes_softmax.fitting.forecasting")
    from bayes_softmax.fitting import forecasting

    return forecasting.forecast(model._spec, settings)
