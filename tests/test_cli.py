"""The command line, in process."""

from pathlib import Path

import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.cli import main


def test_demo_writes_everything_and_again_over_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "penguins"
    for _ in range(2):
        assert main(["demo", "--out", str(out), "--draws", "300"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "342 rows",
        "MLE (se)",
        "MAP (se)",
        "posterior mean",
        "R-hat",
        "0 divergences",
        "Chinstrap vs average",
    ):
        assert text in printed
    assert {p.name for p in out.iterdir()} == {"posterior.nc", "summary.csv", "compare.png", "forest.png"}
    assert bs.load(out / "posterior.nc").draws.shape[:2] == (4, 300)
    assert list(pd.read_csv(out / "summary.csv").columns[:4]) == ["feature", "contrast", "mle", "mle_se"]


def test_fit_and_predict(tmp_path: Path, penguins: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    penguins.to_csv(tmp_path / "data.csv", index=False)
    formula = "species ~ bill_length_mm + sex"
    options = ["--formula", formula, "--out", str(tmp_path / "fit"), "--draws", "200", "--quiet"]
    assert main(["fit", str(tmp_path / "data.csv"), *options]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "fit"), str(tmp_path / "data.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "row,predicted,Adelie,Chinstrap,Gentoo"
    assert len(lines) == 1 + len(penguins)


def test_errors_are_one_line_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path / "none.nc"), str(tmp_path / "data.csv")]) == 2
    assert capsys.readouterr().err.startswith("bayes-softmax: there is no file")
