"""Worker: bayes_softmax, ``engine="auto"`` or ``"nuts"``; variant ``"reference"`` is NUTS with smaller steps."""

import time

import numpy as np

from tests.benchmarks.workers.common import INTERCEPT_SD, WEIGHTS_SD, Job, Sampled, main


def load() -> None:
    """Draw a few times from a small model: what a process imports and loads from disk once."""
    import bayes_softmax as bs

    model = bs.SoftmaxRegression(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3)
    for engine in ("nuts", "independence"):
        model.sample(10, 10, 2, engine=engine, random_seed=1, progressbar=False)


def sample(job: Job) -> Sampled:
    """Set-up is loading and constructing; mode, pilot, warm-up and draws are sampling."""
    import nutpie  # noqa: F401  (imports are not timed; other engines import before the clock starts too)

    import bayes_softmax as bs

    start = time.perf_counter()
    load()
    priors = {"prior": bs.Normal(WEIGHTS_SD), "intercept_prior": bs.Normal(INTERCEPT_SD)}
    model = bs.SoftmaxRegression(job.X, job.y, **priors)
    constructed = time.perf_counter() - start
    reference = job.variant == "reference"
    posterior = model.sample(
        job.draws,
        job.tune,
        job.chains,
        cores=job.cores,
        random_seed=job.seed,
        engine="nuts" if reference else job.variant,
        target_accept=0.9 if reference else None,
        progressbar=False,
    )
    compilation = posterior.timings["compile"]
    draws, diagnostics = posterior.idata["posterior"], posterior.diagnostics
    return Sampled(
        draws["intercept"].transpose("chain", "draw", ...).values,
        draws["weights"].transpose("chain", "draw", "feature", ...).values,
        constructed + compilation,
        sum(posterior.timings.values()) - compilation,
        diagnostics.steps_per_draw,
        diagnostics.n_divergences,
    )


if __name__ == "__main__":
    main(sample)
