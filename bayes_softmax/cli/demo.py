"""``bayes-softmax demo``: the Palmer penguins, by maximum likelihood, MAP and posterior."""

import argparse
from io import BytesIO
from typing import TYPE_CHECKING, Any

import bayes_softmax as bs
from bayes_softmax.cli.folder import POSTERIOR, TABLE, check_out, starts_with, write_files, write_fit
from bayes_softmax.cli.output import Stages, csv_bytes, flat_columns, say, say_table

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

DEMO_FORMULA = "species ~ bill_length_mm + flipper_length_mm"
DEMO_TABLE = b"feature,contrast,mle,"  # first bytes of its table, which no other command writes
PICTURES = ("compare.png", "forest.png")


def demo(options: argparse.Namespace) -> int:
    """Run ``demo``; results of an earlier demo may be replaced."""
    again = starts_with(options.out / TABLE, DEMO_TABLE)
    check_out(options.out, [TABLE, *PICTURES], force=options.force or again)
    stages = Stages(quiet=options.quiet)
    draws, chains = options.draws or 1000, options.chains or 4
    with stages.stage("import the package"):
        front_door = bs.SoftmaxRegression  # names load on first use
    with stages.stage("read the penguins"):
        model = front_door.from_formula(DEMO_FORMULA, bs.datasets.load_penguins(), missing="drop")
    if not options.quiet:
        say(f"{DEMO_FORMULA}\n{model}")
    with stages.stage("maximum likelihood (MLE)", compiles=True):
        mle = model.mle()
    with stages.stage("maximum a posteriori (MAP)"):
        map_ = model.map()
    with stages.stage("import the sampler"):
        import nutpie  # noqa: F401
    with stages.stage(f"sample {chains} x {draws} draws"):
        posterior = model.sample(draws=draws, chains=chains, random_seed=options.seed, progressbar=False)
    with stages.stage("diagnose"):
        table = bs.compare(mle=mle, map=map_, posterior=posterior)
        report = f"{mle}\n{map_}\n{posterior}"
    with stages.stage("save, and draw the pictures"):
        contents = {TABLE: csv_bytes(_rows_named(table))}
        figures = (bs.plots.compare(mle=mle, map=map_, posterior=posterior), bs.plots.forest(posterior, vs="Adelie"))
        contents |= dict(zip(PICTURES, map(_png, figures), strict=True))
        write_fit(options.out, POSTERIOR, posterior.save)
        write_files(options.out, contents)
    say(f"\n{report}\n")
    say("Coefficients in logits per unit of the feature, against the average of the classes:\n")
    say_table(table)
    say(_note_on_separation())
    say(f"\nwritten to {options.out}: {', '.join((POSTERIOR, *contents))}")
    say(f"in all {stages.total:.1f} s")
    return 0


def _rows_named(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table with feature and contrast as columns."""
    return table if "feature" in table.columns else flat_columns(table)


def _note_on_separation() -> str:
    """Separation with all four measurements, by the linear programs."""
    formula = "species ~ bill_length_mm + bill_depth_mm + flipper_length_mm + body_mass_g"
    model = bs.SoftmaxRegression.from_formula(formula, bs.datasets.load_penguins(), missing="drop")
    found = model.check_separation()
    return (
        f"\nWith all four measurements the MLE does not exist ({found.kind} separation of\n"
        "the species); MAP and posterior do."
    )


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, dpi=150, format="png")
    return buffer.getvalue()
