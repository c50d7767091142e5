"""Whole numbers as labels: codes of classes, or a measured response that asks for another regression."""

import numpy as np

from bayes_softmax.core.records import IntArray
from bayes_softmax.data.rows_in_short import RowsInShort

FEW_VALUES = 10  # up to as many distinct numbers are codes without question: digits, ratings, small examples
FEW_ROWS = 5  # a class with fewer rows tells little


def numeric_warning(known: RowsInShort, class_rows: IntArray | None) -> str | None:
    """The warning that a response looks measured; None where it does not, or where the classes were declared.

    It does if it has more than ten distinct whole numbers, of which at least half occur in fewer than five rows (and
    have less weight than that).  So neither a small example nor years with five rows each are doubted.
    """
    response = known.response
    if response.declared or class_rows is None or len(response.classes) <= FEW_VALUES:
        return None
    if not all(type(label) is int for label in response.classes):
        return None
    rare = np.maximum(class_rows[0], known.class_counts()) < FEW_ROWS  # a row may stand for many by its weight
    if 2 * rare.sum() < len(rare):
        return None
    return (
        f"{response.name}: {len(response.classes)} distinct numbers in {known.n_obs} rows, each of which is a class "
        "without order. A measured response needs another regression; if these are codes, say so: classes=[...], "
        ".astype('category') or .astype(str)"
    )
