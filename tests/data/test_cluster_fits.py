"""Fits of sources on a real Dask cluster are those of one process, and rows stay where they are."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

import bayes_softmax as bs
from bayes_softmax.core.errors import ClusterError
from bayes_softmax.data.sources import gathering
from bayes_softmax.data.sources.cluster import DaskPasses
from bayes_softmax.data.sources.on_worker import numbers_here
from bayes_softmax.data.sources.passes import LocalPasses
from tests.data.clusters import wait_for

FORMULA = "y ~ a + b + g"
N, GROUPS = 2600, 13


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of two worker processes."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(autouse=True)
def _streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No source is small enough for memory."""
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    a, b, g = rng.normal(size=N), rng.normal(size=N), rng.integers(3, size=N)
    logits = np.column_stack([np.zeros(N), 0.5 * a - b, 0.3 * b + 0.4 * (g == 1)])
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return pd.DataFrame({"y": np.array(["low", "mid", "top"])[y], "a": a, "b": b, "g": np.array(["r", "s", "t"])[g]})


@pytest.fixture(scope="module")
def file(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows in a Parquet file of thirteen row groups."""
    path: Path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    frame.to_parquet(path, row_group_size=N // GROUPS)
    return path


def model_of(data: Any, **options: Any) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula(FORMULA, data, collapse=False, **options)


def passes_of(model: bs.SoftmaxRegression) -> DaskPasses:
    rows = model._spec.streamed
    assert rows is not None
    assert isinstance(rows.passes, DaskPasses)
    return rows.passes


def numbers(client: Client, passes: DaskPasses) -> set[int]:
    """Partitions that some worker has on its disk."""
    return {number for found in client.run(numbers_here, passes._token).values() for number in found}


@pytest.mark.parametrize("fit", ["mle", "map"])
def test_estimates_are_those_of_one_process_to_the_last_bit(client: Client, file: Path, fit: str) -> None:
    here, there = getattr(model_of(file), fit)(), getattr(model_of(file, client=client), fit)()
    assert (here.weights.to_numpy() == there.weights.to_numpy()).all()
    assert here.std_error.identical(there.std_error)
    assert here.log_likelihood == there.log_likelihood


@pytest.mark.parametrize("fit", ["laplace", "sample"])
def test_draws_are_those_of_one_process_to_the_last_bit(client: Client, file: Path, fit: str) -> None:
    options = {"draws": 400, "random_seed": 3, "progressbar": False}
    here = getattr(model_of(file), fit)(**options)
    there = getattr(model_of(file, client=client), fit)(**options)
    for name in ("weights", "intercept"):
        assert here.idata.posterior[name].identical(there.idata.posterior[name])
    assert here.engine == there.engine


def test_a_fit_whose_worker_is_killed_is_the_same(client: Client, file: Path) -> None:
    there = model_of(file, client=client)
    assert numbers(client, passes_of(there)) <= set(range(GROUPS))
    victim = next(iter(client.run(os.getpid).values()))
    threading.Timer(0.3, partial(os.kill, victim, 9)).start()
    assert (there.map().weights.to_numpy() == model_of(file).map().weights.to_numpy()).all()
    wait_for(lambda: len(_alive(client) - {victim}) == 2 and len(client.nthreads()) == 2)
    assert (there.mle().weights.to_numpy() == model_of(file).mle().weights.to_numpy()).all()
    assert numbers(client, passes_of(there)) == set(range(GROUPS))


def _alive(client: Client) -> set[int]:
    """Processes of the workers that answer; one that was just killed does not."""
    return set(client.run(os.getpid, on_error="ignore").values())


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A scheduler and a worker, which are processes of their own, and the file that says where."""
    file = tmp_path / "scheduler.json"
    module = (sys.executable, "-m", "distributed.cli.dask_")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen([*module[:2], f"{module[2]}{what}", *options, "--scheduler-file", str(file)], **quiet)
        for what, *options in (
            ("scheduler", "--port", "0", "--no-dashboard"),
            ("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60"),
        )
    ]
    try:
        wait_for(file.exists)
        yield started[0], file
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_fit_goes_on_from_its_checkpoint_on_another_cluster(
    client: Client,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scheduler: Any,
) -> None:
    """The scheduler is killed in the last pass of a fit."""
    process, where = scheduler
    complete = model_of(file, client=client)
    whole = complete.map()
    n, original, path = len(complete._spec.streamed.log) + 2, DaskPasses.run, tmp_path / "fit.json"

    def run(self: DaskPasses, reader: Any, task: Any, merge: Any, title: str) -> Any:
        if self.client is doomed and title.startswith(f"pass {n},"):
            process.kill()
        return original(self, reader, task, merge, title)

    with Client(scheduler_file=str(where), set_as_default=False, timeout=2) as doomed:
        doomed.wait_for_workers(1, timeout=30)
        monkeypatch.setattr(DaskPasses, "run", run)
        with pytest.raises(ClusterError, match=rf"was lost in pass {n}, value, gradient and Hessian, ") as raised:
            model_of(file, client=doomed, checkpoint=path).map()
        assert f"{path} has its last complete pass" in "".join(raised.value.__notes__)
        wait_for(lambda: doomed.status == "closed")
    resumed = model_of(file, client=client, checkpoint=path)
    np.testing.assert_allclose(resumed.map().weights, whole.weights, rtol=1e-7)
    assert f"goes on from the point of {path}" in capsys.readouterr().err


