"""A fit again from what was kept of it."""

from typing import Any

import numpy as np

from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.fits.estimate import PointEstimate
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fits.storage.reading import read_record
from bayes_softmax.fits.storage.records import EstimateRecord, PosteriorRecord


def load(path: Any, *, logits: Logits | None = None) -> PointEstimate | Posterior:
    """Read a fit that ``save`` wrote; it answers without PyMC, nutpie or any compilation.

    Parameters
    ----------
    path
        What ``PointEstimate.save`` or ``Posterior.save`` wrote: a ``.nc`` file or a ``.zarr`` folder.
    logits
        The function that logits are computed by, where it is not one of the package: a file holds no code.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one of ours, is damaged, or was written by a newer version; if its logits are of a kind that
        is not known and not given.
    """
    record = read_record(path, logits)
    return Posterior(**record._asdict()) if isinstance(record, PosteriorRecord) else _estimate(record)


def _estimate(record: EstimateRecord) -> PointEstimate:
    """The estimate with functions that return what they once computed."""
    fields = record._asdict()
    covariance, variances, limits = (fields.pop(name) for name in ("covariance", "variances", "limits"))
    fields["values"] = label_parameters(record.logits, record.values, record.schema)
    return PointEstimate(
        **fields,
        covariance_of=lambda: np.empty(0) if covariance is None else covariance,
        variance_of=None if variances is None else lambda: variances,
        limits_of=None if limits is None else lambda: limits,
    )
