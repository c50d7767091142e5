"""A folder of results, with a fit, its table and pictures; only results of an earlier run are overwritten."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bayes_softmax.fits.storage.files import replace_file
from bayes_softmax.fits.storage.ownership import holds_fit, refuse_strange_file

FIT = "posterior.nc"
TABLE_HEAD = b"feature,contrast,"


def check_out(out: Path, names: Sequence[str]) -> None:
    """Raise, before any work, if the results would replace a file that is no result of an earlier run."""
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"--out {str(out)!r} is a file; name a folder")
    refuse_strange_file(out / FIT)
    for path in (out / name for name in names if name != FIT):
        if os.path.lexists(path) and not _is_result(path):
            raise FileExistsError(
                f"--out: {str(path)!r} exists and is no result of bayes-softmax; move it away, or name another folder"
            )


def _is_result(path: Path) -> bool:
    """Whether an earlier run wrote this file: beside a fit and, for a ``.csv`` name, a table of coefficients."""
    if not (path.is_file() and holds_fit(path.parent / FIT)):
        return False
    with open(path, "rb") as file:
        return path.suffix != ".csv" or file.read(len(TABLE_HEAD)) == TABLE_HEAD


def write_files(out: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files atomically, over older ones; returns their paths."""
    for name, content in contents.items():
        replace_file(Path(os.path.realpath(out / name)), content)
    return [out / name for name in contents]
