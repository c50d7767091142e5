"""Separation of rows that are read in passes: programs on a sample that grows by the rows that contradict them.

Constraints make the cone of recession smaller.  So overlap and rank that some of the rows prove are proven for all, and
the directions that some leave open are candidates, which a pass checks on all rows: those that decide the contrasts of
coefficients, and, by random directions in the cone's span and in the null space, its equalities.  The rows that
contradict them join the sample, until none does.  Then the sample decides every contrast as all rows do.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import counted
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design, Label
from bayes_softmax.data.observations import Observations
from bayes_softmax.data.sources.gathering import joined_designs, part_of
from bayes_softmax.data.sources.partitions import Numbered
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.separation.choice_sets import informative_rows
from bayes_softmax.separation.diagnosis import diagnose_separation, separated_rows
from bayes_softmax.separation.directions import contrast_rays, on_all_columns, unseen_directions
from bayes_softmax.separation.examination import Examination, OverAll, examine, what_is_open
from bayes_softmax.separation.level_counts import levels_in_passes
from bayes_softmax.separation.rays import MANY_PROGRAMS, span
from bayes_softmax.separation.verdict import Separation
from bayes_softmax.spec.priors import PriorTable

FIRST = 20_000  # rows of the first sample
MOST_PASSES = 30
MOST_ADDED = 4000  # rows that join the sample after a pass
EXAMPLES = 2  # rows of each class that are shown
PROBES = 2  # random directions in the span, and in the null space
BLOCK_ROWS = 8192  # whose margins are held at once
MOVED = 1e-7  # relative to the row: margins below are zero


class Candidates(NamedTuple):
    """Directions (., K, q) that are checked on all rows, on features standardised by ``centre`` and ``scale``.

    Along ``members`` no margin may be negative; where all of them have a margin of zero, ``probes`` must too; along
    ``lines`` any two classes on offer must be level.  ``shown`` (K, q) is the one that is shown, whose margins over the
    classes ``empty`` do not count.
    """

    members: FloatArray
    probes: FloatArray
    lines: FloatArray
    shown: FloatArray
    empty: tuple[int, ...]
    centre: FloatArray
    scale: FloatArray


class Checked(NamedTuple):
    """What a pass found: rows that contradict the candidates, and what is separated along the shown direction.

    ``n_rows`` were read, ``n_separated`` of them are separated; ``examples`` are the first of each class, by number.
    """

    contradicting: Design | None
    amounts: FloatArray
    n_rows: int
    n_separated: int
    examples: tuple[tuple[int, ...], ...]


def check_separation_in(rows: Observations | StreamedRows) -> Separation:
    """Whether the classes are separated, in memory or read in passes."""
    return diagnose_separation(_examined(rows, examine))


def what_is_open_in(rows: Observations | StreamedRows, priors: PriorTable) -> Examination:
    """Rank and recession cone in the coefficients that have no proper prior, in memory or read in passes."""
    return _examined(rows, partial(what_is_open, priors=priors))


def _examined(rows: Observations | StreamedRows, look: Callable[[Design], Examination]) -> Examination:
    if isinstance(rows, Observations):
        return look(rows.design)
    design, n_informative = _first_sample(rows), rows.summary.moments.n_used
    for _ in range(MOST_PASSES):
        found = look(design)
        if found.is_determined:
            said = f"by the rows of a sample of {design.n_obs:,}, which prove it for all {rows.n_obs:,}"
            return found._replace(overall=OverAll((), 0, n_informative, None, said))
        candidates = _candidates(found)
        checked = rows.run_variables(partial(_check, candidates), _both, "rows that contradict a separation")
        if checked.contradicting is None:
            return found._replace(overall=_overall(rows, found, candidates, checked, design.n_obs))
        design = joined_designs([design, checked.contradicting])
    raise ValueError(
        f"check_separation(): {counted(MOST_PASSES, 'pass', 'passes')} over {rows.source_name} did not settle whether "
        "the classes are separated; look at a sample of the rows as a data frame"
    )


def _first_sample(rows: StreamedRows) -> Design:
    """Some of the sample's rows."""
    sample = part_of(rows.sample, np.arange(min(FIRST, rows.sample.n_obs)))
    response = replace(rows.summary.response, codes=sample.response.codes, counts=sample.response.counts)
    return replace(sample, response=response)


