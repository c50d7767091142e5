"""Codings and the linear maps between free, engine and raw coordinates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from bayes_softmax.spec.coding import CODINGS, build_coordinates, contrast_matrix, free_vectors


def centred(logits: np.ndarray) -> np.ndarray:
    """The same logits (..., K) with rows that sum to zero: equal for equal probabilities."""
    return logits - logits.mean(axis=-1, keepdims=True)


@given(st.integers(2, 12))
def test_zero_sum_contrast_is_an_orthonormal_basis(n_classes: int) -> None:
    C = contrast_matrix("zero-sum", n_classes)
    assert_allclose(C.T @ C, np.eye(n_classes - 1), atol=1e-14)
    assert_allclose(C.sum(axis=0), 0, atol=1e-14)
    assert (np.diag(C, -1) > 0).all()  # signs are part of what a seed draws


def test_reference_fixes_the_first_class() -> None:
    assert_allclose(contrast_matrix("reference", 3), [[0, 0], [1, 0], [0, 1]])


def test_unknown_coding_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="coding='sum' is not known; use one of 'zero-sum', 'reference', 'full'"):
        contrast_matrix("sum", 3)


@settings(max_examples=40, derandomize=True)
@given(
    st.sampled_from(CODINGS),
    st.integers(2, 5),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_free_and_raw_coordinates_are_inverse(
    coding: str, K: int, p: int, has_intercept: bool, flat: bool, seed: int
) -> None:
    if p == 0 and not has_intercept:
        return
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-6, 6, size=p)
    # Means up to about 30 sds from zero: the raw intercept loses mean/sd roundings whoever computes it.
    centre = 10 * scale * rng.normal(size=p) if has_intercept else np.zeros(p)
    coordinates = build_coordinates(coding, K, centre, scale, has_intercept=has_intercept, flat_intercept=flat)
    thetas = rng.normal(size=(3, coordinates.dimension))
    intercept, weights = coordinates.to_raw(thetas)
    again = [coordinates.from_raw(b, W) for b, W in zip(intercept, weights, strict=True)]
    assert_allclose(again, thetas, rtol=1e-9, atol=1e-9)
    # Logits agree, up to a constant per row, whichever coordinates they are computed in.
    X = centre + scale * rng.normal(size=(6, p))
    Z = np.column_stack([np.ones(6), (X - centre) / scale])[:, 0 if has_intercept else 1 :]
    for b, W, V in zip(intercept, weights, coordinates.to_engine(thetas), strict=True):
        assert_allclose(centred(b + X @ W), centred(Z @ V.T), rtol=1e-8, atol=1e-8)
    stacked = np.concatenate([intercept[:, None], weights], axis=1).reshape(3, -1)
    assert_allclose(thetas @ coordinates.raw_map.T, stacked, rtol=1e-12, atol=1e-12 * np.abs(stacked).max())


@pytest.mark.parametrize("p", [0, 1, 3])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("has_intercept", [True, False])
@pytest.mark.parametrize("coding", CODINGS)
def test_free_vectors_go_column_by_column_with_the_intercept_first(
    coding: str, has_intercept: bool, flat: bool, p: int
) -> None:
    c = build_coordinates(coding, 4, np.zeros(p), np.ones(p), has_intercept=has_intercept, flat_intercept=flat)
    k_b, k_w = c.n_free_intercept, c.weights_contrast.shape[1]
    thetas = np.arange(2.0 * c.dimension).reshape(2, c.dimension)
    intercept, weights = c.split(thetas)
    assert intercept.shape == (2, k_b)
    assert weights.shape == (2, k_w, p)
    columns = [[f"intercept {i}"] * (i < k_b) + [f"weight {i} {j}" for j in range(p)] for i in range(k_w)]
    names = [name for column in columns for name in column]
    for i, column in enumerate(columns):
        assert names[i * p + min(i, k_b) :][: len(column)] == column
    for j, name in enumerate(names):
        kind, *place = name.split()
        found = intercept[0] if kind == "intercept" else weights[0]
        assert found[tuple(map(int, place))] == j
    assert_array_equal(free_vectors(intercept, weights), thetas)
    assert c.is_matrix == (k_b in (0, k_w)) == (not (coding == "full" and flat and has_intercept))
    if c.is_matrix and p:
        assert np.shares_memory(weights, thetas)
    assert c.split(thetas > 3)[1].dtype == bool


@pytest.mark.parametrize("coding", CODINGS)
def test_pull_back_is_the_transpose_of_to_engine(coding: str) -> None:
    rng = np.random.default_rng(0)
    c = build_coordinates(coding, 4, np.zeros(3), np.ones(3), has_intercept=True, flat_intercept=True)
    theta, G = rng.normal(size=c.dimension), rng.normal(size=(4, 4))
    assert_allclose(c.pull_back(G) @ theta, (G * c.to_engine(theta[None])[0]).sum(), rtol=1e-12)
    J = np.array([c.to_engine(e[None])[0].ravel() for e in np.eye(c.dimension)]).T
    H = rng.normal(size=(16, 16))
    H = H + H.T
    assert_allclose(c.pull_back_matrix(H.reshape(4, 4, 4, 4)), J.T @ H @ J, rtol=1e-11, atol=1e-11)
