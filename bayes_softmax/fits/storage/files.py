"""Atomic replacement of files and folders: written aside, synchronised, then renamed.

A reader of the path finds the old contents or the new ones, whenever and however the process ends.  A file is replaced
by one rename.  A folder takes two: the old one is moved aside first, and between the two renames it is found in a
hidden folder beside its path.  The hidden folder is locked while its process lives; one without a living process is
the remainder of a killed save, which the next save repairs.
"""

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from bayes_softmax.core.checks import did_you_mean, shown
from bayes_softmax.fits.storage.containers import Bytes

try:
    import fcntl
except ImportError:  # a system without locks: folders aside are never removed
    fcntl = None  # type: ignore[assignment]

SUFFIXES = (".nc", ".zarr")  # a netCDF file, a zarr folder
ASIDE = ".saving"
ATTEMPTS = 100  # at reading a folder that is being replaced: far more than saves can follow each other
LONGEST_STEM = 200  # bytes; file systems allow names of 255, and a hidden name adds to the stem
NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


def replace_file(target: Path, *parts: Bytes) -> None:
    """Write a file atomically from its parts, over an older one if there is one, whose permissions it keeps."""
    with _aside(target) as folder:
        new = folder / "new"
        _write(new, *parts)
        _keep_mode(target, new)
        os.replace(new, target)
        _synchronise(target.parent)


def replace_folder(target: Path, files: Mapping[str, Bytes], check: Callable[[Path], None]) -> None:
    """Write a folder atomically, over an older one if there is one; ``check`` raises if that must not be replaced."""
    with _aside(target) as folder:
        new = folder / "new"
        new.mkdir()
        for name, data in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            _write(new / name, data)
        for inner in {(new / name).parent for name in files} | {new}:
            _synchronise(inner)
        _keep_mode(target, new)
        for attempt in count():  # another process may put its folder there between the two renames
            try:
                os.replace(new, target)
                break
            except OSError as error:
                if error.errno not in NOT_EMPTY:
                    raise
            check(target)
            target.rename(folder / f"old{attempt}")
        _synchronise(target.parent)


def path_of(path: Any) -> Path:
    """The path that an argument names, the home folder written out."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path={shown(path)} must be the name of a file, a str or a Path")
    return Path(path).expanduser()


def similar_name(path: Path) -> str:
    """``"; did you mean 'fit.nc'?"`` where the folder of a path that is not there holds a fit of a similar name."""
    with suppress(OSError):
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in SUFFIXES]
        same = [name for name in names if Path(name).stem == path.stem]
        return did_you_mean(path.name, same, cutoff=0.0) or did_you_mean(path.name, names)
    return ""


def found_at(target: Path) -> Path | None:
    """Location of the contents of a path: there, or aside if a save was killed between two renames; else None."""
    for _ in range(2):  # it may have been moved back during the search aside
        if os.path.lexists(target):
            return target
        for folder in _leftovers(target):
            for old in _old(folder):
                return old
    return None


def read_folder(target: Path) -> dict[str, bytes]:
    """All files of a folder by their relative names, a consistent snapshot even if another process replaces it.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, nor one aside.
    ValueError
        If it holds anything but files and folders: a link, a pipe or a device is no part of a fit.
    """
    for attempt in count():
        place = found_at(target)
        if place is None:
            raise FileNotFoundError(f"there is no folder {str(target)!r}")
        try:
            before = os.stat(place).st_ino
            files = _read(place)
            if os.stat(place).st_ino == before:
                return files
        except (FileNotFoundError, NotADirectoryError):
            if attempt >= ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def entries(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """All entries below a folder except folders, with their relative names; links are not followed."""
    waiting = [(folder, "")]
    while waiting:
        here, prefix = waiting.pop()
        with os.scandir(here) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((here / entry.name, f"{prefix}{entry.name}/"))
                else:
                    yield f"{prefix}{entry.name}", entry


def _read(folder: Path) -> dict[str, bytes]:
    files = {}
    for name, entry in entries(folder):
        if not entry.is_file(follow_symlinks=False):
            raise ValueError(f"{name!r} in it is not a regular file")
        files[name] = Path(entry.path).read_bytes()
    return files


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target, locked while in use; remainders of killed saves are cleared first."""
    for leftover in _leftovers(target, of_any=True):
        _clear(leftover, target)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{_stem(target)}.", suffix=ASIDE, dir=target.parent))
        lock = _lock(folder, wait=True)
        if folder.exists():  # else another process has found it without a lock, and removed it
            break
        _unlock(lock)
    with suppress(OSError):  # as readable as its parent, for what is moved aside
        folder.chmod(0o700 | (target.parent.stat().st_mode & 0o055))
    try:
        yield folder
    finally:
        _put_back(folder, target)
        _unlock(lock)


def _clear(folder: Path, target: Path) -> None:
    """Repair the remainder of a killed save: old contents return to their path, the rest is removed."""
    lock = _lock(folder, wait=False)
    if lock is None:  # its process lives, or locks are unavailable and nobody knows
        return
    try:
        if _belongs_to(folder, target) or not _old(folder):
            _put_back(folder, target)
    finally:
        _unlock(lock)


def _put_back(folder: Path, target: Path) -> None:
    """Remove a folder aside, after returning contents that are missing at their path."""
    for old in _old(folder):
        if not os.path.lexists(target):
            with suppress(OSError):  # another process came first, or the folder is no longer writable
                old.rename(target)
    if os.path.lexists(target) or not _old(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _old(folder: Path) -> list[Path]:
    """Contents moved aside, the last first."""
    return sorted(folder.glob("old[0-9]*"), key=lambda path: int(path.name[3:]), reverse=True)


def _leftovers(target: Path, *, of_any: bool = False) -> list[Path]:
    """Folders aside from saves to this path, or to any path beside it; other folders of such names are ignored."""
    try:
        with os.scandir(target.parent) as beside:
            named = [Path(e.path) for e in beside if e.name.endswith(ASIDE) and e.is_dir(follow_symlinks=False)]
    except OSError:  # no such folder, or it cannot be listed
        return []
    return [folder for folder in named if (of_any or _belongs_to(folder, target)) and _is_aside(folder)]


def _belongs_to(folder: Path, target: Path) -> bool:
    return re.fullmatch(re.escape(f".{_stem(target)}.") + "[a-z0-9_]{8}" + re.escape(ASIDE), folder.name) is not None


def _is_aside(folder: Path) -> bool:
    named = re.fullmatch(r"\..+\.[a-z0-9_]{8}" + re.escape(ASIDE), folder.name, flags=re.DOTALL)
    try:
        return named is not None and all(re.fullmatch("new|old[0-9]{1,9}", name) for name in os.listdir(folder))
    except OSError:
        return False


def _stem(target: Path) -> str:
    name = os.fsencode(target.name)
    return target.name if len(name) <= LONGEST_STEM else hashlib.sha256(name).hexdigest()


def _lock(folder: Path, *, wait: bool) -> int | None:
    """A lock that ends with the process; None if another process holds it or locks are unavailable."""
    if fcntl is None:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _write(path: Path, *parts: Bytes) -> None:
    with open(path, "xb", buffering=0) as file:
        for part in parts:
            rest = memoryview(part).cast("B")
            while rest:
                rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def _synchronise(folder: Path) -> None:
    """Flush the entries of a folder to disk; systems that cannot open a folder do not need it."""
    try:
        handle: Any = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _keep_mode(old: Path, new: Path) -> None:
    if old.exists():
        new.chmod(stat.S_IMODE(old.stat().st_mode))
