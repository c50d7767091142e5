"""Division of the observations into folds: alike in their classes, and the same for every model of them.

The folds depend on the responses, weights and groups alone, never on the features: two models of the same observations
have the same folds under the same seed.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.row_labels import label_of_rows
from bayes_softmax.answers.training import TrainingData, cells_of
from bayes_softmax.core.checks import describe_rows, did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.groups.grouping import Grouping
from bayes_softmax.data.schema import Schema


class Parts(NamedTuple):
    """Observed classes (M,) of the rows as given: row, class, cell among those of all distinct rows, and number.

    They are in the order of the rows and, within a row, of :func:`canonical_ranks`.
    """

    rows: IntArray
    codes: IntArray
    cells: IntArray
    amounts: FloatArray

    def single(self) -> "Parts":
        """The same, each of them one observation; the numbers must be whole."""
        times = self.amounts.astype(np.int64)
        rows, codes, cells = (np.repeat(a, times) for a in self[:3])
        return Parts(rows, codes, cells, np.ones(len(rows)))


def canonical_ranks(training: TrainingData, n_classes: int) -> IntArray:
    """Ranks (K,) of the classes by their counts in the first row, then in the second, and so on.

    They depend on no label, and a weight of 2 ranks as the row twice.  Classes tie only if all their counts are equal.
    """
    rank = np.zeros(n_classes, dtype=np.int64)
    for block in training.given_blocks():
        order = np.lexsort(np.vstack([block.counts[::-1], rank]))  # the last key comes first
        sorted_rank, sorted_counts = rank[order], block.counts.T[order]
        differs = (np.diff(sorted_rank) > 0) | (sorted_counts[1:] != sorted_counts[:-1]).any(axis=1)
        rank[order] = np.concatenate([[0], np.cumsum(differs)])
        if differs.all():
            break
    return rank


def parts_of(training: TrainingData, ranks: IntArray) -> Parts:
    """Observed classes of the rows as given."""
    K, distinct = len(ranks), cells_of(training)
    keys, found = distinct.rows * K + distinct.codes, []
    for block in training.given_blocks():
        rows, codes, amounts = block.cells
        order = np.lexsort((ranks[codes], rows))
        rows, codes = rows[order] + block.first, codes[order]
        # Rows without an observation have no cell and do not occur here.
        cells = np.searchsorted(keys, training.row_map[rows] * K + codes)
        found.append(Parts(rows, codes, cells, amounts[order]))
    return Parts(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def read_units(training: TrainingData, schema: Schema, parts: Parts, groups: Any, by: str) -> tuple[IntArray, str]:
    """What is left out together: its number (M,) for each part, and what it is called."""
    if groups is not None:
        return _codes(_codes(group_labels(training, schema, groups))[parts.rows]), "group"
    if by == "row":
        return _codes(parts.rows), "row"
    return np.arange(len(parts.rows)), "observation"


def _codes(labels: Any) -> IntArray:
    """Number of each label, by first appearance."""
    codes: IntArray = pd.factorize(labels)[0].astype(np.int64)
    return codes


def group_labels(training: TrainingData, schema: Schema, groups: Any) -> pd.Series:
    """The label (N,) of each row as given: of a grouping, of a variable of the model, or as they are given."""
    grouping = next((g for g in schema.groups if g.name == groups), None) if isinstance(groups, str) else None
    if grouping is not None:
        column = pd.Series([*grouping.levels])[_codes_of(grouping, training)].reset_index(drop=True)
        return column.astype(pd.CategoricalDtype([*grouping.levels]))
    if isinstance(groups, str):
        known = dict.fromkeys([*(g.name for g in schema.groups), *training.variables])
        if groups not in known:
            raise ValueError(
                f"groups={shown(groups)} is not a variable of the model{did_you_mean(groups, known)} (variables: "
                f"{listed(known)}); or give a label a row, as in groups=data['person']"
            )
        column = training.column(groups)
    else:
        column = label_of_rows(groups, training, "groups").reset_index(drop=True)
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise ValueError(f"groups: the label is missing in {describe_rows(training.index, missing)}; give each row one")
    return column


def _codes_of(grouping: Grouping, training: TrainingData) -> IntArray:
    """Position of the level (N,) of each row as given."""
    columns = pd.DataFrame({name: training.column(name) for name in grouping.columns})
    return grouping.codes(columns)


def check_number(k: int, n_units: int, unit: str) -> None:
    """Raise unless there are from two folds to as many as there is to leave out."""
    if k < 2:
        raise ValueError(f"k={k} must be at least 2: with one fold nothing would be left to fit")
    if k > n_units:
        raise ValueError(f"k={k} must be at most {n_units}, the number of {unit}s")


def divide(
    units: IntArray, classes: IntArray, amounts: FloatArray, k: int, rng: np.random.Generator, *, stratify: bool
) -> IntArray:
    """Fold (M,) of each part, from its unit, class and number of observations; no fold is empty.

    Without stratification, units are dealt to the folds in random order.  With it they are dealt class by class, so
    that the sizes of the folds differ by one at most, and so do the numbers of each class in them; units of several
    classes go one by one where they make the folds most alike.
    """
    n, K = int(units.max()) + 1, int(classes.max()) + 1
    order, folds = rng.permutation(n), np.empty(n, dtype=np.int64)
    if stratify and n < len(units):
        table = np.bincount(units * K + classes, weights=amounts, minlength=n * K)
        folds[order] = _balanced(table.reshape(n, -1)[order], k)
    else:
        if stratify:
            of_unit = np.empty(n, dtype=np.int64)
            of_unit[units] = classes
            order = order[np.argsort(of_unit[order], kind="stable")]
        folds[order] = np.arange(n) % k
    return folds[units]


def _balanced(table: FloatArray, k: int) -> IntArray:
    """Folds (n,) of units with counts (n, K) of the classes, the units with most of a class first.

    Each goes where the sum over folds and classes of squared shares of the class, and of all observations, grows least.
    The rarest class weighs as much as the commonest, and a fold without observations comes first.
    """
    totals = table.sum(axis=0)
    shares = np.column_stack([table[:, totals > 0] / totals[totals > 0], table.sum(axis=1) / totals.sum()])
    held, folds = np.zeros((k, shares.shape[1])), np.empty(len(table), dtype=np.int64)
    for unit in np.argsort(-shares.max(axis=1), kind="stable"):
        fold = int(np.argmin(held @ shares[unit]))
        folds[unit] = fold
        held[fold] += shares[unit]
    return folds
