"""Tables as text, one line a row; errors name the file, the line, and a likely separator, decimal point or encoding."""

import csv
import re
import warnings
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

from bayes_softmax.core.checks import counted, shown

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
GUESSED = ",;\t|"
BY_ENDING = {".tsv": "\t", ".tab": "\t"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
DECIMAL_COMMA = r"\s*[+-]?\d+,\d+\s*"
FEW = 3  # distinct values with a comma that may be names all the same


class TextFormat(NamedTuple):
    """How text is read; None: found out from the file's name, or the default; ``as_text`` are no numbers."""

    separator: str | None = None
    decimal: str | None = None
    encoding: str = "utf-8"
    na_values: tuple[str, ...] | None = None
    as_text: tuple[str, ...] = ()


def read_text(name: str, data: bytes, text: TextFormat, ending: str) -> "pd.DataFrame":
    """The table in the bytes of a text file whose first line names the columns.

    Raises
    ------
    ValueError
        If it is empty, is not text, has another separator, or lines of different lengths.
    """
    lines = _decoded(name, data, text.encoding)
    if not lines.strip():
        raise ValueError(f"{name} is empty; its first line must name the columns")
    separator = _separator(name, lines, text.separator, BY_ENDING.get(ending, ","))
    frame = _parsed(name, lines, separator, text)
    if text.decimal is None:
        _refuse_decimal_commas(name, frame)
    return frame


def _decoded(name: str, data: bytes, encoding: str) -> str:
    """The text of a file; a mark at its beginning is left out."""
    if encoding == "utf-8" and data.startswith(UTF_16):
        raise ValueError(f"{name} is text in UTF-16; pass --encoding utf-16")
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise ValueError(f"--encoding {encoding!r} is not known; use for example utf-8, cp1252 or utf-16") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        other = "; if it comes from Windows, pass --encoding cp1252" if encoding == "utf-8" else ""
        raise ValueError(
            f"{name}, line {line}: byte 0x{data[error.start]:02x} is not {encoding} text{other}"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{name} is not text: line {line} contains a zero byte")
    return text


def _separator(name: str, lines: str, given: str | None, default: str) -> str:
    """The separator of the fields, as given or usual; an error if another one is there instead."""
    separator = default if given is None else SEPARATORS.get(given, "\t" if given == "\\t" else given)
    if len(separator) != 1 or separator in '"\n\r':
        raise ValueError(f"--separator {given!r} must be one character, or one of {', '.join(SEPARATORS)}")
    first = re.search(r"[^\r\n]*\S[^\r\n]*", lines)[0]  # type: ignore[index]  # the text is not blank
    other = next((s for s in GUESSED if s in first), None) if separator not in first else None
    if other is not None:
        words = {sign: word for word, sign in SEPARATORS.items()}
        raise ValueError(
            f"{name}, line 1: there is no {words.get(separator, shown(separator))} between the names, but "
            f"{counted(first.count(other), words[other])}; if that separates the fields, pass --separator "
            f"{words[other]}"
        )
    _refuse_equal_names(name, lines, separator)
    return separator


def _refuse_equal_names(name: str, lines: str, separator: str) -> None:
    """Raise if two columns have one name, which pandas would change silently."""
    try:
        names = next(filter(None, csv.reader(StringIO(lines), delimiter=separator)), [])
    except csv.Error:  # a quotation mark is never closed, which the parser says with its line
        return
    for column in names:
        if column and names.count(column) > 1:
            raise ValueError(f"{name}, line 1: the name {shown(column)} appears twice; columns need different names")


def _parsed(name: str, lines: str, separator: str, text: TextFormat) -> "pd.DataFrame":
    import pandas as pd

    decimal = text.decimal or "."
    if len(decimal) != 1 or decimal == separator:
        raise ValueError(f"--decimal {decimal!r} must be one character, and not the separator")
    # Where lines have more fields than there are names, pandas would take the first ones as labels of the rows.
    options: dict[str, Any] = {"low_memory": False, "index_col": False, "dtype": dict.fromkeys(text.as_text, str)}
    if text.na_values is not None:
        options |= {"na_values": ["", *text.na_values], "keep_default_na": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(StringIO(lines), sep=separator, decimal=decimal, **options)
    except pd.errors.ParserError as error:
        raise ValueError(f"{name}{_place(error)}") from error
    except pd.errors.ParserWarning as error:
        raise ValueError(f"{name}, line 2: it has more fields than line 1 has names") from error
    return frame


def _place(error: Exception) -> str:
    """Line and reason of a parser's message."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
        expected, line, saw = found.groups()
        return f", line {line}: it has {saw} fields, the lines before {expected}"
    if found := re.search(r"EOF inside string starting at row (\d+)", str(error)):
        return f", line {int(found[1]) + 1}: a quotation mark is never closed"
    return f" cannot be read as text with separated fields: {' '.join(str(error).split())}"


def _refuse_decimal_commas(name: str, frame: "pd.DataFrame") -> None:
    """Raise where numbers have a decimal comma: as text they would be a factor with as many levels."""
    import pandas as pd

    for column in frame.columns:
        values = frame[column].dropna()
        if not pd.api.types.is_string_dtype(values):
            continue
        distinct = values.drop_duplicates().astype(str)
        with_comma = distinct[distinct.str.fullmatch(DECIMAL_COMMA)]
        numbers = distinct.str.fullmatch(rf"{DECIMAL_COMMA}|\s*[+-]?\d+\s*")
        if len(with_comma) and len(distinct) > FEW and numbers.all():
            raise ValueError(
                f"{name}: column {shown(column)} has numbers with a comma, as {shown(with_comma.iloc[0])} in row "
                f"{with_comma.index[0] + 1}; if it is the decimal point, pass --decimal ',' (else --decimal '.')"
            )
