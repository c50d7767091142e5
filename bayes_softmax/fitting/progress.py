"""Progress of an engine of this package, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bayes_softmax.core.progress import bar, can_show


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar, or None where it is not wanted or nobody would see it."""
    if not (show and can_show()):
        yield None
        return
    with bar() as shown:
        task = shown.add_task("drawing", total=None, unit="proposals")
        yield lambda done, total: shown.update(task, completed=done, total=total)
