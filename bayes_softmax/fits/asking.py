"""Questions to a fit as methods: what answers see of a fit is behind it, and users see the answers alone."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Protocol


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
        return question(self._fitted, *arguments, **options)

    _, *others = inspect.signature(question).parameters.values()
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    described: Any = method
    described.__signature__ = inspect.signature(question).replace(parameters=[this, *others])
    return method
