"""The two sides of a formula: the columns of the response, and the text of the terms."""

import re

from bayes_softmax.core.checks import shown
from bayes_softmax.data.formula.parsing import shortened


def split_formula(formula: str) -> tuple[tuple[str, ...], str]:
    """Response columns and right-hand side of ``"y ~ x + z"``; several responses (``"a + b + c ~ x"``) are counts.

    Raises
    ------
    ValueError, TypeError
        A formula without response, ``~`` or terms, or with a response that is not the name of a column.
    """
    if not isinstance(formula, str):
        raise TypeError(f"formula={shown(formula)} must be a string such as 'y ~ x + z'")
    what = f"formula={shortened(formula)!r}"
    sides = re.match(r"((?:`[^`]*`|[^`~])*)~(.*)", formula, re.DOTALL)
    if sides is None:
        raise ValueError(f"{what} must have one '~', between the response and the terms, as in 'y ~ x + z'")
    left, right = (side.strip() for side in sides.groups())
    if not left:
        raise ValueError(f"{what} needs a response on the left of '~', as in 'y ~ x + z'")
    if not right:
        raise ValueError(f"{what} needs terms on the right of '~'; '{left} ~ 1' has the intercept alone")
    # An empty part, before or after a '+', is found too.
    parts = re.findall(r"(?:`[^`]*`|[^`+])+|(?<=\+)$|^(?=\+)", left)
    return tuple(_response(part.strip(), what) for part in parts), right


def _response(part: str, what: str) -> str:
    """The column that a part of the left-hand side names."""
    if len(part) > 2 and part[0] == part[-1] == "`":
        return part[1:-1]
    if not part:
        raise ValueError(f"{what} needs a response on each side of '+' on the left of '~'")
    wrong = f"{what}: the response is the name of a column, not {part!r}"
    if part == ".":
        raise ValueError(f"{what}: '.' stands for terms on the right of '~'; name the response")
    if called := re.match(r"([\w.]*)\s*\((.*)\)$", part, re.DOTALL):
        function, inner = called.groups()
        hint = f"labels of any type are classes as they are: '{_plain(inner)} ~ ...'"
        if function == "cbind":
            hint = f"columns of counts are joined by '+': '{' + '.join(map(_plain, inner.split(',')))} ~ ...'"
        elif not function:
            hint = "it needs no parentheses"
        raise ValueError(f"{wrong}; {hint}")
    if re.search(r"trials\s*\(", part):
        raise ValueError(f"{wrong}; columns of counts, one for each class, are joined by '+': 'a + b + c ~ ...'")
    if part[0] in "'\"":
        raise ValueError(f"{wrong}; write it without quotes, or in backticks: {_plain(part)}")
    if "`" in part:
        raise ValueError(f"{wrong}; several columns of counts are joined by '+'")
    return part


def _plain(name: str) -> str:
    """The name of a column as a formula has it, from one that may be in quotes."""
    name = name.strip()
    inner = name[1:-1] if len(name) > 2 and name[0] == name[-1] and name[0] in "'\"" else name
    return inner if inner == name or inner.isidentifier() else f"`{inner}`"
