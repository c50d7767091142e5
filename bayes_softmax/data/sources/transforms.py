"""Transforms of a formula that keep a state of all rows, from the first pass over a source."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import listed
from bayes_softmax.data.formula.arguments import SPLINES, arguments_of
from bayes_softmax.data.formula.columns import ColumnType, column_type_of, read_columns
from bayes_softmax.data.formula.evaluation import Evaluator
from bayes_softmax.data.formula.expressions import Call, brief, columns_of, quoted
from bayes_softmax.data.formula.states import read_state
from bayes_softmax.data.formula.transforms import key_of, transforms_in
from bayes_softmax.data.sources import samples
from bayes_softmax.data.sources.spread import Spread, recurrence, spread_of

type States = dict[str, dict[str, Any]]


def check_calls(calls: list[Call], advice: str) -> None:
    """Raise for a transform of a transform: its state needs that of the inner one, and so another pass."""
    for call in calls:
        if any(transforms_in(argument) for argument in call.arguments):
            raise ValueError(
                f"formula: {quoted(call)}: one transform inside another needs the rows in memory: {advice}"
            )


def shift_of(call: Call, head: pd.DataFrame) -> float:
    """A value near those of a transform's argument, about which sums keep their digits; zero where none is read."""
    rows = head.dropna(subset=list(columns_of(call)))
    if not len(rows):
        return 0.0
    try:
        types = {name: column_type_of(rows[name], name, coded=False) for name in columns_of(call)}
        values = _values(call, rows, types)
    except (ValueError, TypeError):  # the pass says where
        return 0.0
    return float(np.median(values))


def spread_of_call(call: Call, frame: pd.DataFrame, types: Mapping[str, ColumnType], shift: float) -> Spread:
    """The spread of a transform's argument in some rows."""
    size = 2 if call.function != "poly" else arguments_of(call)["degree"] + 1
    return spread_of(_values(call, frame, types), shift, size)


def _values(call: Call, frame: pd.DataFrame, types: Mapping[str, ColumnType]) -> Any:
    read = {name: types[name] for name in columns_of(call)}
    with np.errstate(all="ignore"):
        rows = Evaluator(read_columns(read, frame, truth=True), read, {}, frame.index)
        return rows.argument_of(call)


def states_of(
    calls: list[Call], spreads: Mapping[str, Spread], types: Mapping[str, ColumnType], sample: pd.DataFrame
) -> States:
    """The states of transforms: of moments exactly, of quantiles from the sample, with the ends of all rows."""
    found: States = {}
    for call in calls:
        if _is_raw(call):
            found[key_of(call)] = {}
            continue
        spread = spreads[key_of(call)]
        if call.function in SPLINES:
            found[key_of(call)] = _spline(call, spread, types, sample)
            continue
        state = _polynomial(call, spread) if call.function == "poly" else _scaling(call, spread)
        try:
            found[key_of(call)] = read_state(call, state)
        except ValueError as error:
            what = brief(call.arguments[0])
            raise ValueError(f"formula: {quoted(call)}: the values of {what} do not vary, or overflow") from error
    return found


def _is_raw(call: Call) -> bool:
    """Whether a call is of powers, which keep no state."""
    return call.function == "poly" and bool(arguments_of(call)["raw"])


def _polynomial(call: Call, spread: Spread) -> dict[str, Any]:
    degree = arguments_of(call)["degree"]
    if len(spread.points) <= degree:
        what = ", ".join(sorted(columns_of(call)))
        raise ValueError(
            f"formula: {quoted(call)}: degree={degree} is too large for {len(spread.points)} distinct values of {what}"
        )
    alpha, norms = recurrence(spread, degree)
    return {"alpha": dict(enumerate(alpha)), "norms2": dict(enumerate(norms))}


def _scaling(call: Call, spread: Spread) -> dict[str, Any]:
    """Centre and scale of ``center``, ``scale`` and ``standardize``."""
    values = arguments_of(call)
    centre, ddof = values.get("center", True), values.get("ddof", 1.0)
    scale = values.get("scale", values.get("rescale", False))
    about = spread.mean if centre is True else None if centre is False else centre
    if scale is True:
        with np.errstate(all="ignore"):
            scale = float(np.sqrt(spread.squares_about(about or 0.0) / (spread.n - ddof)))
    return {"ddof": ddof, "center": about, "scale": None if scale is False else scale}


def _spline(call: Call, spread: Spread, types: Mapping[str, ColumnType], sample: pd.DataFrame) -> dict[str, Any]:
    """Knots and constraints of a spline, which :class:`Evaluator` takes from the sample."""
    read = {name: types[name] for name in columns_of(call)}
    states: States = {}
    ends = {key_of(call): (spread.low, spread.high)}
    columns = read_columns(read, sample, truth=True)
    with np.errstate(all="ignore"):
        Evaluator(columns, read, states, sample.index, fitting=True, ends=ends).of(call)
    return states[key_of(call)]


def transform_notes(calls: list[Call], n_rows: int) -> tuple[str, ...]:
    """The note on splines whose knots, or constraints, are of a sample."""
    sampled = [
        brief(call)
        for call in calls
        if call.function in SPLINES and (arguments_of(call)["df"] or arguments_of(call).get("constraints"))
    ]
    if not sampled or n_rows <= samples.SAMPLE_ROWS:
        return ()
    return (f"knots of {listed(sampled)} are quantiles of a sample of {samples.SAMPLE_ROWS:,} rows",)
