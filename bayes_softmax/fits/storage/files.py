"""Files and folders replaced whole: written aside, synchronised, then renamed.

Whoever opens the path finds the old contents or the new ones, whatever ends the process and whenever.  A file is
replaced by one rename.  A folder takes two: the old one steps aside first, and between the two it is found where it
stands, in a hidden folder beside its path.  Such a folder is locked while its process lives; one without a living
process is what a killed save left, and the next save puts it right.
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

from bayes_softmax.fits.storage.containers import Bytes

try:
    import fcntl
except ImportError:  # a system without them: nothing is locked, and nothing that is aside is ever removed
    fcntl = None  # type: ignore[assignment]

ASIDE = ".saving"
ATTEMPTS = 100  # to read a folder that is replaced meanwhile: far more than savings can follow each other
LONGEST_STEM = 200  # bytes; file systems allow names of 255, and a hidden name adds to the stem
NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


def replace_file(target: Path, *parts: Bytes) -> None:
    """Write a file whole, its parts one after the other, over an older one if there is one; its permissions stay."""
    with _aside(target) as folder:
        new = folder / "new"
        _write(new, *parts)
        _keep_mode(target, new)
        os.replace(new, target)
        _synchronise(target.parent)


def replace_folder(target: Path, files: Mapping[str, Bytes], check: Callable[[Path], None]) -> None:
    """Write a folder whole, over an older one if there is one; ``check`` raises if what is there must stay."""
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


def found_at(target: Path) -> Path | None:
    """Where the contents of a path stand: there, or aside if a save was killed between two renames; None if nowhere."""
    for _ in range(2):  # it may have come back while we looked for it elsewhere
        if os.path.lexists(target):
            return target
        for folder in _leftovers(target):
            for old in _old(folder):
                return old
    return None


def read_folder(target: Path) -> dict[str, bytes]:
    """All files of a folder by their relative names, of one moment even where another process replaces the folder.

    Raises
    ------
    FileNotFoundError
        If there is none, and none aside.
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
    """Everything in a folder that is not a folder itself, with its relative name; links are not followed."""
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
    """A hidden folder beside the target, locked while this process works in it; first, what killed ones left goes."""
    for leftover in _leftovers(target, of_any=True):
        _clear(leftover, target)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{_stem(target)}.", suffix=ASIDE, dir=target.parent))
        lock = _lock(folder, wait=True)
        if folder.exists():  # else another process has found it without a lock, and removed it
            break
        _unlock(lock)
    with suppress(OSError):  # who may read the folder around it may read what steps aside
        folder.chmod(0o700 | (target.parent.stat().st_mode & 0o055))
    try:
        yield folder
    finally:
        _put_back(folder, target)
        _unlock(lock)


def _clear(folder: Path, target: Path) -> None:
    """Put right what a killed process left: its old contents go back to their path, the rest is removed."""
    lock = _lock(folder, wait=False)
    if lock is None:  # its process lives, or this file system has no locks: then nobody knows
        return
    try:
        if _belongs_to(folder, target) or not _old(folder):
            _put_back(folder, target)
    finally:
        _unlock(lock)


def _put_back(folder: Path, target: Path) -> None:
    """Remove a folder aside; if the path lost its contents to it, they return first."""
    for old in _old(folder):
        if not os.path.lexists(target):
            with suppress(OSError):  # another process came first, or the folder cannot be written in any more
                old.rename(target)
    if os.path.lexists(target) or not _old(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _old(folder: Path) -> list[Path]:
    """Contents that stepped aside, the last first."""
    return sorted(folder.glob("old[0-9]*"), key=lambda path: int(path.name[3:]), reverse=True)


def _leftovers(target: Path, *, of_any: bool = False) -> list[Path]:
    """Folders aside of saves to this path, or to any path beside it; whatever else has such a name is left alone."""
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
    """A lock that ends with the process; None if another holds it, or there are no locks here."""
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
    """Make names in a folder last; some systems cannot open a folder, and need not."""
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