def test_workers_keep_encoded_rows_until_the_model_is_gone(client: Client, frame: pd.DataFrame, tmp_path: Path) -> None:
    def folders() -> set[Path]:
        found = client.run(lambda dask_worker: dask_worker.local_directory)
        return {folder for at in found.values() for folder in Path(at).glob("bayes_softmax_*")}

    path, before = tmp_path / "rows.parquet", folders()
    frame.to_parquet(path, row_group_size=N // GROUPS)
    model = model_of(path, client=client)
    found = model.map()
    assert numbers(client, passes_of(model)) == set(range(GROUPS))
    path.unlink()  # nobody reads it again
    assert float(model.mle().log_likelihood) >= float(found.log_likelihood)
    kept = folders() - before
    assert kept
    del model, found
    gc.collect()
    wait_for(lambda: not kept & folders())


def test_nothing_is_kept_on_request(client: Client, file: Path) -> None:
    model = model_of(file, client=client, scratch=0)
    model.map()
    assert not numbers(client, passes_of(model))


@pytest.mark.parametrize("persisted", [False, True])
def test_dask_frames_are_read_by_the_active_client(client: Client, frame: pd.DataFrame, persisted: bool) -> None:
    data = dd.from_pandas(frame, npartitions=GROUPS)
    if persisted:
        data = data.persist()
    there = model_of(data)
    assert passes_of(there).client is client
    np.testing.assert_allclose(there.map().weights, model_of(lambda: [frame]).map().weights, rtol=1e-10)


def test_dask_frames_without_a_client_are_read_here(frame: pd.DataFrame) -> None:
    data = dd.from_pandas(frame, npartitions=GROUPS)
    here = model_of(data, client=False)
    np.testing.assert_allclose(here.map().weights, model_of(lambda: [frame]).map().weights, rtol=1e-10)


def test_new_rows_are_answered_by_the_workers_of_the_fit(
    client: Client, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: Any) -> None:
        raise AssertionError("rows are read in this process")

    here, there = model_of(file).map(), model_of(file, client=client).map()
    here.predict_proba(file, out=tmp_path / "here")
    expected = here.evaluate(file).log_loss, here.effects("a", data=file)
    monkeypatch.setattr(LocalPasses, "run_frames", nowhere)
    there.predict_proba(file, out=tmp_path / "there")
    assert there.evaluate(file).log_loss == expected[0]
    pd.testing.assert_frame_equal(there.effects("a", data=file), expected[1], rtol=1e-12)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "there"), pd.read_parquet(tmp_path / "here"), rtol=1e-12)
