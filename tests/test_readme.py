"""The README is true: its example runs, its files exist, its targets are in the Makefile."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
mpl.use("Agg")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.strip().splitlines()) <= 17
    exec(compile(code.replace("random_seed=1", "random_seed=1, progressbar=False"), "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "all diagnostics good" in printed
    assert "Gentoo vs Adelie" in printed


def test_links_and_named_files_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).is_file(), target
    for name in re.findall(r"`((?:spec|density|inference|core|results)/\w+\.py)", README):
        assert (ROOT / "bayes_softmax" / name).is_file(), name


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
