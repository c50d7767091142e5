"""What leave-one-out by importance weights needs: enough draws, reliable ones, and a small Pareto k."""

import math

import numpy as np

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.records import FloatArray

FEWEST_DRAWS = 100


def check_draws(fit: Fitted) -> None:
    """Raise where importance weights are undefined or too few to judge."""
    if fit.is_prior:
        raise ValueError("leave-one-out needs a posterior, and these are draws from the prior; use model.sample()")
    n_draws = fit.parameters.n_draws
    if n_draws < FEWEST_DRAWS:
        few = f"leave-one-out needs at least {FEWEST_DRAWS} draws to judge its weights; there are {n_draws}"
        raise ValueError(f"{few}. kfold() scores any fit")


def warn_of_doubts(fit: Fitted, pareto_k: FloatArray) -> FloatArray:
    """Pareto k, with a warning where the draws as a whole are unreliable, which no weights can reveal."""
    if not fit.doubts:
        return pareto_k
    warn_caller(
        f"leave-one-out is not reliable here: {'; '.join(fit.doubts)}. Sample longer, or with another engine, first",
        NotReliableWarning,
    )
    return np.where(pareto_k == -np.inf, np.inf, pareto_k)


def good_k(n_draws: int) -> float:
    """Largest Pareto k of a reliable estimate from this number of draws (Vehtari et al., *JMLR* 25, 2024)."""
    return min(1.0 - 1.0 / math.log10(max(n_draws, 11)), 0.7)
