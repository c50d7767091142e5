"""Tables in files or from standard input: text, Parquet or Arrow, plain or compressed, told apart by their first bytes.

Every error names the file.  Rows are numbered from 1, as they are after the line of names.
"""

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_softmax.cli.compression import unpacked
from bayes_softmax.cli.text_table import TextFormat, read_text
from bayes_softmax.core.checks import did_you_mean

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

STANDARD_INPUT = "-"


def read_table(given: str, text: TextFormat) -> "pd.DataFrame":
    """A table from a file, or from standard input where ``-`` is given.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it holds no table, or a damaged one.
    """
    import pandas as pd

    name, packed = _contents(given)
    data, inner = unpacked(name, packed)
    reader = next((read for start, read in _readers().items() if data.startswith(start)), None)
    frame = read_text(name, data, text, inner.suffix.lower()) if reader is None else _whole(name, reader, data)
    if frame.empty:
        raise ValueError(f"{name} has {'names of columns, but no row' if len(frame.columns) else 'no column'}")
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame


def _contents(given: str) -> tuple[str, bytes]:
    """Name of the file for messages, and its bytes."""
    if given == STANDARD_INPUT:
        return "standard input", sys.stdin.buffer.read()
    path, name = Path(given), repr(given)
    if path.is_dir():
        raise IsADirectoryError(f"{name} is a folder; name a file with a table")
    try:
        return name, path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {name}{near_names(path)}") from None
    except PermissionError:
        raise PermissionError(f"{name} cannot be read: you have no permission") from None


def near_names(path: Path) -> str:
    """The nearest name beside a path that does not exist."""
    if not path.parent.is_dir():
        return f": there is no folder {str(path.parent)!r}"
    try:
        return did_you_mean(path.name, [beside.name for beside in path.parent.iterdir()])
    except (OSError, ValueError):  # a folder that cannot be listed, or a path without a name
        return ""


def _readers() -> dict[bytes, Callable[[BytesIO], "pd.DataFrame"]]:
    """Readers by the first bytes of their files."""
    import pandas as pd

    return {b"PAR1": pd.read_parquet, b"ARROW1": pd.read_feather}


def _whole(name: str, reader: Callable[[BytesIO], "pd.DataFrame"], data: bytes) -> "pd.DataFrame":
    """The table of a file that says itself what is in it; an index with a name is a column too."""
    try:
        frame = reader(BytesIO(data))
    except Exception as error:  # Arrow's own kinds, for a damaged file
        raise ValueError(f"{name} is damaged: {' '.join(str(error).split())[:200]}") from error
    named = [level for level in frame.index.names if level is not None]
    return frame.reset_index(level=named) if named else frame
