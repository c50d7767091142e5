"""Markdown tables, printed row by row as results come in, and written to a file as well."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

Cell = str | float | int | None


class Report:
    """Where tables go: the terminal and, if asked for, a file."""

    def __init__(self, path: Path | None, flags: str, module: str = "") -> None:
        self.path = path
        self.flags = flags
        self.module = f"tests.benchmarks.{module}" if module else "tests.benchmarks"
        if path is not None:
            path.write_text("")

    def line(self, text: str = "") -> None:
        """One line, now."""
        print(text, flush=True)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(text + "\n")

    def table(self, name: str, sentence: str, columns: Sequence[str]) -> None:
        """A heading, what is measured and by which command, and the columns of a table."""
        command = f"python -m {self.module} {name} {self.flags}".strip()
        self.line(f"\n{sentence} Command: `{command}`.\n")
        self.row(columns)
        self.line("|" + "---|" * len(columns))

    def row(self, cells: Sequence[Cell]) -> None:
        """One row; None is a dash."""
        self.line("| " + " | ".join("–" if cell is None else text(cell) for cell in cells) + " |")


def text(cell: Cell) -> str:
    """Three digits of a number, as many as it has before the point; a string as it is."""
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:#.3g}".removesuffix(".")
    return str(cell)


def machine() -> str:
    """Processor and versions, in one line."""
    names = ("numpy", "pymc", "nutpie", "scikit-learn", "statsmodels", "bayes-softmax")
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{cores} cores of {model}; Python {platform.python_version()}, {versions}"
