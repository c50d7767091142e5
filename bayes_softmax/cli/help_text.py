"""Texts of the help pages: what each command does, with examples."""

from typing import NamedTuple


class Help(NamedTuple):
    """Texts of one command: a line in the list of commands, its usage, what it does, and examples."""

    summary: str
    usage: str
    about: str
    examples: str


ABOUT = "Bayesian softmax (multinomial logistic) regression of a table."
EXAMPLES = """\
examples:
  bayes-softmax fit data.csv --formula "species ~ bill_length_mm + sex" \\
      --out results
  bayes-softmax predict results new.csv --out predicted.csv
  bayes-softmax effects results
  bayes-softmax fit --help"""
EXIT_STATUS = """\
exit status:
  0    done
  1    an error that should not happen, with its traceback
  2    the command, its data or its files cannot be used; the message says why
  130  interrupted by Ctrl-C
  141  the reader of the output has closed the pipe"""

COMMANDS = {
    "fit": Help(
        "fit a formula to a table",
        "bayes-softmax fit DATA --formula FORMULA --out FOLDER [options]",
        """\
Fit a softmax regression to a table.  The folder then holds the fit, which
predict, effects and evaluate read, and summary.csv; with groups also
group_covariance.csv and group_effects.csv.  Rows are counted from 1.  Folders,
patterns and large files of Parquet are read in passes.""",
        """\
examples:
  bayes-softmax fit data.csv --formula "species ~ bill_length_mm + sex" \\
      --out results --drop-missing
  bayes-softmax fit data.parquet --formula "vote ~ age * region" --out results \\
      --prior "Normal(1)" --method map
  bayes-softmax fit data.csv --formula "vote ~ age + income" --out results \\
      --prior "age=Normal(0.1)" --prior "income=StudentT(4, 0.5)"
  bayes-softmax fit trips.tsv.gz --formula "mode ~ cost + time" --out results \\
      --available bus=has_bus car=has_car walk=can_walk --vs walk
  bayes-softmax fit data.csv --formula "species ~ ." --out results \\
      --hidden 50 20 --activation relu --skip --prior "hidden_1=Normal(0.5)"
  bayes-softmax fit panel.csv --formula "y ~ x + (1|person)" --out results \\
      --group-prior "GroupNormal(HalfNormal(1), LKJ(2))"
  zcat data.csv.gz | bayes-softmax fit - --formula "y ~ x" --out results""",
    ),
    "predict": Help(
        "class probabilities of new rows",
        "bayes-softmax predict FIT DATA [options]",
        """\
Predict the class and its probabilities for each row of a table, as CSV on
standard output or in a file.  Rows are counted from 1; --keep copies columns of
the table, so that each row can be found again.  Where --out is a folder, the
answers for Parquet are written to a file for each of its partitions, in their
order; folders and large files of Parquet are read in passes.""",
        """\
examples:
  bayes-softmax predict results new.csv --out predicted.csv
  bayes-softmax predict results new.csv --keep customer_id --keep age --digits 4
  bayes-softmax predict results new.csv --intervals 0.9 --out predicted.parquet
  bayes-softmax predict results new/ --keep customer_id --out answers
  bayes-softmax predict results new.csv --levels person=new item=known
  bayes-softmax predict results - < new.csv | head""",
    ),
    "effects": Help(
        "average effects of the variables on the probabilities",
        "bayes-softmax effects FIT [variable ...] [options]",
        """\
Average effect of each variable on the probability of each class: per unit of a
number (or per step of --per), and of each level of a factor against its first
level.""",
        """\
examples:
  bayes-softmax effects results
  bayes-softmax effects results sex bill_length_mm --intervals 0.95
  bayes-softmax effects results income --at age=40 region=north
  bayes-softmax effects results --per income=10000 age=10
  bayes-softmax effects results --data new.csv --out effects.csv""",
    ),
    "evaluate": Help(
        "scores of the predictions, and the confusion of the classes",
        "bayes-softmax evaluate FIT [DATA] [options]",
        """\
Score the predictions: on the data of the fit, by leave-one-out, or on a table
that has the column of the classes.""",
        """\
examples:
  bayes-softmax evaluate results
  bayes-softmax evaluate results test.csv --drop-missing
  bayes-softmax evaluate results --loo --out scores.csv""",
    ),
    "demo": Help(
        "fit the Palmer penguins and show MLE, MAP and posterior side by side",
        "bayes-softmax demo [options]",
        """\
Fit the Palmer penguins, show MLE, MAP and posterior side by side, and save the
posterior with two pictures.""",
        """\
examples:
  bayes-softmax demo
  bayes-softmax demo --out penguins --draws 500""",
    ),
}

# Where an option of one command, or of the package, is asked of another.
AFTER_FIT = "the file comes after the fit, bayes-softmax {command} FIT DATA"
VARIABLES = "variables come after the fit, bayes-softmax effects FIT income region"
INSTEAD = {
    ("predict", "--data"): AFTER_FIT.format(command="predict"),
    ("evaluate", "--data"): AFTER_FIT.format(command="evaluate"),
    ("fit", "--data"): "the file comes first, bayes-softmax fit DATA --formula FORMULA --out FOLDER",
    ("effects", "--features"): VARIABLES,
    ("effects", "--variables"): VARIABLES,
    ("predict", "--drop-missing"): "predict has --allow-missing, which leaves such predictions empty",
}
