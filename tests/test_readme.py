"""The README is true: its example runs, its files exist, its targets are in the Makefile."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import bayes_softmax as bs

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


def test_the_table_of_effects_is_what_is_printed() -> None:
    """Numbers of a sampler: to the second digit they are the same on every machine."""
    (shown,) = re.findall(r"```text\n>>> print\(post.effects.*?\n(.*?)```", README, flags=re.DOTALL)
    model = bs.SoftmaxRegression.from_formula(
        "species ~ bill_length_mm + sex", bs.datasets.load_penguins(), missing="drop"
    )
    table = model.sample(random_seed=1, progressbar=False).effects("sex")
    numbers = np.array([line.split()[-5:] for line in shown.strip().splitlines()[2:]], dtype=float)
    np.testing.assert_allclose(numbers, table, atol=0.01)
    assert [line.split() for line in shown.splitlines()[:2]] == [
        line.split() for line in str(table.round(3)).splitlines()[:2]
    ]


def test_links_and_named_files_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).is_file(), target
    rooms = "core|data|spec|separation|density|inference|answers|fits|fitting|plots"
    for name in re.findall(rf"`((?:{rooms})/\w+\.py)", README):
        assert (ROOT / "bayes_softmax" / name).is_file(), name


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
