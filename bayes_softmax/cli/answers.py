"""``bayes-softmax predict``, ``effects`` and ``evaluate``: questions to a saved fit."""

import argparse
from typing import TYPE_CHECKING, Any

import bayes_softmax as bs
from bayes_softmax.answers.variables import level_name, model_variables
from bayes_softmax.cli.files import read_table
from bayes_softmax.cli.fit import text_format
from bayes_softmax.cli.folder import fit_in
from bayes_softmax.cli.output import (
    STANDARD_OUTPUT,
    check_out_file,
    flat_columns,
    say,
    say_table,
    tell,
    write_table,
)
from bayes_softmax.core.checks import shown
from bayes_softmax.data.schema import Schema

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

MEANS = "means"


def predict(options: argparse.Namespace) -> int:
    """Run ``predict``."""
    check_out_file(options.out, force=options.force)
    fitted = bs.load(fit_in(options.fit))
    data = read_table(options.data, text_format(options))
    missing = "nan" if options.allow_missing else "error"
    probabilities = fitted.predict_proba(data, options.intervals, missing=missing)
    names = set(flat_columns(probabilities.reset_index(drop=True)).columns)  # which classes may have taken
    table = flat_columns(probabilities.rename_axis("row number" if "row" in names else "row"))
    predicted = "predicted class" if "predicted" in names else "predicted"
    table.insert(1, predicted, fitted.predict(data, missing=missing).to_numpy())
    _deliver(table, options)
    return 0


def effects(options: argparse.Namespace) -> int:
    """Run ``effects``."""
    check_out_file(options.out, force=options.force)
    fitted = bs.load(fit_in(options.fit))
    data = None if options.data is None else read_table(options.data, text_format(options))
    at = _setting(fitted._fitted.schema, options.at)
    table: Any = fitted.effects(options.features or None, data, at=at, ci_prob=options.intervals)
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
    scores = fitted.evaluate(data, loo=options.loo, missing="drop" if options.drop_missing else "error")
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


def _number(text: str) -> Any:
    """A number, or the text where it is none, which the answer then names."""
    try:
        return float(text)
    except ValueError:
        return text
