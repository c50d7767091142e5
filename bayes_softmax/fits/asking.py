"""Questions to a fit as methods: what answers see of a fit is behind it, and users see the answers alone."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Protocol

from bayes_softmax.core.methods import of_self
from bayes_softmax.core.progress import showing


class Holds[Inside](Protocol):
    """A fit as users hold it, with what answers see of it."""

    @property
    def _fitted(self) -> Inside:
        """What answers see."""
        ...


def asks[Inside, **Options, Answer](
    question: Callable[Concatenate[Inside, Options], Answer],
) -> Callable[Concatenate[Holds[Inside], Options], Answer]:
    """The method that asks ``question`` of what a fit holds; signature and documentation are the question's."""

    @wraps(question)
    def method(self: Holds[Inside], /, *arguments: Options.args, **options: Options.kwargs) -> Answer:
        with showing(f"{question.__name__}()", wanted=options.get("progressbar") is not False):
            return question(self._fitted, *arguments, **options)

    return of_self(method)
