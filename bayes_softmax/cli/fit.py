"""``bayes-softmax fit``: from a table and a formula to a saved fit."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import bayes_softmax as bs
from bayes_softmax.answers.contrasts import build_view
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.cli.files import read_table
from bayes_softmax.cli.folder import (
    COVARIANCES,
    ESTIMATE,
    GROUP_TABLES,
    LEVELS,
    POSTERIOR,
    TABLE,
    check_out,
    replace_tables,
    write_fit,
)
from bayes_softmax.cli.network import check_network_options, logits_of
from bayes_softmax.cli.output import Stages, csv_bytes, flat_columns, say, say_table, shows_progress
from bayes_softmax.cli.prior_text import OF_GROUPS, prior_of, priors_of
from bayes_softmax.cli.sources import first_rows, source_named
from bayes_softmax.cli.text_table import TextFormat
from bayes_softmax.cli.wording import in_options
from bayes_softmax.core.checks import counted, did_you_mean, listed, shown
from bayes_softmax.core.errors import warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.data.formula.sides import split_formula
from bayes_softmax.display.brief import text_of

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

INTERRUPTED_STATUS = 130
MOSTLY = 0.9  # share of numbers in a column of text that was perhaps meant as numbers
Run = Callable[[bs.SoftmaxRegression, argparse.Namespace], Any]


def fit(options: argparse.Namespace) -> int:
    """Run ``fit``."""
    _check_method(options)
    check_network_options(options)
    check_out(options.out, [TABLE, *GROUP_TABLES], force=options.force)
    stages = Stages(quiet=options.quiet)
    with stages.stage(f"read {options.data}"):
        source = source_named(options.data)
        data = read_table(options.data, text_format(options)) if source is None else first_rows(source)
        labels = _labels(options.formula, data)
        model = _model(options, data if source is None else options.data, labels)
        schema, versus = model._spec.schema, labels.get(options.vs, options.vs)
        build_view(schema, versus)  # what the table could not show is said before the fit
        resolve_interval(options.intervals, None)
        _warn_of_nearly_numbers(schema.input_columns, data)
    if not options.quiet:
        say(repr(model))
    run = METHODS[options.method]
    if options.method == "sample" and shows_progress(quiet=options.quiet):  # with a bar of its own
        fitted = run(model, options)
    else:
        with stages.stage(f"fit by {options.method}", compiles=True):
            fitted = run(model, options)
    name = ESTIMATE if options.method in ("mle", "map") else POSTERIOR
    write_fit(options.out, name, fitted.save)  # before all else, so that Ctrl-C loses no draws
    table = fitted.summary(vs=versus, ci_prob=options.intervals)
    tables = {TABLE: table, **(_of_groups(fitted, versus, options.intervals) if schema.groups else {})}
    replace_tables(options.out, {file: csv_bytes(flat_columns(shown)) for file, shown in tables.items()})
    say(text_of(fitted._brief(), in_options))
    say_table(table)
    if schema.groups:
        say("")
        say_table(tables[COVARIANCES])
    say(f"written to {options.out}: {', '.join([name, *tables])}")
    partial_draws = any(note.startswith(INTERRUPTED) for note in fitted.notes)
    return INTERRUPTED_STATUS if partial_draws else 0


def _model(options: argparse.Namespace, data: Any, labels: dict[str, Any]) -> bs.SoftmaxRegression:
    """The model of the options."""
    intercept_prior = options.intercept_prior
    return bs.SoftmaxRegression.from_formula(
        options.formula,
        data,
        prior=priors_of(options.prior, "--prior"),
        group_prior=priors_of(options.group_prior, "--group-prior", OF_GROUPS),
        intercept_prior=None if intercept_prior is None else prior_of(intercept_prior, "--intercept-prior"),
        coding=options.coding,
        classes=_classes(options.classes, labels),
        weights=options.weights,
        offset=_by_class(options.offset, "--offset", labels),
        available=_by_class(options.available, "--available", labels),
        missing="drop" if options.drop_missing else "error",
        constant="drop" if options.drop_constant else "error",
        logits=logits_of(options),
    )


def _of_groups(fitted: Any, versus: Any, intervals: float | None) -> dict[str, "pd.DataFrame"]:
    """Tables of a fit with groups by the names of their files: covariances of effects, and effects of all levels."""
    return {
        COVARIANCES: fitted.group_covariance(vs=versus, ci_prob=intervals),
        LEVELS: fitted.group_effects(vs=versus, ci_prob=intervals),
    }


def text_format(options: argparse.Namespace) -> TextFormat:
    """How text files are read."""
    missing = None if options.na_values is None else tuple(options.na_values)
    return TextFormat(options.separator, options.decimal, options.encoding, missing)


def _sample(model: bs.SoftmaxRegression, options: argparse.Namespace) -> Any:
    return model.sample(
        draws=options.draws or 1000,
        tune=options.tune,
        chains=options.chains or 4,
        random_seed=options.seed,
        layers=options.layers,
        progressbar=shows_progress(quiet=options.quiet),
    )


def _laplace(model: bs.SoftmaxRegression, options: argparse.Namespace) -> Any:
    progressbar = shows_progress(quiet=options.quiet)
    return model.laplace(options.draws or 4000, random_seed=options.seed, progressbar=progressbar)


def _ensemble(model: bs.SoftmaxRegression, options: argparse.Namespace) -> Any:
    members = 5 if options.members is None else options.members
    return model.ensemble(members, random_seed=options.seed, progressbar=shows_progress(quiet=options.quiet))


METHODS: dict[str, Run] = {
    "sample": _sample,
    "laplace": _laplace,
    "ensemble": _ensemble,
    "map": lambda model, options: model.map(restarts=options.restarts, random_seed=options.seed),
    "mle": lambda model, options: model.mle(restarts=options.restarts, random_seed=options.seed),
}
TAKES = {"sample": ("draws", "tune", "chains"), "laplace": ("draws",), "ensemble": (), "map": (), "mle": ()}


def _check_method(options: argparse.Namespace) -> None:
    """Raise for options that the method has no use for, and for numbers that are none."""
    for name in ("draws", "tune", "chains"):
        value = getattr(options, name)
        if value is not None and name not in TAKES[options.method]:
            raise ValueError(f"--{name} has no meaning for --method {options.method}")
        if value is not None and value < (name != "tune"):
            raise ValueError(f"--{name} {value} must be at least {int(name != 'tune')}")
    if options.method == "mle" and (options.prior or options.intercept_prior):
        raise ValueError("--prior has no meaning for --method mle, which ignores priors; use --method map")


def _labels(formula: str, data: "pd.DataFrame") -> dict[str, Any]:
    """Class labels by the text that they are printed as, or names of columns of counts."""
    responses, _ = split_formula(formula)
    if len(responses) > 1:
        return {name: name for name in responses}
    if responses[0] not in data:  # which the model says
        return {}
    _keep_whole(data, responses[0])
    observed = data[responses[0]].dropna().unique().tolist()
    return {str(label): label for label in observed}


def _keep_whole(data: "pd.DataFrame", response: str) -> None:
    """Make whole numbers whole again, which pandas reads as 1.0 and 2.0 where others of the column are missing."""
    values = data[response]
    if values.dtype.kind == "f" and values.isna().any() and (values.dropna() % 1 == 0).all():
        data[response] = values.astype("Int64")


def _by_class(pairs: Sequence[str] | None, option: str, labels: dict[str, Any]) -> dict[Any, str] | None:
    """Columns by class, from ``CLASS=COLUMN``; a class is named as its label is printed."""
    if pairs is None:
        return None
    found: dict[Any, str] = {}
    for pair in pairs:
        if not all(pair.partition("=")):
            raise ValueError(f"{option} {shown(pair)} must be CLASS=COLUMN")
        # The longest class that fits: labels may have equality signs of their own.
        cuts = [i for i, sign in enumerate(pair) if sign == "=" and pair[:i] in labels]
        name, _, column = pair.partition("=") if not cuts else (pair[: cuts[-1]], "=", pair[cuts[-1] + 1 :])
        label = labels.get(name, name)
        if label in found:
            raise ValueError(f"{option}: class {shown(name)} appears twice")
        found[label] = column
    return found


def _classes(names: Sequence[str] | None, labels: dict[str, Any]) -> list[Any] | None:
    """Labels in the order given; all that the data have must be among them."""
    if names is None:
        return None
    if lacking := [name for name in labels if name not in names]:
        hint = did_you_mean(lacking[0], [name for name in names if name not in labels])
        raise ValueError(f"--classes lacks {listed(lacking)} of the data{hint}; name all classes in order")
    return [_label(name, labels) for name in names]


def _label(name: str, labels: dict[str, Any]) -> Any:
    """The label that is printed so; one that the data do not have is a whole number if those of the data are."""
    if name not in labels and labels and all(isinstance(label, int) for label in labels.values()):
        return int(name) if name.removeprefix("-").isdecimal() else name
    return labels.get(name, name)


def _warn_of_nearly_numbers(variables: Sequence[str], data: "pd.DataFrame") -> None:
    """Warn where a variable is text because of a few values: it is then a factor with very many levels."""
    import pandas as pd

    for column in variables:
        values = data[column].dropna()
        if not pd.api.types.is_string_dtype(values):
            continue
        others = values[pd.to_numeric(values, errors="coerce").isna()]
        if 0 < len(others) <= (1 - MOSTLY) * len(values):
            warn_caller(
                f"column {shown(column)} is text, so a factor, because of {counted(len(others), 'value')} such as "
                f"{shown(others.iloc[0])} in row {others.index[0]}; if that means missing, pass --na-values"
            )
