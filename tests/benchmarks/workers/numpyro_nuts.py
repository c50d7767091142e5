"""Worker: NumPyro's NUTS on the CPU in 64 bits, one host device a chain (``chain_method="parallel"``).

Compilation cannot be called apart from sampling; its time is what JAX itself reports.
"""

import time

import numpy as np

from tests.benchmarks.workers.common import INTERCEPT_SD, WEIGHTS_SD, Job, Sampled, contrast, main


def sample(job: Job) -> Sampled:
    """Zero-sum by an orthonormal contrast, as for Stan."""
    import numpyro

    numpyro.set_host_device_count(job.chains)
    numpyro.enable_x64()
    import jax
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    compiling: list[float] = []

    def listen(event: str, seconds: float, **_: object) -> None:
        if event.startswith("/jax/core/compile/"):
            compiling.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    p, K, C = job.X.shape[1], job.n_classes, contrast(job.n_classes)

    def model(X: jax.Array, y: jax.Array) -> None:
        alpha = numpyro.sample("alpha", dist.Normal(0, INTERCEPT_SD).expand([K - 1]).to_event(1))
        gamma = numpyro.sample("gamma", dist.Normal(0, WEIGHTS_SD).expand([p, K - 1]).to_event(2))
        numpyro.sample("y", dist.Categorical(logits=C @ alpha + X @ (gamma @ C.T)), obs=y)

    settings = {"num_warmup": job.tune, "num_samples": job.draws, "num_chains": job.chains}
    mcmc = MCMC(NUTS(model), chain_method="parallel", progress_bar=False, **settings)
    start = time.perf_counter()
    mcmc.run(jax.random.PRNGKey(job.seed), job.X, job.y, extra_fields=("num_steps", "diverging"))
    draws = jax.block_until_ready(mcmc.get_samples(group_by_chain=True))
    total = time.perf_counter() - start
    extra = mcmc.get_extra_fields()
    steps, divergences = float(extra["num_steps"].mean()), int(extra["diverging"].sum())
    intercept, weights = (np.asarray(draws[name]) @ C.T for name in ("alpha", "gamma"))
    return Sampled(intercept, weights, sum(compiling), total - sum(compiling), steps, divergences)


if __name__ == "__main__":
    main(sample)
