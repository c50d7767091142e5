"""Normals of a dense precision and of layers: exact against matrices, and their draws against their covariance."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from bayes_softmax.core.records import LayerFactors
from bayes_softmax.inference import normals
from bayes_softmax.inference.normals import Normal, dense_normal, layered_normal

ORDER = np.random.default_rng(8).permutation(3 * 4 + 2 * 5)
ERROR_RATE, DRAWS = 1e-6, 4000


def spd(rng: np.random.Generator, size: int) -> np.ndarray:
    root = rng.normal(size=(size, size + 1))
    return root @ root.T


def factors() -> list[LayerFactors]:
    """Of layers of 3 outputs of 4 inputs, and of 2 of 5; one prior is no multiple of the identity, one partly flat."""
    rng = np.random.default_rng(7)
    one = LayerFactors(spd(rng, 4), spd(rng, 3), spd(rng, 4))
    return [one, LayerFactors(spd(rng, 5), spd(rng, 2), np.diag([0.0, 0.0, 1.0, 2.0, 1e-3]))]


def precision() -> np.ndarray:
    """The precision (d, d) of these layers in the order of the whole vector."""
    H = np.zeros((22, 22))
    start = 0
    for inputs, outputs, prior in factors():
        size = len(inputs) * len(outputs)
        at = ORDER[start : start + size]
        H[np.ix_(at, at)] = np.kron(outputs, inputs) + np.kron(np.eye(len(outputs)), prior)
        start += size
    return H


MAKERS: dict[str, Callable[[], Normal]] = {
    "dense": lambda: dense_normal(precision()),
    "layers": lambda: layered_normal(factors(), ORDER),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_products_with_the_factor_are_those_of_the_matrix(make) -> None:
    normal, covariance = make(), np.linalg.inv(precision())
    T = normal.coloured(np.eye(22)).T
    assert_allclose(T @ T.T, covariance, rtol=1e-8, atol=1e-10)
    assert_allclose(normal.log_determinant, 0.5 * np.linalg.slogdet(covariance)[1], rtol=1e-10)
    J = np.random.default_rng(1).normal(size=(6, 22))
    whitened = normal.whitened(J)
    assert_allclose(whitened @ whitened.T, J @ covariance @ J.T, rtol=1e-8)
    assert normal.dimension == 22
    assert normal.work > 22


def distance(normal: Normal) -> float:
    """p value of the draws' sums of squares, which are chi-squared if their precision is the right one."""
    z = np.random.default_rng(20).normal(size=(DRAWS, 22))
    x = normal.coloured(z)
    squares = np.einsum("sd,de,se->s", x, precision(), x)
    return float(stats.kstest(squares, "chi2", args=(22,)).pvalue)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_draws_have_the_precision(make) -> None:
    """One test in a million of correct code fails, for a seed drawn at random; this one is fixed."""
    assert distance(make()) > ERROR_RATE


def test_the_check_finds_a_planted_error(monkeypatch) -> None:
    """A layer's eigenvectors in the wrong place: the prior's part is mixed up."""

    def wrong(A, G, P):
        layer = normals_layer(A, G, P)
        return layer._replace(sd=layer.sd[:, ::-1])

    normals_layer = normals._layer
    monkeypatch.setattr(normals, "_layer", wrong)
    assert distance(layered_normal(factors(), ORDER)) < ERROR_RATE


def test_what_is_not_determined_is_refused() -> None:
    with pytest.raises(ValueError, match="not positive definite"):
        dense_normal(np.diag([1.0, 0.0]))
    flat = LayerFactors(np.diag([1.0, 0.0]), np.eye(2), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="not positive definite"):
        layered_normal([flat])
    unseen = LayerFactors(np.eye(2), np.diag([1.0, 0.0]), np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match="not positive definite"):
        layered_normal([unseen])
