"""New data without the rows that have a missing value in anything that scoring reads."""

from typing import Any, NamedTuple

from bayes_softmax.answers.levels import Asked
from bayes_softmax.answers.new_data import BY_CLASS, complete_rows
from bayes_softmax.core.checks import counted
from bayes_softmax.data.frames import check_aligned
from bayes_softmax.data.groups.choices import with_levels_of_rows
from bayes_softmax.data.schema import Schema

ARGUMENTS = ("y", "weights", *BY_CLASS)


class Scored(NamedTuple):
    """New data and what belongs to its rows; ``n_dropped`` is the number of rows that were left out.

    ``groups`` are levels given by value, before they are columns of the data.
    """

    data: Any
    y: Any
    weights: Any
    offset: Any
    available: Any
    n_dropped: int = 0
    groups: Any = None


def n_complete(schema: Schema, given: Scored, asked: Asked) -> int:
    """Number of rows of a frame that are complete in columns of the model, of the response, and of what is named."""
    observed = [name for name in (schema.response_name, *schema.classes) if name in given.data]
    arguments = {name: getattr(given, name) for name in ("weights", *BY_CLASS)}
    complete = given.data.dropna(subset=observed)
    return len(complete_rows(schema, complete, arguments, asked.choices).keep) if len(complete) else 0


def without_incomplete(schema: Schema, given: Scored, asked: Asked) -> Scored:
    """The rows that are complete in the columns of the model, levels, labels, weights, offset and choice sets."""
    arguments = {name: getattr(given, name) for name in ARGUMENTS}
    for name, value in arguments.items():
        check_aligned(given.data, value, name, "data")
    data = schema.to_pandas_or_numpy(given.data)
    data = with_levels_of_rows(schema.groups, schema.encoder.feature_names, data, given.groups)
    kept = complete_rows(schema, data, arguments, asked.choices)
    n_dropped = len(kept.index) - len(kept.keep)
    if not len(kept.keep):
        raise ValueError(f"data has no rows left ({counted(n_dropped, 'row')} dropped for missing values)")
    return Scored(kept.data, **kept.by_row, n_dropped=n_dropped)
