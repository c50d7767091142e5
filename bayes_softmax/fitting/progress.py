"""A progress bar in terminal or notebook."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bayes_softmax.core.interrupts import load_in_full


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar in terminal or notebook, or None when it is not wanted."""
    if not show:
        yield None
        return
    load_in_full("rich.progress")
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("evaluating proposals", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
