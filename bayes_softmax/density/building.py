"""The log posterior of rows, put together from their likelihood, the coordinates and the priors."""

from collections.abc import Sequence

import numpy as np

from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.protocols import Part
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design
from bayes_softmax.density import kernel
from bayes_softmax.density.likelihood import Likelihood, LogLikelihood
from bayes_softmax.density.parts import holds_intercept, part_table, parts_of
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.prior import prior_rows, rows_that_are
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.log_prior import log_prior_constant
from bayes_softmax.spec.priors import PriorTable

COMPILE_NOTICE = "compiling the likelihood for this machine (once; later runs load it from disk)"


def build_posterior(
    rows: Design | Sequence[Design], coordinates: Coordinates, priors: PriorTable, parts: int = 1
) -> SoftmaxPosterior:
    """Compose the log posterior and announce the compilation of the kernel, if it has not been compiled yet.

    Parameters
    ----------
    rows
        A design, or several with the same classes, features and standardisation, each of which becomes a part.
    coordinates, priors
        Those of the model.
    parts
        Number of parts, of consecutive rows, into which each design is split.
    """
    held = priors.flat_intercept and holds_intercept(rows)  # where there is a prior nobody asks
    return posterior_of_parts(parts_of(rows, parts), coordinates, priors, intercept_is_held=held)


def posterior_of_parts(
    parts: Sequence[Part], coordinates: Coordinates, priors: PriorTable, *, intercept_is_held: bool = False
) -> SoftmaxPosterior:
    """Compose the log posterior of rows wherever they are; load the kernel as :func:`build_posterior` does.

    ``intercept_is_held`` is what :func:`holds_intercept` says of all rows; without it flat intercepts are not taken for
    determined, and a solver examines the curvature where it ends.
    """
    likelihood = Likelihood(tuple(parts))
    return posterior_of_likelihood(
        likelihood, part_table(parts), likelihood.linear, coordinates, priors, intercept_is_held=intercept_is_held
    )


def posterior_of_likelihood(
    likelihood: LogLikelihood, table: IntArray, YZ: FloatArray, coordinates: Coordinates, priors: PriorTable, *,
    intercept_is_held: bool,
) -> SoftmaxPosterior:  # fmt: skip
    """Compose the log posterior of a likelihood; ``table`` and ``YZ`` are of rows in memory, the first else empty."""
    data = kernel.KernelData(
        parts=table,
        YZ=YZ,
        Cb=np.ascontiguousarray(coordinates.intercept_contrast),
        Cw=np.ascontiguousarray(coordinates.weights_contrast),
        **prior_rows(priors, coordinates)._asdict(),
    )
    curved = rows_that_are(data.family, "log_concave", "proper")
    definite = bool(curved[int(coordinates.has_intercept) :].all()) and (not priors.flat_intercept or intercept_is_held)
    posterior = SoftmaxPosterior(likelihood, data, coordinates, log_prior_constant(priors, coordinates), definite)
    if not kernel.is_compiled():
        LOGGER.info(COMPILE_NOTICE)
    return posterior
