"""Warnings and errors of the package.

Bad input raises the built-in ``ValueError`` or ``TypeError``.  What is named here are the conditions of a
model that a caller may want to catch by name.
"""

import warnings
from pathlib import Path

PACKAGE = str(Path(__file__).parents[1])


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
    warnings.warn(text, category, stacklevel=2, skip_file_prefixes=(PACKAGE,))
