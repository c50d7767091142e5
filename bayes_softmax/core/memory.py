"""Available memory, and the refusal of calls that would not fit.

Compiled libraries abort the process where an allocation fails, and systems that overcommit memory kill it: a request
that cannot be met is refused before it starts.
"""

import os
import sys
from pathlib import Path

from bayes_softmax.core.errors import NotEnoughMemoryError

SMALL_BYTES = 128 * 2**20  # not worth asking the system about


def refuse_beyond_memory(call: str, size: float, advice: str) -> None:
    """Raise if the ``size`` bytes that ``call`` (a plural noun) need are not available."""
    if size <= SMALL_BYTES:
        return
    available = available_bytes()
    if size > available:
        raise NotEnoughMemoryError(
            f"{call} need about {bytes_in_words(size)} of memory, "
            f"and {bytes_in_words(available)} are available: {advice}"
        )


def available_bytes() -> float:
    """Bytes still available to this process: the least that machine, container and its own limits leave."""
    return max(min(_machine(), _container(), _own_limit()), 0.0)


def bytes_in_words(size: float) -> str:
    """A number of bytes in a readable unit."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = 0
    while size >= 1024 and power < len(units) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.3g} {units[power]}" if size < 1e4 else f"{size:,.0f} {units[power]}"


def _machine() -> float:
    """Available memory of the machine, caches that it can drop included."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * next(float(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pass
    try:  # without Linux's figures: all memory
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _container() -> float:
    """Memory that the limit of a container leaves (cgroups 2 or 1)."""
    root = Path("/sys/fs/cgroup")
    for limit, used, cached in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        try:
            text = (root / limit).read_text().strip()
            if text == "max":
                return float("inf")
            stat = dict(line.split(" ", 1) for line in (root / cached).read_text().splitlines())
            droppable = float(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
            return float(text) - float((root / used).read_text()) + droppable
        except (OSError, ValueError):
            continue
    return float("inf")


def _own_limit() -> float:
    """Address space that ``ulimit -v`` leaves."""
    if sys.platform == "win32":
        return float("inf")
    import resource  # noqa: PLC0415 (not on every system)

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    try:
        used = float(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        used = 0.0
    return float(limit) - used
