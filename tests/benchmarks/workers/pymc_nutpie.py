"""Worker: a PyMC model sampled by nutpie, written as a user would (zero-sum or all K columns) or by Bambi.

``pm.sample(nuts_sampler="nutpie")`` compiles and samples in one call; here they are the same two calls apart.
"""

import time
from typing import Any

import numpy as np

from tests.benchmarks.workers.common import INTERCEPT_SD, WEIGHTS_SD, Job, Sampled, main


def symbolic(job: Job) -> Any:
    """The model in PyMC."""
    import pymc as pm

    p, K = job.X.shape[1], job.n_classes
    prior = pm.ZeroSumNormal if job.variant == "zero-sum" else pm.Normal
    with pm.Model() as model:
        intercept = prior("intercept", sigma=INTERCEPT_SD, shape=K)
        weights = prior("weights", sigma=WEIGHTS_SD, shape=(p, K))
        pm.Categorical("y", logit_p=intercept + job.X @ weights, observed=job.y)
    return model


def bambi(job: Job) -> Any:
    """The model that Bambi makes: first class fixed at zero, priors as wide as those of a difference of columns."""
    import bambi as bmb
    import pandas as pd

    names = [f"x{j}" for j in range(job.X.shape[1])]
    frame = pd.DataFrame(job.X, columns=names).assign(y=pd.Categorical(job.y))
    sds = {"Intercept": INTERCEPT_SD, "common": WEIGHTS_SD}
    priors = {name: bmb.Prior("Normal", mu=0, sigma=float(np.sqrt(2) * sd)) for name, sd in sds.items()}
    model = bmb.Model(f"y ~ {' + '.join(names)}", frame, family="categorical", priors=priors)
    model.build()
    return model.backend.model


def all_columns(draws: Any, job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Intercept (chain, draw, K) and weights (chain, draw, p, K)."""
    if job.variant != "bambi":
        return draws["intercept"].values, draws["weights"].values
    rows = [draws[name].values for name in ("Intercept", *(f"x{j}" for j in range(job.X.shape[1])))]
    full = np.pad(np.stack(rows, axis=2), [(0, 0)] * 3 + [(1, 0)])
    return full[:, :, 0], full[:, :, 1:]


def sample(job: Job) -> Sampled:
    """Set-up is building, compiling and loading."""
    import nutpie

    start = time.perf_counter()
    model = (bambi if job.variant == "bambi" else symbolic)(job)
    names = [variable.name for variable in model.free_RVs]  # without Bambi's probability of every row
    compiled = nutpie.compile_pymc_model(model, var_names=names)
    # What a first call imports is no sampling; so few and so short trajectories cost next to nothing.
    nutpie.sample(compiled, draws=5, tune=5, chains=1, maxdepth=1, seed=0, progress_bar=False)
    ready = time.perf_counter()
    settings = {"draws": job.draws, "tune": job.tune, "chains": job.chains, "cores": job.cores, "seed": job.seed}
    tree = nutpie.sample(compiled, save_warmup=False, progress_bar=False, **settings)
    seconds = time.perf_counter() - ready
    stats = tree["sample_stats"]
    steps, divergences = float(stats["n_steps"].mean()), int(stats["diverging"].sum())
    return Sampled(*all_columns(tree["posterior"], job), ready - start, seconds, steps, divergences)


if __name__ == "__main__":
    main(sample)
