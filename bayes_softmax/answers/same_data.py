"""Whether two fits are to the same observations."""

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import listed
from bayes_softmax.data.design import Label


def _forced(rows: Rows) -> NDArray[np.bool_]:
    """Rows (n,) in which one class is on offer."""
    if rows.available is None:
        return np.zeros(rows.n_rows, dtype=bool)
    alone: NDArray[np.bool_] = rows.available.sum(axis=1) == 1
    return alone


def difference_of(
    data: tuple[TrainingData, TrainingData], classes: tuple[Label, ...], others: tuple[Label, ...]
) -> str | None:
    """Description of the first observation that differs; the order of the classes does not matter."""
    a, b = data
    if set(classes) != set(others):
        return f"classes {listed(classes)} and {listed(others)}"
    if a.n_obs != b.n_obs:
        return f"{a.n_obs} and {b.n_obs} rows"
    labels = [np.asarray(observation_coordinate(t.index)) for t in (a, b)]
    moved = np.flatnonzero(labels[0] != labels[1])
    if moved.size:
        return f"row {moved[0]} is {labels[0][moved[0]]} in one and {labels[1][moved[0]]} in the other"
    order = [others.index(label) for label in classes]
    for own, other in zip(a.given_blocks(), b.given_blocks(), strict=True):
        row = labels[0][own.place]
        forced = np.flatnonzero(_forced(own.rows) != _forced(other.rows))
        if forced.size:
            return (
                f"in row {row[forced[0]]} one has a single class on offer (available=), so the row is not scored; "
                "give all models the same choice sets"
            )
        changed = np.flatnonzero((own.counts != other.counts[:, order]).any(axis=1))
        if changed.size:
            return f"row {row[changed[0]]} differs in response or weight"
    return None
