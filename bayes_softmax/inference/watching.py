"""Progress of nutpie's chains."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from bayes_softmax.core.progress import bar, can_show, in_notebook


@contextlib.contextmanager
def watching(progressbar: bool) -> Iterator[dict[str, Any]]:
    """Arguments of nutpie that show its progress: its own bars on a terminal, a plain line in a notebook.

    (In a notebook its own bars are a table of HTML, which stays in the file.)
    """
    if not (progressbar and in_notebook()):
        yield {"progress_bar": progressbar}
        return
    with bar() if can_show() else contextlib.nullcontext() as line:
        if line is None:
            yield {"progress_bar": False}
            return
        task = line.add_task("sampling", total=None, unit="draws")

        def count(chains: Any) -> None:
            done, total = (sum(getattr(c, name) for c in chains) for name in ("finished_draws", "total_draws"))
            line.update(task, completed=done, total=total)

        yield {"progress_bar": False, "progress_callback": count}


@contextlib.contextmanager
def watching_chains(progressbar: bool, n_chains: int) -> Iterator[Callable[[int], dict[str, Any]]]:
    """The function that gives the arguments of nutpie for each of several samplers; one line counts all draws."""
    if not (progressbar and can_show()):
        yield lambda _: {"progress_bar": False}
        return
    finished, totals, lock = [0] * n_chains, [0] * n_chains, threading.Lock()
    with bar() as line:
        task = line.add_task("sampling", total=None, unit="draws")

        def of_chain(chain: int) -> dict[str, Any]:
            def count(chains: Any) -> None:
                with lock:
                    finished[chain], totals[chain] = chains[0].finished_draws, chains[0].total_draws
                    line.update(task, completed=sum(finished), total=n_chains * max(totals))

            return {"progress_bar": False, "progress_callback": count}

        yield of_chain
