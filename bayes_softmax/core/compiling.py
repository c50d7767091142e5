"""Numba's decorators, with a cache on disk that depends on all sources of a function and is allowed to fail.

Numba refuses to compile where none of its folders can be written (a read-only package without a home folder), and
fails where the disk is full.  Here both only mean that the next process compiles again, and one log line says so.
Import this as ``nb``, in place of Numba.
"""

import contextlib
import functools
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator, NullCache
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature

from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.sources import sources_digest

# Of the fast-math flags, neither reassociation nor the promise that there is no NaN.
FAST = {"contract", "nsz", "arcp"}
OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": FAST}
ADVICE = "set NUMBA_CACHE_DIR to a folder that can be written to keep compiled functions"


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit``; with ``cache`` the compiled function is kept on disk where possible."""
    cache = options.pop("cache", False)

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if cache:
            dispatcher._cache = _cache_of(function)
        return dispatcher

    return decorate


def cfunc(signature: Any, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.cfunc``; with ``cache`` the compiled function is kept on disk where possible."""
    cache = options.pop("cache", False)

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = CFunc(function, normalize_signature(signature), locals={}, options=options)
        if cache:
            compiled.__dict__["_cache"] = _cache_of(function)
        compiled.compile()
        return compiled

    return decorate


class _TemporaryLocator(InTreeCacheLocator):
    """Numba's locator of a cache folder: a temporary one that belongs to this user alone."""

    def __init__(self, function: Any, file: str) -> None:
        super().__init__(function, file)
        folder = private_folder()
        if folder is None:
            raise OSError("no folder for temporary files")
        self._cache_path = str(folder / self.get_suitable_cache_subpath(file))


class _TemporaryImpl(CompileResultCacheImpl):
    """Numba's store of compiled functions, in a temporary folder."""

    _locator_classes: ClassVar[list[Any]] = [_TemporaryLocator]


class _Cache(FunctionCache):
    """Numba's cache on disk; where it fails, a function is compiled again."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        package = sys.modules[function.__module__.partition(".")[0]].__file__
        if package is not None:
            file = function.__code__.co_filename
            self._cache_file._source_stamp = sources_digest(file, str(Path(package).parent))

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return super().load_overload(signature, context)
        except Exception as error:  # unpickling a damaged file may raise anything
            say_once(f"compiled functions cannot be read ({type(error).__name__}: {error}): compiling again")
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)
        except Exception as error:
            say_once(f"compiled functions cannot be kept ({error}): the next process compiles again; {ADVICE}")


class _TemporaryCache(_Cache):
    """The same in a temporary folder."""

    _impl_class = _TemporaryImpl


class _NoCache(NullCache):
    """Numba's empty cache, with the path of a file that is always empty."""

    cache_path = os.devnull


def _cache_of(function: Callable[..., Any]) -> Any:
    """Numba's cache in the first of its folders that can be written, then in a temporary one, then none."""
    try:
        return _Cache(function)
    except (RuntimeError, OSError):
        pass
    try:
        cache = _TemporaryCache(function)
    except (RuntimeError, OSError):
        say_once(f"there is no folder for compiled functions, so every process compiles again; {ADVICE}")
        return _NoCache()
    say_once(f"compiled functions go to {private_folder()}, since no other folder can be written; {ADVICE}")
    return cache


@functools.lru_cache(maxsize=1)
def private_folder() -> Path | None:
    """A temporary folder that only this user can write to, since its contents are executed."""
    user = str(os.getuid()) if sys.platform != "win32" else "cache"
    try:
        folder = Path(tempfile.gettempdir()) / f"bayes_softmax-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    if sys.platform == "win32":  # where temporary folders are the user's own
        return folder
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if own else None


@functools.lru_cache(maxsize=1)
def _said() -> set[str]:
    return set()


def say_once(text: str) -> None:
    """Log one line, the first time that the cache fails."""
    if not _said():
        _said().add(text)
        LOGGER.warning(text)
