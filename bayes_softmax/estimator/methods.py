"""The four ways to fit, by name, with an estimator's parameters as the model's arguments."""

from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from bayes_softmax.core.checks import check_counts_or_none, shown
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.model import SoftmaxRegression

DEFAULTED = ("draws", "tune", "target_accept")  # settings for which None stands for a default
LARGEST_SEED = 2**64

type Method = Callable[[Any, SoftmaxRegression], PointEstimate | Posterior]


def asked_of_fits() -> dict[str, str]:
    """Names of what is asked of fits, each with where it is."""
    names = {name for kind in (Posterior, PointEstimate) for name in dir(kind) if not name.startswith("_")}
    return {name: f"that is of the fit, clf.result_.{name}" for name in names}


def _map(estimator: Any, model: SoftmaxRegression) -> PointEstimate:
    return model.map(estimator.solver, **_search(estimator))


def _mle(estimator: Any, model: SoftmaxRegression) -> PointEstimate:
    return model.mle(estimator.solver, **_search(estimator))


def _search(estimator: Any) -> dict[str, Any]:
    """Limits of an optimisation, and random starts of a network's: of a fixed seed unless the estimator has one."""
    check_counts_or_none(max_iter=estimator.max_iter)
    state = estimator.random_state
    seed = None if state is None or estimator.logits is None else _seed(state)
    return {"max_iterations": estimator.max_iter, "restarts": estimator.restarts, "random_seed": seed}


def _laplace(estimator: Any, model: SoftmaxRegression) -> Posterior:
    return model.laplace(**_settings(estimator, "draws"))


def _sample(estimator: Any, model: SoftmaxRegression) -> Posterior:
    settings = _settings(estimator, "draws", "tune", "chains", "target_accept", "engine", "layers")
    return model.sample(cores=_cores(estimator.n_jobs), **settings)


# The names of the parameter ``method``.
METHODS: dict[str, Method] = {"map": _map, "mle": _mle, "laplace": _laplace, "sample": _sample}


def _settings(estimator: Any, *names: str) -> dict[str, Any]:
    """Settings of the draws; None stands for the model's own default where it has one."""
    if not isinstance(estimator.verbose, bool | int | np.bool_ | np.integer):
        raise TypeError(f"verbose={shown(estimator.verbose)} must be True or False, or a whole number")
    given = {name: getattr(estimator, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None or name not in DEFAULTED}
    return given | {"random_seed": _seed(estimator.random_state), "progressbar": bool(estimator.verbose)}


def _cores(n_jobs: Any) -> int:
    """Number of chains at a time."""
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0):
        raise ValueError(f"n_jobs={shown(n_jobs)} must be None or a whole number other than zero, such as -1")
    return int(effective_n_jobs(n_jobs))


def _seed(random_state: Any) -> Any:
    """A seed for the model: integers and generators as they are, of NumPy's older states a random integer."""
    if random_state is None or isinstance(random_state, np.random.RandomState):
        state = np.random.mtrand._rand if random_state is None else random_state
        return int(state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return random_state
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if not whole or not 0 <= random_state < LARGEST_SEED:
        raise ValueError(
            f"random_state={shown(random_state)} must be a whole number from 0 to 2**64 - 1, a RandomState, a "
            "Generator or None"
        )
    return int(random_state)
