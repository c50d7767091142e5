"""Draws converted in batches, and their moments."""

import numpy as np
import pytest

from bayes_softmax.density.groups import drawn
from tests.density.test_groups_posterior import CASES, case


@pytest.mark.parametrize("name", ["crossed, in the border", "nested, level by level"])
def test_batches_equal_single_conversions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    density = case(**CASES[name]).density
    points = np.random.default_rng(0).normal(size=(5, density.dimension))
    monkeypatch.setattr(drawn, "BATCH_DOUBLES", 2 * density.layout.size)
    batches = list(drawn.in_batches(density, points))
    assert [(batch.first, len(batch.flat)) for batch in batches] == [(0, 2), (2, 2), (4, 1)]
    flat, hyper = (np.concatenate([batch[i] for batch in batches]) for i in (1, 2))
    for z, x, h in zip(points, flat, hyper, strict=True):
        expected = density.to_model(z)
        np.testing.assert_allclose(h, expected.hyper, rtol=1e-13)
        np.testing.assert_allclose(x, density.layout.flat(expected), rtol=1e-10, atol=1e-12)


def test_moments_over_batches() -> None:
    draws = 1e6 + np.random.default_rng(1).normal(size=(11, 3, 2))
    found = drawn.Moments.none((3, 2)).plus(draws[:4]).plus(draws[4:5]).plus(draws[5:])
    assert found.n_draws == 11
    np.testing.assert_allclose(found.mean, draws.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.sd, draws.std(axis=0, ddof=1), rtol=1e-9)
