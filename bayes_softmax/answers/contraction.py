r"""Contraction of the prior by the data, :math:`1 - \mathrm{Var}_{post} / \mathrm{Var}_{prior}`.

Near 1 the data determine the answer; near 0 the prior does (Betancourt, *Calibrating Model-Based Inferences and
Decisions*, arXiv:1803.08393, 2018).  A likelihood that only says "positive, the larger the better", as on separated
data, turns a normal prior into a half-normal: contraction :math:`2/\pi = 0.64`, whatever the number of rows.
"""

import numpy as np

from bayes_softmax.answers.contrasts import build_view
from bayes_softmax.core.checks import listed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.spec.coding import contrast_matrix

# Measured under the default prior, the smallest contraction of a difference between two classes: a dummy seen with one
# class only 0.49 to 0.72 (4 to 205 of its rows), iris 0.3 to 0.7, wine 0.2 to 0.5, all four penguin measurements 0.55
# to 0.7; data that overlap well 0.73 (100 rows, 25 coefficients) to 0.99 (anes96, hsb2, housing, Womenlf).
PRIOR_DOMINATED = 0.7
MOST_NAMES = 3  # in a note
MANY_COEFFICIENTS = 1000  # above which a printout does not compute the covariance


def contraction(schema: Schema, matrix: FloatArray, variance: FloatArray) -> FloatArray | None:
    """Contraction (q, m) of contrasts, intercept first; NaN for a prior without variance, None if all are.

    Parameters
    ----------
    schema
        Holds the prior standard deviations of the free coordinates.
    matrix
        (K, m) contrasts of the class columns.
    variance
        (q, m) variances of the contrasts given the data.
    """
    sd = np.array([np.nan if s is None else s for s in schema.prior_sd], dtype=np.float64)
    if not np.isfinite(sd).any():
        return None
    C = contrast_matrix(schema.coding, len(schema.classes))
    prior = np.square(C.T @ matrix).sum(axis=0)
    out: FloatArray = 1.0 - variance / (sd[:, None] ** 2 * prior)
    return out


def prior_dominated(schema: Schema, covariance: FloatArray) -> tuple[str, ...]:
    """Features with a contrast between two classes that the prior determines more than the data.

    ``covariance`` (q, K, K) holds, for each row of coefficients, intercept first, their covariance over the classes.
    """
    smallest = np.full(len(covariance), np.inf)
    for label in schema.classes:
        matrix = build_view(schema, label).matrix
        values = contraction(schema, matrix, np.einsum("km,ikl,lm->im", matrix, covariance, matrix))
        if values is None:
            return ()
        smallest = np.fmin(smallest, values.min(axis=1))
    named = zip(schema.feature_names, smallest[1:], strict=True)
    return tuple(name for name, value in named if value < PRIOR_DOMINATED)


def prior_notes(names: tuple[str, ...], next_step: str) -> tuple[str, ...]:
    """Note for a printout, with what to do next; none if there are no such features."""
    if not names:
        return ()
    return (
        f"the prior decides much about {listed(names, MOST_NAMES)}: for some pair of classes the data take away less "
        f"than {100 * PRIOR_DOMINATED:g} % of its variance ('contraction' in summary()). {next_step}",
    )
