"""Folders and patterns of Parquet on the command line: read in passes, answered in a folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_softmax.cli import main, sources

N = 300


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A folder of files, the same rows in one file and as text, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"id": np.arange(N) + 1000, "a": rng.normal(5.0, 2.0, N), "g": rng.choice(list("xyz"), N)})
    scores = np.column_stack([0.2 * data.a, np.zeros(N), np.ones(N)]) + rng.gumbel(size=(N, 3))
    data["y"] = scores.argmax(axis=1) + 1
    Path("rows").mkdir()
    for i in range(3):
        data.iloc[100 * i : 100 * (i + 1)].to_parquet(f"rows/part-{i}.parquet")
    data.to_parquet("new.parquet")
    data.to_csv("data.csv", index=False)
    return data


def back(folder: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(Path(folder).iterdir())], ignore_index=True)


def test_a_folder_is_fitted_and_predicted(here: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    for data in ("rows", "rows/part-*.parquet", "data.csv"):
        out = f"fit {data[:5].replace('/', '-')}{len(data)}"
        assert main(["fit", data, "--formula", "y ~ a + g", "--method", "map", "--out", out, "--quiet"]) == 0
    tables = [pd.read_csv(path) for path in sorted(Path().glob("fit*/summary.csv"))]
    assert len(tables) == 3
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], rtol=1e-6)
    fit = str(next(Path().glob("fit rows4")))
    capsys.readouterr()
    assert main(["predict", fit, "rows", "--out", "answers", "--keep", "id", "--intervals", "0.9"]) == 0
    assert capsys.readouterr().err == "written: answers, 3 files with 300 rows\n"
    assert main(["predict", fit, "new.parquet", "--out", "one", "--keep", "id", "--intervals", "0.9"]) == 0
    assert main(["predict", fit, "data.csv", "--out", "t.csv", "--keep", "id", "--intervals", "0.9"]) == 0
    found, table = back("answers"), pd.read_csv("t.csv").drop(columns="row")
    assert found.columns.tolist() == table.columns.tolist()
    np.testing.assert_allclose(found.astype(float), table.astype(float), rtol=1e-9)
    pd.testing.assert_frame_equal(found, back("one"))


def test_what_cannot_be_written_is_said(here: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "rows", "--formula", "y ~ a", "--method", "map", "--out", "fit", "--quiet"]) == 0
    for arguments, said in (
        (["rows"], "'rows' is read in passes: name a folder for the answers, --out answers"),
        (["rows", "--out", "rows"], "out='rows' is not empty"),
        (["rows", "--out", "new.csv"], "name a folder for the answers"),
        (["data.csv", "--out", "answers"], "--out 'answers' must end in .csv, .tsv, .parquet"),
        (["rows", "--out", "answers", "--keep", "idd"], "--keep: rows has no column 'idd'; did you mean 'id'?"),
    ):
        assert main(["predict", "fit", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert not Path("answers").exists()


def test_large_files_are_read_in_passes(here: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources.source_named("new.parquet") is None
    assert sources.source_named("data.csv", always=True) is None
    monkeypatch.setattr(sources, "LARGE", 100)
    source = sources.source_named("new.parquet")
    assert source is not None
    assert sources.first_rows(source).index[0] == 1
