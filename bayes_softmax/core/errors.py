"""Warnings and errors of the package.

Bad input raises the built-in ``ValueError`` or ``TypeError``.  What is named here are the conditions of a
model that a caller may want to catch by name.
"""

import contextlib
import functools
import os
import warnings
from pathlib import Path

# How the files begin whose lines no user wrote: those of the package, and of the standard library between two of them.
# The separator ends the package's: ``bayes_softmax_study.py`` beside it is the user's.  Python 3.13 does not take a
# whole name for its own beginning.
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
    """Some rows are asked about that neither data nor prior say anything about: their answers are missing."""


class NotReliableWarning(UserWarning):
    """An approximation failed its own check; the message says what to run instead."""


class UnusedClassWarning(UserWarning):
    """A declared class has no observation: only the prior informs it."""


class NotEnoughMemoryError(ValueError, MemoryError):
    """What was asked for does not fit into memory; the message says how much it is and how much there is.

    Callers catch it as a ``MemoryError``.
    """


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called the package, however deep inside it the reason was found."""
    warnings.warn(text, category, skip_file_prefixes=_NOT_THE_CALLER)
