"""Options and help of the commands."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import bayes_softmax as bs
from bayes_softmax.cli import help_text
from bayes_softmax.cli.levels import add_levels
from bayes_softmax.cli.network import add_network_options
from bayes_softmax.cli.text_table import SEPARATORS
from bayes_softmax.core.checks import did_you_mean

DATA = (
    "table with a line of names: CSV, TSV, Parquet or Arrow, also compressed; a folder or pattern of Parquet files; "
    "- is standard input"
)
METHODS = ("sample", "laplace", "ensemble", "map", "mle")
DEMO_OUT = Path("out") / "penguins"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options of a command; exits with status 2 where they cannot be used, and with 0 after ``--help``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser, by_command = _parser()
    if words and not words[0].startswith("-") and words[0] not in help_text.COMMANDS:
        known = help_text.COMMANDS
        parser.error(f"{words[0]!r} is not a command{did_you_mean(words[0], known)} ({', '.join(known)})")
    if not words:
        parser.error(f"name a command: {', '.join(help_text.COMMANDS)} (bayes-softmax --help has examples)")
    options, unknown = parser.parse_known_args(words)
    if unknown:
        command = by_command[options.command]
        names = [name for action in command._actions for name in action.option_strings]
        hint = help_text.INSTEAD.get((options.command, unknown[0].partition("=")[0]))
        hint = f": {hint}" if hint else did_you_mean(unknown[0], names)
        command.error(f"{unknown[0]!r} is not an argument of {options.command}{hint}")
    return options


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="bayes-softmax",
        description=help_text.ABOUT,
        epilog=f"{help_text.EXAMPLES}\n\n{help_text.EXIT_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"bayes-softmax {bs.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    made = {}
    for name, text in help_text.COMMANDS.items():
        made[name] = commands.add_parser(
            name,
            help=text.summary,
            usage=text.usage,
            description=text.about,
            epilog=f"{text.examples}\n\n{help_text.EXIT_STATUS}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
    _of_fit(made["fit"])
    _of_predict(made["predict"])
    _of_effects(made["effects"])
    _of_evaluate(made["evaluate"])
    _of_demo(made["demo"])
    for name, command in made.items():
        _of_output(command, name)
    return parser, made


def _of_fit(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", metavar="DATA", help=DATA)
    command.add_argument("--formula", required=True, help='for example "species ~ bill_length_mm + sex"')
    command.add_argument(
        "--out",
        type=_folder,
        required=True,
        metavar="FOLDER",
        help="folder for the fit (posterior.nc or estimate.nc) and summary.csv",
    )
    command.add_argument(
        "--method",
        choices=METHODS,
        default="sample",
        help="posterior by NUTS (sample, the default) or from the Laplace approximation (laplace, fast for many rows); "
        "maximum a posteriori (map) or maximum likelihood (mle); several modes of a neural network (ensemble)",
    )
    model = command.add_argument_group("model")
    model.add_argument(
        "--prior",
        action="append",
        metavar="[TERM=]PRIOR",
        help="prior of all weights, or of those of a term, or of a network's layer (hidden_1, weights) (repeat for "
        "more): Normal(2), StudentT(4, 1), Laplace(1), Flat, Jeffreys, R2D2, Normal(HalfNormal(1)); default: normal, "
        "scaled to the features",
    )
    model.add_argument(
        "--group-prior",
        action="append",
        metavar="[GROUP=]PRIOR",
        help="prior of the effects of all groupings of the formula, as (1 | person), or of one (repeat for more): "
        "GroupNormal(HalfNormal(1), LKJ(2)), GroupNormal(covariance='independent'); default: scaled to the terms",
    )
    model.add_argument("--intercept-prior", metavar="PRIOR", help="prior of the intercept at x = 0")
    model.add_argument(
        "--coding",
        choices=("zero-sum", "reference", "full"),
        default="zero-sum",
        help="of the classes (default zero-sum: no class is special)",
    )
    model.add_argument("--classes", nargs="+", metavar="CLASS", help="all classes in order; the first is the reference")
    model.add_argument("--weights", metavar="COLUMN", help="column of frequency weights")
    model.add_argument("--offset", nargs="+", metavar="CLASS=COLUMN", help="columns that are added to the logits")
    model.add_argument(
        "--available",
        nargs="+",
        metavar="CLASS=COLUMN",
        help="columns of 0 and 1 that mark the rows where each class is on offer, for example bus=has_bus car=has_car",
    )
    model.add_argument("--drop-missing", action="store_true", help="leave out rows with missing values")
    model.add_argument("--drop-constant", action="store_true", help="leave out columns that do not vary")
    add_network_options(command)
    _of_draws(command, "1000; of laplace 4000").add_argument("--tune", type=int, help="tuning steps of each chain")
    summary = command.add_argument_group("summary")
    summary.add_argument(
        "--vs", metavar="CLASS", help="class that the others are compared with (default: their average)"
    )
    _of_intervals(summary, "probability of the intervals of the table (default 0.89)")
    _of_text(command)


def _of_predict(command: argparse.ArgumentParser) -> None:
    _of_saved(command)
    command.add_argument("data", metavar="DATA", help=DATA)
    command.add_argument(
        "--keep", action="append", default=[], metavar="COLUMN", help="a column of DATA to copy (repeat for more)"
    )
    command.add_argument("--digits", type=int, metavar="N", help="decimals of the probabilities (default: all)")
    command.add_argument(
        "--out",
        metavar="FILE",
        help="file to write: .csv, .tsv (also .gz, .bz2, .xz, .zst), .parquet; for Parquet also a new folder",
    )
    _of_intervals(command, "add an interval of this probability for each class, for example 0.9")
    command.add_argument("--allow-missing", action="store_true", help="rows with missing values get empty predictions")
    add_levels(command, "known")
    _of_text(command)


def _of_effects(command: argparse.ArgumentParser) -> None:
    _of_saved(command)
    command.add_argument("features", nargs="*", default=[], metavar="variable", help="variables by name (default: all)")
    command.add_argument("--data", metavar="FILE", help="rows to average over (default: those of the fit)")
    command.add_argument(
        "--at", nargs="+", metavar="NAME=VALUE", help="values of variables in every row, or the word means"
    )
    command.add_argument(
        "--per", nargs="+", metavar="NAME=SIZE", help="size of a step of numeric variables (default 1), as income=10000"
    )
    _of_intervals(command, "probability of the intervals (default 0.89)")
    command.add_argument("--out", metavar="FILE", help="write the table to a file; - writes CSV to standard output")
    add_levels(command, "average")
    _of_text(command)


def _of_evaluate(command: argparse.ArgumentParser) -> None:
    _of_saved(command)
    command.add_argument("data", nargs="?", metavar="DATA", help=f"{DATA} (default: the data of the fit)")
    command.add_argument("--loo", action="store_true", help="leave-one-out on the data of the fit")
    command.add_argument("--drop-missing", action="store_true", help="leave out rows with missing values")
    command.add_argument("--out", metavar="FILE", help="write the scores to a file; - writes CSV to standard output")
    add_levels(command, "known")
    _of_text(command)


def _of_demo(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=_folder, metavar="FOLDER", default=DEMO_OUT, help=f"folder for the results (default {DEMO_OUT})"
    )
    _of_draws(command, "1000")


def _folder(text: str) -> Path:
    """A path; an empty text, as of a variable that is not set, is none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return Path(text)