def _candidates(found: Examination) -> Candidates:
    """What the sample leaves open, as directions to check."""
    verdict = diagnose_separation(found)
    design, classes = found.design, found.design.response.classes
    empty = tuple(classes.index(c) for c in verdict.empty_classes) if _observed_apart(verdict) else ()
    shown: FloatArray = verdict.direction.to_numpy().T
    K, q = shown.shape
    members, probes = np.zeros((0, K, q)), np.zeros((0, K, q))
    rng = np.random.default_rng(0)
    if len(found.cone.directions):
        inside = found.cone.directions.sum(axis=0, keepdims=True)
        members = on_all_columns(found, np.concatenate([inside, found.cone.directions]))
        if (K - 1) * len(found.columns) <= MANY_PROGRAMS:
            members = np.concatenate([members, contrast_rays(found)])
        basis = on_all_columns(found, span(found.cone))
        probes = np.tensordot(rng.normal(size=(PROBES, len(basis))), basis, axes=1)
    unseen = unseen_directions(found)
    lines = np.tensordot(rng.normal(size=(PROBES, len(unseen))), unseen, axes=1) if len(unseen) else unseen
    at = design.standardisation
    return Candidates(_scaled(members), _scaled(probes), _scaled(lines), shown, empty, at.centre, at.scale)


def _observed_apart(verdict: Separation) -> bool:
    """Whether classes with observations are separated; else a direction shows how those without fall."""
    never = set(verdict.empty_classes)
    return any(not never & set(pair) for pair in verdict.pairs)


def _scaled(directions: FloatArray) -> FloatArray:
    """Directions with a largest entry of one."""
    if not directions.size:
        return directions
    largest = np.abs(directions).max(axis=(1, 2), keepdims=True)
    scaled: FloatArray = directions / np.where(largest > 0, largest, 1.0)
    return scaled


def _check(candidates: Candidates, part: Numbered[Design]) -> Checked:
    """What one partition says to the candidates."""
    K = len(candidates.shown)
    total = Checked(None, np.empty(0), 0, 0, ((),) * K)
    for design in part.items:
        total = _both(total, _check_rows(candidates, design, total.n_rows))
    return total


