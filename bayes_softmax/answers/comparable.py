"""Fits that are put side by side: each with a name, and all with the same classes and features."""

from collections.abc import Mapping, Sequence
from typing import Any

from bayes_softmax.answers.fitted import Fit, Fitted, fitted_of
from bayes_softmax.core.checks import counted, listed, shown


def check_comparable(fits: Mapping[str, Fit], unnamed: tuple[Fit, ...] = ()) -> dict[str, Fitted]:
    """What answers see of named fits; raises unless all have the same classes and features."""
    if unnamed:
        raise TypeError(_how_to_name(unnamed))
    if not fits:
        raise ValueError("compare needs at least one fit, e.g. compare(mle=model.mle(), map=model.map())")
    grouped = [(name, fit) for name, fit in fits.items() if isinstance(fit, Mapping | list | tuple)]
    if grouped:
        raise TypeError(f"{grouped[0][0]} is of type {type(grouped[0][1]).__name__}: {_unpacked(grouped[0][1])}")
    inside = {name: fitted_of(fit, name) for name, fit in fits.items()}
    first_name, first = next(iter(inside.items()))
    for name, fit in inside.items():
        for what, own, others in (
            ("classes", fit.schema.classes, first.schema.classes),
            ("features", fit.schema.feature_names, first.schema.feature_names),
        ):
            if own != others:
                raise ValueError(f"{name} has {what} {listed(own)}, but {first_name} has {listed(others)}")
    return inside


def _how_to_name(unnamed: Sequence[Any]) -> str:
    """The message for fits that came without names, alone or in a list or mapping."""
    first = unnamed[0]
    if isinstance(first, Mapping | list | tuple):
        return f"compare takes fits by name, and got a {type(first).__name__}: {_unpacked(first)}"
    return f"compare takes fits by name, and {counted(len(unnamed), 'fit')} came without one: compare(mle=a, map=b)"


def _unpacked(fits: Mapping[Any, Any] | Sequence[Any]) -> str:
    """How a mapping of fits is passed; names for a list are invented."""
    names = list(fits) if isinstance(fits, Mapping) else ["a", "b", "c"][: max(len(fits), 1)]
    if not isinstance(fits, Mapping):
        return f"name them, for example compare({', '.join(f'{name}=...' for name in names)})"
    first = shown(names[0]) if names else "'mle'"
    return f"unpack it with two stars, compare(**{{{first}: ...}})"
