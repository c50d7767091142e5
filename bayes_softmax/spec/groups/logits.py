r"""Logits with group-level effects: :math:`\eta_i = b + x_i W + \sum_g z_{ig} U_g[l_{ig}]`.

A row is given by its features, then for each grouping the code of its level and its terms but the intercept.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.core.parameters import Parameters, Shapes
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.groups.grouping import parts_of
from bayes_softmax.spec.groups.structure import covariance_name
from bayes_softmax.spec.linear import GROUPS, LinearLogits


@dataclass(frozen=True)
class GroupShape:
    """Sizes of a grouping: levels, and terms with and without an intercept."""

    name: str
    n_levels: int
    n_slopes: int
    has_intercept: bool

    def __post_init__(self) -> None:
        """Sizes may come from a file."""
        whole = all(type(n) is int and n >= 0 for n in (self.n_levels, self.n_slopes))
        sound = whole and self.n_levels and {type(self.name), type(self.has_intercept)} == {str, bool}
        if not (sound and self.n_terms):
            raise ValueError(f"the sizes of the grouping {shown(self.name)} are impossible")

    @property
    def n_terms(self) -> int:
        """q."""
        return self.n_slopes + self.has_intercept


@dataclass(frozen=True)
class GroupLogits:
    """A linear function of the features, plus effects of the levels of each grouping.

    Parameters are ``intercept`` (K,), ``weights`` (p, K) and for each grouping its effects (G, q, K) and their
    covariance (q, K, q, K), on which the logits do not depend: new levels are drawn from it.
    """

    n_features: int
    n_classes: int
    groups: tuple[GroupShape, ...]

    def __post_init__(self) -> None:
        """The description of a file has groupings as mappings."""
        given: tuple[Any, ...] = self.groups
        shapes = tuple(g if isinstance(g, GroupShape) else GroupShape(**g) for g in given)
        object.__setattr__(self, "groups", shapes)
        _ = self.linear  # checks the sizes

    @cached_property
    def linear(self) -> LinearLogits:
        """The part without effects."""
        return LinearLogits(self.n_features, self.n_classes)

    @property
    def kind(self) -> str:
        """``"groups"``."""
        return GROUPS

    @property
    def shapes(self) -> Shapes:
        """Those of the linear part, then effects and covariance of each grouping."""
        found, K = dict(self.linear.shapes), self.n_classes
        for g in self.groups:
            found[g.name] = (g.n_levels, g.n_terms, K)
            found[covariance_name(g.name)] = (g.n_terms, K, g.n_terms, K)
        return found

    @property
    def dims(self) -> Mapping[str, tuple[str, ...]]:
        """Levels, terms and categories; the second ones of a covariance with ``_other``."""
        found = dict(self.linear.dims)
        for g in self.groups:
            term = f"{g.name}_term"
            found[g.name] = (f"{g.name}_level", term, "category")
            found[covariance_name(g.name)] = (term, "category", f"{term}_other", "category_other")
        return found

    @property
    def is_linear(self) -> bool:
        """Whether no feature has an effect that varies over levels."""
        return not any(g.n_slopes for g in self.groups)

    @property
    def compiled(self) -> str:
        """``"groups"``."""
        return GROUPS

    def with_levels(self, n_levels: Mapping[str, int]) -> "GroupLogits":
        """The same function of other levels, so many of each grouping."""
        return replace(self, groups=tuple(replace(g, n_levels=n_levels[g.name]) for g in self.groups))

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        """``b + xW`` plus the effects of each row's levels, for all draws."""
        linear, effects = self.linear.at(parameters), [self._by_class(parameters[g.name]) for g in self.groups]

        def logits(X: FloatArray) -> FloatArray:
            L = linear(np.ascontiguousarray(X[:, : self.n_features]))
            for (_, codes, terms), own in zip(self.parts(X), effects, strict=True):
                _add(L, codes, terms, own)
            return L

        return logits

    def _by_class(self, effects: FloatArray) -> FloatArray:
        """Effects (q, K, G, S) of (S, G, q, K)."""
        return np.ascontiguousarray(effects.transpose(2, 3, 1, 0))

    def parts(self, X: FloatArray) -> Iterator[tuple[GroupShape, IntArray, FloatArray]]:
        """Each grouping with codes (n,) and terms (n, q) of the rows."""
        return parts_of(self.groups, X[:, self.n_features :])

    def terms(self, X: FloatArray) -> dict[str, FloatArray]:
        """Terms (n, q) of each grouping in rows (n, p + c)."""
        return {g.name: terms for g, _, terms in self.parts(X)}

    def bounds(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """Those of the linear part, plus the largest effects of any level."""
        bounds = self.linear.bounds(parameters, X[:, : self.n_features])
        for g, _, terms in self.parts(X):
            values = parameters[g.name]
            largest = np.maximum(values.max(axis=(0, 1)), -values.min(axis=(0, 1)))
            bounds = bounds + (np.abs(terms) @ largest).max(axis=1)
        return bounds

    def covariance(self, parameters: Parameters, X: FloatArray, covariance: FloatArray) -> FloatArray:
        """``J V J'`` of each row, whose Jacobian has few columns that are not zero."""
        K, places = self.n_classes, self._places()
        result = np.zeros((len(X), K, K))
        classes = np.arange(K)
        for i, row in enumerate(X):
            at, factors = self._coordinates(row, places)
            where = (at[:, None] + classes).ravel()
            V = covariance[np.ix_(where, where)].reshape(len(at), K, len(at), K)
            result[i] = np.einsum("s,skte,t->ke", factors, V, factors)
        return result

    def _places(self) -> dict[str, int]:
        """Where each parameter begins in the flat order."""
        sizes = {name: int(np.prod(shape)) for name, shape in self.shapes.items()}
        starts = np.cumsum([0, *sizes.values()])[:-1].tolist()
        return dict(zip(sizes, starts, strict=True))

    def _coordinates(self, row: FloatArray, places: Mapping[str, int]) -> tuple[IntArray, FloatArray]:
        """Starts of the K coefficients of each input of one row, and the inputs."""
        K, p = self.n_classes, self.n_features
        at, factors = [np.arange(1 + p) * K], [np.concatenate([[1.0], row[:p]])]
        for g, codes, terms in self.parts(row[None]):
            at.append(places[g.name] + (int(codes[0]) * g.n_terms + np.arange(g.n_terms)) * K)
            factors.append(terms[0])
        return np.concatenate(at), np.concatenate(factors)

    def pull_back(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """``sum_n x_n B_n``, and the same of each level's rows."""
        parts = [self.linear.pull_back(parameters, X[:, : self.n_features], derivatives)]
        for g, codes, terms in self.parts(X):
            parts += self._pulled(g, codes, terms, derivatives)
        return np.concatenate(parts, axis=1)

    def _pulled(self, g: GroupShape, codes: IntArray, terms: FloatArray, derivatives: FloatArray) -> list[FloatArray]:
        """Derivatives (m, G q K) in effects, and zeros (m, (q K)^2) in their covariance."""
        (_, m, K), q = derivatives.shape, g.n_terms
        into = np.zeros((g.n_levels, q, m, K))
        np.add.at(into, codes, terms[:, :, None, None] * derivatives[:, None])
        return [into.transpose(2, 0, 1, 3).reshape(m, -1), np.zeros((m, (q * K) ** 2))]

    def slope(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """``change W``, and the change of each level's terms."""
        p = self.n_features
        slope = self.linear.slope(parameters, X[:, :p], change[:, :p])
        if self.is_linear:
            return slope
        slope = np.broadcast_to(slope, (len(slope), len(X), slope.shape[2])).copy()
        for g, codes, terms in self._changes(X, change):
            _add(slope, codes, terms, self._by_class(parameters[g.name]))
        return slope

    def _changes(self, X: FloatArray, change: FloatArray) -> Iterator[tuple[GroupShape, IntArray, FloatArray]]:
        """Each grouping with codes (n,) and changes (n, q) of the terms, of which an intercept has none."""
        changes = [terms for _, _, terms in self.parts(change)]
        for (g, codes, _), terms in zip(self.parts(X), changes, strict=True):
            moved = terms.copy()
            if g.has_intercept:
                moved[:, 0] = 0.0
            yield g, codes, np.broadcast_to(moved, (len(X), g.n_terms))

    def pull_back_slope(
        self, parameters: Parameters, X: FloatArray, change: FloatArray, derivatives: FloatArray
    ) -> FloatArray:
        """``sum_n change_n B_n``, and the same of each level's rows."""
        p = self.n_features
        parts = [self.linear.pull_back_slope(parameters, X[:, :p], change[:, :p], derivatives)]
        for g, codes, terms in self._changes(X, change):
            parts += self._pulled(g, codes, terms, derivatives)
        return np.concatenate(parts, axis=1)

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        """The same in PyTensor; ``X`` holds the groupings' columns after the features."""
        from pytensor.tensor import cast

        p = at = self.n_features
        logits = self.linear.expression(X[:, :p], variables)
        for g in self.groups:
            codes, own = cast(X[:, at], "int64"), variables[g.name]
            if g.has_intercept:
                logits = logits + own[codes, 0]
            for slope in range(g.n_slopes):
                logits = logits + X[:, at + 1 + slope, None] * own[codes, slope + g.has_intercept]
            at += 1 + g.n_slopes
        return logits

    def to_data(self) -> dict[str, Any]:
        """Its sizes."""
        return {**self.linear.to_data(), "groups": [asdict(g) for g in self.groups]}


def _add(L: FloatArray, codes: IntArray, terms: FloatArray, effects: FloatArray) -> None:
    """Add effects (q, K, G, S) of the levels of rows, times their terms (n, q), to ``L`` (K, n, S)."""
    for term, own in zip(terms.T, effects, strict=True):
        constant = bool((term == 1.0).all())
        for logits, of_class in zip(L, own, strict=True):
            added = of_class[codes]
            if not constant:
                added *= term[:, None]
            logits += added


def group_shapes(groups: Any) -> tuple[GroupShape, ...]:
    """Sizes of the groupings of a schema."""
    return tuple(GroupShape(g.name, g.n_levels, g.n_slopes, g.has_intercept) for g in groups)
