"""What to write instead: functions of R, patsy, formulaic, mgcv and brms, and operators that formulas do not have."""

from collections.abc import Callable, Iterable

from bayes_softmax.core.checks import did_you_mean, shown
from bayes_softmax.data.formula.expressions import COMPARISONS, Call, Column, Constant, Node, text

_BEFORE = "make it a column of the data first"
_MODULES = ("np.", "numpy.", "math.", "pd.", "pandas.", "scipy.")
_GROUPS = "effects of groups are written in parentheses of their own, (1 | {0})"


def _first(call: Call, default: str = "x") -> str:
    """The first argument as text; a name in quotes as a column."""
    if not call.arguments:
        return default
    node = call.arguments[0]
    return text(Column(node.value) if isinstance(node, Constant) and isinstance(node.value, str) else node)


def _level(call: Call) -> str:
    """The level that a call names as its first, as text."""
    given = [*call.arguments[1:], *(value for _, value in call.keywords)]
    return text(given[0]) if given else "'a'"


def _spline(call: Call) -> str:
    """A natural cubic spline of as many columns beside an intercept."""
    given = [*call.arguments[1:2], *(value for word, value in call.keywords if word in ("df", "k"))]
    count = [n.value for n in given if isinstance(n, Constant) and isinstance(n.value, int) and 2 <= n.value < 1000]
    return f"cr({_first(call)}, df={count[0] + 1 if count else 5})"


def _product(call: Call, joined: str) -> str:
    return joined.join(map(text, call.arguments)) or f"a{joined}b"


_CURVES = dict.fromkeys("s t2 gam gp hsgp smooth lo".split(), lambda call: f"a smooth curve is {_spline(call)}")
_FACTORS = dict.fromkeys(
    "factor as.factor as_factor fct category cat astype".split(), lambda call: f"a factor is C({_first(call)})"
)
_CONTRASTS = dict.fromkeys(
    "Sum Helmert Poly Diff".split(), lambda call: f"it goes inside C(): C({_first(call)}, {call.function})"
)
_CHOICES = dict.fromkeys("ifelse if_else where case_when select".split(), lambda _: "a condition is I(x > 0)")

# Each says what to write, in terms of the call.
_INSTEAD: dict[str, Callable[[Call], str]] = {
    **_CURVES,
    **_FACTORS,
    **_CONTRASTS,
    **_CHOICES,
    "Treatment": lambda call: f"it goes inside C(): C({_first(call)}, Treatment({_level(call)}))",
    "offset": lambda _: (
        "an offset is an argument, with one column for each class: from_formula(..., offset=['a', 'b', 'c'])"
    ),
    "weights": lambda call: f"weights are an argument: from_formula(..., weights={_first(call, 'w')!r})",
    "ns": lambda call: f"natural cubic splines are {_spline(call)}, B-splines bs({_first(call)}, df=4)",
    "te": lambda call: f"products of curves are {':'.join(f'bs({text(x)}, df=4)' for x in call.arguments[:2])}",
    "ti": lambda call: f"products of curves are {':'.join(f'bs({text(x)}, df=4)' for x in call.arguments[:2])}",
    "ordered": lambda call: f"polynomial contrasts are C({_first(call)}, contr.poly)",
    "mo": lambda call: f"differences between neighbouring levels are C({_first(call)}, contr.diff)",
    "relevel": lambda call: f"the first level is chosen by C({_first(call)}, contr.treatment({_level(call)}))",
    "interaction": lambda call: f"an interaction is {_product(call, ':')}, with its factors {_product(call, '*')}",
    "cbind": lambda call: f"columns of counts go on the left, joined by '+': '{_product(call, ' + ')} ~ ...'",
    "c": lambda _: "a list is written [1, 2], and one of several levels I((g == 'a') | (g == 'b'))",
    "Q": lambda call: f"a name with spaces or signs is written in backticks: {_first(call, '`my column`')}",
    "pow": lambda call: f"a power is I({_first(call)} ** 2)",
    "power": lambda call: f"a power is I({_first(call)} ** 2)",
    "mm": lambda call: _GROUPS.format(_first(call, "g")),
}


def unknown_function(call: Call, known: Iterable[str]) -> str:
    """What to write instead of a function that is not known; ``known`` are those that are."""
    name, functions = call.function, list(known)
    if name in _INSTEAD:
        return f"function {shown(name)} is not known; {_INSTEAD[name](call)}"
    module = next((module for module in _MODULES if name.startswith(module)), "")
    plain = name.removeprefix(module)
    if plain in functions:
        return f"function {shown(name)} is not known; write {plain}({', '.join(map(text, call.arguments))})"
    near = did_you_mean(plain, functions, cutoff=0.65)
    return f"function {shown(name)} is not known{near or ';'} use one of {', '.join(functions)}, or {_BEFORE}"


def group_effect(group: str) -> str:
    """The message for a bar, after which a group is named."""
    return f"{_GROUPS.format(group)}. '|' has no other meaning in a formula"


def misplaced(symbol: str, left: str, right: str) -> str:
    """What to write instead of an operator between terms, where it has no meaning."""
    if symbol in COMPARISONS:
        return f"a comparison is written inside I(): I({left} {symbol} {right})"
    if symbol in ("%", "//"):
        return f"arithmetic is written inside I(): I({left} {symbol} {right})"
    if symbol == "&":
        return f"an interaction is {left}:{right}, and two conditions together are I((a > 1) & (b > 1))"
    if symbol == "=":
        return f"a comparison is I({left} == {right}); '=' stands before the value of an argument, as in bs(x, df=4)"
    hints = {
        ",": "terms are joined by '+'",
        ")": "there is no '(' for it",
        "]": "there is no '[' for it",
        "}": "there is no '{' for it",
        "[": "a column is named without a subscript; make a part of it a column of the data first",
        "(": "a sum of terms in parentheses is joined by '*' or ':', as in a*(b + c)",
    }
    return hints.get(symbol, "an operator such as '+' is missing before it")


def misplaced_word(left: str, word: str, column: str) -> str:
    """What to write where a word follows a term without an operator."""
    words = {
        "in": "one of several levels is I((g == 'a') | (g == 'b'))",
        "and": "terms are joined by '+', and two conditions by '&' inside I()",
        "or": "terms are joined by '+', and alternatives by '|' inside I()",
    }
    return words.get(word, f"write {left} + {column}, or, if this is the name of one column, `{left} {word}`")


CHARACTERS = {
    "$": "columns are named alone, without the data: x, not d$x",
    "`": "a backtick is not closed",
    "'": "a quotation mark is not closed",
    '"': "a quotation mark is not closed",
    "!": "'not' is written ~, inside I(): I(~(x > 0)); 'not equal' is !=",
    "@": "a product of two columns is a:b, or I(a * b)",
    ";": "terms are joined by '+'",
    "#": "a formula has no comments",
    "\\": "a formula goes on to the next line without a sign",
}  # fmt: skip


def said_of(node: Node) -> str:
    """A hint for a value that R writes in another way."""
    words = {"TRUE": "True", "T": "True", "FALSE": "False", "F": "False", "NULL": "None"}
    if isinstance(node, Column) and node.name in words:
        return f"; write {words[node.name]}"
    return "; a list is written [1, 2]" if isinstance(node, Call) and node.function == "c" else ""
