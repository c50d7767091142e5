"""Who is compared: each engine is a worker module run by the Python of its environment.

``make bench`` makes the environments in ``.bench/``; where one is missing, its engines are reported as missing.
"""

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".bench"
PYTHONS = {
    "own": Path(sys.executable),
    "peers": FOLDER / "peers/bin/python",
    "stan": FOLDER / "stan/bin/python",
    "scale": FOLDER / "scale/bin/python",
}
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Relative to ROOT, where every worker runs: PyTensor's flags cannot hold a path with a space or a comma.
CACHES = {"PYTENSOR_FLAGS": "base_compiledir=.bench/cache/pytensor", "XDG_CACHE_HOME": str(FOLDER / "cache")}


class Engine(NamedTuple):
    """A sampler: ``tune=None`` is the engine's own default; ``same_prior`` whether posteriors are comparable."""

    title: str
    environment: str
    worker: str
    variant: str = ""
    tune: int | None = None
    same_prior: bool = True

    @property
    def is_peer(self) -> bool:
        return self.worker != "ours"

    @property
    def warm_up(self) -> str:
        """The ``tune`` of the table."""
        return "default" if self.tune is None else str(self.tune)

    @property
    def missing(self) -> str | None:
        """Why this engine cannot run here, or None."""
        return missing(self.environment)

    def command(self, arguments: str) -> list[str]:
        return worker_command(self.environment, self.worker, arguments)


ENGINES = {
    "ours": Engine("ours, auto", "own", "ours", "auto"),
    "ours-nuts": Engine("ours, nuts", "own", "ours", "nuts"),
    "pymc": Engine("PyMC ZeroSumNormal, nutpie", "own", "pymc_nutpie", "zero-sum"),
    "pymc-full": Engine("PyMC full, nutpie", "own", "pymc_nutpie", "full"),
    "bambi": Engine("Bambi categorical, nutpie", "peers", "pymc_nutpie", "bambi", tune=1000, same_prior=False),
    "stan": Engine("Stan categorical_logit_glm", "stan", "stan_glm", tune=1000),
    "numpyro": Engine("NumPyro", "peers", "numpyro_nuts", tune=1000),
}
REFERENCE = Engine("reference", "own", "ours", "reference")


def missing(name: str) -> str | None:
    """Why an environment cannot be used, from the log of its installation, or None."""
    if PYTHONS[name].exists():
        return None
    log = FOLDER / f"{name}.log"
    reason = log.read_text().strip() if log.exists() else ""
    return f"not available here: {last_line(reason) if reason else 'run make bench'}"


def worker_command(python: str, worker: str, *arguments: str) -> list[str]:
    """How a worker is started by the Python of an environment."""
    return [str(PYTHONS[python]), "-W", "ignore", "-m", f"tests.benchmarks.workers.{worker}", *arguments]


def environment(**changes: Any) -> dict[str, str]:
    """Environment variables of a worker."""
    return os.environ | CACHES | changes


def last_line(text: str) -> str:
    """What an error ends with, fit for the cell of a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    return lines[-1].replace("|", "/")[:120]
