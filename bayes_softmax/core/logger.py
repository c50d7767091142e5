"""Log lines of the package: the logger ``bayes_softmax``, on standard error by default.

``logging.getLogger("bayes_softmax").setLevel("ERROR")`` silences it; with a handler of one's own and
``propagate = True`` its lines go where an application wants them.
"""

import logging
import sys


class _StandardError:
    """Standard error at the time of writing: notebooks and tests replace it."""

    def write(self, text: str) -> None:
        if sys.stderr is not None:  # None in a program without a console
            sys.stderr.write(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()


def _ready() -> logging.Logger:
    """The logger with its handler, unless an application has set up one already."""
    logger = logging.getLogger("bayes_softmax")
    if not logger.handlers:
        handler = logging.StreamHandler(_StandardError())
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False  # a root logger with a handler on standard error would repeat every line
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return logger


LOGGER = _ready()
