"""Whole numbers as labels: codes of classes, or a measured response that asks for another regression."""

import numpy as np

from bayes_softmax.data.design import Design

FEW_VALUES = 10  # up to as many distinct numbers are codes without question: digits, ratings, small examples
FEW_ROWS = 5  # a class with fewer rows tells little


def numeric_warning(design: Design) -> str | None:
    """The warning that a response looks measured; None where it does not, or where the classes were declared.

    It does if it has more than ten distinct whole numbers, of which at least half occur in fewer than five rows (and
    have less weight than that).  So neither a small example nor years with five rows each are doubted.
    """
    response = design.response
    if response.declared or response.codes is None or len(response.classes) <= FEW_VALUES:
        return None
    if not all(type(label) is int for label in response.classes):
        return None
    rows = np.bincount(response.codes, minlength=len(response.classes))
    rare = np.maximum(rows, design.class_counts()) < FEW_ROWS  # a row may stand for many by its weight
    if 2 * rare.sum() < len(rare):
        return None
    return (
        f"{response.name}: {len(response.classes)} distinct numbers in {design.n_obs} rows, each of which is a class "
        "without order. A measured response needs another regression; if these are codes, say so: classes=[...], "
        ".astype('category') or .astype(str)"
    )
