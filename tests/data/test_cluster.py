"""Passes on a real Dask cluster of two worker processes: the same sums, and what happens when something fails."""

import _thread
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

import bayes_softmax as bs
from bayes_softmax.core.errors import ClusterError
from bayes_softmax.data.sources import gathering
from bayes_softmax.data.sources.cluster import DaskPasses, passes_of
from bayes_softmax.data.sources.passes import LocalPasses
from tests.data.clusters import always, die, drawn_source, fail, once, slow_total, total, wait_for

N = 20
FORMULA = "y ~ a + b + g"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of two worker processes, without a dashboard."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client


def tasks_of(client: Client) -> list[str]:
    """Keys of the tasks of passes that the scheduler knows."""
    keys = client.run_on_scheduler(lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks])
    return [key for key in keys if not key.startswith("scratch")]


def run(passes: Any, task: Any, title: str = "sums") -> Any:
    return passes.run_frames(None, task, np.add, title)


def test_sums_are_those_of_threads_to_the_last_bit(client: Client) -> None:
    for n in (1, 7, 8, 9, 65):
        source = drawn_source(n)
        assert run(DaskPasses(source, client), total).tolist() == run(LocalPasses(source), total).tolist()


def test_a_pass_leaves_nothing_on_the_cluster(client: Client) -> None:
    run(DaskPasses(drawn_source(N), client), total)
    wait_for(lambda: not tasks_of(client))


def test_a_worker_that_is_killed_changes_nothing(client: Client, tmp_path: Path) -> None:
    """The worker process dies while it has results of other partitions, of which some are not merged yet."""
    source, before = drawn_source(N), set(client.run(os.getpid).values())
    found = run(DaskPasses(source, client), partial(once, str(tmp_path), 11, die))
    assert found.tolist() == run(LocalPasses(source), total).tolist()
    wait_for(lambda: len(client.nthreads()) == 2)
    assert set(client.run(os.getpid).values()) != before


def test_a_partition_that_kills_every_worker_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(ClusterError, match=r"^rows-7\.parquet: 1 worker died .* smaller partitions$"):
        run(DaskPasses(drawn_source(N), client), partial(always, 7, die))
    wait_for(lambda: len(client.nthreads()) == 2 and not tasks_of(client))


def test_an_error_that_passes_is_tried_again(client: Client, tmp_path: Path) -> None:
    source, task = drawn_source(N), partial(fail, OSError, "the network is down")
    with pytest.raises(ValueError, match=r"rows-2\.parquet: cannot be read: OSError: the network is down"):
        run(DaskPasses(source, client, retries=0), partial(once, str(tmp_path), 2, task))
    (tmp_path / "done").unlink()
    assert run(DaskPasses(source, client), partial(once, str(tmp_path), 2, task)).tolist() == (
        run(LocalPasses(source), total).tolist()
    )


@pytest.mark.parametrize("passes", [DaskPasses, LocalPasses])
def test_an_error_names_the_partition_as_in_one_process(client: Client, passes: Any) -> None:
    made = DaskPasses(drawn_source(N), client) if passes is DaskPasses else LocalPasses(drawn_source(N))
    with pytest.raises(TypeError, match=r"^rows-5\.parquet: column 'a' has dates$"):
        run(made, partial(always, 5, partial(fail, TypeError, "column 'a' has dates")))


def test_an_error_of_a_merge_is_raised_as_it_is(client: Client) -> None:
    def merge(a: Any, b: Any) -> Any:
        raise ValueError("column 'a' has two kinds of values")

    with pytest.raises(ValueError, match=r"^column 'a' has two kinds of values$"):
        DaskPasses(drawn_source(N), client).run_frames(None, total, merge, "sums")


