"""``bayes-softmax predict``, ``effects`` and ``evaluate``: questions to a saved fit."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bayes_softmax as bs
from bayes_softmax.answers.variables import level_name, model_variables
from bayes_softmax.cli.files import read_table
from bayes_softmax.cli.fit import text_format
from bayes_softmax.cli.folder import fit_in
from bayes_softmax.cli.levels import levels_of
from bayes_softmax.cli.output import (
    STANDARD_OUTPUT,
    check_out_file,
    flat_columns,
    say,
    say_table,
    tell,
    write_table,
)
from bayes_softmax.cli.sources import predict_source, source_to_predict
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.data.schema import Schema

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

MEANS = "means"
MOST_DIGITS = 17  # of a number


def predict(options: argparse.Namespace) -> int:
    """Run ``predict``."""
    source = source_to_predict(options)
    if source is None:
        check_out_file(options.out, force=options.force)
    if options.digits is not None and not 1 <= options.digits <= MOST_DIGITS:
        raise ValueError(f"--digits {options.digits} must be from 1 to {MOST_DIGITS}")
    fitted = bs.load(fit_in(options.fit))
    schema = fitted._fitted.schema
    if source is not None:
        asked = {"missing": "nan" if options.allow_missing else "error", **levels_of(options)}
        return predict_source(options, fitted, source, asked)
    # As text, an identifier keeps its leading zeros; the columns that the model reads are what it makes of them.
    as_text = set(options.keep) - {*schema.input_columns, *schema.offset_columns, *schema.available_columns}
    data = read_table(options.data, text_format(options)._replace(as_text=tuple(as_text)))
    kept = _kept(options, data)
    missing = "nan" if options.allow_missing else "error"
    levels = levels_of(options)
    shares = fitted.predict_proba(data, options.intervals, missing=missing, **levels)
    if options.digits is not None:
        shares = shares.round(options.digits)
    predicted = fitted.predict(data, missing=missing, **levels).to_numpy()
    _deliver(_joined(kept, predicted, flat_columns(shares.rename_axis(None)).iloc[:, 1:]), options)
    return 0


def _kept(options: argparse.Namespace, data: "pd.DataFrame") -> "pd.DataFrame":
    """Columns of the data to copy, each once."""
    names = list(dict.fromkeys(options.keep))
    for name in names:
        if name not in data:
            hint = did_you_mean(name, data.columns)
            raise ValueError(f"--keep: {options.data} has no column {shown(name)}{hint} ({listed(data.columns)})")
    return data[names]


def _joined(kept: "pd.DataFrame", predicted: Any, shares: "pd.DataFrame") -> "pd.DataFrame":
    """Row, copied columns, predicted class and probabilities."""
    import pandas as pd

    if clash := [name for name in kept if name in shares]:
        raise ValueError(
            f"--keep: the probabilities have a column {shown(clash[0])} too; rename that of the data to keep both"
        )
    taken = {*kept, *shares}
    table = pd.concat([kept.reset_index(drop=True), shares.reset_index(drop=True)], axis=1)
    table.insert(len(kept.columns), "predicted class" if "predicted" in taken else "predicted", predicted)
    table.insert(0, "row number" if "row" in taken else "row", kept.index)
    return table


def effects(options: argparse.Namespace) -> int:
    """Run ``effects``."""
    check_out_file(options.out, force=options.force)
    fitted = bs.load(fit_in(options.fit))
    data = None if options.data is None else read_table(options.data, text_format(options))
    schema = fitted._fitted.schema
    for name in options.features:
        if name not in model_variables(schema) and Path(name).is_file():
            raise ValueError(f"{name!r} is a file, not a variable of the model; pass it as --data {name}")
    at, per = _setting(schema, options.at), _steps(options.per)
    chosen = {"at": at, "ci_prob": options.intervals, "per": per, **levels_of(options)}
    table: Any = fitted.effects(options.features or None, data, **chosen)
    if options.out is None:
        say_table(table)
    else:
        _deliver(flat_columns(table), options)
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Run ``evaluate``."""
    check_out_file(options.out, force=options.force)
    fitted = bs.load(fit_in(options.fit))
    data = None if options.data is None else read_table(options.data, text_format(options))
    missing = "drop" if options.drop_missing else "error"
    scores = fitted.evaluate(data, loo=options.loo, missing=missing, **levels_of(options))
    if options.out != STANDARD_OUTPUT:
        say(repr(scores))
        say("")
        say_table(scores.confusion)
    if options.out is not None:
        _deliver(flat_columns(scores.to_frame()), options)
    return 0


def _deliver(table: "pd.DataFrame", options: argparse.Namespace) -> None:
    """Write a table to the file, or to standard output."""
    out = STANDARD_OUTPUT if options.out is None else options.out
    write_table(table, out)
    if out != STANDARD_OUTPUT and not options.quiet:
        tell(f"written: {out}")


def _setting(schema: Schema, pairs: list[str] | None) -> Any:
    """Values of variables from ``NAME=VALUE``; a level is named as it is printed."""
    if pairs is None:
        return None
    if pairs == [MEANS]:
        return MEANS
    variables, found = model_variables(schema), {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not (name and sign):
            raise ValueError(f"--at {shown(pair)} must be NAME=VALUE, or the word {MEANS} alone")
        if name in found:
            raise ValueError(f"--at: {shown(name)} appears twice")
        levels = variables[name].levels if name in variables else ()
        found[name] = {level_name(level): level for level in levels}.get(text, text) if levels else _number(text)
    return found


def _steps(pairs: list[str] | None) -> dict[str, Any] | None:
    """Sizes of steps from ``NAME=SIZE``."""
    if pairs is None:
        return None
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, size = pair.rpartition("=")
        if not (name and sign):
            raise ValueError(f"--per {shown(pair)} must be NAME=SIZE, for example income=10000")
        if name in found:
            raise ValueError(f"--per: {shown(name)} appears twice")
        found[name] = _number(size)
    return found


def _number(text: str) -> Any:
    """A number, or the text where it is none, which the answer then names."""
    try:
        return float(text)
    except ValueError:
        return text
