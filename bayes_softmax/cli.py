"""Command line: ``bayes-softmax demo``, ``fit`` and ``predict``."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bayes_softmax as bs

if TYPE_CHECKING:  # slow to load, and `--help` does not need them
    import pandas as pd
    from rich.console import Console

DEMO_FORMULA = "species ~ bill_length_mm + flipper_length_mm"
DEMO_OUT = Path("out") / "penguins"
RESULTS = ("posterior.nc", "summary.csv")
PICTURES = ("compare.png", "forest.png")


class Stages:
    """Progress of the stages of a command, with the time of each."""

    def __init__(self, console: "Console") -> None:
        self.console = console
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show a spinner while the stage runs, then its time."""
        start = time.perf_counter()
        with self.console.status(f"{name} ..."):
            yield
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"[green]✓[/green] {name} [dim]{self.seconds[name]:.2f} s[/dim]")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, TypeError, OSError) as error:
        print(f"bayes-softmax: {_in_options(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bayes-softmax: interrupted", file=sys.stderr)
        return 130
    return status


def _in_options(message: str) -> str:
    """A message with the library's arguments replaced by the options of the command line."""
    return message.replace("missing='drop'", "--drop-missing").replace(", or pass constant='drop'", "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bayes-softmax", description="Bayesian softmax regression.")
    parser.add_argument("--version", action="version", version=f"bayes-softmax {bs.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser("demo", help="fit the Palmer penguins and show MLE, MAP and posterior side by side")
    demo.add_argument("--out", type=Path, default=DEMO_OUT, help=f"folder for the results (default {DEMO_OUT})")
    demo.set_defaults(run=_demo)
    fit = commands.add_parser("fit", help="sample the posterior of a formula over a CSV file")
    fit.add_argument("data", type=Path, help="CSV file")
    fit.add_argument("--formula", required=True, help='for example "species ~ bill_length_mm + sex"')
    fit.add_argument("--out", type=Path, required=True, help="folder for posterior.nc and summary.csv")
    fit.add_argument("--drop-missing", action="store_true", help="leave out rows with missing values")
    fit.add_argument(
        "--available",
        nargs="+",
        metavar="CLASS=COLUMN",
        help="columns of 0 and 1 that mark the rows where each class is on offer, for example bus=has_bus car=has_car",
    )
    fit.set_defaults(run=_fit)
    for command in (demo, fit):
        command.add_argument("--draws", type=int, default=1000, help="draws per chain (default 1000)")
        command.add_argument("--chains", type=int, default=4, help="chains (default 4)")
        command.add_argument("--seed", type=int, default=1, help="random seed (default 1)")
        command.add_argument("--quiet", action="store_true", help="show results only, no progress")
    predict = commands.add_parser("predict", help="class probabilities for new data, as CSV on standard output")
    predict.add_argument("fit", type=Path, help="folder written by fit, or a saved .nc file or .zarr folder")
    predict.add_argument("data", type=Path, help="CSV file")
    predict.set_defaults(run=_predict)
    for command in (fit, predict):
        command.add_argument("--separator", default=",", help="separator of the fields of the CSV file (default ',')")
    return parser


def _console(quiet: bool) -> "Console":
    from rich.console import Console

    # A pipe or log has no width; tables must not be cut to 80 columns there.
    return Console(quiet=quiet, highlight=False, width=None if sys.stdout.isatty() else 130)


def _demo(options: argparse.Namespace) -> int:
    from bayes_softmax.fits.folder import check_out, write_files

    check_out(options.out, [*RESULTS, *PICTURES])
    stages = Stages(_console(options.quiet))
    with stages.stage("import the package"):
        front_door = bs.SoftmaxRegression  # names load on first use
    with stages.stage("read the penguins"):
        model = front_door.from_formula(DEMO_FORMULA, bs.datasets.load_penguins(), missing="drop")
    stages.console.print(f"\n[bold]{DEMO_FORMULA}[/bold]\n{model}\n", markup=True)
    with stages.stage("maximum likelihood (MLE)"):
        mle = model.mle()
    with stages.stage("maximum a posteriori (MAP)"):
        map_ = model.map()
    with stages.stage("import the sampler"):
        import nutpie  # noqa: F401
    with stages.stage(f"sample {options.chains} x {options.draws} draws"):
        posterior = model.sample(
            draws=options.draws, chains=options.chains, random_seed=options.seed, progressbar=False
        )
    with stages.stage("diagnose"):
        table = bs.compare(mle=mle, map=map_, posterior=posterior)
        report = f"{mle}\n{map_}\n{posterior}"
    with stages.stage("save, and draw the pictures"):
        written = _write_results(options.out, posterior, table)
        figures = (bs.plots.compare(mle=mle, map=map_, posterior=posterior), bs.plots.forest(posterior, vs="Adelie"))
        written += write_files(options.out, dict(zip(PICTURES, map(_png, figures), strict=True)))
    results = _console(quiet=False)
    results.print(f"\n{report}\n", markup=False)
    _print_comparison(results, table)
    results.print(_note_on_separation(), markup=False)
    results.print("\nwritten: " + ", ".join(map(str, written)), markup=False)
    results.print(f"in all {sum(stages.seconds.values()):.1f} s", markup=False)
    return 0


def _note_on_separation() -> str:
    """Separation with all four measurements, by the linear programs."""
    formula = "species ~ bill_length_mm + bill_depth_mm + flipper_length_mm + body_mass_g"
    model = bs.SoftmaxRegression.from_formula(formula, bs.datasets.load_penguins(), missing="drop")
    found = model.check_separation()
    return (
        f"\nWith all four measurements the MLE does not exist ({found.kind} separation of the species); "
        "MAP and posterior do."
    )


def _print_comparison(console: "Console", table: "pd.DataFrame") -> None:
    """The comparison as a table: one row per coefficient."""
    from rich.table import Table

    from bayes_softmax.answers.intervals import percent_of

    low, high = (name for name in table.columns if name.endswith(("_lb", "_ub")))
    percent = percent_of(low.removeprefix("posterior_"))
    shown = Table(title="Coefficients in logits per unit of the feature, against the average of the classes")
    for name in ("feature", "contrast"):
        shown.add_column(name)
    for name in ("MLE (se)", "MAP (se)", "posterior mean", "sd", f"{percent} % interval"):
        shown.add_column(name, justify="right")
    previous = None
    for row in table.to_dict("records"):
        if previous not in (None, row["feature"]):
            shown.add_section()
        feature = str(row["feature"]) if row["feature"] != previous else ""
        previous = row["feature"]
        shown.add_row(
            feature,
            str(row["contrast"]),
            f"{row['mle']:.3f} ({row['mle_se']:.3f})",
            f"{row['map']:.3f} ({row['map_se']:.3f})",
            f"{row['posterior_mean']:.3f}",
            f"{row['posterior_sd']:.3f}",
            f"[{row[low]:.3f}, {row[high]:.3f}]".replace("[", r"\["),
        )
    console.print(shown)


def _write_results(out: Path, posterior: Any, table: "pd.DataFrame") -> list[Path]:
    """Write ``posterior.nc`` and ``summary.csv`` to a folder, over those of an earlier run."""
    from bayes_softmax.fits.folder import write_files

    out.mkdir(parents=True, exist_ok=True)
    posterior.save(out / "posterior.nc")
    return [out / "posterior.nc", *write_files(out, {"summary.csv": table.to_csv(index=False).encode()})]


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, dpi=150, format="png")
    return buffer.getvalue()


