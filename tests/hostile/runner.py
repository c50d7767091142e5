"""Batches of cases in worker processes, so that a crash or a hang is a finding like any other."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.hostile.watch import Finding

ROOT = Path(__file__).resolve().parents[2]
WORKER = "tests.hostile.worker"
BATCH = 25
LIMIT = 60.0  # seconds of a case
LINES = 12  # of the traceback of a crash


class Report(NamedTuple):
    """Findings by seed, and how much was tried."""

    findings: list[tuple[int, Finding]]
    cases: int
    calls: int
    refusals: int


def run(seeds: Sequence[int], jobs: int = 1, batch: int = BATCH, limit: float = LIMIT, worker: str = WORKER) -> Report:
    """Run the cases of the seeds, ``jobs`` processes at a time."""
    batches = [seeds[i : i + batch] for i in range(0, len(seeds), batch)]
    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(lambda part: _run_batch(list(part), limit, worker), batches))
    return Report(
        [found for part in parts for found in part.findings],
        *(sum(getattr(part, name) for part in parts) for name in ("cases", "calls", "refusals")),
    )


def _run_batch(seeds: list[int], limit: float, worker: str) -> Report:
    """One batch; after a crash the rest in a new process."""
    findings: list[tuple[int, Finding]] = []
    cases = calls = refusals = 0
    with tempfile.TemporaryDirectory() as folder:
        while seeds:
            out = Path(folder) / f"{len(seeds)}.jsonl"
            environment = os.environ | {
                "HOSTILE_CANARY": f"{folder}/canary", "PYTHONHASHSEED": "0",
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            }  # fmt: skip
            command = [sys.executable, "-m", worker, str(out), str(limit), *map(str, seeds)]
            ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
            done = [line for line in lines if "seed" in line]
            for line in done:
                findings += [(line["seed"], Finding(*found)) for found in line["findings"]]
                calls, refusals = calls + line["calls"], refusals + line["refusals"]
            cases += len(done)
            if ended.returncode == 0:
                break
            guilty = lines[-1].get("begins", seeds[-1]) if lines else seeds[0]
            findings.append((guilty, _crash(ended.returncode, ended.stderr)))
            cases += 1
            seeds = seeds[seeds.index(guilty) + 1 :]
    return Report(findings, cases, calls, refusals)


def _crash(code: int, stderr: str) -> Finding:
    last = stderr.strip().splitlines()
    if "Timeout (" in stderr:
        start = next(i for i, line in enumerate(last) if "Timeout (" in line)
        frames = [line for line in last[start:] if "/bayes_softmax/" in line]
        return Finding("hang", frames[0].strip() if frames else "somewhere", "\n".join(last[start : start + LINES]))
    kind = f"killed by signal {-code}" if code < 0 else f"worker ended with {code}"
    frames = [line for line in last if "/bayes_softmax/" in line]
    return Finding(kind, frames[0].strip() if frames else "somewhere", "\n".join(last[-LINES:]))


def table(report: Report, most: int = 200) -> str:
    """Findings grouped by kind and place: how often, one seed, the words of the first."""
    groups: dict[tuple[str, str], list[tuple[int, Finding]]] = defaultdict(list)
    for seed, found in report.findings:
        groups[found.kind, found.place].append((seed, found))
    lines = [
        f"{report.cases} cases, {report.calls} calls, {report.refusals} refused in words, "
        f"{len(report.findings)} findings of {len(groups)} kinds"
    ]
    for (kind, place), found in sorted(groups.items(), key=lambda item: -len(item[1])):
        seeds = Counter(seed for seed, _ in found)
        lines += [f"\n{len(seeds):4d} x {kind}  at {place}", f"       {found[0][1].words[:most]}"]
        lines.append(f"       python -m tests.hostile --case {min(seeds)}")
    return "\n".join(lines)
