"""What the command line prints and writes: results on standard output, all else on standard error."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_softmax.cli.compression import COMPRESSIONS

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

STANDARD_OUTPUT = "-"
COMPILES = " (the first fit on a machine compiles, for about half a minute)"


def say(text: object) -> None:
    """Print a result; a reader that has closed the pipe is noticed here, not at exit."""
    encoding = sys.stdout.encoding or "utf-8"  # which may lack letters of a name
    print(str(text).encode(encoding, "backslashreplace").decode(encoding), flush=True)


def tell(text: str) -> None:
    """Print a message beside the results."""
    print(text, file=sys.stderr, flush=True)


class Stages:
    """Progress of the stages of a command on standard error, with the time of each."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, soft_wrap=True)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, *, compiles: bool = False) -> Iterator[None]:
        """Show a spinner while the stage runs, then its time; ``compiles`` says why it may take long once."""
        start = time.perf_counter()
        with self.console.status(f"{name} ...{COMPILES if compiles else ''}"):
            yield
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"{name}: {self.seconds[name]:.2f} s", style="dim")

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())


def shows_progress(*, quiet: bool) -> bool:
    """Whether a progress bar, which goes to standard output, would be seen and not be piped on."""
    return sys.stdout.isatty() and not quiet


def say_table(table: "pd.DataFrame") -> None:
    """Print all rows and columns of a table in the width of the terminal, 80 where there is none."""
    import pandas as pd

    width = shutil.get_terminal_size().columns
    with pd.option_context("display.max_rows", None, "display.max_columns", None, "display.width", width):
        say(table)


def check_out_file(out: str | None, *, force: bool) -> None:
    """Raise, before any work, if a table cannot be written to a file."""
    if out is None or out == STANDARD_OUTPUT:
        return
    from bayes_softmax.cli.folder import check_writable

    path = Path(out)
    _writer(path)
    if path.is_dir():
        raise IsADirectoryError(f"--out {out!r} is a folder; name a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--out {out!r}: there is no folder {str(path.parent)!r}")
    check_writable(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(f"--out {out!r} is not a regular file; name another one, or - for standard output")
    if os.path.lexists(path) and not force:
        raise FileExistsError(f"--out {out!r} exists; pass --force to replace it, or name another file")


def write_table(table: "pd.DataFrame", out: str) -> None:
    """Write a table to a file, in the form that its name asks for, or as CSV in UTF-8 to standard output."""
    if out == STANDARD_OUTPUT:
        sys.stdout.buffer.write(csv_bytes(table))
        sys.stdout.flush()  # a broken pipe raises here, not at exit
        return
    from bayes_softmax.fits.storage.files import replace_file

    path = Path(out)
    replace_file(Path(os.path.realpath(path)), _writer(path)(table))


def flat_columns(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table whose index is columns too, and with names in one level: ``('a', 'mean')`` is ``a_mean``."""
    named = table.reset_index()
    named.columns = ["_".join(str(part) for part in c if part != "") if isinstance(c, tuple) else str(c) for c in named]
    return named


def csv_bytes(table: "pd.DataFrame", separator: str = ",") -> bytes:
    """A table as text in UTF-8."""
    return table.to_csv(index=False, sep=separator).encode()


def _parquet_bytes(table: "pd.DataFrame") -> bytes:
    buffer = BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _writer(path: Path) -> Callable[[Any], bytes]:
    """How a table is written to a file of such a name."""
    writers: dict[str, Callable[[Any], bytes]] = {
        ".csv": csv_bytes,
        ".tsv": lambda table: csv_bytes(table, "\t"),
        ".parquet": _parquet_bytes,
    }
    ending, packed = path.suffix.lower(), COMPRESSIONS.get(path.suffix.lower())
    if packed is not None:
        ending = Path(path.stem).suffix.lower()
    write = writers.get(ending)
    if write is None or (packed is not None and ending == ".parquet"):
        raise ValueError(
            f"--out {str(path)!r} must end in {', '.join(writers)}, or in .csv or .tsv and one of "
            f"{', '.join(COMPRESSIONS)}"
        )
    return write if packed is None else lambda table: packed.pack(write(table))
