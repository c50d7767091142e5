"""A digest of the sources of a compiled function: its module, and the modules of the package that it imports.

Numba's own stamp is the time and size of one file, but functions and constants of other modules are compiled into a
function too.  A digest of their contents also survives a copy that changes times, and sees an edit that does not.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=64)
def sources_digest(file: str, package: str) -> str:
    """Digest of a module's source and, through its imports, of every module of the package that it needs.

    Parameters
    ----------
    file
        Path of the module.
    package
        Path of the folder of the top-level package.
    """
    root = Path(package)
    found, waiting = set[Path](), {Path(file)}
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= set(_imported(path, root)) - found
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _imported(path: Path, root: Path) -> tuple[Path, ...]:
    """Files of the package that a file imports, as modules or names from modules."""
    tree = ast.parse(path.read_bytes())
    names = [name for statement in ast.walk(tree) for name in _names(statement)]
    return tuple(file for name in names if (file := _file_of(name, root)) is not None)


def _names(statement: ast.AST) -> Iterator[str]:
    """Dotted names that may be modules."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module is not None:
        yield statement.module
        yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def _file_of(name: str, root: Path) -> Path | None:
    """Source of a module of the package; None for other names, and for packages, which hold no compiled functions."""
    first, *rest = name.split(".")
    if first != root.name or not rest:
        return None
    file = root.joinpath(*rest).with_suffix(".py")
    return file if file.is_file() else None
