"""From arguments to an exit status: what goes wrong is said in one line, and what should not happen is not hidden.

========  ==========================================================================================
status    meaning
========  ==========================================================================================
0         done
1         an error that should not happen, with its traceback
2         the command, its data or its files cannot be used; the message says why
130       interrupted by Ctrl-C
141       the reader of the output has closed the pipe
========  ==========================================================================================
"""

import argparse
import dis
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import bayes_softmax as bs
from bayes_softmax.cli.output import tell
from bayes_softmax.cli.parser import parse
from bayes_softmax.cli.wording import in_options
from bayes_softmax.core.logger import LOGGER

PACKAGE = f"{Path(bs.__file__).parent}{os.sep}"
CANNOT_BE_USED, INTERRUPTED, CLOSED_PIPE = 2, 130, 141
EXPLAINED = (ValueError, TypeError, ImportError, MemoryError)  # where the package raised them


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Words of the command after ``bayes-softmax``; default those of the process.

    Returns
    -------
    int
        Exit status: 0 done; 1 an error that should not happen, with its traceback (it is raised); 2 the command, its
        data or its files cannot be used; 130 interrupted by Ctrl-C; 141 the reader of the output has closed the pipe.

    Examples
    --------
    >>> from bayes_softmax.cli import main
    >>> main(["predict", "no_such_folder", "new.csv"])
    2
    """
    options = parse(arguments)
    try:
        with _told_briefly(options.command, quiet=options.quiet):
            status = _run(options)
    except BrokenPipeError:
        _close_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        tell("bayes-softmax: interrupted")
        return INTERRUPTED
    except OSError as error:
        _close_output()
        tell(f"bayes-softmax: {_of_system(error)}")
        return CANNOT_BE_USED
    except EXPLAINED as error:
        if not _is_explained(error):
            error.add_note("bayes-softmax: this should not happen; please report it with the command that led to it")
            raise
        tell(f"bayes-softmax: {in_options(str(error), options.command)}")
        return CANNOT_BE_USED
    return status


def _run(options: argparse.Namespace) -> int:
    """Run the command; its libraries are loaded here, so that `--help` is quick."""
    from bayes_softmax.cli import answers, demo, fit

    commands = {
        "fit": fit.fit,
        "predict": answers.predict,
        "effects": answers.effects,
        "evaluate": answers.evaluate,
        "demo": demo.demo,
    }
    return commands[options.command](options)


@contextmanager
def _told_briefly(command: str, *, quiet: bool) -> Iterator[None]:
    """Warnings of the package in one line each, without a place in code; remarks on progress not at all if quiet."""

    def tell_warning(message: Warning | str, category: type[Warning], *place: object) -> None:
        kind = "warning" if issubclass(category, UserWarning) else category.__name__
        tell(f"bayes-softmax: {kind}: {in_options(str(message), command)}")

    level = LOGGER.level
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = tell_warning  # type: ignore[assignment]  # the place is left out
        if quiet:
            LOGGER.setLevel("WARNING")
        try:
            yield
        finally:
            LOGGER.setLevel(level)


def _is_explained(error: BaseException) -> bool:
    """Whether a ``raise`` of this package made the error, so that its text is meant for a reader."""
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return False
    code = last.tb_frame.f_code
    return code.co_filename.startswith(PACKAGE) and dis.opname[code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


def _of_system(error: OSError) -> str:
    """Message of the package, or of the operating system with the file first."""
    if error.strerror is None:
        return in_options(str(error))
    return f"{error.filename!r}: {error.strerror}" if error.filename else error.strerror


def _close_output() -> None:
    """Send what is still to be written nowhere, so that Python does not fail again at exit."""
    with suppress(OSError, ValueError):  # a standard output that is no file
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
