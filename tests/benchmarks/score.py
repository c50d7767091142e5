"""Judging draws the same way for every engine: effective sample size, R-hat, distance to a long reference run."""

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.data import Data
from tests.benchmarks.engines import FOLDER, REFERENCE, ROOT
from tests.benchmarks.run import sample

TAIL = 0.9  # tail ESS: the smaller of the ESS of the 5 % and 95 % quantiles (Vehtari et al. 2021)
COEFFICIENTS = 500  # judged at a time: ArviZ makes several copies of what it is given
REFERENCE_DRAWS, REFERENCE_SEED, REFERENCE_PATIENCE = 5000, 20_240, 4


class Score(NamedTuple):
    """Worst over all coefficients: the smaller of bulk and tail ESS, and R-hat."""

    ess: float
    r_hat: float


class Reference(NamedTuple):
    """Posterior means and sds of all coefficients."""

    mean: np.ndarray
    sd: np.ndarray


def score(draws: np.ndarray) -> Score:
    """Judge draws (chain, draw, coefficient); a chain that never moves gives NaN."""
    from arviz_stats.base import array_stats

    axes: dict[str, Any] = {"chain_axis": 0, "draw_axis": 1}
    ess, r_hat = [], []
    for first in range(0, draws.shape[2], COEFFICIENTS):
        x: Any = draws[:, :, first : first + COEFFICIENTS]
        ess += [array_stats.ess(x, method="bulk", **axes), array_stats.ess(x, method="tail", prob=TAIL, **axes)]
        r_hat.append(array_stats.rhat(x, method="rank", **axes))
    return Score(float(np.min(np.concatenate(ess))), float(np.max(np.concatenate(r_hat))))


def distance(draws: np.ndarray, reference: Reference) -> float:
    """Largest distance of a posterior mean to the reference's, in posterior sds."""
    return float(np.max(np.abs(draws.mean(axis=(0, 1)) - reference.mean) / reference.sd))


def reference(name: str, path: Path, data: Data, limit: float) -> Reference | str:
    """A long run of our NUTS, kept in ``.bench/reference`` for as long as data and package stay the same."""
    kept = FOLDER / "reference" / f"{name}.npz"
    sources = b"".join(path.read_bytes() for path in sorted((ROOT / "bayes_softmax").rglob("*.py")))
    fingerprint = [zlib.crc32(sources), *(zlib.crc32(np.ascontiguousarray(a)) for a in data)]
    if kept.exists():
        with np.load(kept) as arrays:
            if arrays["fingerprint"].tolist() == fingerprint:
                return Reference(arrays["mean"], arrays["sd"])
    options = {"draws": REFERENCE_DRAWS, "seed": REFERENCE_SEED}
    result = sample(REFERENCE, path, REFERENCE_PATIENCE * limit, **options)
    if isinstance(result, str):
        return result
    found = Reference(result.draws.mean(axis=(0, 1)), result.draws.std(axis=(0, 1), ddof=1))
    kept.parent.mkdir(exist_ok=True)
    np.savez(kept, fingerprint=fingerprint, **found._asdict())
    return found
