"""Calls with arguments that a function does not have: Python's error, and what takes their place.

Nothing is looked at before Python itself has refused a call, so that good calls cost nothing.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from bayes_softmax.core.checks import counted, did_you_mean, listed, shown
from bayes_softmax.core.foreign import INSTEAD, SAME, USAGE

SIMILARITY = 0.75  # of a name to the one that was perhaps meant: "priors" is near "prior", "intercept" to none
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def explains[Function: Callable[..., Any]](function: Function) -> Function:
    """The same function; a call that its signature does not allow says what would take the place of it."""

    @wraps(function)
    def explained(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except TypeError:
            refusal = _refusal(explained, arguments, options)
            if refusal is None:  # the call was allowed, and something inside failed
                raise
        raise TypeError(refusal)

    as_it_was: Any = explained
    return as_it_was  # type: ignore[no-any-return]


def explains_making[Made: type](made: Made) -> Made:
    """The same class; calls of it are explained as by :func:`explains`."""
    as_it_is: Any = made
    as_it_is.__init__ = explains(as_it_is.__init__)
    return made


def unexpected(called: str, name: str, known: Iterable[str]) -> str:
    """The message on a keyword argument that a function does not have.

    >>> unexpected("sample", "seed", ["draws", "random_seed"])
    "sample() got an unexpected keyword argument 'seed'; did you mean 'random_seed'?"
    >>> unexpected("map", "prior", ["solver"]).partition("; ")[2]
    'that is an argument of the model, as in SoftmaxRegression(X, y, prior=Normal(1))'
    """
    return f"{called}() got an unexpected keyword argument {shown(name)}{_hint(called, name, list(known))}"


def _hint(called: str, name: str, known: list[str]) -> str:
    """What takes the place of a name: the argument of that meaning, one of a similar name, or a sentence."""
    for own, remark in SAME.get(name, ()):
        if own in known:
            return f"; did you mean {own!r}?" + (f" ({remark})" if remark else "")
    if name in INSTEAD:
        return f"; {INSTEAD[name]}"
    otherwise = f"it takes {listed(known)}" if known else "it takes no arguments"
    return did_you_mean(name, known, SIMILARITY) or f"; {USAGE.get(called, otherwise)}"


def _refusal(function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> str | None:
    """Why the signature does not allow a call; None if it does."""
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        reason = str(error)
    else:
        return None
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    given = len(arguments) - (len(parameters) < len(signature.parameters))
    called = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    known = [p.name for p in parameters if p.kind in NAMED]
    unknown = [] if open_ended else [name for name in options if name not in known]
    if unknown:
        return unexpected(called, unknown[0], known)
    by_position = [p.name for p in parameters if p.kind in BY_POSITION]
    usage = f"; {USAGE[called]}" if called in USAGE else ""
    if given > len(by_position):
        were = "was" if given == 1 else "were"
        hint = usage or _by_name(known, by_position)
        return f"{called}() takes {_most(by_position)}, and {given} {were} given{hint}"
    required = [p.name for p in parameters if p.default is p.empty and p.kind in NAMED]
    absent = [name for name in required if name not in options and name not in by_position[: max(given, 0)]]
    if absent:
        return f"{called}() is missing {listed(absent)}{usage}"
    return f"{called}(): {reason}{usage}"


def _most(names: list[str]) -> str:
    """How many arguments without a name a function takes, at most."""
    return f"at most {counted(len(names), 'argument')} by position ({', '.join(names)})" if names else "no arguments"


def _by_name(known: list[str], by_position: list[str]) -> str:
    """That others are given by name."""
    others = [name for name in known if name not in by_position]
    return f"; give the others by name: {', '.join(f'{name}=...' for name in others[:5])}" if others else ""
