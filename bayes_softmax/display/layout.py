"""Tables in a given width: blocks of columns with the index repeated, and long names wrapped.

A table is tried in several forms: with headers broken into lines, and with the outer levels of the index as headings
above their rows.  The one with the fewest blocks is shown; of several, the one with the fewest lines.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len

from bayes_softmax.display.cells import Cells, Column
from bayes_softmax.display.words import padded, paragraph, pieces_of, wrapped

HEADER_LINES = 3  # of a broken header
PIECE = 16  # longest part of a broken header that is not broken itself
TEXT = 24  # narrowest broken text
SPACE = 2  # between columns
INDENT = "  "  # of rows below a heading


class Form(NamedTuple):
    """How a table is laid out: with outer levels as headings, and with headers and texts broken."""

    stacked: bool
    broken: bool


class Index(NamedTuple):
    """The index in a width: lines of the labels of each row, lines above a row, and lines of the names."""

    width: int
    labels: list[list[str]]
    headings: list[list[str]]
    names: list[str]


class Block(NamedTuple):
    """Columns side by side, with their widths."""

    columns: list[Column]
    widths: list[int]


def in_width(cells: Cells, width: int) -> str:
    """The table as text."""
    forms = [Form(s, b) for s in (False, True)[: len(cells.row_names)] for b in (False, True)]
    tried = [_arranged(cells, width, form) for form in forms]
    texts = min(([_block_lines(cells, index, block) for block in blocks] for index, blocks in tried), key=_size)
    remarks = [paragraph(remark, width, "  ") for remark in cells.remarks]
    return "\n\n".join(map("\n".join, texts)) + "".join(f"\n{remark}" for remark in remarks)


def _size(blocks: list[list[str]]) -> tuple[int, int]:
    """Number of blocks, and of lines."""
    return len(blocks), sum(map(len, blocks))


def _arranged(cells: Cells, width: int, form: Form) -> tuple[Index, list[Block]]:
    """The index, and the columns in as few blocks as they fit into side by side."""
    groups = [list(group) for _, group in groupby(cells.columns, key=lambda column: column.group)]
    natural = {id(column): _width(column, form, width) for column in cells.columns}
    widest = max((sum(natural[id(c)] + SPACE for c in group) for group in groups), default=0)
    most = max(width // 3 if form.broken else width // 2, width - widest)
    index = _index(cells, most, width, form)
    room = width - index.width
    blocks: list[list[Column]] = [[]]
    left = room
    for group in groups:
        needed = sum(natural[id(c)] + SPACE for c in group)
        if needed > left and blocks[-1]:
            blocks.append([])
            left = room
        for column in group:
            own = natural[id(column)] + SPACE
            if own > left and blocks[-1]:
                blocks.append([])
                left = room
            blocks[-1].append(column)
            left -= own
    return index, [_with_widths(block, natural, room) for block in blocks]


def _with_widths(columns: list[Column], natural: dict[int, int], room: int) -> Block:
    """The block; headers, if there is room for all, and then texts take the space that is left."""
    widths = [min(natural[id(c)], room - SPACE) for c in columns]
    unbroken = [max(w, cell_len(c.label[-1])) for w, c in zip(widths, columns, strict=True)]
    if sum(unbroken) + SPACE * len(unbroken) <= room:
        widths = unbroken
    spare = room - sum(widths) - SPACE * len(widths)
    for i, column in enumerate(columns):
        if column.is_text:
            more = max(min(spare, max(map(cell_len, column.cells), default=0) - widths[i]), 0)
            widths[i] += more
            spare -= more
    return Block(columns, widths)


def _width(column: Column, form: Form, width: int) -> int:
    """Width of a column before the space that is left is given to texts."""
    body = max(map(cell_len, column.cells), default=0)
    if not form.broken:
        header = cell_len(column.label[-1])
        return max(min(header, width // 2), min(body, width // 2) if column.is_text else body)
    body = min(body, TEXT) if column.is_text else body
    header = _narrowest(column.label[-1], body)
    while len(wrapped(column.label[-1], header, "")) > HEADER_LINES:
        header += 1
    return header


def _narrowest(name: str, width: int) -> int:
    """The width, or more where parts of the name would have to be broken."""
    return max([width, *(min(cell_len(part), PIECE) for part in pieces_of(name))])


# ---------------------------------------------------------------------- the index


def _index(cells: Cells, most: int, width: int, form: Form) -> Index:
    """The index in at most ``most`` cells; where it is stacked, its outer levels are lines above the rows."""
    stacked = form.stacked
    outer = len(cells.row_names) - 1 if stacked else 0
    levels = [[row[i] for row in cells.rows] for i in range(outer, len(cells.row_names))]
    names = cells.row_names[outer:]
    indent = INDENT if stacked else ""
    widths = _shared(
        [max(map(cell_len, [name, *level]), default=0) for name, level in zip(names, levels, strict=True)],
        most - len(indent),
    )
    new = _first_of_run([row[:-1] for row in cells.rows])
    labels = [
        _side_by_side([part if new[n][outer + i] else "" for i, part in enumerate(row[outer:])], widths, indent)
        for n, row in enumerate(cells.rows)
    ]
    own = len(indent) + sum(widths) + len(widths) - 1
    headings = [
        wrapped("  ".join(row[:outer]), width) if stacked and any(new[n][:outer]) else []
        for n, row in enumerate(cells.rows)
    ]
    above = wrapped("  ".join(cells.row_names[:outer]), width) if stacked and any(cells.row_names[:outer]) else []
    named = [*above, *_side_by_side(list(names), widths, indent)] if any(cells.row_names) else []
    corner = [wrapped(name, _narrowest(name, own) if form.broken else most) for name in cells.column_names]
    return Index(max([own, *(cell_len(line) for lines in corner for line in lines)]), labels, headings, named)


def _first_of_run(outer: Sequence[tuple[str, ...]]) -> list[list[bool]]:
    """Whether a label is shown, by row and level: where it or one further out changes; the last level always."""
    found = []
    for n, row in enumerate(outer):
        changed = [n == 0 or row[: i + 1] != outer[n - 1][: i + 1] for i in range(len(row))]
        found.append([*changed, True])
    return found


def _shared(natural: list[int], most: int) -> list[int]:
    """Widths of levels, separated by a space, that fit into ``most``: the widest give up space first."""
    room = most - (len(natural) - 1)
    widths = list(natural)
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _side_by_side(parts: list[str], widths: list[int], indent: str) -> list[str]:
    """Lines of labels in columns of these widths."""
    broken = [wrapped(part, width) for part, width in zip(parts, widths, strict=True)]
    height = max(map(len, broken), default=1)
    return [
        indent + " ".join(padded(b[i] if i < len(b) else "", w) for b, w in zip(broken, widths, strict=True))
        for i in range(height)
    ]


# ---------------------------------------------------------------------- lines of a block


def _block_lines(cells: Cells, index: Index, block: Block) -> list[str]:
    """Header and rows of one block."""
    lines = _header(cells, index, block)
    for n, label in enumerate(index.labels):
        if n == cells.gap:
            dots = [padded("..", w, right=True) for w in block.widths]
            lines.append((" " * SPACE).join([padded("..", index.width), *dots]))
        lines += index.headings[n]
        bodies = [wrapped(c.cells[n], w, "") for c, w in zip(block.columns, block.widths, strict=True)]
        lines += _beside(label, bodies, index.width, block)
    if not index.labels:
        lines.append("(no rows)")
    return [line.rstrip() for line in lines]


def _beside(left: list[str], bodies: list[list[str]], width: int, block: Block, *, bottom: bool = False) -> list[str]:
    """Lines of a label beside lines of cells; from the top, or ending at the bottom."""
    height = max([len(left), *map(len, bodies)])

    def at(lines: list[str], i: int) -> str:
        i -= height - len(lines) if bottom else 0
        return lines[i] if 0 <= i < len(lines) else ""

    return [
        padded(at(left, i), width)
        + "".join(
            " " * SPACE + padded(at(body, i), w, right=not column.is_text)
            for body, w, column in zip(bodies, block.widths, block.columns, strict=True)
        )
        for i in range(height)
    ]


def _header(cells: Cells, index: Index, block: Block) -> list[str]:
    """Lines of the column labels, with the names of the columns' levels and of the index at the left."""
    lines: list[str] = []
    for level in range(len(cells.column_names) - 1):
        lines += _outer_header(cells, index, block, level)
    last = [wrapped(c.label[-1], w, "") for c, w in zip(block.columns, block.widths, strict=True)]
    corner = any(cells.column_names)
    left = wrapped(cells.column_names[-1], index.width) if corner else index.names[-1:]
    if not corner:
        lines += index.names[:-1]
    lines += _beside(left, last, index.width, block, bottom=True)
    return lines + (index.names if corner else [])


def _outer_header(cells: Cells, index: Index, block: Block, level: int) -> list[str]:
    """Lines of an outer level of the column labels: one label over the columns that share it."""
    spans: list[tuple[tuple[str, ...], int]] = []
    for column, width in zip(block.columns, block.widths, strict=True):
        key = column.label[: level + 1]
        if spans and spans[-1][0] == key:
            spans[-1] = (key, spans[-1][1] + SPACE + width)
        else:
            spans.append((key, width))
    broken = [(wrapped(key[-1], width, ""), width) for key, width in spans]
    left = wrapped(cells.column_names[level], index.width)
    height = max(len(left), *(len(lines) for lines, _ in broken)) if broken else len(left)
    return [
        padded(left[i] if i < len(left) else "", index.width)
        + "".join(" " * SPACE + padded(b[i] if i < len(b) else "", w) for b, w in broken)
        for i in range(height)
    ]
