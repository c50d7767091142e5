r"""What the likelihood leaves open in the coefficients: collinear columns, and the recession cone of separated classes.

A direction ``D`` (K, q) of the coefficients in which the log-likelihood never falls is one with
:math:`z_n'(D_{y_n} - D_l) \ge 0` for every observation and class ``l``; if some margin is positive, the optimum
lies at infinity (Albert and Anderson, *Biometrika* 71, 1984).  Such a direction of *recession* is found, or
excluded, by linear programs: :mod:`bayes_softmax.separation.recession`.  A direction with all margins zero is a
collinearity.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import IntArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.design import Design, Label, Standardisation
from bayes_softmax.data.rows_in_short import RowsInShort
from bayes_softmax.separation.choice_sets import informative_rows, unseen_lines
from bayes_softmax.separation.levels import LevelsWithout
from bayes_softmax.separation.margins import observed_pairs
from bayes_softmax.separation.rank import NullSpace, coefficient_names, independent_columns, null_space, rounding_of
from bayes_softmax.separation.recession import RecessionCone, recession_cone
from bayes_softmax.spec.priors import PriorTable


class OverAll(NamedTuple):
    """What an examination of some rows says of all, where these are read in passes.

    ``rows`` are the numbers of a few that are separated, ``n_separated`` and ``n_obs`` count separated and informative
    ones, ``levels`` (None without a separation) were never observed with some class, and ``said`` is how it was proved.
    """

    rows: tuple[Label, ...]
    n_separated: int
    n_obs: int
    levels: LevelsWithout | None
    said: str


class Examination(NamedTuple):
    """What the likelihood leaves open in the coefficients that may move.

    ``cone`` lives on ``columns``, the independent ones among them; ``null`` are the collinearities, of which
    each makes one column ``redundant``.  What choice sets leave open beside them are the lines of ``cone.observed``.
    Where ``design`` holds some of the rows, ``overall`` is what is known of all.
    """

    design: Design
    cone: RecessionCone
    columns: IntArray
    null: NullSpace
    redundant: tuple[str, ...]
    overall: OverAll | None = None

    @property
    def is_determined(self) -> bool:
        """Whether nothing is open: the optimum is finite and unique."""
        return not (len(self.cone.directions) or len(self.null) or len(self.cone.observed.lines))


def examine(design: Design, free: NDArray[np.bool_] | None = None) -> Examination:
    """Rank and recession cone of a design, on the columns ``free`` (q,), default all.

    With proper priors on the other columns only these can go to infinity.
    """
    with blas_on_one_thread():  # small matrices: threads would cost more than they save
        return _examine(design, free)


def _examine(design: Design, free: NDArray[np.bool_] | None) -> Examination:
    Z = design.standardised()
    names = np.array(coefficient_names(design), dtype=object)
    open_columns = np.arange(Z.shape[1]) if free is None else np.flatnonzero(free)
    used = informative_rows(design)
    within = Z[:, open_columns] if used.all() else Z[used][:, open_columns]
    # Where no row is informative, that alone is why nothing is determined: no column is to blame.
    rounding = rounding_of(design)
    kept = independent_columns(within, rounding) if len(within) else np.ones(len(open_columns), dtype=bool)
    null = null_space(within, kept, open_columns, Z.shape[1])
    columns = open_columns[kept]
    lines = None if design.available is None else unseen_lines(within[:, kept], design.available[used], rounding)
    cone = recession_cone(observed_pairs(design, Z[:, columns], lines))
    return Examination(design, cone, columns, null, tuple(names[open_columns[~kept]]))


def what_is_open(design: Design, priors: PriorTable) -> Examination:
    """Rank and recession cone in the coefficients that have no proper prior."""
    if priors.is_jeffreys:  # bounds coefficients of separated classes, not of collinear columns
        found = examine(design)
        none = found.cone._replace(directions=found.cone.directions[:0], positive=np.zeros_like(found.cone.positive))
        return found._replace(cone=none)
    if design.has_intercept and priors.intercept_at == "zero" and not priors.flat_intercept:
        # A prior holds the intercept at x = 0; the one at the feature means moves with the weights.
        scale = design.standardisation.scale
        design = replace(design, standardisation=Standardisation(np.zeros_like(scale), scale))
    return examine(design, flat_columns(design, priors))


def flat_columns(design: RowsInShort, priors: PriorTable) -> NDArray[np.bool_]:
    """(q,) True for coefficients without a proper prior."""
    intercept = [priors.flat_intercept] if design.has_intercept else []
    return np.append(np.array(intercept, dtype=np.bool_), priors.flat_features)
