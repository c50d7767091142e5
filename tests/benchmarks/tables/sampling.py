"""Effective draws a second: every engine on every data set."""

from collections.abc import Sequence
from typing import Any

from tests.benchmarks.engines import ENGINES, Engine, environment
from tests.benchmarks.report import Cell, Report
from tests.benchmarks.run import CHAINS, CORES, DRAWS, Sampling, data_file, run_limited, sample
from tests.benchmarks.score import Reference, distance, reference, score

SENTENCE = (
    f"Sampling: {CHAINS} chains x {DRAWS} draws on {CORES} cores, BLAS on one thread, the same model, priors and "
    "standardised data (pixels: in [0, 1]) for all; ESS is the smallest over the coefficients of min(bulk, tail), "
    "distance the largest of a posterior mean to that of a long reference run in posterior sds, leapfrogs the mean of "
    "a draw, MB the peak beyond the data (in brackets: in all), ratio our auto's ESS/s over this ESS/s. Sampling "
    "seconds leave out building and compiling; ours count all once the kernel is loaded, Stan's are by its own clock."
)
COLUMNS = (
    "data | engine | warm-up | set-up s | sampling s | ESS | ESS/s | leapfrogs | divergences | R-hat | distance | MB | "
    "ratio"
).split(" | ")
COMPILE_LIMIT = 600.0


def table(report: Report, sets: Sequence[str], engines: Sequence[str], limit: float, tune: int | None) -> None:
    """One row an engine and data set, as it is done."""
    if "stan" in engines:
        compile_stan(report)
    report.table("sampling", SENTENCE, COLUMNS)
    for name in sets:
        path, data = data_file(name)
        known = reference(name, path, data, limit)
        ours: float | None = None
        for key in engines:
            engine = ENGINES[key]
            if tune is not None and engine.is_peer:
                engine = engine._replace(tune=tune)
            result = sample(engine, path, limit)
            start: list[Cell] = [f"{name} {data.shape}", engine.title, engine.warm_up]
            if isinstance(result, str):
                report.row([*start, None, result, *[None] * (len(COLUMNS) - 5)])
                continue
            rate, cells = judged(result, engine, known)
            ours = rate if key == "ours" else ours
            ratio = ours / rate if ours is not None and engine.is_peer else None
            report.row([*start, *cells, ratio])
        path.unlink()


def compile_stan(report: Report) -> None:
    """Compile Stan's program before its runs are timed and limited; later runs of the benchmarks find it compiled."""
    engine = ENGINES["stan"]
    if engine.missing is None:
        finished = run_limited(engine.command("build"), COMPILE_LIMIT, environment())
        report.line(
            f"\nStan's program, kept once compiled: {finished.failure or f'ready in {finished.seconds:.0f} s'}."
        )


def judged(result: Sampling, engine: Engine, known: Reference | str) -> tuple[float, list[Cell]]:
    """ESS/s, and the cells of a row from set-up to memory."""
    figures: dict[str, Any] = result.figures
    found = score(result.draws)
    rate = found.ess / figures["sampling_s"]
    away: Cell = "other prior"
    if engine.same_prior:
        away = "no reference" if isinstance(known, str) else distance(result.draws, known)
    memory = f"{figures['peak_mb'] - figures['data_mb']:.0f} ({figures['peak_mb']:.0f})"
    leapfrogs = figures["leapfrogs"]
    return rate, [
        figures["setup_s"],
        figures["sampling_s"],
        round(found.ess),
        rate,
        leapfrogs if leapfrogs == leapfrogs else None,  # NaN: the independence sampler takes none
        figures["divergences"],
        f"{found.r_hat:.4f}",
        away,
        memory,
    ]
