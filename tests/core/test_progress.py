"""What a long computation shows, and what it leaves behind in a notebook and in a file."""

import io
import subprocess
import sys

import nbclient
import nbformat
import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.core import progress

X, Y = np.arange(40.0)[:, None] % 7, ["a", "b"] * 20
ESCAPE = "\x1b"


class NotebookStream(io.StringIO):
    """Standard error of a notebook, by the name of its module; it calls itself a terminal as ipykernel's does."""

    def isatty(self) -> bool:
        return True


NotebookStream.__module__ = "ipykernel.iostream"


def test_a_notebook_gets_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = NotebookStream()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    bs.SoftmaxRegression(X, Y).laplace(400, random_seed=1)
    text = stream.getvalue()
    assert ESCAPE not in text
    assert text.startswith("\rdrawing: ")
    assert text.endswith("\n")
    assert "drawing: done in 0 s" in text.splitlines()[-1]


def test_a_quick_computation_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = NotebookStream()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "DELAY", 1e9)
    bs.SoftmaxRegression(X, Y).laplace(400, random_seed=1)
    bs.SoftmaxRegression(X, Y).sample(50, 50, chains=2, engine="nuts", random_seed=1)
    assert stream.getvalue() == ""


def test_updates_become_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = NotebookStream(), [0.0]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.PlainLine() as line:
        line.add_task("sampling", total=None, unit="draws")
        for second in range(3601):
            now[0] = float(second)
            line.update(None, completed=second, total=3600)
    assert stream.getvalue().count("\r") < 40
    assert "\rsampling: 2 of 3,600 draws, 2 s" in stream.getvalue()


def run_notebook(*cells: str) -> list[list[str]]:
    """Texts that each cell leaves; ``IPython`` runs in a process of its own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=300).execute()
    return [[output.get("text") or repr(output.get("data")) for output in cell.outputs] for cell in notebook.cells]


@pytest.mark.notebook
@pytest.mark.filterwarnings("ignore")  # of the notebook's server: nothing of ours
def test_a_notebook_keeps_no_widgets_and_no_escape_codes() -> None:
    begin = "import bayes_softmax as bs\nfrom bayes_softmax.core import progress\n"
    model = "model = bs.SoftmaxRegression([[float(i % 7)] for i in range(40)], ['a', 'b'] * 20)\n"
    quick, slow = run_notebook(
        begin
        + model
        + "post = model.sample(50, 50, engine='nuts', random_seed=1)\npost = model.laplace(random_seed=1)",
        "progress.DELAY = 0.0\npost = model.sample(3000, 50, engine='nuts', random_seed=1)",
    )
    assert quick == []
    told = "".join(slow)
    assert ESCAPE not in told
    assert "<" not in told
    assert "\rsampling: done in " in told


def test_a_file_gets_nothing() -> None:
    code = (
        "import bayes_softmax as bs\nfrom bayes_softmax.core import progress\nprogress.DELAY = 0.0\n"
        "model = bs.SoftmaxRegression([[float(i % 7)] for i in range(40)], ['a', 'b'] * 20)\n"
        "model.sample(50, 50, engine='nuts', random_seed=1)\nmodel.laplace(random_seed=1).loo()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
