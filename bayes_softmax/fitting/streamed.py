"""What fits of rows that are read in passes do otherwise than fits of rows in memory."""

from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import TrainingData, training_data
from bayes_softmax.core.checks import counted
from bayes_softmax.separation.examination import Examination, what_is_open
from bayes_softmax.spec.specification import Specification


def training_of_model(spec: Specification) -> TrainingData | RowsOfSource:
    """The data of a fit, for its answers."""
    if spec.streamed is not None:
        return RowsOfSource(spec.streamed)
    return training_data(spec.design, spec.collapsed)


def examined(spec: Specification) -> Examination:
    """What the data leave open in the coefficients, where no optimum is certified."""
    return what_is_open(spec.design, spec.priors)


def passes_so_far(spec: Specification) -> int:
    """Passes over the rows that were made for this model."""
    return 0 if spec.streamed is None else len(spec.streamed.log)


def notes_on_passes(spec: Specification, before: int) -> tuple[str, ...]:
    """The note on the passes of a fit, of which ``before`` had been made."""
    rows = spec.streamed
    if rows is None:
        return ()
    passes = counted(len(rows.log) - before, "pass", "passes")
    return (f"{passes} over {rows.n_obs:,} rows of {rows.source_name}, after two that read and encoded them",)
