"""Parquet that is read in passes: folders and patterns of files, and files that are large."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_softmax.cli.output import STANDARD_OUTPUT, tell
from bayes_softmax.core.checks import counted, did_you_mean, listed, shown
from bayes_softmax.data.sources.head import head_of
from bayes_softmax.data.sources.parquet import GLOB_SIGNS, SUFFIXES, parquet_files
from bayes_softmax.data.sources.recognise import source_of

if TYPE_CHECKING:  # slow to load, and `--help` does not need it
    import pandas as pd

    from bayes_softmax.answers.answer_files import Answer
    from bayes_softmax.data.sources.partitions import Source

LARGE = 2**28  # bytes of a file from which on it is read in passes


def source_named(given: str, *, always: bool = False) -> "Source | None":
    """The source that a folder, a pattern or a large file is, with ``always`` any Parquet file; else None."""
    path = Path(given)
    if path.is_dir():
        try:
            parquet_files(given)
        except FileNotFoundError:
            return None
        return source_of(given)
    if path.suffix.lower() not in SUFFIXES:
        return None
    if path.is_file():
        return source_of(given) if always or path.stat().st_size > LARGE else None
    return source_of(given) if any(sign in given for sign in GLOB_SIGNS) else None


def first_rows(source: "Source") -> "pd.DataFrame":
    """Some rows of a source, numbered from 1 as those of a table."""
    import pandas as pd

    frame = head_of(source)
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def is_folder(out: str | None) -> bool:
    """Whether ``--out`` names a folder: it has no ending, or is one."""
    return out is not None and out != STANDARD_OUTPUT and (Path(out).is_dir() or not Path(out).suffix)


def source_to_predict(options: argparse.Namespace) -> "Source | None":
    """The source of ``predict`` with a folder for the answers, or None where a table is to be read."""
    if is_folder(options.out):
        return source_named(options.data, always=True)
    source = source_named(options.data)
    if source is not None:
        raise ValueError(f"{options.data!r} is read in passes: name a folder for the answers, --out answers")
    return None


def predict_source(options: argparse.Namespace, fitted: Any, source: "Source", asked: dict[str, Any]) -> int:
    """Write predicted classes and probabilities of all rows, a file for each partition; ``asked`` are options of both.

    Copied columns come first.
    """
    from bayes_softmax.answers.answer_files import Answer, flat, write_answers
    from bayes_softmax.answers.new_sources import columns_read
    from bayes_softmax.answers.tables import label_dtype
    from bayes_softmax.data.sources.passes import LocalPasses

    kept = list(dict.fromkeys(options.keep))
    for name in kept:
        if name not in source.columns:
            hint = did_you_mean(name, source.columns)
            raise ValueError(f"--keep: {options.data} has no column {shown(name)}{hint} ({listed(source.columns)})")
    read = columns_read(source, fitted._fitted.schema)
    columns = [name for name in source.columns if name in {*read, *kept}]

    def of_frame(frame: "pd.DataFrame") -> "Answer":
        shares = flat(fitted.predict_proba(frame, options.intervals, **asked))
        if options.digits is not None:
            shares = shares.round(options.digits)
        if clash := [name for name in kept if name in shares]:
            raise ValueError(
                f"--keep: the probabilities have a column {shown(clash[0])} too; rename that of the data to keep both"
            )
        predicted = fitted.predict(frame, **asked).astype(label_dtype(fitted._fitted.schema))
        name = "predicted class" if "predicted" in {*kept, *shares} else "predicted"
        return Answer(frame[kept].assign(**{name: predicted}).join(shares))

    found = write_answers(LocalPasses(source.narrowed(columns)), columns, of_frame, options.out, "predict")
    if not options.quiet:
        n = counted(int(found.table["rows"].sum()), "row")
        tell(f"written: {options.out}, {counted(len(found.files), 'file')} with {n}")
    return 0
