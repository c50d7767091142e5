"""The same model of other numbers of its observations: for cross-validation."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.answers.training import Cells
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Response
from bayes_softmax.data.observations import Observations
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.prior_scale import chosen_again
from bayes_softmax.spec.specification import Specification


def with_cells(spec: Specification, cells: Cells, seed: int = 0) -> Specification:
    """The model with the observations ``cells`` of its distinct rows in place of its own.

    Encodings, standardisation and priors stay: a default prior with the scales that all rows gave it is part of the
    model.  They depend on the features alone, so nothing is learned from the classes of other observations; factors
    of them that were chosen from the classes are chosen again, for a network with the random starts of ``seed``.
    """
    design = spec.distinct
    response, weights = _observed(design, cells)
    rows = Observations(replace(design, response=response, weights=weights), collapse=False)
    without = replace(spec, rows=rows)
    return without if spec.priors.choice is None else chosen_again(without, seed)


def _observed(design: Design, cells: Cells) -> tuple[Response, FloatArray | None]:
    """Response and weights of the rows: labels with weights where no row has two classes, else counts."""
    n, K, given = design.n_obs, design.n_classes, design.response
    seen: NDArray[np.float64] = np.bincount(cells.codes, weights=cells.counts, minlength=K)
    unused = tuple(c for c, total in zip(given.classes, seen, strict=True) if total == 0)
    if given.codes is not None:
        # Rows without an observation keep their label and have weight zero.
        weights = np.bincount(cells.rows, weights=cells.counts, minlength=n)
        return replace(given, unused=unused), weights
    counts = np.zeros((n, K))
    counts[cells.rows, cells.codes] = cells.counts
    return replace(given, counts=counts, unused=unused), None


def without_one(spec: Specification, row: int, code: int) -> Specification:
    """The same model, priors included, without one observation of class ``code`` in a distinct row."""
    design = spec.distinct
    counts = design.dense_counts().copy()
    counts[row, code] -= 1.0
    response = replace(design.response, codes=None, counts=counts)
    return replace(spec, rows=Observations(replace(design, response=response, weights=None), collapse=False))


def complete(posterior: PosteriorDraws) -> PosteriorDraws:
    """The same; raises if Ctrl-C cut it short, since partial draws of a refit are no answer."""
    if any(note.startswith(INTERRUPTED) for note in posterior.notes):
        raise KeyboardInterrupt("interrupted while observations were left out")
    return posterior
