"""The command line, in process."""

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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
    assert bs.load(out / "posterior.nc")._fitted.draws.shape[:2] == (4, 300)
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


HEAD = "species,bill_length_mm"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty; its first line must name the columns"),
        (b"\n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not text|line 1: byte 0x89 is not valid UTF-8"),
        (f"{HEAD}\nAdelie,39\nAd\xe9lie,40\n".encode("latin-1"), "line 3: byte 0xe9 is not valid UTF-8"),
        (b"species;bill_length_mm\nAdelie;39,1\n", "line 1: there is no ',', but 1 times ';'; .* pass --separator ';'"),
        (b"species\tbill_length_mm\nAdelie\t39\n", r"1 times '\\t'"),
        (f"{HEAD}\nAdelie,39\nAdelie,40,41,42\n".encode(), "line 3: it has 4 fields, the lines before 2"),
        (f"{HEAD}\n1,Adelie,39\n2,Adelie,40\n".encode(), "line 2: it has more fields than line 1 has names"),
        (f'{HEAD}\n"Adelie,39\n'.encode(), "cannot be read as CSV"),
    ],
)
def test_broken_csv_files_are_named_by_line(
    content: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    assert main(["fit", str(path), "--formula", "species ~ bill_length_mm", "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert re.search(rf"^bayes-softmax: '.*data\.csv'.*({told})", message), message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_another_separator(tmp_path: Path, penguins: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    penguins.to_csv(tmp_path / "data.csv", index=False, sep=";")
    options = ["--formula", "species ~ bill_length_mm", "--out", str(tmp_path / "fit"), "--draws", "100", "--quiet"]
    assert main(["fit", str(tmp_path / "data.csv"), "--separator", ";", *options]) == 0
    assert main(["predict", str(tmp_path / "fit"), str(tmp_path / "data.csv"), "--separator", ";"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > len(penguins)


def test_missing_values_name_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bs.datasets.load_penguins().to_csv(tmp_path / "data.csv", index=False)
    options = ["--formula", "species ~ bill_length_mm", "--out", str(tmp_path / "fit")]
    assert main(["fit", str(tmp_path / "data.csv"), *options]) == 2
    message = capsys.readouterr().err
    assert "pass --drop-missing to leave out such rows" in message
    assert "missing=" not in message


@pytest.mark.parametrize("name", ["summary.csv", "posterior.nc", "compare.png"])
def test_strange_files_in_the_folder_of_results_stay(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found out before anything is sampled; whatever else is in the folder does not matter."""
    (tmp_path / name).write_text("mine")
    (tmp_path / "diary.txt").write_text("mine")
    assert main(["demo", "--out", str(tmp_path), "--draws", "100"]) == 2
    assert f"{name}' exists and " in capsys.readouterr().err
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {name: "mine", "diary.txt": "mine"}


def test_classes_on_offer(tmp_path: Path, penguins: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns by class, whose labels may be numbers; ``predict`` reads the same columns."""
    data = penguins[["bill_length_mm"]].assign(kind=pd.factorize(penguins["species"])[0] + 1)
    for k in (1, 2, 3):
        data[f"on{k}"] = ((data["kind"] == k) | (np.arange(len(data)) % 4 != k)).astype(int)
    data.to_csv(tmp_path / "data.csv", index=False)
    out, options = str(tmp_path / "fit"), ["--draws", "100", "--chains", "2", "--quiet"]
    command = ["fit", str(tmp_path / "data.csv"), "--formula", "kind ~ bill_length_mm", "--out", out, *options]
    assert main([*command, "--available", "1=on1", "2=on2", "3=on3"]) == 0
    capsys.readouterr()
    assert main(["predict", out, str(tmp_path / "data.csv")]) == 0
    predicted = pd.read_csv(io.StringIO(capsys.readouterr().out))[["1", "2", "3"]].to_numpy()
    on = data[["on1", "on2", "on3"]].to_numpy() == 1
    assert (predicted[~on] == 0).all()
    assert (predicted[on] > 0).all()
    for given, told in ((["1=on1"], "available has no column for class 2"), (["on1"], "must be CLASS=COLUMN")):
        assert main([*command, "--available", *given]) == 2
        assert told in capsys.readouterr().err


def test_a_folder_of_zarr_is_a_fit_and_a_closed_pipe_is_no_error(tmp_path: Path, penguins: pd.DataFrame) -> None:
    fit = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm", penguins).map()
    fit.save(tmp_path / "fit.zarr")
    pd.concat([penguins] * 30).to_csv(tmp_path / "data.csv", index=False)
    command = f"{sys.executable} -m bayes_softmax predict {tmp_path / 'fit.zarr'} {tmp_path / 'data.csv'}"
    done = subprocess.run(f"{command} | head -n 2", shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("row,predicted,")
    assert done.stderr == ""
