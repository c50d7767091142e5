"""The families that priors may be of, and their attributes looked up for many coefficient rows at once.

A family's position here is what prior tables hold (``spec.priors.LEARNED``, -1, where a scale is learned); the
kernel's codes are made of it, one for each form (:func:`bayes_softmax.density.log_prior.codes_of`).  One more class in
:data:`FAMILIES` is one more family; the kernel is compiled with those that are there when it is first imported.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import IntArray
from bayes_softmax.spec.families.family import Family
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.families.laplace import Laplace
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.families.student_t import StudentT

FAMILIES: list[type[Family]] = [Normal, StudentT, Laplace, Flat]


def is_family(prior: object) -> bool:
    """Whether a prior is of one of the families."""
    return type(prior) in FAMILIES


def code_of(family: type[Family]) -> int:
    """Position of a family, its code in prior tables."""
    return FAMILIES.index(family)


def family_at(position: int) -> type[Family]:
    """The family at a position; an unknown one is an error, never another family."""
    if not 0 <= position < len(FAMILIES):
        raise ValueError(f"{position} is the code of no prior family; there are {len(FAMILIES)}")
    return FAMILIES[position]


def each(codes: IntArray) -> list[tuple[type[Family], NDArray[np.bool_]]]:
    """The families that occur among some codes, with the mask of their rows."""
    if len(codes) and (codes == codes[0]).all():  # as nearly always
        return [(family_at(int(codes[0])), np.ones(len(codes), dtype=np.bool_))]
    return [(family_at(code), codes == code) for code in np.unique(codes).tolist()]


def that_are(codes: IntArray, attribute: str) -> NDArray[np.bool_]:
    """Which rows have a family with an attribute, as ``"log_concave"``."""
    found = np.zeros(len(codes), dtype=np.bool_)
    for family, rows in each(codes):
        found[rows] = getattr(family, attribute)
    return found


def names(**attributes: Any) -> str:
    """Names of the families with the given attributes, for messages."""
    having = [f for f in FAMILIES if all(getattr(f, name) == value for name, value in attributes.items())]
    return ", ".join(family.__name__ for family in having)
