"""A part of the real data of many rows; all of them under ``make verify``."""

from pathlib import Path

import pytest

from tests.data.sources.real_data import FLIGHTS, MILITARY, assert_same_answers, both, flights, military


def test_factors_alone_collapse_to_the_same_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = military(every=40)
    in_memory, in_files = both(MILITARY, rows, tmp_path, monkeypatch, streamed=False)
    assert "35365 rows were collapsed to 213 distinct ones" in str(in_memory)
    assert str(in_files) == str(in_memory)
    assert_same_answers(in_memory.map(), in_files.map())


def test_rows_with_missing_values_are_dropped_partition_by_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = flights(every=40)
    in_memory, in_files = both(FLIGHTS, rows, tmp_path, monkeypatch, streamed=True, missing="drop")
    n_missing = int(rows["air_time"].isna().sum())
    assert f"{n_missing} rows with missing values were dropped" in str(in_files)
    assert_same_answers(in_memory.map(), in_files.map())
