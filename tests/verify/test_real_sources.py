"""All 1 414 593 people and all 336 776 flights, from memory and from Parquet files, with a posterior of each."""

from pathlib import Path

import numpy as np
import pytest

import bayes_softmax as bs
from tests.data.sources.real_data import FLIGHTS, MILITARY, assert_same_answers, both, flights, military

pytestmark = pytest.mark.verify


def test_all_people_of_the_forces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory, in_files = both(MILITARY, military(every=1), tmp_path, monkeypatch, streamed=False)
    assert "1414593 rows were collapsed to 252 distinct ones" in str(in_files)
    assert_same_answers(in_memory.map(), in_files.map())
    one, other = (model.sample(random_seed=1, progressbar=False) for model in (in_memory, in_files))
    np.testing.assert_array_equal(one.idata["posterior"]["weights"], other.idata["posterior"]["weights"])


def test_all_flights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory, in_files = both(FLIGHTS, flights(every=1), tmp_path, monkeypatch, streamed=True, missing="drop")
    one, other = in_memory.check_separation(), in_files.check_separation()
    assert one.kind == other.kind == "quasi-complete"
    # Carriers that were never observed at some airport.
    assert other.levels == one.levels
    assert_same_answers(in_memory.map(), in_files.map())


def test_posterior_of_flights_in_which_every_carrier_flies_from_every_airport(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = flights(every=1)
    counts = rows.groupby("carrier")["origin"].value_counts().unstack(fill_value=0).min(axis=1)
    rows = rows[rows["carrier"].isin(counts.index[counts > 500])]
    in_memory, in_files = both(FLIGHTS, rows, tmp_path, monkeypatch, streamed=True, missing="drop")
    found = in_files.sample(random_seed=1, progressbar=False)
    assert found.engine.startswith("subsampled")
    full = in_memory.sample(random_seed=2, engine="independence", progressbar=False)
    one, other = (fit.idata["posterior"]["weights"] for fit in (found, full))
    apart = (one.mean(("chain", "draw")) - other.mean(("chain", "draw"))) / other.std(("chain", "draw"))
    # Some 2500 effective draws each: a difference of .028 sd; 5 of these for all coefficients at once.
    assert float(np.abs(apart).max()) < 0.14
    assert isinstance(found, bs.Posterior)
