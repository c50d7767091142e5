"""CSV files; errors name the file, the line and a likely separator."""

import re
import warnings
from pathlib import Path

import pandas as pd

SEPARATORS = ";\t|"


def read_csv(path: Path, separator: str = ",") -> pd.DataFrame:
    """A frame of a CSV file in UTF-8 whose first line names the columns.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is empty, is not text, has lines of different lengths, or has another separator.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    if len(separator) != 1:
        raise ValueError(f"--separator {separator!r} must be one character; a tab is $'\\t'")
    first = _first_line(path)
    other = next((s for s in SEPARATORS + "," if s in first), None) if separator not in first else None
    if other is not None:
        raise ValueError(
            f"{str(path)!r}, line 1: there is no {separator!r}, but {first.count(other)} times {other!r}; "
            f"if that separates the fields, pass --separator {other!r}"
        )
    try:
        with warnings.catch_warnings():
            # Raised where lines have more fields than there are names; pandas would take the first as row labels.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(path, sep=separator, low_memory=False, index_col=False)
    except UnicodeDecodeError as error:
        raise ValueError(_not_text(path, error)) from error
    except pd.errors.ParserError as error:
        raise ValueError(f"{str(path)!r}{_place(error)}") from error
    except pd.errors.ParserWarning as error:
        raise ValueError(f"{str(path)!r}, line 2: it has more fields than line 1 has names") from error
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{str(path)!r} is empty; its first line must name the columns") from error
    return frame


def _first_line(path: Path) -> str:
    """The line that names the columns."""
    with open(path, "rb") as file:
        start = file.readline(1 << 16)
    if b"\0" in start:
        raise ValueError(f"{str(path)!r} is not text: line 1 contains a zero byte")
    try:
        return start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(_not_text(path, error)) from error


def _not_text(path: Path, error: UnicodeDecodeError) -> str:
    with open(path, "rb") as file:
        lines = file.read()
    try:
        lines.decode()
        line = 1
    except UnicodeDecodeError as whole:
        line = lines.count(b"\n", 0, whole.start) + 1
    byte = error.object[error.start]
    return f"{str(path)!r}, line {line}: byte 0x{byte:02x} is not valid UTF-8; save the file as CSV in UTF-8"


def _place(error: Exception) -> str:
    """Line and reason of a parser's message."""
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if found is None:
        return f" cannot be read as CSV: {' '.join(str(error).split())}"
    expected, line, saw = found.groups()
    return f", line {line}: it has {saw} fields, the lines before {expected}"
