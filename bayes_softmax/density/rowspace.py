r"""More features than rows: the same posterior, with at most as many features as rows.

With Normal priors, weights :math:`w = S v` with prior sds ``S`` have standard normal ``v``, and the likelihood depends
on ``v`` only through its component in the row space of ``Z S``, of dimension ``r <= N < p``.  With ``R`` (p, r) an
orthonormal basis of that space and :math:`v = R u + v_\perp`,

* ``u`` is the coefficient vector of a regression on ``F = Z S R`` (N, r) under standard normal priors, and
* :math:`v_\perp` is independent of it and of the data: zero at the mode, a projected standard normal in a draw.

With flat priors ``S`` is one over the features' sds, and :math:`v_\perp` is undetermined: no row depends on it.

Nothing is approximated, and no small direction is truncated: ``R`` is from a QR factorisation of ``(Z S)'`` with its
rows sorted and its columns pivoted, whose backward error is small *in each row* relative to that row (Cox and Higham,
1998, in *Numerical Analysis 1997*), so that a feature whose prior sd times sd is 1e-12 of another's keeps its digits.
Eigenvalues of ``Z S S Z'`` would not: their rounding error is relative to the largest, and squared.

(This is the finite case of the representer theorem; Kimeldorf and Wahba, *J. Math. Anal. Appl.* 33, 1971.)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Standardisation
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.spec.coding import Coordinates, build_coordinates, free_vectors
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.families.normal import Normal, NormalFamily
from bayes_softmax.spec.priors import PriorTable, repeated

# A direction along which one prior sd changes no logit by more than this is left to the prior.
NO_LOGIT = 1e-13
# Above this many logits per prior sd, the rounding error of a single projection would be visible in a draw's logits.
LARGE_LOGIT = 1e4


@dataclass(frozen=True, eq=False)
class RowSpace:
    """A model in row-space coordinates, and the map back to the full model.

    ``design``, ``coordinates`` and ``priors`` are of the reduced model; ``basis`` is ``R`` (p, r); ``sd`` (p,) holds
    the prior sds on standardised features.
    """

    design: Design
    coordinates: Coordinates
    priors: PriorTable
    basis: FloatArray
    sd: FloatArray

    def lift(self, thetas: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """Free vectors (S, d) of the full model; the complement is drawn with ``rng``, and is zero without it."""
        intercept, u = self.coordinates.split(thetas)
        v = (u / self.coordinates.scale) @ self.basis.T
        if rng is not None:
            v += self._complement(rng.normal(size=v.shape))
        v *= self.sd
        return free_vectors(intercept, v)

    def lifted_solver(
        self, coordinates: Coordinates, solve: Callable[[FloatArray], FloatArray]
    ) -> Callable[[FloatArray], FloatArray]:
        """Solver with the full Hessian, from ``solve`` with the reduced one and the prior's on the complement.

        ``coordinates`` are the full model's.
        """

        def lifted(gradient: FloatArray) -> FloatArray:
            intercept, weights = coordinates.split(gradient)
            pulled = weights * self.sd
            inside = pulled @ self.basis
            reduced = solve(free_vectors(intercept, inside / self.coordinates.scale))
            if self.coordinates.scale.max(initial=0.0) > LARGE_LOGIT:
                outside = free_vectors(np.zeros_like(intercept), self._complement(pulled) * self.sd)
                step: FloatArray = self.lift(reduced[None])[0] + outside
                return step
            # Equivalent, with one product instead of three.
            intercept, u = self.coordinates.split(reduced)
            return free_vectors(intercept, (pulled + (u / self.coordinates.scale - inside) @ self.basis.T) * self.sd)

        return lifted

    def variances(self, coordinates: Coordinates, covariance: FloatArray) -> FloatArray:
        """Covariance (q, K, K) of the classes' raw coefficients in each coefficient row, intercept first.

        ``coordinates`` are the full model's, ``covariance`` (d, d) that of the reduced free vector.
        """
        k_b, C = self.coordinates.n_free_intercept, coordinates.weights_contrast
        r, (K, k_w) = self.basis.shape[1], C.shape
        unit = free_vectors(np.ones(k_b), np.tile(self.coordinates.scale, (k_w, 1)))
        S = covariance / unit / unit[:, None]
        of_weights = self.coordinates.split(np.arange(len(S)))[1].ravel()
        inside = S[np.ix_(of_weights, of_weights)].reshape(k_w, r, k_w, r)
        blocks = np.empty((self.basis.shape[0], k_w, k_w))
        for c in range(k_w):
            for e in range(k_w):
                blocks[:, c, e] = ((self.basis @ inside[c, :, e]) * self.basis).sum(axis=1)
        blocks += self._outside()[:, None, None] * np.eye(k_w)
        blocks *= (self.sd / coordinates.scale)[:, None, None] ** 2
        of_intercept = np.zeros((K, K))
        if k_b:
            moved = self.sd * coordinates.centre / coordinates.scale
            J = free_vectors(coordinates.intercept_contrast, -C[:, :, None] * (moved @ self.basis))
            of_intercept = J @ S @ J.T + C @ C.T * float((self._complement(moved) ** 2).sum())
            onto = coordinates.intercept_contrast @ np.linalg.pinv(coordinates.intercept_contrast)
            of_intercept = onto @ of_intercept @ onto.T
        return np.concatenate([of_intercept[None], C @ blocks @ C.T])

    def _outside(self) -> FloatArray:
        """Squared lengths (p,) of the unit vectors' components outside the row space."""
        out = 1.0 - (self.basis**2).sum(axis=1)
        # Small differences are rounding error; since the squares sum to r, few are small.
        for j in np.flatnonzero(out < 0.5).tolist():
            unit = np.zeros(len(out))
            unit[j] = 1.0
            out[j] = (self._complement(unit) ** 2).sum()
        return out

    def _complement(self, v: FloatArray) -> FloatArray:
        """The component of ``v`` (..., p) outside the row space."""
        out = v - (v @ self.basis) @ self.basis.T
        if self.coordinates.scale.max(initial=0.0) > LARGE_LOGIT:
            out -= (out @ self.basis) @ self.basis.T
        return out


