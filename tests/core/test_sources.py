"""Compiled functions are kept on disk under a digest of all the sources they are made from."""

import subprocess
import sys
from pathlib import Path

import pytest

from bayes_softmax.core.sources import sources_digest

INNER = """
from bayes_softmax.core import compiling as nb

ADDED = 1.0

@nb.njit(cache=True)
def inner(x):
    return x + ADDED
"""
OUTER = """
from bayes_softmax.core import compiling as nb
from compiled_example.inner import inner

@nb.njit(cache=True)
def outer(x):
    return 2.0 * inner(x)
"""
RUN = "from compiled_example.outer import outer; print(outer(3.0), sum(outer.stats.cache_hits.values()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two modules, a function of one compiled into a function of the other."""
    package = tmp_path / "compiled_example"
    package.mkdir()
    for name, text in (("__init__", ""), ("inner", INNER), ("outer", OUTER), ("other", "")):
        (package / f"{name}.py").write_text(text)
    return package


def run(package: Path) -> list[str]:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{root!r}, {str(package.parent)!r}]; {RUN}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=package.parent,
    )
    return done.stdout.split()


def test_a_change_of_what_is_compiled_into_a_function_compiles_it_anew(package: Path) -> None:
    assert run(package) == ["8.0", "0"]
    assert run(package) == ["8.0", "1"]
    inner = package / "inner.py"
    inner.write_text(INNER.replace("ADDED = 1.0", "ADDED = 5.0"))
    assert run(package) == ["16.0", "0"]


def test_the_digest_is_of_the_module_and_of_what_it_imports(package: Path) -> None:
    def digest() -> str:
        sources_digest.cache_clear()
        return sources_digest(str(package / "outer.py"), str(package))

    before = digest()
    (package / "other.py").write_text("x = 1")
    assert digest() == before
    (package / "inner.py").write_text(INNER + "\n")
    assert digest() != before
