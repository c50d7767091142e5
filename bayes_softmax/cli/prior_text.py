"""Priors as text, ``StudentT(4, 1)`` or ``income=Normal(0.5)``: parsed and looked up by name, never evaluated."""

import ast
import inspect
import re
from collections.abc import Sequence
from typing import Any

import bayes_softmax as bs
from bayes_softmax.core.checks import did_you_mean, listed, shown

FAMILIES = ("Normal", "StudentT", "Laplace", "Flat", "Jeffreys", "R2D2")
OF_GROUPS = ("GroupNormal",)
OF_SCALES = ("HalfNormal", "HalfStudentT")
INSIDE = {"Normal": OF_SCALES, "GroupNormal": (*OF_SCALES, "LKJ")}  # priors of hyperparameters
EXAMPLES = {
    "Normal": "Normal(1)",
    "StudentT": "StudentT(4, 1)",
    "Laplace": "Laplace(1)",
    "HalfNormal": "Normal(HalfNormal(1))",
    "HalfStudentT": "Normal(HalfStudentT(4, 1))",
    "GroupNormal": "GroupNormal(HalfNormal(1), LKJ(2))",
    "LKJ": "LKJ(2)",
}
# What a name before the equality sign is, and the priors that there are, by the families that are asked for.
NAMED = {FAMILIES: "TERM=PRIOR for one term", OF_GROUPS: "GROUP=PRIOR for one grouping"}
ALL = {
    FAMILIES: "Normal(2), StudentT(4, 1), Laplace(1), Flat, Jeffreys, R2D2",
    OF_GROUPS: "GroupNormal(HalfNormal(1), LKJ(2)), GroupNormal(covariance='independent')",
}
LONGEST = 200  # characters of one prior
HEAD = re.compile(r"\s*([A-Za-z]\w*)\s*(\(.*\))?\s*", re.DOTALL)


def priors_of(texts: Sequence[str] | None, option: str, families: tuple[str, ...] = FAMILIES) -> Any:
    """The argument ``prior``: one prior for all features, or priors of some by name; None where no text is given.

    With the families ``OF_GROUPS`` it is the argument ``group_prior``.

    Raises
    ------
    ValueError
        If a text is no prior, a feature is named twice, or a prior for all is given beside others.

    Examples
    --------
    >>> priors_of(["Normal(2)"], "--prior"), priors_of(["income=Laplace(0.5)"], "--prior")
    (Normal(scale=2.0), {'income': Laplace(scale=0.5)})
    """
    if not texts:
        return None
    pairs = [_named(text, option, families) for text in texts]
    names = [name for name, _ in pairs]
    if names == [None]:
        return pairs[0][1]
    if None in names:
        sign, _, what = NAMED[families].partition(" for one ")
        every = "features" if families is FAMILIES else "groupings"
        raise ValueError(
            f"{option} {shown(texts[names.index(None)])} is a prior of all {every} and must be the only one; for one "
            f"{what} write {option} '{sign}'"
        )
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{option}: {shown(repeated[0])} has two priors")
    return dict(pairs)


def prior_of(text: str, option: str, families: tuple[str, ...] = FAMILIES) -> Any:
    """One prior.

    >>> prior_of("StudentT(df=4, scale=1)", "--intercept-prior")
    StudentT(df=4.0, scale=1.0)
    """
    if len(text) > LONGEST:
        raise ValueError(f"{option} {shown(text)} is too long for a prior")
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _wrong(text, option, families) from None
    return _made(node, text, option, families)


def _named(text: str, option: str, families: tuple[str, ...]) -> tuple[str | None, Any]:
    """Name and prior of ``NAME=PRIOR``; names may have equality signs of their own, as ``I(x == 1)`` has."""
    if _is_prior(text, families):
        return None, prior_of(text, option, families)
    for sign in re.finditer("=", text):
        name, rest = text[: sign.start()].strip(), text[sign.end() :]
        if name and _is_prior(rest, families):
            return name, prior_of(rest, option, families)
    name, sign_there, rest = text.rpartition("=")
    raise _wrong(rest if sign_there and name else text, option, families)


def _is_prior(text: str, families: tuple[str, ...]) -> bool:
    """Whether a text looks like a prior of a known family."""
    head = HEAD.fullmatch(text)
    return head is not None and head[1] in families


def _made(node: ast.expr, text: str, option: str, families: tuple[str, ...]) -> Any:
    """The prior that a parsed text names."""
    function = node.func if isinstance(node, ast.Call) else node
    if not isinstance(function, ast.Name) or function.id not in families:
        raise _wrong(ast.unparse(function), option, families)
    family, name = getattr(bs, function.id), function.id
    positional: list[Any] = []
    named: dict[str, Any] = {}
    if isinstance(node, ast.Call):
        inner = INSIDE.get(name, ())
        positional = [_value(a, text, option, inner) for a in node.args]
        named = {str(k.arg): _value(k.value, text, option, inner) for k in node.keywords}
    signature = inspect.signature(family)
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no number"
        raise ValueError(
            f"{option} {shown(text)}: {error}; {name} takes {takes}, for example {EXAMPLES.get(name, name)}"
        ) from None
    try:
        return family(*positional, **named)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{option} {shown(text)}: {error}") from None


def _value(node: ast.expr, text: str, option: str, inner: tuple[str, ...]) -> Any:
    """A number, the prior of a hyperparameter, or for groups the name of a form of the covariance."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, text, option, ())
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if inner and isinstance(node, ast.Call):
        return _made(node, text, option, inner)
    if inner == INSIDE["GroupNormal"] and isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError(f"{option} {shown(text)}: {shown(ast.unparse(node))} is not a number")


def _wrong(text: str, option: str, families: tuple[str, ...]) -> ValueError:
    """Error for a text that is no prior."""
    word = re.match(r"\s*(\w*)", text)[1]  # type: ignore[index]  # it matches anything
    hint = did_you_mean(word.lower(), [f.lower() for f in families], 0.7)
    for family in families:
        hint = hint.replace(repr(family.lower()), family)
    named = NAMED.get(families, NAMED[FAMILIES])
    return ValueError(
        f"{option} {shown(text)} is not a prior{hint} (priors are {ALL.get(families, listed(families))}, or {named})"
    )
