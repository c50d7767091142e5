"""What fits of rows that are read in passes do otherwise than fits of rows in memory."""

from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import TrainingData, training_data
from bayes_softmax.core.checks import counted
from bayes_softmax.inference.importance import CHUNK
from bayes_softmax.separation.examination import Examination
from bayes_softmax.separation.in_passes import what_is_open_in
from bayes_softmax.spec.specification import Specification

PASS_POINTS = 2048  # points that are evaluated in one pass, or fewer with
PASS_NUMBERS = 4_000_000  # coefficients in all, which are sent to every worker
NO_NUTS = (
    "its draws are kept all the same, since NUTS takes a pass over the rows for each of its steps; see the "
    "diagnostics, or fit a sample of the rows, as a data frame"
)


def training_of_model(spec: Specification) -> TrainingData | RowsOfSource:
    """The data of a fit, for its answers."""
    if spec.streamed is not None:
        return RowsOfSource(spec.streamed)
    return training_data(spec.design, spec.collapsed)


def examined(spec: Specification) -> Examination:
    """What the data leave open in the coefficients, where no optimum is certified."""
    return what_is_open_in(spec.rows, spec.priors)


def batches_of(spec: Specification, cores: int, *, of_sample: bool) -> dict[str, int]:
    """Threads and batches of the evaluations of a density: of all rows in passes, many points in each."""
    if spec.streamed is None or of_sample:
        return {"cores": cores, "chunk": CHUNK}
    coefficients = spec.summary.n_classes * spec.coordinates.n_columns
    return {"cores": 1, "chunk": max(min(PASS_POINTS, PASS_NUMBERS // coefficients), 1)}


def refuse_nuts(spec: Specification) -> None:
    """Raise where NUTS would read all rows at each of its steps."""
    if spec.streamed is not None:
        raise ValueError(
            f"engine='nuts' takes a pass over the rows of {spec.streamed.source_name} for each of some ten thousand "
            "steps: leave engine at 'auto', or fit a sample of the rows, as a data frame"
        )


def refuse_learned_scales_in_passes(spec: Specification) -> None:
    """Raise where scales are learned and rows are read in passes."""
    if spec.streamed is not None and spec.learns_scales:
        family = spec.learned_priors[0]
        raise ValueError(
            f"{family} learns its scale, for which the rows must be in memory, and those of "
            f"{spec.streamed.source_name} are read in passes; fix the scale, as in prior=Normal(1.0)"
        )


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
