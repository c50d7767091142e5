"""Execute the notebooks in place, in fresh kernels, and save them with their outputs.

``python tests/run_notebooks.py`` runs all of ``notebooks/``; names (``01_quickstart``) choose some.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
TIMEOUT = 600  # seconds for one cell
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}
NOTICE = "bayes_softmax: compiling"  # shown on the first fit on a machine
FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError)


def execute(source: Path, folder: Path, timeout: int = TIMEOUT) -> NotebookNode:
    """Read a notebook, run all its cells in a fresh kernel working in ``folder``, and return it with outputs.

    Raises
    ------
    CellExecutionError
        If a cell fails; the message shows the cell and its traceback.
    """
    notebook = nbformat.read(source, as_version=4)
    # No folders to look in: "python3" is then the Python that runs this, whatever kernels are installed.
    own = KernelSpecManager(kernel_dirs=[])
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=own),
        timeout=timeout,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # not that local connections are unencrypted
        resources={"metadata": {"path": str(folder)}},
    )
    with tempfile.TemporaryDirectory() as profile:
        client.execute(env=_environment(profile), cleanup_kc=True)
    return normalise(notebook)


def _environment(profile: str) -> dict[str, str]:
    """What the kernel inherits: figures are drawn inline, and no IPython profile changes the outputs."""
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return {**inherited, "IPYTHONDIR": profile}


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Keep only what does not change from run to run or machine to machine."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k == "tags"})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not output.get("text", "").startswith(NOTICE)]
    return notebook


def find(names: list[str]) -> list[Path]:
    """Paths of the notebooks with these names (file names or stems), or of all."""
    available = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    unknown = [name for name in names if Path(name).stem not in available]
    if unknown:
        raise SystemExit(f"error: there is no notebook {unknown[0]!r}; choose from {', '.join(available)}")
    return [available[Path(name).stem] for name in names] if names else list(available.values())


def main() -> int:
    """Run the notebooks named on the command line; a failed one stays as it was."""
    parser = argparse.ArgumentParser(description="Execute notebooks in place, with their outputs.")
    parser.add_argument("names", nargs="*", help="such as 01_quickstart; default: all")
    failed = 0
    for path in find(parser.parse_args().names):
        print(f"{path.name} ... ", end="", flush=True)
        start = time.perf_counter()
        try:
            notebook = execute(path, path.parent)
        except FAILURES as error:
            print(f"failed\n{error}", file=sys.stderr)
            failed += 1
            continue
        nbformat.write(notebook, path)
        print(f"{time.perf_counter() - start:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
