"""HTML of tables and of summaries, for notebooks: colours are inherited, so that it is readable on any background."""

import html
from collections.abc import Sequence

import pandas as pd

from bayes_softmax.display.cells import Cells

# Names are text: MathJax leaves elements of these classes alone, and a lone dollar sign everywhere.
CLASSES = "tex2jax_ignore mathjax_ignore"
QUIET = "opacity:0.75;font-size:90%"


def escaped(text: str) -> str:
    """Text as HTML; dollar signs do not begin mathematics.

    >>> escaped("<b> & $x$")
    '&lt;b&gt; &amp; <span>$</span>x<span>$</span>'
    """
    return html.escape(text).replace("$", "<span>$</span>")


def table_markup(cells: Cells) -> str:
    """A table as HTML, scrolled where it is wider than the page."""
    columns = pd.DataFrame({j: list(map(escaped, c.cells)) for j, c in enumerate(cells.columns)}, dtype=object)
    columns.columns = _index([c.label for c in cells.columns], cells.column_names)
    columns.index = _index(cells.rows, cells.row_names)
    if cells.gap is not None:
        columns = pd.concat([columns.iloc[: cells.gap], _gap(columns), columns.iloc[cells.gap :]])
    with pd.option_context("display.max_colwidth", None):
        body = pd.DataFrame.to_html(columns, escape=False, border=0, max_rows=None, max_cols=None)
    remarks = "".join(f'<div style="{QUIET}">{escaped(remark)}</div>' for remark in cells.remarks)
    return f'<div class="{CLASSES}" style="overflow-x:auto;font-variant-numeric:tabular-nums">{body}{remarks}</div>'


def _index(labels: Sequence[tuple[str, ...]], names: tuple[str, ...]) -> pd.Index:
    """Labels and names as HTML."""
    shown_names = [escaped(name) or None for name in names]
    parts = [tuple(map(escaped, label)) for label in labels]
    if len(names) == 1:
        return pd.Index([part for (part,) in parts], name=shown_names[0], dtype=object)
    if not parts:
        return pd.MultiIndex.from_arrays([[] for _ in names], names=shown_names)
    return pd.MultiIndex.from_tuples(parts, names=shown_names)


def _gap(columns: pd.DataFrame) -> pd.DataFrame:
    """The row that stands for those left out."""
    return pd.DataFrame("⋮", index=columns.index[:1].map(lambda label: _dots(label)), columns=columns.columns)


def _dots(label: object) -> object:
    return ("⋮",) * len(label) if isinstance(label, tuple) else "⋮"


def summary_markup(title: str, lines: Sequence[str], folded: Sequence[tuple[str, str]] = ()) -> str:
    """A title with lines below it, and parts that unfold: pairs of a heading and of HTML."""
    shown = "".join(f"<div>{escaped(line)}</div>" for line in lines)
    parts = "".join(
        f'<details style="margin-top:2px"><summary>{escaped(heading)}</summary>{body}</details>'
        for heading, body in folded
    )
    return (
        f'<div class="{CLASSES}" style="border-left:3px solid currentColor;padding:2px 10px;line-height:1.4">'
        f"<div><strong>{escaped(title)}</strong></div>"
        f'<div style="padding-left:6px;opacity:0.9">{shown}{parts}</div></div>'
    )
