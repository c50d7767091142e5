"""Warnings and errors of the package.

Bad input raises the built-in ``ValueError`` or ``TypeError``.  The classes here are conditions of a model that a caller
may want to catch by name.
"""

import contextlib
import functools
import os
import warnings
from pathlib import Path

# Prefixes of files that are not the user's: those of the package, and of standard-library modules between two of them.
# The package's ends in a separator, since ``bayes_softmax_study.py`` beside it is the user's.  The others lack the
# suffix ``py``, since Python 3.13 does not take a full name for its own prefix.
_NOT_THE_CALLER = (
    f"{Path(__file__).parents[1]}{os.sep}",
    functools.__file__.removesuffix("py"),
    contextlib.__file__.removesuffix("py"),
)


class ImproperPosteriorError(ValueError):
    """The posterior cannot be normalised, so there is nothing to sample; the message says why."""


class NotConvergedWarning(UserWarning):
    """An optimiser stopped without a certificate of the optimum; the message says what to do."""


class NotEstimableWarning(UserWarning):
    """Neither data nor prior determine the answers for some rows: these are missing."""


class NotReliableWarning(UserWarning):
    """An approximation failed its check, draws have not converged, or hardly anything bounds some coefficients.

    The message says what to do instead.
    """


class UnusedClassWarning(UserWarning):
    """A declared class has no observation: only the prior informs it."""


class ClusterError(RuntimeError):
    """A pass over rows on a Dask cluster could not be finished; the message says where it stopped and what to do.

    The scheduler was lost, the client was closed, or worker after worker died in one partition.  Callers catch it as a
    ``RuntimeError``.
    """


class NotEnoughMemoryError(ValueError, MemoryError):
    """A call does not fit into memory; the message says how much it needs and how much is available.

    Callers catch it as a ``MemoryError``.
    """


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called the package, however deep the call stack below it."""
    warnings.warn(text, category, skip_file_prefixes=_NOT_THE_CALLER)
