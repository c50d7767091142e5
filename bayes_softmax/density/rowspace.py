r"""More features than rows: the same posterior in as many coordinates as there are rows.

With Normal priors, weights :math:`w = S v` with prior sds ``S`` have standard normal ``v``, and the likelihood sees
``v`` only through its component in the row space of ``Z S``, of dimension ``r <= N < p``.  With ``R`` (p, r) an
orthonormal basis of that space and :math:`v = R u + v_\perp`,

* ``u`` is the coefficient vector of a regression on ``F = Z S R`` (N, r) under standard normal priors, and
* :math:`v_\perp` is independent of it and of the data: zero at the mode, a projected standard normal in a draw.

Nothing is approximated.  (The finite case of the representer theorem; Kimeldorf and Wahba, *J. Math. Anal. Appl.* 33,
1971.)
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import Coordinates, build_coordinates
from bayes_softmax.spec.design import Design, Standardisation
from bayes_softmax.spec.priors import Normal, PriorTable, known_scale

RANK_TOLERANCE = 1e-13  # of the largest eigenvalue of the rows' inner products


@dataclass(frozen=True, eq=False)
class RowSpace:
    """A model in row-space coordinates, and the way back.

    ``design``, ``coordinates`` and ``priors`` are of the reduced model; ``basis`` is ``R`` (p, r) and ``sd`` (p,) the
    prior's in standardised features.
    """

    design: Design
    coordinates: Coordinates
    priors: PriorTable
    basis: FloatArray
    sd: FloatArray

    def lift(self, thetas: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """Free vectors (S, d) of the full model; with ``rng`` the complement is drawn, without it is zero."""
        k_b, k_w = self.coordinates.n_free_intercept, self.coordinates.weights_contrast.shape[1]
        u = thetas[:, k_b:].reshape(-1, k_w, self.basis.shape[1])
        if rng is not None:
            v = rng.normal(size=(len(thetas), k_w, len(self.sd)))
            v += (u - v @ self.basis) @ self.basis.T
        else:
            v = u @ self.basis.T
        v *= self.sd
        return np.concatenate([thetas[:, :k_b], v.reshape(len(thetas), -1)], axis=1)


def row_space(design: Design, priors: PriorTable, coding: str) -> RowSpace | None:
    """Reduce a model with more features than rows; None where that is impossible or pointless."""
    families = [prior for prior in priors.weights if isinstance(prior, Normal)]
    # A prior on the intercept at x = 0 ties it to all weights.
    coupled = priors.intercept is not None and priors.intercept_at == "zero" and not priors.flat_intercept
    if design.n_features <= design.n_obs or len(families) < design.n_features or coupled:
        return None
    prior_scale = np.array([known_scale(prior) for prior in families])
    scaled = (design.X - design.standardisation.centre) * prior_scale  # Z S: the features' own scale cancels
    values, vectors = eigh(scaled @ scaled.T)
    kept = values > RANK_TOLERANCE * values[-1]
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    rank = len(roots)
    names = tuple(f"direction {j + 1}" for j in range(rank))
    unit = Standardisation(np.zeros(rank), np.ones(rank))
    features = np.ascontiguousarray(vectors * roots)
    return RowSpace(
        replace(design, X=features, feature_names=names, standardisation=unit),
        build_coordinates(
            coding,
            design.n_classes,
            *unit,
            has_intercept=design.has_intercept,
            flat_intercept=priors.flat_intercept,
        ),
        PriorTable((Normal(1.0),) * rank, priors.intercept, priors.intercept_at, priors.spherical, (False,) * rank),
        (scaled.T @ vectors) / roots,
        prior_scale * design.standardisation.scale,
    )
