"""Arguments of rows that are read in passes, refused where they come in; and libraries that load when they are used."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering
from tests.data.sources.partitions import model_of, source_of_parts

FRAME = pd.DataFrame({"x": np.arange(60.0), "g": list("pqr") * 20, "y": list("abcba") * 12})

REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"scratch": "a"}, TypeError, "scratch='a' must be a number of GiB, at least 0, or None"),
    ({"scratch": True}, TypeError, "scratch=True must be a number of GiB"),
    ({"scratch": -1}, ValueError, "scratch=-1 must be a number of GiB, at least 0"),
    ({"scratch": float("nan")}, ValueError, "scratch=nan must be a number of GiB"),
    ({"checkpoint": 5}, TypeError, "checkpoint=5; expected the name of a file"),
    ({"checkpoint": b"a"}, TypeError, "checkpoint=b'a'; expected the name of a file"),
    ({"checkpoint": ""}, ValueError, "checkpoint='' is no name; expected the name of a file"),
    ({"checkpoint": "/"}, ValueError, "checkpoint='/' is a folder; expected the name of a file"),
    (
        {"checkpoint": "no-such-folder/a"},
        ValueError,
        "checkpoint='no-such-folder/a' is in a folder that does not exist",
    ),
    ({"client": 5}, TypeError, "client=5; expected a distributed.Client"),
    ({"weights": np.ones(60)}, TypeError, "weights: name the columns of the source"),
    ({"offset": np.zeros((60, 3))}, TypeError, "offset: name the columns of the source"),
    ({"weights": "u"}, ValueError, "weights: data has no column 'u'"),
    ({"groups": "g"}, ValueError, "groups= needs the rows in memory: read them first"),
    ({"logits": bs.MLP()}, ValueError, "logits= needs the rows in memory: read them first"),
    ({"missing": "fill"}, ValueError, "missing='fill' "),
]


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED, ids=[str(case[0])[:30] for case in REFUSED])
def test_arguments_that_passes_cannot_use_are_refused(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        model_of("y ~ x", source_of_parts([FRAME]), **options)


@pytest.mark.parametrize("argument", ["scratch", "checkpoint", "client"])
def test_arguments_of_passes_are_refused_for_rows_in_memory(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}= is for rows that are read in passes"):
        bs.SoftmaxRegression.from_formula("y ~ x", FRAME, **{argument: 1})


@pytest.mark.parametrize("limit", [0, 2**28])
def test_groups_and_networks_are_refused(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(gathering, "IN_MEMORY", limit)
    with pytest.raises(
        ValueError, match=r"effects of groups, as \(... \| g\), need the rows in memory: read them first"
    ):
        model_of("y ~ x + (1 | g)", source_of_parts([FRAME]))


def test_libraries_load_when_their_kind_of_source_is_used(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "rows.parquet")
    code = f"""
import sys
import bayes_softmax as bs
heavy = {{"dask", "polars", "distributed", "pyarrow.dataset", "pyarrow.parquet"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
model = bs.SoftmaxRegression.from_formula("y ~ x", {str(tmp_path / "rows.parquet")!r})
assert {{"dask", "polars", "distributed"}} & set(sys.modules) == set()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