def test_control_c_stops_the_pass_on_the_cluster(client: Client) -> None:
    threading.Timer(0.7, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        run(DaskPasses(drawn_source(200), client), partial(slow_total, 0.2))
    wait_for(lambda: not tasks_of(client), 10.0)  # the whole pass takes 20 s
    assert run(DaskPasses(drawn_source(2), client), total).shape == (2,)


def test_a_scheduler_that_dies_is_an_error_that_says_so(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    command = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard")
    process = subprocess.Popen([*command, "--scheduler-file", str(file)], stderr=subprocess.DEVNULL)
    try:
        wait_for(file.exists)
        with Client(scheduler_file=str(file), timeout=1) as client:
            passes = DaskPasses(drawn_source(N), client)
            threading.Timer(0.5, partial(os.kill, process.pid, signal.SIGKILL)).start()
            with pytest.raises(ClusterError, match=r"(?s)was lost in sums, after 0 of 20 .* checkpoint="):
                run(passes, total)  # there is no worker: it would wait for ever
            wait_for(lambda: client.status == "closed")
            with pytest.raises(
                ClusterError,
                match=r"^sums needs the Dask client of this model, which is closed:",
            ):
                run(passes, total)
    finally:
        process.kill()
        process.wait()


def test_a_client_that_is_closed_is_an_error(client: Client) -> None:
    second = Client(client.scheduler.address, set_as_default=False)
    closing = threading.Timer(0.7, second.close)
    closing.start()
    with pytest.raises(ClusterError, match=r"^the Dask cluster at tcp://\S+ was lost in sums, after \d+ of 200 "):
        run(DaskPasses(drawn_source(200), second), partial(slow_total, 0.2))
    closing.join()
    wait_for(lambda: not tasks_of(client), 10.0)


def test_a_cluster_without_workers_is_waited_for_and_this_is_said(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bayes_softmax.data.sources.watch.PATIENCE", 0.2)
    with LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as cluster, Client(cluster) as empty:
        threading.Timer(1.2, partial(cluster.scale, 1)).start()
        assert (
            run(DaskPasses(drawn_source(3), empty), total).tolist() == run(LocalPasses(drawn_source(3)), total).tolist()
        )
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"bayes_softmax: the Dask cluster at inproc://\S+ has no workers; waiting for one", line)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("tcp://127.0.0.1:8786", TypeError, r"client='tcp://127.0.0.1:8786'; expected a distributed.Client, as in "),
        (
            3,
            TypeError,
            r"client=3; expected a distributed.Client, as in client=distributed.Client\(cluster\), or True$",
        ),
    ],
)
def test_what_is_no_client(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        passes_of(drawn_source(1), given)


def test_clients_that_cannot_be_used(client: Client) -> None:
    with pytest.raises(TypeError, match=r"or True; it has client=cluster.get_client\(\)$"):
        passes_of(drawn_source(1), client.cluster)
    second = Client(client.scheduler.address, set_as_default=False)
    second.close()
    with pytest.raises(ValueError, match=r"^client= is closed; expected a connected distributed.Client"):
        passes_of(drawn_source(1), second)


def test_true_is_the_active_client(client: Client) -> None:
    passes = passes_of(drawn_source(1), True)
    assert isinstance(passes, DaskPasses)
    assert passes.client is client
    assert isinstance(passes_of(drawn_source(1), None), LocalPasses)


def test_answers_are_those_of_threads(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a fit is sent to the workers without its data, and their sums come back."""
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"a": rng.normal(size=600), "b": rng.normal(size=600), "g": rng.choice(list("xyz"), 600)})
    data["y"] = np.array(list("uvw"))[(data.a.to_numpy()[:, None] * [1, 0, 0] + rng.gumbel(size=(600, 3))).argmax(1)]
    data.loc[data.g == "z", "y"] = "u"
    (tmp_path / "rows").mkdir()
    data.to_parquet(tmp_path / "rows" / "part.parquet", row_group_size=200)
    here, there = (bs.SoftmaxRegression.from_formula(FORMULA, tmp_path / "rows", client=one) for one in (None, client))
    assert here.check_separation().reasons == there.check_separation().reasons != ()
    a, b = here.map(), there.map()
    for question in (lambda fit: fit.evaluate().to_frame(), lambda fit: fit.effects()):
        pd.testing.assert_frame_equal(pd.DataFrame(question(a)), pd.DataFrame(question(b)), rtol=1e-6)
    written = b.predict_proba(tmp_path / "rows", 0.9, out=tmp_path / "answers")
    found = pd.concat([pd.read_parquet(file) for file in written.index])
    np.testing.assert_allclose(found, a.predict_proba(data, 0.9), rtol=1e-6)