def _of_saved(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "fit", type=Path, metavar="FIT", help="folder written by fit, or a saved .nc file or .zarr folder"
    )


def _of_draws(command: argparse.ArgumentParser, default: str) -> argparse._ArgumentGroup:
    group = command.add_argument_group("draws")
    group.add_argument("--seed", type=int, default=1, help="random seed (default 1)")
    group.add_argument("--draws", type=int, help=f"draws per chain (default {default})")
    group.add_argument("--chains", type=int, help="chains (default 4)")
    return group


def _of_intervals(command: argparse._ActionsContainer, text: str) -> None:
    command.add_argument("--intervals", type=float, metavar="P", help=text)


def _of_text(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("text files")
    names = ", ".join(SEPARATORS)
    group.add_argument(
        "--separator", metavar="SIGN", help=f"of the fields: one character, or {names} (default: comma; of .tsv tab)"
    )
    group.add_argument("--decimal", metavar="SIGN", help="decimal point (default .)")
    group.add_argument("--encoding", default="utf-8", help="of the text (default utf-8)")
    group.add_argument(
        "--na-values", nargs="+", metavar="TEXT", help="texts that mean missing, in place of NA, NaN, null and others"
    )


def _of_output(command: argparse.ArgumentParser, name: str) -> None:
    group = command.add_argument_group("output")
    replaced = "the file of --out" if name in ("predict", "effects", "evaluate") else "the results of an earlier run"
    group.add_argument("--force", action="store_true", help=f"replace {replaced}")
    group.add_argument("--quiet", action="store_true", help="results only, no progress")
