"""Worker: fits of a Parquet file that is read in passes, by threads of this process or by a cluster.

``python -m tests.benchmarks.workers.many_rows JOB`` with a job in JSON: ``path`` of the file, ``warm`` (a small one of
the same columns), ``formula`` or null for ``y`` by all other columns, ``out`` (figures in JSON), ``streamed`` (whether
rows are read in passes even where they would fit into memory), ``workers`` (processes of a cluster; 0 for none),
``in_memory`` (instead of all that: the subsampled posterior of a frame beside that of all rows).
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering
from bayes_softmax.data.sources.cluster import DaskPasses
from bayes_softmax.data.sources.passes import LocalPasses
from tests.benchmarks.score import score
from tests.benchmarks.workers.common import peak_mb

DRAWS, CHAINS, SEED = 1000, 4, 1
PRIORS = {"prior": bs.Normal(1.0), "intercept_prior": bs.Flat()}


def watched(passes: list[tuple[str, float]]) -> None:
    """Note the title and the seconds of every pass from now on."""
    for kind in (LocalPasses, DaskPasses):
        whole: Callable[..., Any] = kind._run

        def _run(self: Any, *arguments: Any, _whole: Callable[..., Any] = whole, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return _whole(self, *arguments, **named)
            finally:
                title = next(a for a in arguments if isinstance(a, str))
                passes.append((title, time.perf_counter() - start))

        kind._run = _run  # type: ignore[method-assign]


def fits(path: str, formula: str | None, client: Any, passes: list[tuple[str, float]]) -> dict[str, Any]:
    """Seconds, passes and results of the model, its MAP estimate, and its posterior; the latter of a model anew."""
    figures: dict[str, Any] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        passes.clear()
        start = time.perf_counter()
        result = function()
        figures[name] = {"seconds": time.perf_counter() - start, "passes": list(passes), "peak_mb": peak_mb()}
        return result

    def model() -> bs.SoftmaxRegression:
        if formula is None:
            return bs.SoftmaxRegression(path, y="y", client=client, **PRIORS)
        return bs.SoftmaxRegression.from_formula(formula, path, client=client, **PRIORS)

    first = timed("model", model)
    estimate = timed("map", first.map)
    weights = estimate.weights.transpose("feature", "category").values
    figures["map"] |= {"converged": bool(estimate.converged), "weights": weights.tolist(), "words": str(first)}
    del first, estimate
    second = timed("model again", model)
    posterior = timed("sample", lambda: second.sample(DRAWS, chains=CHAINS, random_seed=SEED, progressbar=False))
    figures["sample"] |= {"engine": posterior.engine, "ess": score(weights_of(posterior)).ess}
    return figures


def weights_of(posterior: bs.Posterior) -> np.ndarray:
    """Draws (chain, draw, coefficient)."""
    draws = posterior.idata["posterior"]["weights"].transpose("chain", "draw", ...).values
    return draws.reshape(*draws.shape[:2], -1)


def in_memory(path: str, warm: str) -> dict[str, Any]:
    """Seconds of the posterior of a frame by each engine, and how far they are apart in units of posterior sds."""
    figures: dict[str, Any] = {}
    found: dict[str, np.ndarray] = {}
    for file in (warm, path):
        frame = pd.read_parquet(file)
        model = bs.SoftmaxRegression(frame.drop(columns="y"), frame["y"], **PRIORS)
        model.map()
        for engine in ("subsampled", "independence"):
            start = time.perf_counter()
            posterior = model.sample(
                DRAWS,
                chains=CHAINS,
                random_seed=SEED,
                engine=engine,
                progressbar=False,  # type: ignore[arg-type]
            )
            figures[engine] = {"seconds": time.perf_counter() - start, "engine": posterior.engine}
            found[engine] = weights_of(posterior)
            figures[engine]["ess"] = score(found[engine]).ess
    one, other = (draws.reshape(-1, draws.shape[2]) for draws in found.values())
    sd = other.std(axis=0)
    figures["means_apart"] = float(np.abs((one.mean(axis=0) - other.mean(axis=0)) / sd).max())
    figures["sds_apart"] = float(np.abs(one.std(axis=0) / sd - 1).max())
    return figures


def on_cluster(job: dict[str, Any], passes: list[tuple[str, float]]) -> dict[str, Any]:
    """The same on a cluster of worker processes of one thread each."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=job["workers"], threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        fits(job["warm"], job["formula"], client, passes)
        figures = fits(job["path"], job["formula"], client, passes)
        peaks = client.run(peak_mb)
    return figures | {"peak_mb": peak_mb() + sum(peaks.values())}


def main(job: dict[str, Any]) -> None:
    """Load and compile on a small file, then fit."""
    warnings.simplefilter("ignore")
    passes: list[tuple[str, float]] = []
    watched(passes)
    if job["streamed"]:
        gathering.IN_MEMORY = 0
    if job["in_memory"]:
        figures = in_memory(job["path"], job["warm"])
    elif job["workers"]:
        figures = on_cluster(job, passes)
    else:
        fits(job["warm"], job["formula"], None, passes)
        figures = fits(job["path"], job["formula"], None, passes) | {"peak_mb": peak_mb()}
    Path(job["out"]).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
