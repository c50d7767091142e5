"""From arguments to an exit status: what goes wrong is said in one line, and what should not happen is not hidden."""

import argparse
import dis
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType

import bayes_softmax as bs
from bayes_softmax.cli.output import tell
from bayes_softmax.cli.parser import parse
from bayes_softmax.cli.wording import in_options
from bayes_softmax.core.logger import LOGGER

PACKAGE = f"{Path(bs.__file__).parent}{os.sep}"
CANNOT_BE_USED, CLOSED_PIPE = 2, 141
EXPLAINED = (ValueError, TypeError, ImportError, MemoryError)  # where the package raised them


def run(arguments: Sequence[str] | None) -> int:
    """Run a command; returns the exit status.  Ctrl-C is raised."""
    options = parse(arguments)
    reword = partial(in_options, command=options.command, data=getattr(options, "data", None))
    try:
        with _told_briefly(reword, quiet=options.quiet):
            status = _run(options)
    except BrokenPipeError:
        _close_output()
        return CLOSED_PIPE
    except OSError as error:
        _close_output()
        tell(f"bayes-softmax: {reword(_of_system(error))}")
        return CANNOT_BE_USED
    except EXPLAINED as error:
        if not _is_explained(error):
            error.add_note("bayes-softmax: this should not happen; please report it with the command that led to it")
            raise
        tell(f"bayes-softmax: {reword(str(error))}")
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
def _told_briefly(reword: Callable[[str], str], *, quiet: bool) -> Iterator[None]:
    """Warnings of the package in one line each, without a place in code; remarks on progress not at all if quiet."""

    def tell_warning(message: Warning | str, category: type[Warning], *place: object) -> None:
        kind = "warning" if issubclass(category, UserWarning) else category.__name__
        tell(f"bayes-softmax: {kind}: {reword(str(message))}")

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
        return str(error)
    return f"{error.filename!r}: {error.strerror}" if error.filename else error.strerror


def _close_output() -> None:
    """Send what is still to be written nowhere, so that Python does not fail again at exit."""
    with suppress(OSError, ValueError):  # a standard output that is no file
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
