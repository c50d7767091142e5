"""The command line: ``bayes-softmax fit``, ``predict``, ``effects``, ``evaluate`` and ``demo``."""

import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Words of the command after ``bayes-softmax``; default those of the process.

    Returns
    -------
    int
        Exit status: 0 done; 2 the command, its data or its files cannot be used; 130 interrupted by Ctrl-C; 141 the
        reader of the output has closed the pipe.  An error that should not happen is raised, for status 1.

    Examples
    --------
    >>> main(["predict", "no_such_folder", "new.csv"])
    2
    """
    try:
        from bayes_softmax.cli.entry import run  # here, so that Ctrl-C while libraries load is no traceback

        return run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("bayes-softmax: interrupted\n")
        return INTERRUPTED


__all__ = ["main"]
