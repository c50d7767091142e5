"""A folder of results, with a fit, its table and pictures; nothing in it is overwritten unless that is asked for."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bayes_softmax.cli.files import near_names
from bayes_softmax.fits.storage.files import replace_file
from bayes_softmax.fits.storage.ownership import holds_fit, refuse_strange_file

POSTERIOR, ESTIMATE, TABLE = "posterior.nc", "estimate.nc", "summary.csv"
GROUP_TABLES = COVARIANCES, LEVELS = "group_covariance.csv", "group_effects.csv"
FITS = (POSTERIOR, ESTIMATE)
# First columns of the tables of coefficients, of a network's layers, and of groups.
TABLE_HEADS = (b"feature,contrast,", b"parameter,inputs,", b"group,statistic,", b"group,term,level,")


def check_out(out: Path, names: Sequence[str], *, force: bool) -> None:
    """Raise, before any work, if results would replace files: only earlier results may be, and with ``--force``."""
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"--out {str(out)!r} is a file; name a folder")
    check_writable(out)
    there = [out / name for name in (*FITS, *names) if os.path.lexists(out / name)]
    for path in there:
        if path.name in FITS:
            refuse_strange_file(path)
        elif not _is_result(path):
            raise FileExistsError(
                f"--out: {str(path)!r} exists and is no result of bayes-softmax; move it away, or name another folder"
            )
    if there and not force:
        raise FileExistsError(
            f"--out: {str(there[0])!r} exists; pass --force to replace the results in this folder, or name another one"
        )


def check_writable(path: Path) -> None:
    """Raise, before any work, if a folder or file could not be made where there is none yet."""
    nearest = next((p for p in (path, *path.absolute().parents) if p.exists()), path)
    folder = nearest if nearest.is_dir() else nearest.parent
    if not nearest.is_dir() and nearest != path:
        raise NotADirectoryError(f"--out {str(path)!r}: {str(nearest)!r} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"--out {str(path)!r}: you have no permission to write to {str(folder)!r}")


def _is_result(path: Path) -> bool:
    """Whether an earlier run wrote this file: beside a fit and, for a ``.csv`` name, a table of its parameters."""
    if not (path.is_file() and any(holds_fit(path.parent / name) for name in FITS)):
        return False
    return path.suffix != ".csv" or any(starts_with(path, head) for head in TABLE_HEADS)


def starts_with(path: Path, head: bytes) -> bool:
    """Whether a file is there and starts with some bytes."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(head)) == head


def write_fit(out: Path, name: str, save: Callable[[Path], None]) -> None:
    """Write a fit, which saves itself, to a folder; an earlier one of the other name goes (see :func:`check_out`)."""
    out.mkdir(parents=True, exist_ok=True)
    save(out / name)
    for other in set(FITS) - {name}:
        (out / other).unlink(missing_ok=True)


def write_files(out: Path, contents: Mapping[str, bytes]) -> None:
    """Write files atomically, over older ones."""
    for file, content in contents.items():
        replace_file(Path(os.path.realpath(out / file)), content)


def replace_tables(out: Path, contents: Mapping[str, bytes]) -> None:
    """Write the tables of a fit; those of groups of an earlier fit go (see :func:`check_out`)."""
    write_files(out, contents)
    for other in set(GROUP_TABLES) - set(contents):
        (out / other).unlink(missing_ok=True)


def fit_in(path: Path) -> Path:
    """The saved fit that a path names: a file, a ``.zarr`` folder, or the one in a folder of results."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {str(path)!r}{near_names(path)}")
    if not path.is_dir() or (path / "zarr.json").exists():
        return path
    found = [path / name for name in FITS if (path / name).exists()]
    if not found:
        raise FileNotFoundError(f"{str(path)!r} holds no fit ({' or '.join(FITS)}); 'bayes-softmax fit' makes one")
    if len(found) > 1:
        raise ValueError(f"{str(path)!r} holds two fits: name {str(found[0])!r} or {str(found[1])!r}")
    return found[0]
