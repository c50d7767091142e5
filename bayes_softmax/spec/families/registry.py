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
from bayes_softmax.spec.families.flat import Flat, FlatFamily
from bayes_softmax.spec.families.laplace import Laplace, LaplaceFamily
from bayes_softmax.spec.families.normal import Normal, NormalFamily
from bayes_softmax.spec.families.student_t import StudentT, StudentTFamily

FAMILIES: list[type[Family]] = [NormalFamily, StudentTFamily, LaplaceFamily, FlatFamily]
FamilyPrior = Normal | StudentT | Laplace | Flat  # for type checkers: which priors are known is said above


def is_family(prior: object, **attributes: Any) -> bool:
    """Whether a prior is of one of the families, or of one with the given attributes."""
    return any(type(prior) is family.prior for family in _having(attributes))


def family_of(prior: FamilyPrior) -> type[Family]:
    """The family of a prior."""
    return next(family for family in FAMILIES if type(prior) is family.prior)


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
    return ", ".join(family.prior.__name__ for family in _having(attributes))


def _having(attributes: dict[str, Any]) -> list[type[Family]]:
    return [f for f in FAMILIES if all(getattr(f, name) == value for name, value in attributes.items())]
