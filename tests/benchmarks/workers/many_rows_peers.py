"""Worker: the MAP estimate of a Parquet file by another package, in a process of its own.

``python -m tests.benchmarks.workers.many_rows_peers JOB`` with a job in JSON: ``path``, ``package``, ``out``.  The
objective is ours: Normal(1) weights, that is C = 1, and a flat intercept.
"""

import importlib.util
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.workers.common import peak_mb, zero_sum

Found = tuple[dict[str, float], np.ndarray]


def scikit_learn(solver: str, tol: float) -> Callable[[str], Found]:
    """Reads all rows into memory, then fits; 1e-4 is the default tolerance."""

    def fit(path: str) -> Found:
        import pandas as pd
        from sklearn.linear_model import LogisticRegression

        estimator = LogisticRegression(C=1.0, solver=solver, tol=tol, max_iter=10_000)
        estimator.fit(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3)  # imports are not timed
        start = time.perf_counter()
        frame = pd.read_parquet(path)
        y = frame.pop("y").to_numpy(dtype=object)
        X = frame.to_numpy()
        del frame
        read = time.perf_counter() - start
        estimator.fit(X, y)
        return {"read_s": read, "map_s": time.perf_counter() - start}, estimator.coef_.T

    return fit


def spark(path: str) -> Found:
    """Two threads of one Java process; rows are kept in its memory between iterations."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import StringIndexer, VectorAssembler
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config("spark.driver.memory", "8g")
    session = session.config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    start = time.perf_counter()
    rows = session.read.parquet(path)
    features = [name for name in rows.columns if name != "y"]
    rows = VectorAssembler(inputCols=features, outputCol="features").transform(rows)
    rows = StringIndexer(inputCol="y", outputCol="label", stringOrderType="alphabetAsc").fit(rows).transform(rows)
    rows = rows.select("features", "label").cache()
    n = rows.count()
    read = time.perf_counter() - start
    # Its loss is a mean, and its penalty half the squared weights times regParam.
    estimator = LogisticRegression(
        family="multinomial", regParam=1.0 / n, standardization=False, tol=1e-10, maxIter=1000
    )
    weights = estimator.fit(rows).coefficientMatrix.toArray().T
    return {"read_s": read, "map_s": time.perf_counter() - start}, weights


def session_peak_mb() -> float:
    """Most memory that this process and those that it started have held, of those that still run."""
    session, total = os.getsid(0), 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getsid(int(status.parent.name)) == session:
                line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
                total += int(line.split()[1]) / 2**10
        except (OSError, StopIteration):  # it has ended
            continue
    return total or peak_mb()


PACKAGES: dict[str, Callable[[str], Found]] = {
    "scikit-learn, lbfgs": scikit_learn("lbfgs", 1e-4),
    "scikit-learn, newton-cholesky": scikit_learn("newton-cholesky", 1e-8),
    "Spark ML": spark,
}
MODULES = {"Spark ML": "pyspark"}


def main(job: dict[str, Any]) -> None:
    """Fit, and write figures and weights (p, K) that sum to zero over the classes."""
    warnings.simplefilter("ignore")
    module = MODULES.get(job["package"], "sklearn")
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError("not installed")
    seconds, weights = PACKAGES[job["package"]](job["path"])
    result = seconds | {"peak_mb": session_peak_mb(), "weights": zero_sum(weights).tolist()}
    Path(job["out"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
