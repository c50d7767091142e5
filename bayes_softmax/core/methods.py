"""Functions that classes take over as methods."""

import inspect
from collections.abc import Callable
from typing import Any

from bayes_softmax.core.keywords import explains


def of_self[Function: Callable[..., Any]](function: Function) -> Function:
    """The same function, with its first argument called ``self`` in its signature; a wrong call of it is explained."""
    _, *others = inspect.signature(function).parameters.values()
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    described: Any = function
    described.__signature__ = inspect.signature(function).replace(parameters=[this, *others])
    return explains(function)
