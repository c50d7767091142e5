"""Arguments of models whose rows are read in passes, checked where they come in."""

from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from bayes_softmax.core.checks import as_float, is_number, shown
from bayes_softmax.data.options import BY_ROW, Options, given_options, named_by

WHAT_TO_DO = "read them first (pandas.read_parquet, .compute(), .collect()), or leave it out"


def checked_options(options: Options) -> Options:
    """The options, if they name columns, are of linear logits, and say where passes may write.

    Raises
    ------
    TypeError, ValueError
        Values in place of names of columns, arguments that need the rows in memory, a scratch space that is no size, a
        checkpoint that is no file.
    """
    options = given_options(options)
    for argument in BY_ROW:
        if getattr(options, argument) is not None and not named_by(options, argument):
            raise TypeError(f"{argument}: name the columns of the source; arrays have no rows of partitions")
    for argument in ("groups", "group_prior", "logits"):
        if getattr(options, argument) is not None:
            raise ValueError(f"{argument}= needs the rows in memory: {WHAT_TO_DO}")
    _check_checkpoint(options.checkpoint)
    return replace(options, scratch=_scratch(options.scratch))


def _scratch(value: Any) -> float | None:
    """GiB of disk, or None."""
    if value is None:
        return None
    wrong = f"scratch={shown(value)} must be a number of GiB, at least 0, or None"
    if not is_number(value):
        raise TypeError(wrong)
    if not as_float(value) >= 0:
        raise ValueError(wrong)
    return as_float(value)


def _check_checkpoint(value: Any) -> None:
    """Raise for what cannot be the path of a file."""
    if value is None:
        return
    written = fspath(value) if isinstance(value, str | PathLike) else None
    if not isinstance(written, str):
        raise TypeError(f"checkpoint={shown(value)}; expected the name of a file, as in checkpoint='fit.json'")
    path = Path(written).expanduser().absolute()
    if not written or path.is_dir() or not path.parent.is_dir():
        what = f"is in a folder that does not exist, {path.parent}"
        what = "is no name" if not written else "is a folder" if path.is_dir() else what
        raise ValueError(f"checkpoint={shown(written)} {what}; expected the name of a file")
