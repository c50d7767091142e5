"""Which coefficients belong together: the features of one factor, spline or interaction share a panel."""

from itertools import product
from typing import NamedTuple

from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.formula.features import TermColumns
from bayes_softmax.data.schema import Schema
from bayes_softmax.spec.linear import INTERCEPT


class Group(NamedTuple):
    """Coefficients of one panel: rows of the coefficient array (the intercept's is 0), and what each is called there.

    ``name`` is the feature's or the term's, ``title`` says also which level the others are compared with.
    """

    name: str
    title: str
    features: tuple[int, ...]
    rows: tuple[str, ...]


def coefficient_groups(schema: Schema, *, together: bool = True) -> list[Group]:
    """Panels of all coefficients, the intercept first; the features of one term of a formula ``together``."""
    row = {name: j for j, name in enumerate((INTERCEPT, *schema.feature_names))}
    single = [Group(name, name, (j,), (name,)) for name, j in row.items()]
    if isinstance(schema.encoder, ArrayEncoder) or not together:
        return single
    found = single[:1]
    for term in schema.encoder.layout.terms:
        kept = [(row[name], short) for name, short in zip(term.names(), _short(term), strict=True) if name in row]
        if len(kept) == 1:
            found.append(single[kept[0][0]])
        elif kept:
            name, base = ":".join(factor.name for factor in term.factors), _base(term)
            found.append(Group(name, f"{name} (vs {base})" if base else name, *map(tuple, zip(*kept, strict=True))))
    return found


def _short(term: TermColumns) -> list[str]:
    """Names of a term's features within its panel: levels without the name of their factor."""

    def inner(name: str, field: str) -> str:
        return field[len(name) + 1 : -1].removeprefix("T.") if field.startswith(f"{name}[") else ""

    fields = [[inner(f.name, x) for x in c.fields] for f, c in zip(term.factors, term.columns, strict=True)]
    shown = [":".join(filter(None, reversed(parts))) for parts in product(*reversed(fields))]
    return [short or name for short, name in zip(shown, term.names(), strict=True)]


def _base(term: TermColumns) -> str:
    """The level that the others of a factor are coded against, if it is alone in its term and one is left out."""
    (columns, *others), (factor, *_) = term.columns, term.factors
    if others or factor.levels is None or columns.matrix is not None:
        return ""
    missing = set(range(len(factor.levels))) - set(columns.shown)
    return str(factor.levels[missing.pop()]) if len(missing) == 1 else ""
