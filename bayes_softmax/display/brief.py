"""What an object says of itself: a few lines in a terminal, the same as HTML in a notebook.

An object has a ``_brief()`` and takes :func:`as_text` for its ``__repr__`` and :func:`as_markup` for its
``_repr_html_``.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import pandas as pd

from bayes_softmax.display.markup import escaped, summary_markup, table_markup
from bayes_softmax.display.table import Table
from bayes_softmax.display.words import few, paragraph, terminal_width

MOST_NAMES, ROOM = 12, 220  # of a list in a terminal: about three lines


class Names(NamedTuple):
    """A list that may be long: its heading, and its entries as text."""

    heading: str
    entries: Sequence[str]

    @property
    def beginning(self) -> str:
        """The heading, the first entries and the number of the others."""
        return f"{self.heading}: {few(self.entries, MOST_NAMES, ROOM)}"


class Brief(NamedTuple):
    """A title, lines below it, notes, and tables that a notebook shows on demand."""

    title: str
    lines: tuple[str | Names, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[tuple[str, pd.DataFrame], ...] = ()


class HasBrief(Protocol):
    """An object that can say what it is."""

    def _brief(self) -> Brief: ...


def as_text(of: HasBrief) -> str:
    """Return a few lines, in the width of the terminal."""
    return text_of(of._brief())


def text_of(brief: Brief, reword: Callable[[str], str] = str) -> str:
    """The text of lines and notes, each as ``reword`` puts it, in the width of the terminal."""
    width = terminal_width()
    lines = [line.beginning if isinstance(line, Names) else reword(line) for line in brief.lines]
    notes = [f"note: {reword(note)}" for note in brief.notes]
    return "\n".join([paragraph(brief.title, width), *(paragraph(f"  {line}", width) for line in lines + notes)])


def as_markup(of: HasBrief) -> str:
    """Return the same lines as HTML; long lists and tables unfold."""
    brief = of._brief()
    lines: list[str] = []
    folded: list[tuple[str, str]] = []
    for line in brief.lines:
        if not isinstance(line, Names):
            lines.append(line)
        elif line.beginning == f"{line.heading}: {', '.join(line.entries)}":
            lines.append(line.beginning)
        else:
            folded.append((line.beginning, f"<div>{escaped(', '.join(line.entries))}</div>"))
    folded += [(heading, _table(frame)) for heading, frame in brief.tables]
    return summary_markup(brief.title, [*lines, *(f"note: {note}" for note in brief.notes)], folded)


def _table(frame: pd.DataFrame) -> str:
    table = frame if isinstance(frame, Table) else Table(frame)
    return table_markup(table._cells())
