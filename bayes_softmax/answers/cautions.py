"""Cautions that accompany an answer: an optimum that is not certified, rows whose probabilities are unknown."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.answers.fitted import Answering, Fitted
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.checks import describe_rows, listed
from bayes_softmax.core.errors import NotConvergedWarning, NotEstimableWarning, warn_caller
from bayes_softmax.core.records import IntArray
from bayes_softmax.separation.limits import rows_in_the_limit

MOST_CAUTIONS = 8
NOTE = "note"  # key in the attributes of a table

Naming = Callable[[IntArray], str]


def in_the_limit(fit: Answering, rows: Rows) -> Rows:
    """The rows, marked for an optimum at infinity and for dropped columns.

    Excluded classes get an offset of minus infinity, and rows with unknown probabilities an offset of NaN; classes
    whose probability is not determined are marked.
    """
    n, K, limits = rows.n_rows, fit.logits.n_classes, fit.limits
    if limits is None and rows.beyond is None:
        return rows
    unknown = rows.beyond if rows.beyond is not None and fit.schema.dropped_flat else np.zeros(n, dtype=bool)
    found = None
    if limits is not None and len(limits.rows):
        found = rows_in_the_limit(limits, rows.X, rows.available)
        unknown = unknown | found.unknown
    elif not unknown.any():
        return rows
    offset = np.zeros((n, K)) if rows.offset is None else rows.offset.copy()
    if found is not None:
        offset[found.excluded] = -np.inf
    offset[unknown] = np.nan
    if found is None:
        return rows._replace(offset=offset)
    return rows._replace(offset=offset, excluded=found.excluded, loose=found.loose)


def unknown_rows(rows: Rows) -> NDArray[np.bool_]:
    """(N,) rows whose probabilities are unknown."""
    if rows.offset is None:
        return np.zeros(rows.n_rows, dtype=bool)
    unknown: NDArray[np.bool_] = np.isnan(rows.offset[:, 0])
    return unknown


def rows_without_error(rows: Rows) -> NDArray[np.bool_]:
    """(N,) rows where an optimum at infinity leaves the probabilities undetermined or one class possible."""
    if rows.loose is None:
        return np.zeros(rows.n_rows, dtype=bool)
    possible = ~rows.excluded if rows.available is None else ~rows.excluded & rows.available
    without: NDArray[np.bool_] = rows.loose.any(axis=1) | (possible.sum(axis=1) < 2)
    return without


def row_cautions(fit: Answering, rows: Rows, name: Naming | None = None) -> list[str]:
    """Sentences on rows that neither data nor prior inform, and on dropped columns that count as zero.

    ``name`` names rows by their positions; default by their labels.  The last sentence is that the optimum is not
    certified, unless the answers do not depend on that.
    """
    last = [fit.caution] if fit.caution is not None and not _regular(fit, rows) else []
    if rows.offset is None and rows.beyond is None:
        return last
    name = name or partial(_labels, rows)
    unknown = unknown_rows(rows)
    beyond = np.zeros(len(unknown), dtype=bool) if rows.beyond is None else rows.beyond
    dropped = listed(fit.schema.dropped_names)
    sentences = []
    if (unknown & beyond).any():
        sentences.append(
            f"the probabilities in {name(np.flatnonzero(unknown & beyond))} are unknown (NaN): "
            f"{dropped} did not vary in the data of the fit but does there, and the coefficients have no prior"
        )
    if (unknown & ~beyond).any():
        sentences.append(
            f"the probabilities in {name(np.flatnonzero(unknown & ~beyond))} are unknown (NaN): "
            "the data do not determine these combinations of features (and classes)"
        )
    if (beyond & ~unknown).any():
        sentences.append(
            f"{dropped} did not vary in the data of the fit but does in {name(np.flatnonzero(beyond & ~unknown))}: the "
            "coefficients of dropped columns count as 0"
        )
    return sentences + last


def _regular(fit: Answering, rows: Rows) -> bool:
    """Whether all probabilities of the rows depend only on finite contrasts that the estimate determines."""
    if rows.loose is None or not np.isfinite(fit.delta_covariance).all():  # type: ignore[arg-type]
        return False
    return not (rows.loose.any() or rows.excluded.any() or unknown_rows(rows).any())


def _labels(rows: Rows, positions: IntArray) -> str:
    return describe_rows(rows.labels, positions)


def warn_of(fit: Fitted, sentences: Sequence[str]) -> str | None:
    """Issue the sentences as one warning; returns the note that the answer carries in any case."""
    parts = list(dict.fromkeys(s for s in sentences if s != fit.caution))
    caution = [] if fit.caution is None else [fit.caution]
    if sentences:
        told = [*parts, *(caution if fit.caution in sentences else [])]
        category = NotEstimableWarning if parts else NotConvergedWarning
        warn_caller("; ".join(told), category)
    return "; ".join([*parts, *caution]) or None


def both_cautions(a: Sequence[str], b: Sequence[str]) -> tuple[str, ...]:
    """The different sentences of two sets of rows, the first few: each names rows of its own."""
    return tuple(dict.fromkeys((*a, *b)))[:MOST_CAUTIONS]


def joined(*notes: str | None) -> str | None:
    """Notes as one; None if there are none."""
    return "; ".join(note for note in notes if note is not None) or None


def noted(table: pd.DataFrame, note: str | None) -> pd.DataFrame:
    """The table with the note in its ``attrs``, if there is one."""
    if note is not None:
        table.attrs[NOTE] = note
    return table
