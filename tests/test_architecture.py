"""What importing costs, what the package must not need, and that the documentation's examples run."""

import ast
import doctest
import graphlib
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import bayes_softmax as bs
from tests.nets import near_modes

HEAVY = (
    "pymc",
    "pytensor",
    "nutpie",
    "arviz",
    "arviz_base",
    "arviz_stats",
    "numba",
    "matplotlib",
    "sklearn",
    "dask",
)
ROOT = Path(bs.__file__).parent


def loaded_after(code: str, tmp_path: Path) -> set[str]:
    """Heavy modules in a fresh process after running ``code``."""
    report = f"\nimport sys; print('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + report],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_import_is_light(tmp_path: Path) -> None:
    assert loaded_after("import bayes_softmax", tmp_path) == set()


def test_every_public_name_is_light(tmp_path: Path) -> None:
    code = "import bayes_softmax as bs\nfor name in bs.__all__:\n    if name not in bs._OPTIONAL: getattr(bs, name)"
    assert loaded_after(code, tmp_path) == set()


def test_the_estimator_loads_scikit_learn_and_nothing_else_that_is_heavy(tmp_path: Path) -> None:
    assert loaded_after("import bayes_softmax as bs\nbs.SoftmaxClassifier()", tmp_path) == {"sklearn"}


def test_without_scikit_learn_the_rest_works_and_the_estimator_says_how_to_install_it(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['sklearn'] = None\n"  # what `import sklearn` then finds: nothing
        "from bayes_softmax import *\nimport bayes_softmax as bs\n"
        "assert 'SoftmaxClassifier' not in bs.__all__ and 'SoftmaxClassifier' not in globals()\n"
        "try:\n    bs.SoftmaxClassifier\nexcept ImportError as error:\n    message = str(error)\n"
        "del sys.modules['sklearn']\n"
        'assert message == "SoftmaxClassifier needs scikit-learn 1.6 or newer: "\\\n'
        "    \"pip install 'bayes-softmax[sklearn]'\", message\n"
    )
    assert loaded_after(code, tmp_path) == set()


def test_a_loaded_fit_predicts_without_the_heavy_libraries(
    tmp_path: Path, overlapping: bs.SoftmaxRegression, posterior: bs.Posterior
) -> None:
    posterior.save(tmp_path / "posterior.nc")
    overlapping.map().save(tmp_path / "map.nc")
    network = bs.SoftmaxRegression.from_formula(
        "species ~ bill_length_mm + bill_depth_mm", bs.datasets.load_penguins().dropna(), logits=bs.MLP(hidden=(3,))
    )
    near_modes(network).save(tmp_path / "network.nc")
    network.map(restarts=2).save(tmp_path / "network-map.nc")
    code = (
        "import bayes_softmax as bs\n"
        "new = bs.datasets.load_penguins().dropna()\n"
        "for name in ('posterior.nc', 'map.nc', 'network.nc', 'network-map.nc'):\n"
        "    fit = bs.load(name)\n"
        "    fit.predict(new), fit.predict_proba(new), fit.uncertainty(new)\n"
    )
    # xarray itself imports Dask, where there is one, to open a file.
    assert loaded_after(code, tmp_path) <= {"dask"}


def test_unknown_attribute_and_completion() -> None:
    assert set(bs.__all__) <= set(dir(bs))
    with pytest.raises(AttributeError, match="no attribute 'Softmax'"):
        bs.Softmax  # noqa: B018


def test_type_checkers_and_python_find_public_names_in_the_same_room() -> None:
    source = ast.parse((ROOT / "__init__.py").read_text())
    (typed,) = (node for node in source.body if isinstance(node, ast.If))
    homes = {
        alias.asname: f"{line.module}.{alias.name}".removeprefix("bayes_softmax.")
        for line in typed.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert homes == bs._MODULES | {name: f"{home}.{name}" for name, home in bs._HOME.items()}


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages([str(ROOT)], "bayes_softmax.") if not m.name.endswith("__main__")]


@pytest.mark.parametrize("name", ["bayes_softmax", *modules()])
def test_docstring_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


LONG_FILES: dict[str, str] = {}  # file: why it is longer than 300 lines


def test_files_and_public_names_stay_small() -> None:
    long = {str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py") if len(p.read_text().splitlines()) > 300}
    assert long == set(LONG_FILES)
    assert len(bs.__all__) <= 31  # with MLP, CustomLogits, GroupNormal and LKJ


def imported_by(path: Path) -> set[Path]:
    """Files of the package that a file imports anywhere: at its top, in functions, or for types only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    found = {ROOT.parent / (name.replace(".", "/") + ".py") for name in names if name.startswith("bayes_softmax.")}
    return {file for file in found if file.is_file()}


def test_no_module_imports_itself_through_others() -> None:
    """No circles, not even of imports inside functions or for types only; nor between rooms."""
    files = {path: imported_by(path) for path in ROOT.rglob("*.py")}
    graphlib.TopologicalSorter(files).prepare()
    rooms: dict[str, set[str]] = {}
    for file, imports in files.items():
        room, *_ = file.relative_to(ROOT).parts
        rooms.setdefault(room, set()).update({i.relative_to(ROOT).parts[0] for i in imports} - {room})
    graphlib.TopologicalSorter(rooms).prepare()
