"""Reading a saved fit."""

from typing import Any

import numpy as np

from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.core.checks import shown
from bayes_softmax.core.keywords import explains
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fits.storage.reading import read_record
from bayes_softmax.fits.storage.records import EstimateRecord, PosteriorRecord, Record
from bayes_softmax.spec.custom.argument import CustomLogits
from bayes_softmax.spec.custom.recognition import given_back


@explains
def load(path: Any, *, logits: Logits | CustomLogits | None = None) -> PointEstimate | Posterior:
    """Read a fit that ``save`` wrote; it needs neither PyMC nor nutpie nor compilation.

    Parameters
    ----------
    path
        A ``.nc`` file or ``.zarr`` folder written by ``PointEstimate.save`` or ``Posterior.save``.
    logits
        The logit function, where it is not one of the package, as ``CustomLogits(build)`` of a fit that was made with
        it: a file holds no code.  Without it such a fit has its draws, and no answers about logits.

    Raises
    ------
    TypeError
        If ``logits`` is not a logit function.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a saved fit, is damaged, or was written by a newer version; if the kind of its logits is
        unknown and ``logits`` is not given; if those given are not the ones of the fit.

    Examples
    --------
    >>> import tempfile
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(f"{folder}/fit.nc")
    ...     again = bs.load(f"{folder}/fit.nc")
    >>> again.predict([[0.0], [9.0]]).tolist()
    ['a', 'b']
    """
    custom = logits if isinstance(logits, CustomLogits) else None
    given = None if isinstance(logits, CustomLogits) else logits
    if given is not None and (isinstance(given, type) or not isinstance(given, Logits)):
        raise TypeError(
            f"logits={shown(given)} must be a logit function: CustomLogits(...), or an object that offers "
            "core.protocols.Logits"
        )
    record = read_record(path, given)
    if custom is not None:
        record = _with_function(record, custom)
    if isinstance(record, PosteriorRecord):
        return Posterior(PosteriorDraws(**record._asdict()))
    return PointEstimate(_estimate(record))


def _with_function(record: Record, custom: CustomLogits) -> Record:
    """The record with the user's function in its logits; raises if that is not the one that was fitted."""
    schema, draws = record.schema, Parameters({})
    if isinstance(record, PosteriorRecord):
        draws = PosteriorDraws(**record._asdict()).parameters
    logits = given_back(record.logits, custom, draws, schema.feature_names, schema.classes)
    return record._replace(logits=logits)


def _estimate(record: EstimateRecord) -> Estimate:
    """The estimate, with functions that return the stored values."""
    fields = record._asdict()
    covariance, variances, limits = (fields.pop(name) for name in ("covariance", "variances", "limits"))
    fields["values"] = label_parameters(record.logits, record.values, record.schema)
    return Estimate(
        **fields,
        covariance_of=None if covariance is None and variances is None else lambda: _known(covariance),
        variance_of=None if variances is None else lambda: variances,
        limits_of=None if limits is None else lambda: limits,
    )


def _known(covariance: FloatArray | None) -> FloatArray:
    """The covariance as it was stored; that of very many coefficients never is."""
    return np.empty(0) if covariance is None else covariance
