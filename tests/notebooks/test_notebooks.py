"""Notebooks run without error, and are committed as they ran."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.run_notebooks import FOLDER, METADATA, execute, normalise

pytestmark = pytest.mark.notebook

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MAX_BYTES = 700_000
MACHINE_PATH = re.compile(r"site-packages|ipykernel_|/(home|root|tmp|usr|Users|var)/|[A-Z]:\\\\?Users")


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    for cell in code_cells(notebook):
        yield from cell.outputs


def texts(notebook: NotebookNode) -> Iterator[str]:
    """All that a notebook prints, and the text and HTML it displays."""
    for output in outputs(notebook):
        yield output.get("text", "")
        yield from (str(v) for kind, v in output.get("data", {}).items() if kind.startswith("text/"))


def shapes(notebook: NotebookNode) -> list[list[str]]:
    """Kinds of the outputs of each cell: what may not change from machine to machine."""
    return [[output.output_type for output in cell.outputs] for cell in code_cells(notebook)]


def figures(notebook: NotebookNode) -> list[str]:
    return [output.data["image/png"] for output in outputs(notebook) if "image/png" in output.get("data", {})]


def assert_clean(notebook: NotebookNode) -> None:
    """Every cell ran, in order; nothing failed or went to stderr, and no path of a machine is shown."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    for output in outputs(notebook):
        assert output.output_type != "error", output.get("evalue")
        assert output.get("name") != "stderr", output.get("text")
    for text in texts(notebook):
        assert not MACHINE_PATH.search(text), text


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01_quickstart",
        "02_from_cross_entropy_to_posterior",
        "03_effects_and_decisions",
        "04_separation_and_priors",
        "05_neural_logits",
        "06_groups",
        "07_many_rows",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_as_executed(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert_clean(notebook)
    assert len(figures(notebook)) >= 2
    assert path.stat().st_size < MAX_BYTES
    assert notebook.metadata == METADATA
    assert notebook == normalise(nbformat.read(path, as_version=4))


# Of the longest one the committed outputs are checked above, and `make verify` runs it.
@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[pytest.mark.verify] if p.stem == "05_neural_logits" else [], id=p.stem) for p in NOTEBOOKS],
)
def test_runs(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    executed = execute(copy, tmp_path)
    assert_clean(executed)
    committed = nbformat.read(path, as_version=4)
    assert len(figures(executed)) == len(figures(committed))
    assert shapes(executed) == shapes(committed)
