"""The wheel and the source distribution: what is in them, and that a wheel works outside the source tree."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.message import Message
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs

ROOT = Path(__file__).parent.parent
PACKAGE = Path(bs.__file__).parent
NEW = pd.DataFrame({"bill_length_mm": [39.0, 47.5], "sex": ["male", "female"]})


def run(*command: object, cwd: Path) -> str:
    """Standard output of a command that must succeed, without this source tree on its path."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def files_below(folder: Path) -> set[str]:
    """Files that belong to the project: no caches."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".pyc", ".nbi", ".nbc"))
    return {str(p.relative_to(folder.parent)) for p in found if "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with both distributions, built by the build backend that is installed, from a copy of the tree."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.nbi", "*.nbc")
    for name in ("bayes_softmax", "notebooks", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, tree)
    run(sys.executable, "-m", "hatchling", "build", "-d", out, cwd=tree)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def source(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    (packed,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == files_below(PACKAGE)
    assert {"bayes_softmax/py.typed", "bayes_softmax/datasets/penguins.csv"} <= names


def test_the_source_distribution_holds_what_the_tests_read(source: Path) -> None:
    for folder in ("bayes_softmax", "notebooks", "tests"):
        assert files_below(source / folder) == files_below(ROOT / folder)
    for name in ("LICENSE", "Makefile", "README.md", "pyproject.toml", "requirements.lock", ".python-version"):
        assert (source / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_the_source_distribution_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=source)
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(again) as ours, zipfile.ZipFile(wheel) as theirs:
        assert {n: ours.read(n) for n in ours.namelist()} == {n: theirs.read(n) for n in theirs.namelist()}


def test_the_metadata_name_the_version_that_is_in_one_place_and_a_home(metadata: Message) -> None:
    assert metadata["Version"] == bs.__version__
    written = [p for p in (ROOT / "pyproject.toml", *PACKAGE.rglob("*.py")) if f'"{bs.__version__}"' in p.read_text()]
    assert written == [PACKAGE / "__init__.py"]
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url.startswith(urls["Homepage"]) for url in urls.values())
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    minors = {int(c.rpartition(".")[2]) for c in metadata.get_all("Classifier", []) if re.search(r":: 3\.\d+$", c)}
    assert f">=3.{min(minors)}" == metadata["Requires-Python"]


def test_links_of_the_description_work_on_an_index_page(metadata: Message) -> None:
    """Pictures and files beside the README are found where the source is; code keeps its brackets."""
    page = metadata.get_payload(decode=True).decode()
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    assert targets
    assert all(target.startswith(("https://", "#")) for target in targets)
    prefix = re.compile(r"https://(?:raw\.githubusercontent|github)\.com/bayes-softmax/bayes-softmax/(?:blob/)?main/")
    for target in targets:
        if prefix.match(target):
            assert (ROOT / prefix.sub("", target)).is_file(), target
    assert prefix.sub("", page) == (ROOT / "README.md").read_text(encoding="utf-8")


def test_extras_are_those_that_messages_name(metadata: Message) -> None:
    extras = set(metadata.get_all("Provides-Extra", []))
    named = {e for p in PACKAGE.rglob("*.py") for e in re.findall(r"bayes-softmax\[(\w+)\]", p.read_text())}
    assert named <= extras
    assert extras == set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an empty environment with the wheel, which finds the libraries of this one."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Entries of a path file are searched last, and path files in them, as of an editable install, are not read.
    (site / "libraries.pth").write_text(str(Path(np.__file__).parents[1]))
    return python


def test_a_wheel_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    model = bs.SoftmaxRegression.from_formula(
        "species ~ bill_length_mm + sex", bs.datasets.load_penguins(), missing="drop"
    )
    fit = model.map()
    fit.save(tmp_path / "fit.nc")
    NEW.to_csv(tmp_path / "new.csv", index=False)
    where = run(installed, "-c", "import bayes_softmax; print(bayes_softmax.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parents[1])
    assert run(installed, "-m", "bayes_softmax", "--version", cwd=tmp_path) == f"bayes-softmax {bs.__version__}\n"
    command = (
        "import sys; from importlib.metadata import entry_points, version; "
        "(entry,) = entry_points(group='console_scripts', name='bayes-softmax'); "
        "sys.argv = ['bayes-softmax', 'predict', 'fit.nc', 'new.csv']; sys.exit(entry.load()())"
    )
    printed = run(installed, "-c", command, cwd=tmp_path)
    assert [line.split(",")[1] for line in printed.splitlines()[1:]] == fit.predict(NEW).tolist()


@pytest.mark.verify
def test_a_wheel_installed_with_its_dependencies_fits(wheel: Path, tmp_path: Path) -> None:
    """As a user installs it: nothing of this environment is there."""
    uv = shutil.which("uv") or shutil.which(ROOT / ".uv" / "uv")
    if uv is None:
        pytest.skip("needs uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env", cwd=tmp_path)
    bin_ = tmp_path / "env" / "bin"
    constraint = ROOT / "requirements.lock"
    run(uv, "pip", "install", "--quiet", "--python", bin_ / "python", "-c", constraint, wheel, cwd=tmp_path)
    assert run(bin_ / "bayes-softmax", "--version", cwd=tmp_path) == f"bayes-softmax {bs.__version__}\n"
    bs.datasets.load_penguins().to_csv(tmp_path / "data.csv", index=False)
    formula = ["--formula", "species ~ bill_length_mm + sex", "--drop-missing"]
    run(bin_ / "bayes-softmax", "fit", "data.csv", *formula, "--out", "results", cwd=tmp_path)
    predicted = run(bin_ / "bayes-softmax", "predict", "results", "data.csv", "--allow-missing", cwd=tmp_path)
    assert len(predicted.splitlines()) == 345
