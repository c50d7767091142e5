"""Lines that an estimate says of itself."""

import math

from bayes_softmax.core.checks import counted

DIGITS_BELOW = -1e-3  # log-likelihoods nearer to zero have significant digits instead of decimals


def likelihood_line(log_likelihood: float, cross_entropy: float, log_posterior: float | None) -> str:
    """The value of the optimum; an estimate by maximum likelihood has no log posterior."""
    likelihood = f"{log_likelihood:{'.4f' if log_likelihood < DIGITS_BELOW else '.3g'}}"
    posterior = "" if log_posterior is None else f", log posterior {log_posterior:.4f}"
    return f"log-likelihood {likelihood}, cross-entropy {cross_entropy:.6f}{posterior}"


def certificate_line(n_iterations: int, gradient_norm: float, newton_decrement: float) -> str:
    """How well the optimum was found."""
    decrement = "" if math.isnan(newton_decrement) else f", Newton decrement {newton_decrement:.1e}"
    return f"{counted(n_iterations, 'iteration')}, gradient {gradient_norm:.1e} per observation{decrement}"


def covariance_refused(dimension: int) -> str:
    """Why the covariance of very many coefficients is not formed, and what to use instead."""
    return (
        f"the covariance of {dimension} coefficients would take {8 * dimension**2 / 2**30:.1f} GiB and is not formed: "
        "standard errors of coefficients are in summary(), and laplace() or sample() give intervals for everything else"
    )
