"""Ownership of files and folders: a saved fit may be replaced, anything else may not."""

import stat
from io import BytesIO
from itertools import count
from pathlib import Path

from bayes_softmax.fits.storage.containers import check_bytes, foreign_name, zarr_attributes
from bayes_softmax.fits.storage.files import ATTEMPTS, entries

FORMAT = "bayes_softmax"


def refuse_strange_file(target: Path) -> None:
    """Raise if the file exists and is not a saved fit; an empty file may be replaced."""
    if target.is_dir():
        raise FileExistsError(f"{str(target)!r} is a folder; a '.nc' fit is a file, so name another path")
    if not target.exists():
        return
    if not target.is_file():
        raise FileExistsError(f"{str(target)!r} is not a regular file; name another path")
    if target.stat().st_size and not holds_fit(target):
        raise FileExistsError(
            f"{str(target)!r} exists and is not a fit of bayes_softmax, or is a damaged one; move it away, or name "
            "another path"
        )


def refuse_strange_folder(target: Path) -> None:
    """Raise if the folder exists and holds anything but a saved fit; an empty folder may be replaced."""
    for attempt in count():
        try:
            before = target.stat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(before.st_mode):
            raise FileExistsError(f"{str(target)!r} is a file; a '.zarr' fit is a folder, so name another path")
        try:
            names = [name for name, _ in entries(target)]
            is_empty = not any(target.iterdir())
            header = zarr_attributes((target / "zarr.json").read_bytes()) if "zarr.json" in names else {}
            if target.stat().st_ino == before.st_ino:
                break
        except (FileNotFoundError, NotADirectoryError):  # another process replaces it
            if attempt >= ATTEMPTS:
                raise
    if is_empty:
        return
    foreign = foreign_name(names)
    if header.get("format") != FORMAT or foreign is not None:
        inside = f" (it holds {foreign!r})" if foreign else ""
        raise FileExistsError(
            f"{str(target)!r} exists and is not a fit of bayes_softmax{inside}; move it away, or name another path"
        )


def holds_fit(path: Path) -> bool:
    """Whether a file is a saved fit of any version, by its header."""
    import h5py

    try:
        data = path.read_bytes()
        check_bytes(data)
        with h5py.File(BytesIO(data), "r") as opened:
            return bool(opened.attrs.get("format") == FORMAT)
    except Exception:  # HDF5 raises many kinds for an invalid file
        return False