def row_space(design: Design, priors: PriorTable, coding: str) -> RowSpace | None:
    """Reduce a model with more features than rows; None if that is impossible or pointless."""
    flat = bool(priors.flat_features.all())
    normal = bool((priors.features.family == registry.code_of(NormalFamily)).all())
    # A prior on the intercept at x = 0 ties it to all weights.
    coupled = priors.intercept is not None and priors.intercept_at == "zero" and not priors.flat_intercept
    if design.n_features <= design.n_obs or not (flat or normal) or coupled:
        return None
    prior_scale = 1.0 / design.standardisation.scale if flat else priors.features.scale
    # Z S: the features' own scales cancel.
    basis, features = _factorise((design.X - design.standardisation.centre) * prior_scale)
    rank = features.shape[1]
    names = tuple(f"direction {j + 1}" for j in range(rank))
    # Directions differ in scale as much as features do: solver and certificate need them standardised too.
    size = np.sqrt((features**2).mean(axis=0))
    standardisation = Standardisation(np.zeros(rank), np.where(size > 0, size, 1.0))
    return RowSpace(
        replace(design, features=DenseFeatures(features), feature_names=names, standardisation=standardisation),
        build_coordinates(
            coding,
            design.n_classes,
            *standardisation,
            has_intercept=design.has_intercept,
            flat_intercept=priors.flat_intercept,
        ),
        PriorTable(
            repeated(Flat() if flat else Normal(1.0), rank),
            priors.intercept,
            priors.intercept_at,
            priors.spherical,
            np.zeros(rank, dtype=np.bool_),
        ),
        basis,
        prior_scale * design.standardisation.scale,
    )


def _factorise(scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Orthonormal ``R`` (p, r) and ``F`` (N, r) with ``scaled = F R'`` (N, p)."""
    order = np.argsort(-np.abs(scaled).max(axis=0), kind="stable")
    sorted_basis, triangle, pivots = qr(
        scaled.T[order], mode="economic", pivoting=True, overwrite_a=True, check_finite=False
    )
    basis, features = np.empty_like(sorted_basis), np.empty(triangle.shape[::-1])
    basis[order], features[pivots] = sorted_basis, triangle.T
    felt = np.abs(features).max(axis=0) > NO_LOGIT
    felt[0] = True
    return np.ascontiguousarray(basis[:, felt]), np.ascontiguousarray(features[:, felt])
