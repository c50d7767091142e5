"""Text in a given width: names as they are written, broken where they may be."""

import re
import shutil
from collections.abc import Callable, Sequence

import pandas as pd
from rich.cells import cell_len, chop_cells

NARROWEST = 40  # columns of a terminal; in a narrower one lines overflow
DEFAULT_WIDTH = 80
# A name may be broken after these; the sign stays at the end of the line.
WORDS = re.compile(r"(?:\d+ )?\S+")  # a number stays beside what it counts
PIECES = re.compile(r"[^\s_\-/.:,;)\]]*(?:[_\-/.:,;)\]]+|\s+|$)")


def terminal_width() -> int:
    """Width of the terminal; pandas' ``display.width`` where there is none, 80 by default."""
    fallback = pd.get_option("display.width") or DEFAULT_WIDTH
    return max(shutil.get_terminal_size((int(fallback), 24)).columns, NARROWEST)


def plain(value: object) -> str:
    r"""A name or value as text on one line: signs that would move the cursor are written as escapes.

    >>> plain("a\nb"), plain(2), plain("größer")
    ('a\\nb', '2', 'größer')
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def wrapped(text: str, width: int, indent: str = " ") -> list[str]:
    """Lines of at most ``width`` cells, broken after spaces and signs if possible; continuations are indented.

    >>> wrapped("flipper_length_mm", 10), wrapped("Adelie vs average", 12)
    (['flipper_', ' length_mm'], ['Adelie vs', ' average'])
    """
    if cell_len(text) <= width:
        return [text]
    pieces: list[str] = []
    for piece in PIECES.findall(text):
        pieces += [piece] if cell_len(piece.rstrip()) <= width - len(indent) else chop_cells(piece, width - len(indent))
    lines, line = [], ""
    for piece in pieces:
        if line.strip() and cell_len((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = indent
        line += piece
    return [*lines, line.rstrip()] if line.strip() else lines


def paragraph(text: str, width: int, indent: str = "    ") -> str:
    """A sentence in lines of at most ``width``; continuations are indented."""
    first = len(text) - len(text.lstrip())
    return "\n".join(text[:first] * (i == 0) + line for i, line in enumerate(_at_spaces(text, width, first, indent)))


def _at_spaces(text: str, width: int, first: int, indent: str) -> list[str]:
    """Lines broken at spaces only, so that names and numbers can be copied; a longer word has a line of its own."""
    lines, line, room = [], "", width - first
    for word in WORDS.findall(text):
        if line.strip() and cell_len(f"{line} {word}") > room:
            lines.append(line)
            line, room = f"{indent}{word}", width
        else:
            line = f"{line} {word}" if line.strip() else line + word
    return [*lines, line]


def _more(n: int) -> str:
    return f" (and {n} more)"


def few(entries: Sequence[str], most: int, room: int, rest: Callable[[int], str] = _more) -> str:
    """The first entries of a list, at most so many and in so many characters but for the first, and how many follow.

    >>> few(["a", "b", "c", "d"], 3, 80), few(["a long name", "b", "c"], 3, 13)
    ('a, b, c (and 1 more)', 'a long name (and 2 more)')
    """
    shown: list[str] = []
    for entry in entries[:most]:
        if shown and len(", ".join([*shown, entry])) > room:
            break
        shown.append(entry)
    left = len(entries) - len(shown)
    return ", ".join(shown) + (rest(left) if left else "")


def pieces_of(text: str) -> list[str]:
    """Parts of a name that :func:`wrapped` keeps together if they fit."""
    return [piece.rstrip() for piece in PIECES.findall(text)]


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text with spaces to a width in cells."""
    space = " " * (width - cell_len(text))
    return space + text if right else text + space
