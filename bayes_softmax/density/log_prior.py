"""The compiled log prior: value and gradient, one coefficient row after the other.

A row's code is twice its family's position in :data:`bayes_softmax.spec.families.registry.FAMILIES`, plus one if the
family is element-wise.  The families' ``phi`` and ``slope`` are bound when this module is imported; an unknown code
makes the density NaN.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import IntArray
from bayes_softmax.density.linear import intercept_at, weights_at
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.flat import FlatFamily
from bayes_softmax.spec.families.normal import NormalFamily

FLAT, NORMAL = 2 * registry.code_of(FlatFamily), 2 * registry.code_of(NormalFamily)

_inlined: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}
# Compiled code that contains the log prior is cached on disk under a digest of the package's sources; it is not cached
# if a family is defined outside the package, which the digest does not cover.
KEPT = {"cache": all(family.__module__.startswith("bayes_softmax.") for family in registry.FAMILIES)}


def codes_of(family: IntArray, *, spherical: bool) -> IntArray:
    """Codes of rows from the positions of their families; the spherical code where both forms coincide."""
    elementwise = ~registry.that_are(family, "quadratic") & (not spherical)
    codes: IntArray = 2 * family + elementwise
    return codes


def split_code(code: Any) -> tuple[Any, Any]:
    """Position of the family of a code, or of each of an array, and whether it is element-wise."""
    return code // 2, code % 2 == 1


_split_code = nb.njit(**_inlined)(split_code)


@nb.njit(**_inlined)
def _unknown(position, r, k, df):  # type: ignore[no-untyped-def]
    return np.nan


def _or_else(known: int, function: Callable[..., Any], rest: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled ``function(r, k, df)`` at the position ``known``, else ``rest``."""
    compiled = nb.njit(**_inlined)(function)

    @nb.njit(**_inlined)
    def chosen(position, r, k, df):  # type: ignore[no-untyped-def]
        return compiled(r, k, df) if position == known else rest(position, r, k, df)

    return chosen  # type: ignore[no-any-return]


def _of_all_families(name: str) -> Callable[..., Any]:
    """A compiled function of ``(position, r, k, df)`` that calls the family at the position; NaN if there is none."""
    function: Callable[..., Any] = _unknown
    for known, family in reversed(list(enumerate(registry.FAMILIES))):
        function = _or_else(known, getattr(family, name), function)
    return function


_phi, _slope = _of_all_families("phi"), _of_all_families("slope")


@nb.njit(**_inlined | KEPT)
def log_prior_gradient(data, theta, gradient):  # type: ignore[no-untyped-def]
    """Log prior up to its constant; *adds* its gradient to ``gradient`` (d,)."""
    k_b, k_w, p = data.Cb.shape[1], data.Cw.shape[1], data.centre.shape[0]
    first, g, value = min(k_b, 1), np.empty(max(k_b, k_w)), 0.0
    for row in range(data.family.shape[0]):
        code = data.family[row]
        if code == FLAT:
            continue
        family, elementwise = _split_code(code)
        inverse, df = 1.0 / data.scale[row] ** 2, data.df[row]
        is_intercept, j = row < first, row - first
        k = k_b if is_intercept else k_w
        squares = 0.0
        for c in range(k):
            if is_intercept:
                g[c] = theta[intercept_at(c, p, k_b)]
                weights = theta[weights_at(c, p, k_b) :]
                for i in range(p):
                    g[c] -= data.centre[i] * weights[i]
            else:
                g[c] = theta[weights_at(c, p, k_b) + j]
            squares += g[c] * g[c]
        factor = 0.0
        if not elementwise:
            value -= _phi(family, squares * inverse, k, df)
            factor = 2.0 * _slope(family, squares * inverse, k, df) * inverse
        for c in range(k):
            if elementwise:
                r = g[c] * g[c] * inverse
                value -= _phi(family, r, 1, df)
                factor = 2.0 * _slope(family, r, 1, df) * inverse
            slope = factor * g[c]
            if is_intercept:
                gradient[intercept_at(c, p, k_b)] -= slope
                weights = gradient[weights_at(c, p, k_b) :]
                for i in range(p):
                    weights[i] += data.centre[i] * slope
            else:
                gradient[weights_at(c, p, k_b) + j] -= slope
    return value
