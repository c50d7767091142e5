"""The code of the README, run as pasted, and what it prints.

``python -m tests.readme`` writes the printed output into the ``text`` blocks that follow the code.
"""

import ast
import contextlib
import io
import logging
import os
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

FILE = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<shown>.*?)```\n)?", flags=re.DOTALL)
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


class Snippet(NamedTuple):
    """A block of code, where it is, and the text shown below it, if any."""

    line: int
    code: str
    shown: str | None


def snippets(text: str) -> list[Snippet]:
    """The blocks of Python in the order of the page."""
    return [
        Snippet(text.count("\n", 0, match.start()) + 2, match["code"], match["shown"]) for match in BLOCK.finditer(text)
    ]


def run(code: str, names: dict[str, Any]) -> str:
    """Run a block as in a notebook cell on a terminal of 80 columns, and return what it prints.

    The value of a last expression is printed, as a notebook shows it; warnings are as a user meets them: an error here.
    """
    mpl.use("Agg")
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(tree, "README.md", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "README.md", "eval"), names)
                if value is not None and type(value).__module__.partition(".")[2].partition(".")[0] != "plots":
                    print(value)
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return "\n".join(line.rstrip() for line in printed.getvalue().rstrip().splitlines()) + "\n"


def rewritten(text: str) -> str:
    """The page with the text blocks as the code prints them now."""
    names: dict[str, Any] = {"__name__": "__main__"}

    def block(match: re.Match[str]) -> str:
        printed = run(match["code"], names)
        shown = "" if match["shown"] is None else f"\n```text\n{printed}```\n"
        return f"```python\n{match['code']}```\n{shown}"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    logging.getLogger("bayes_softmax").setLevel("ERROR")
    FILE.write_text(rewritten(FILE.read_text(encoding="utf-8")), encoding="utf-8")
