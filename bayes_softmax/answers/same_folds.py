"""Results of cross-validation that can be compared: of the same observations, in the same folds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes_softmax.core.checks import shown

ADVICE = "give every kfold() the same k, by, groups, stratify and random_seed"


def kfold_results(given: Mapping[Any, object]) -> dict[str, Any]:
    """The results of ``kfold()`` by name, checked; empty if none is given.

    Raises
    ------
    TypeError, ValueError
        If other things are among them, or their observations or folds differ.
    """
    from arviz_stats.utils import ELPDDataLOOKFold

    found: dict[str, Any] = {str(name): r for name, r in given.items() if isinstance(r, ELPDDataLOOKFold)}
    if not found:
        return {}
    first_name, first = next(iter(found.items()))
    for name, other in given.items():
        if not isinstance(other, ELPDDataLOOKFold):
            raise TypeError(
                f"posteriors[{shown(name)}] is of type {type(other).__name__}, and {shown(first_name)} is a result of "
                "kfold(): compare results of kfold() alone, or posteriors, which are compared by leave-one-out"
            )
    for name, result in found.items():
        _check_complete(name, result)
        difference = _difference(result.elpd_i, first.elpd_i)
        if difference is not None:
            raise ValueError(f"{shown(name)} and {shown(first_name)} {difference}")
    return found


def _check_complete(name: str, result: Any) -> None:
    """Raise for a result without pointwise values or folds, or with values that are not finite."""
    values = result.elpd_i
    if values is None or not {"obs", "fold"} <= set(values.coords):
        raise ValueError(f"posteriors[{shown(name)}] does not say which rows were in which fold; use fit.kfold()")
    lost = int((~np.isfinite(values.values)).sum())
    if lost:
        raise ValueError(
            f"posteriors[{shown(name)}]: elpd is {result.elpd:g}, as {lost} of {values.size} observations have no "
            "finite score; a model with proper priors can be compared"
        )


def _difference(own: Any, other: Any) -> str | None:
    """How two results differ in what was observed or left out together, in words; None if they do not."""
    if own.size != other.size or own.dims != other.dims:
        return f"have scores of {own.size} and {other.size} observations: fit to the same rows, and {ADVICE}"
    for coordinate, described in (
        ("obs", "are of different observations: entry {at} is row {a} in one and row {b} in the other"),
        ("category", "are of different observations: row {row} is {a} in one and {b} in the other"),
        ("fold", "have different folds: row {row} is in fold {a} of one and in fold {b} of the other; " + ADVICE),
    ):
        if (coordinate in own.coords) != (coordinate in other.coords):
            return f"differ in by=, 'observation' and 'row': {ADVICE}"
        if coordinate in own.coords:
            a, b = own[coordinate].values, other[coordinate].values
            where = np.flatnonzero(a != b) if a.dtype.kind == b.dtype.kind else np.arange(1)
            if where.size:
                at = int(where[0])
                row = shown(own["obs"].values[at])
                return described.format(at=at, row=row, a=shown(a[at]), b=shown(b[at]))
    return None
