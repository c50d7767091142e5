"""Functions that classes take over as methods."""

import inspect
from collections.abc import Callable
from typing import Any


def of_self[Function: Callable[..., Any]](function: Function) -> Function:
    """The same function; its signature calls the first argument ``self``, as documentation of a class shows it."""
    _, *others = inspect.signature(function).parameters.values()
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    described: Any = function
    described.__signature__ = inspect.signature(function).replace(parameters=[this, *others])
    return function