def _check_rows(candidates: Candidates, design: Design, start: int) -> Checked:
    """What some rows say, of which the first has number ``start`` in the partition."""
    n, K = design.n_obs, len(candidates.shown)
    n_rows = n + design.n_dropped
    if not n:
        return Checked(None, np.empty(0), n_rows, 0, ((),) * K)
    own_scale = type(design.standardisation)(candidates.centre, candidates.scale)
    design = replace(design, standardisation=own_scale)
    Z, used = design.standardised(), informative_rows(design)
    offered = np.ones((n, K), dtype=bool) if design.available is None else design.available
    seen = (design.dense_counts() > 0) & used[:, None]
    offered = offered & used[:, None]
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, n, BLOCK_ROWS)]
    amounts = np.concatenate([_contradictions(candidates, Z[at], seen[at], offered[at]) for at in blocks])
    chosen = _largest(amounts, seen, max(MOST_ADDED // K, 1))
    apart = separated_rows(design, candidates.shown, candidates.empty) & used[:, None]
    numbers = np.asarray(design.index) - start
    examples = tuple(tuple(numbers[np.flatnonzero(apart[:, k])[:EXAMPLES]].tolist()) for k in range(K))
    rows = part_of(design, chosen) if len(chosen) else None
    return Checked(rows, amounts[chosen], n_rows, int(apart.any(axis=1).sum()), examples)


def _contradictions(
    candidates: Candidates, Z: FloatArray, seen: NDArray[np.bool_], offered: NDArray[np.bool_]
) -> FloatArray:
    """(n,) by how much each row contradicts the candidates: zero where it does not."""
    n, K = seen.shape
    amounts, size = np.zeros(n), np.maximum(np.abs(Z).max(axis=1, initial=0.0), 1.0)
    shown = offered.copy()
    shown[:, list(candidates.empty)] = False
    level = np.ones((n, K, K), dtype=bool)  # margins of zero along all members
    for direction, others in [*((d, offered) for d in candidates.members), (candidates.shown, shown)]:
        margins, pairs = _margins(Z, direction, seen, others)
        below = np.where(pairs & (margins < -MOVED * size[:, None, None]), -margins, 0.0)
        amounts = np.maximum(amounts, below.max(axis=(1, 2)) / size)
    for direction in candidates.members:
        level &= np.abs(_margins(Z, direction, seen, offered)[0]) <= MOVED * size[:, None, None]
    for direction in candidates.probes:
        margins, pairs = _margins(Z, direction, seen, offered)
        moved = np.where(pairs & level & (np.abs(margins) > 10 * MOVED * size[:, None, None]), np.abs(margins), 0.0)
        amounts = np.maximum(amounts, moved.max(axis=(1, 2)) / size)
    for direction in candidates.lines:
        logits = np.where(offered, Z @ direction.T, np.nan)
        with np.errstate(invalid="ignore"):
            apart = np.where(offered, logits, -np.inf).max(axis=1) - np.where(offered, logits, np.inf).min(axis=1)
        moved_rows = np.where(offered.any(axis=1) & (apart > 10 * MOVED * size), apart, 0.0)
        amounts = np.maximum(amounts, moved_rows / size)
    return amounts


def _margins(
    Z: FloatArray, direction: FloatArray, seen: NDArray[np.bool_], others: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Margins (n, K, K) of each class over each other one, and which of these an observation has."""
    logits = Z @ direction.T
    pairs = seen[:, :, None] & others[:, None, :] & ~np.eye(seen.shape[1], dtype=bool)
    return logits[:, :, None] - logits[:, None, :], pairs


def _largest(amounts: FloatArray, seen: NDArray[np.bool_], most: int) -> IntArray:
    """Positions of the rows of each class that contradict most."""
    chosen: set[int] = set()
    for k in range(seen.shape[1]):
        own = np.flatnonzero(seen[:, k] & (amounts > 0))
        chosen |= set(own[np.argsort(-amounts[own], kind="stable")[:most]].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def _both(a: Checked, b: Checked) -> Checked:
    """What two sets of rows say."""
    known = [found.contradicting for found in (a, b) if found.contradicting is not None]
    amounts = np.concatenate([a.amounts, b.amounts])
    rows = None if not known else known[0] if len(known) == 1 else joined_designs(known)
    if rows is not None and rows.n_obs > MOST_ADDED:
        K = rows.n_classes
        chosen = _largest(amounts, rows.dense_counts() > 0, max(MOST_ADDED // K, 1))
        rows, amounts = part_of(rows, chosen), amounts[chosen]
    later = [tuple(n + a.n_rows for n in own) for own in b.examples]
    examples = tuple((*x, *y)[:EXAMPLES] for x, y in zip(a.examples, later, strict=True))
    return Checked(rows, amounts, a.n_rows + b.n_rows, a.n_separated + b.n_separated, examples)


def _overall(
    rows: StreamedRows, found: Examination, candidates: Candidates, checked: Checked, n_looked_at: int
) -> OverAll:
    """What is said of all rows, once they agree with what the sample leaves open."""
    examples: tuple[Label, ...] = tuple(sorted({n for own in checked.examples for n in own}))
    levels = None
    if _observed_apart(diagnose_separation(found)):
        levels = levels_in_passes(rows, found, candidates.members[0], candidates.empty)
    said = f"found in {n_looked_at:,} rows, and checked on all {rows.n_obs:,}"
    return OverAll(examples, checked.n_separated, rows.summary.moments.n_used, levels, said)
