"""Faults on a Dask cluster that take long: memory that runs out, and workers that are killed all the time."""

import os
import signal
import threading
import time
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import Client, LocalCluster

import bayes_softmax as bs
from bayes_softmax.core.errors import ClusterError
from bayes_softmax.data.sources import gathering
from bayes_softmax.data.sources.cluster import DaskPasses
from tests.data.clusters import always, drawn_source, total

pytestmark = pytest.mark.verify
LIMIT = 700 * 2**20
TWO: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}


def fill_memory() -> None:
    """Take memory until the worker's guard kills it; the memory of the machine is never filled."""
    held = []
    for _ in range(60):
        held.append(np.ones(2**23))  # 64 MiB, touched
        time.sleep(0.1)
    raise AssertionError("no guard")


def test_a_partition_that_does_not_fit_into_a_worker_is_named() -> None:
    with LocalCluster(memory_limit=LIMIT, **TWO) as cluster, Client(cluster) as client:
        passes = DaskPasses(drawn_source(20), client)
        with pytest.raises(ClusterError, match=r"^rows-6\.parquet: 4 workers died .* more memory or fewer threads"):
            passes.run_frames(None, partial(always, 6, fill_memory), np.add, "sums")
        assert passes.run_frames(None, total, np.add, "sums").shape == (2,)


HELD: list[np.ndarray] = []


def hold_memory(_: Any) -> int:
    """Take memory beyond the share at which Dask pauses a worker, and keep it after the task."""
    while psutil.Process().memory_info().rss < 0.86 * LIMIT:
        HELD.append(np.ones(2**20))
    time.sleep(1.0)  # until Dask has seen it
    return 0


def test_workers_that_are_all_paused_are_an_error() -> None:
    told = r"^sums: all 2 workers of the cluster at .* are paused, since their memory is nearly full"
    with (
        LocalCluster(memory_limit=LIMIT, **TWO) as cluster,
        Client(cluster) as client,
        pytest.raises(ClusterError, match=told),
    ):
        DaskPasses(drawn_source(20), client).run_frames(None, hold_memory, add, "sums")


def test_a_fit_among_workers_that_keep_dying_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is killed every second or so, ten times, while fits are made one after another."""
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60_000, 6))
    y = (X @ rng.normal(size=(6, 4)) + rng.gumbel(size=(60_000, 4))).argmax(axis=1)
    columns = [f"x{i}" for i in range(6)]
    pd.DataFrame(X, columns=columns).assign(y=np.array(list("abcd"))[y]).to_parquet(
        tmp_path / "rows.parquet", row_group_size=2000
    )
    formula = f"y ~ {' + '.join(columns)}"
    here = bs.SoftmaxRegression.from_formula(formula, tmp_path / "rows.parquet").laplace(400, random_seed=1)
    with LocalCluster(**TWO) as cluster, Client(cluster) as client:
        ended, killed = threading.Event(), 0

        def kill() -> None:
            nonlocal killed
            while killed < 10 and not ended.wait(1.0):
                for process in list(client.run(os.getpid, on_error="ignore").values())[:1]:
                    os.kill(process, signal.SIGKILL)
                    killed += 1

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            while killed < 10:
                model = bs.SoftmaxRegression.from_formula(formula, tmp_path / "rows.parquet", client=client)
                there = model.laplace(400, random_seed=1, progressbar=False)
                assert here.idata.posterior["weights"].identical(there.idata.posterior["weights"])
        finally:
            ended.set()
            killer.join()