def _fit(options: argparse.Namespace) -> int:
    from bayes_softmax.data.csv_file import read_csv
    from bayes_softmax.fits.folder import check_out

    check_out(options.out, RESULTS)
    stages = Stages(_console(options.quiet))
    missing = "drop" if options.drop_missing else "error"
    with stages.stage(f"read {options.data}"):
        data = read_csv(options.data, options.separator)
        offered = _offered(options.available, options.formula, data)
        model = bs.SoftmaxRegression.from_formula(options.formula, data, available=offered, missing=missing)
    stages.console.print(repr(model), markup=False)
    posterior = model.sample(
        draws=options.draws, chains=options.chains, random_seed=options.seed, progressbar=not options.quiet
    )
    written = _write_results(options.out, posterior, posterior.summary().reset_index())
    import pandas as pd

    results = _console(quiet=False)
    results.print(repr(posterior), markup=False)
    with pd.option_context("display.width", 130, "display.max_rows", None, "display.max_columns", None):
        table = posterior.summary().to_string(float_format=lambda x: f"{x:.4g}")
        results.print(table, markup=False, soft_wrap=True)  # a pipe has no width at which to break lines
    results.print("written: " + ", ".join(map(str, written)), markup=False)
    return 0


def _offered(pairs: Sequence[str] | None, formula: str, data: "pd.DataFrame") -> dict[Any, str] | None:
    """Columns of choice sets by class; a class is named as its label is printed."""
    from bayes_softmax.data.formula.sides import split_formula

    if pairs is None:
        return None
    if bad := [pair for pair in pairs if not all(pair.partition("="))]:
        raise ValueError(f"--available {bad[0]!r} must be CLASS=COLUMN")
    responses, _ = split_formula(formula)
    observed = data[responses[0]].dropna().unique().tolist() if responses[0] in data and len(responses) == 1 else []
    labels = {str(label): label for label in observed}
    named = [pair.partition("=")[::2] for pair in pairs]
    return {labels.get(label, label): column for label, column in named}


def _predict(options: argparse.Namespace) -> int:
    from bayes_softmax.data.csv_file import read_csv

    folder = options.fit.is_dir() and options.fit.suffix != ".zarr"
    path = options.fit / "posterior.nc" if folder else options.fit
    fitted = bs.load(path)
    data = read_csv(options.data, options.separator)
    probabilities = fitted.predict_proba(data)
    taken = "predicted" in fitted.schema.classes
    probabilities.insert(0, "predicted class" if taken else "predicted", fitted.predict(data))
    probabilities.to_csv(sys.stdout, index_label="row")
    sys.stdout.flush()  # a broken pipe raises here, not at exit
    return 0


if __name__ == "__main__":
    sys.exit(main())
