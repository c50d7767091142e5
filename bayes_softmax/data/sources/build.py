"""From a source to the rows of a model: two passes, then a design in memory or rows that are streamed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from bayes_softmax.core.checks import check_flags, counted, shown
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.design import Design, Response
from bayes_softmax.data.finishing import finished_design, schema_of
from bayes_softmax.data.formula.dot import terms_of_data
from bayes_softmax.data.formula.encoder import coded_columns, encoder_of_types, required_columns, stateful_calls
from bayes_softmax.data.formula.expressions import Call
from bayes_softmax.data.formula.sides import split_formula
from bayes_softmax.data.formula.terms import Term
from bayes_softmax.data.frames import require_columns
from bayes_softmax.data.groups.bars import split_bars
from bayes_softmax.data.labels import count_columns, response_of_labels
from bayes_softmax.data.observations import Observations
from bayes_softmax.data.options import BY_ROW, Options, named_columns, require_named
from bayes_softmax.data.schema import Encoder, Schema
from bayes_softmax.data.sources import gathering
from bayes_softmax.data.sources.arguments import WHAT_TO_DO, checked_options
from bayes_softmax.data.sources.cluster import passes_of
from bayes_softmax.data.sources.gathering import Gathered, Gatherer, gather_partition, joined_designs, merge_gathered
from bayes_softmax.data.sources.head import head_of, with_values
from bayes_softmax.data.sources.moments import Provisional
from bayes_softmax.data.sources.partitions import Source
from bayes_softmax.data.sources.passes import Passes
from bayes_softmax.data.sources.reader import FrameReader, read_through
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.data.sources.scan import Scan, Scanner, merged_scans, scan_partition, share_of
from bayes_softmax.data.sources.summary import kept_of, provisional_of, sample_design, summary_of
from bayes_softmax.data.sources.transforms import check_calls, shift_of, states_of, transform_notes

type SourceRows = Observations | StreamedRows


class Asked(NamedTuple):
    """What a model reads of a source: columns of responses and features; the terms of a formula, or None."""

    responses: tuple[str, ...]
    features: tuple[str, ...]
    options: Options
    right: str = ""
    terms: tuple[Term, ...] | None = None
    intercept: bool = True
    calls: tuple[tuple[Call, float], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(dict.fromkeys((*self.responses, *self.features, *named_columns(self.options))))


def rows_from_formula(formula: str, source: Source, options: Options) -> tuple[SourceRows, Schema]:
    """The rows of ``response ~ terms`` over the columns of a source."""
    options = checked_options(options)
    responses, right = split_formula(formula)
    right, bars = split_bars(right)
    if bars:
        raise ValueError(
            f"formula: effects of groups, as (... | {':'.join(bars[0].columns)}), need the rows in memory: {WHAT_TO_DO}"
        )
    head = head_of(source)
    by_row = {argument: getattr(options, argument) for argument in BY_ROW}
    terms = terms_of_data(right, with_values(head), [*responses, *named_columns(options)], by_row)
    calls = stateful_calls(terms)
    check_calls(calls, WHAT_TO_DO)
    features = required_columns(terms)
    for name in responses:
        if name in features:
            raise ValueError(f"formula: {shown(name)} is the response and cannot explain itself")
    require_columns(head, [*responses, *features])
    shifts = tuple(shift_of(call, head) for call in calls)
    asked = Asked(tuple(responses), features, options, right, terms, calls=tuple(zip(calls, shifts, strict=True)))
    require_named(head, options, "data")
    return _rows(asked, source)


def rows_from_columns(source: Source, y: Any, intercept: bool, options: Options) -> tuple[SourceRows, Schema]:
    """The rows of all other columns of a source as features, and one column (or several, of counts) as response."""
    check_flags(intercept=intercept)
    options = checked_options(options)
    names = [y] if isinstance(y, str) else y
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"y must name the column of labels of X, {source.name}, or its columns of counts")
    head = head_of(source)
    require_columns(head, names, "y: X")
    require_named(head, options, "X")
    features = tuple(name for name in head.columns if name not in {*names, *named_columns(options)})
    ArrayEncoder(features, intercept).encode(head[list(features)].dropna(), "X")  # raises for columns without numbers
    return _rows(Asked(tuple(names), features, options, intercept=intercept), source)


def _rows(asked: Asked, source: Source) -> tuple[SourceRows, Schema]:
    """The two passes."""
    options = asked.options
    passes = passes_of(source.narrowed(asked.columns), options.client)
    coded = frozenset() if asked.terms is None else frozenset(coded_columns(asked.terms))
    plain = replace(options, prior=None, intercept_prior=None, client=None)  # what is sent to other processes
    share = share_of(source.n_rows, options)
    scanner = Scanner(asked.features, coded, asked.responses, asked.columns, plain, asked.calls, share)
    scan = passes.run_frames(asked.columns, partial(scan_partition, scanner), merged_scans, "reading the rows")
    if not scan.n_left:
        left = f" left ({scan.n_dropped} dropped for missing values)" if scan.n_dropped else ""
        raise ValueError(f"{source.name} has no rows{left}")
    first = scan.sample.frame()
    encoder, response = _encoder_of(asked, scan, first), _response_of(asked, scan, first)
    reader = FrameReader(
        asked.responses, response, encoder, plain, asked.columns, with_variables=asked.terms is not None
    )
    size = 8.0 * scan.n_left * (len(encoder.feature_names) + 1)
    if size > gathering.IN_MEMORY:
        passes = passes.keeping(None if options.scratch is None else options.scratch * 2**30, size)
    sample = _encoded_sample(first, reader, passes)
    provisional = Provisional(provisional_of(sample))
    gatherer = Gatherer(provisional, gathering.IN_MEMORY, options.collapse, size <= gathering.IN_MEMORY)
    merge = partial(merge_gathered, gatherer)
    gathered = passes.run(reader, partial(gather_partition, gatherer), merge, "encoding the rows")
    _check_same(source, scan, gathered)
    notes = transform_notes([call for call, _ in asked.calls], scan.n_left)
    rows, schema = _held(gathered, encoder, options) or _streamed(gathered, provisional, reader, sample, passes)
    return replace(rows, notes=notes), schema


def _encoded_sample(first: pd.DataFrame, reader: FrameReader, passes: Passes) -> Design:
    """The sample, encoded; what is wrong in it is raised with the partition where it is found."""
    try:
        return reader.raw_design(first)
    except (ValueError, TypeError):
        passes.run(reader, read_through, max, "looking for the row")
        raise


def _check_same(source: Source, scan: Scan, gathered: Gathered) -> None:
    """Raise where the second pass read another number of rows than the first."""
    found = 0 if gathered.moments is None else gathered.moments.n_obs + gathered.moments.n_dropped
    if found != scan.n_rows:
        raise ValueError(
            f"{source.name} has {counted(scan.n_rows, 'row')} in one pass, and {found} in the next; it must return the "
            "same rows each time"
        )


def _encoder_of(asked: Asked, scan: Scan, sample: pd.DataFrame) -> Encoder:
    """The encoder of the features, with the levels of all partitions."""
    unseen = [name for name in asked.features if name not in scan.columns]
    if unseen:
        raise ValueError(f"data: column {shown(unseen[0])} has no value in any row")
    if asked.terms is None:
        return ArrayEncoder(asked.features, asked.intercept)
    types = {name: scan.columns[name].type for name in asked.features}
    states = states_of([call for call, _ in asked.calls], scan.spreads, types, sample)
    return encoder_of_types(asked.right, asked.terms, types, states, scan.n_left, asked.options.constant)


def _response_of(asked: Asked, scan: Scan, sample: pd.DataFrame) -> Response:
    """Name and classes of the response."""
    classes = asked.options.classes
    if len(asked.responses) > 1:
        counts = count_columns(sample[list(asked.responses)], classes, "counts")
        return replace(counts, counts=None, unused=())
    found = scan.labels[asked.responses[0]]
    return response_of_labels(found.type.levels, classes, asked.responses[0], declared=found.ordered is not None)


def _held(gathered: Gathered, encoder: Encoder, options: Options) -> tuple[Observations, Schema] | None:
    """The rows in memory, as given or collapsed; None where they are too many."""
    moments = gathered.moments
    assert moments is not None
    if gathered.rows:
        raw, n_given, collapse = joined_designs([d for d in gathered.rows if d.n_obs] or gathered.rows[:1]), None, True
    elif gathered.distinct is not None:
        raw, n_given, collapse = gathered.distinct, moments.n_obs, False
    else:
        return None
    raw = replace(raw, n_dropped=moments.n_dropped, index=pd.RangeIndex(raw.n_obs))
    design, schema = finished_design(raw, encoder, options, moments.class_rows)
    return Observations(design, options.collapse and collapse, n_given, moments.class_rows), schema


def _streamed(
    gathered: Gathered, provisional: Provisional, reader: FrameReader, sample: Design, passes: Passes
) -> tuple[StreamedRows, Schema]:
    """Rows that later passes read again."""
    moments, options = gathered.moments, reader.options
    assert moments is not None
    kept, dropped = kept_of(moments, options.constant, has_intercept=reader.encoder.has_intercept)
    reader = replace(reader, kept=None if kept.all() else kept, with_variables=False)
    summary = summary_of(moments, provisional, reader, kept)
    reader = replace(reader, standardisation=summary.standardisation, response=summary.response)
    rows = StreamedRows(summary, sample_design(sample, reader, summary.total_weight), reader, passes)
    return rows, schema_of(summary, reader.encoder, options, dropped)
