"""Fitting without a folder for compiled functions, and on a full disk: one line, and the same answer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bayes_softmax as bs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and modes of POSIX")

FIT = """
import numpy as np
import bayes_softmax as bs
from bayes_softmax.core import compiling
rng = np.random.default_rng(0)
fit = bs.SoftmaxRegression(rng.normal(size=(50, 2)), rng.integers(0, 3, 50)).map()
print(compiling.__file__, fit.converged)
"""


def fit(package: Path, tmp_path: Path, before: str = "", **environment: str) -> tuple[str, list[str]]:
    """Fit in a process of its own: what it printed, and the package's lines on standard error."""
    nowhere = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "TMPDIR": str(tmp_path / "tmp")}
    inherited = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", before + FIT], capture_output=True, text=True, cwd=tmp_path, timeout=240, check=False,
        env=inherited | nowhere | {"PYTHONPATH": str(package)} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(package) in done.stdout
    assert "True" in done.stdout
    return done.stdout, [line for line in done.stderr.splitlines() if "compiled functions" in line]


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A copy of the package without room for caches: a file stands where each folder would be."""
    source = Path(bs.__file__).parent
    package = tmp_path / "locked"
    shutil.copytree(source, package / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("core", "density", "inference"):
        (package / source.name / folder / "__pycache__").touch()
    (tmp_path / "tmp").mkdir()
    return package


@pytest.mark.verify
def test_a_temporary_folder_where_no_other_can_be_written(locked: Path, tmp_path: Path) -> None:
    said = fit(locked, tmp_path, NUMBA_CACHE_DIR="/proc/none")[1]
    folder = tmp_path / "tmp" / f"bayes_softmax-{os.getuid()}"
    assert len(said) == 1
    assert f"compiled functions go to {folder}" in said[0]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("*.nbc"))


@pytest.mark.verify
def test_no_cache_where_the_temporary_folder_is_not_ones_own(locked: Path, tmp_path: Path) -> None:
    """What lies in a cache is executed: a folder that others can write is not used."""
    folder = tmp_path / "tmp" / f"bayes_softmax-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    said = fit(locked, tmp_path)[1]
    assert len(said) == 1
    assert "every process compiles again" in said[0]
    assert not list(folder.iterdir())


@pytest.mark.verify
def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: writing fails with an OSError."""
    (tmp_path / "tmp").mkdir()
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    package = Path(bs.__file__).parents[1]
    said = fit(package, tmp_path, limit, NUMBA_CACHE_DIR=str(tmp_path / "cache"))[1]
    assert len(said) == 1
    assert "cannot be kept" in said[0]


@pytest.mark.verify
def test_damaged_caches_are_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    package, cache = Path(bs.__file__).parents[1], tmp_path / "cache"
    assert fit(package, tmp_path, NUMBA_CACHE_DIR=str(cache))[1] == []
    for path in cache.rglob("*.nbi"):
        path.write_bytes(path.read_bytes()[:-20])
    said = fit(package, tmp_path, NUMBA_CACHE_DIR=str(cache))[1]
    assert len(said) == 1
    assert "cannot be read" in said[0]
