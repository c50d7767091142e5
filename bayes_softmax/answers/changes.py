"""Changes of variables whose effects on average probabilities are asked for, and the rows with these made."""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from bayes_softmax.answers.cautions import in_the_limit, row_cautions
from bayes_softmax.answers.fitted import Answering
from bayes_softmax.answers.population import Population, derivative, encode_variables
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.training import VariableRows
from bayes_softmax.answers.variables import Covariate, Setting, level_name
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.schema import Schema

SHOWN_VALUES = 6  # of a row that a message names


class Slope(NamedTuple):
    """Average derivative of the probabilities with respect to a numeric variable, times the size of a step."""

    variable: Covariate
    size: float = 1.0


class Difference(NamedTuple):
    """Average probability with variables set to ``to``, minus the one with them set to ``base``."""

    to: Setting
    base: Setting


class Level(NamedTuple):
    """Average probability with variables set to ``to``."""

    to: Setting


Change = Slope | Difference | Level


def encoded_rows(
    fit: Answering, population: Population, rows: VariableRows, setting: Setting, cautions: list[str]
) -> Rows:
    """Features of rows with variables set, in the limit of the fit; appends cautions about the rows."""
    at = population.with_values(rows, setting)
    encoded = in_the_limit(fit, encode_variables(fit.schema, at))
    cautions.extend(row_cautions(fit, encoded, partial(rows_in_words, at)))
    return encoded


def rows_in_words(rows: VariableRows, positions: IntArray) -> str:
    """Name rows by the values of the first: averages run over distinct rows, which have no labels."""
    first = rows.frame.iloc[int(positions[0])].items()
    values = ", ".join(f"{name}={level_name(value)}" for name, value in itertools.islice(first, SHOWN_VALUES))
    more = f" and {len(positions) - 1} more rows" if len(positions) > 1 else ""
    return f"the row {values}{', ...' if rows.frame.shape[1] > SHOWN_VALUES else ''}{more}"


def settings_of(changes: Sequence[Change]) -> list[tuple[Setting, list[tuple[int, float]]]]:
    """Distinct settings of variables, each with the positions of the changes that use it and their signs."""
    found: dict[tuple[tuple[str, object], ...], tuple[Setting, list[tuple[int, float]]]] = {}
    for i, change in enumerate(changes):
        if isinstance(change, Slope):
            continue
        parts = [(change.to, 1.0)] + ([(change.base, -1.0)] if isinstance(change, Difference) else [])
        for setting, sign in parts:
            found.setdefault(tuple(sorted(setting.items())), (setting, []))[1].append((i, sign))
    return list(found.values())


def passes(changes: Sequence[Change]) -> int:
    """How many times all rows are evaluated, at most."""
    return 1 + 2 * sum(not isinstance(change, Slope) for change in changes)


def slopes_of(schema: Schema, rows: VariableRows, changes: Sequence[Change]) -> dict[int, FloatArray]:
    """Change of the features over one step, by the position of the slope."""
    return {i: c.size * derivative(schema, rows, c.variable) for i, c in enumerate(changes) if isinstance(c, Slope)}


def of_block(D: FloatArray, block: slice) -> FloatArray:
    """Changes of the features in a block; a single row holds for all rows."""
    return D[block] if len(D) > 1 else D
