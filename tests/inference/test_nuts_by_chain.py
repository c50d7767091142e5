"""NUTS with a density for each chain: each chain samples its own, errors stop all of them."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from bayes_softmax.inference.nuts_by_chain import nuts_by_chain

SETTINGS = {"tune": 100, "cores": 2, "seed": 3, "target_accept": 0.8, "progressbar": False}


class Normal(NamedTuple):
    """Independent normals of one mean, which raise an error after some evaluations."""

    mean: float
    dimension: int = 3
    left: Iterator[int] = itertools.repeat(1)

    def value_gradient(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        if not next(self.left):
            raise RuntimeError("this density is broken")
        return -0.5 * float(np.square(z - self.mean).sum()), self.mean - z

    def callbacks(self) -> None:
        return None


def test_each_chain_samples_its_own_density_from_its_own_start() -> None:
    """Means of 400 draws within 6 standard errors (0.4 with an ESS above 225): a false alarm below 1e-7."""
    densities = [Normal(0.0), Normal(50.0), Normal(-7.0)]
    starts = np.array([[density.mean + 1.0] * 3 for density in densities])
    drawn, kept = nuts_by_chain(densities, starts, draws=400, **SETTINGS)
    assert drawn.points.shape == (3, 400, 3)
    assert_array_equal(kept, [0, 1, 2])
    assert np.abs(drawn.points.mean(axis=1) - (starts - 1.0)).max() < 0.4
    assert drawn.stats["n_steps"].shape == (3, 400)


def test_chains_do_not_depend_on_each_other_or_on_the_cores() -> None:
    all_three, _ = nuts_by_chain([Normal(0.0)] * 3, np.ones((3, 3)), draws=30, **SETTINGS)
    alone, _ = nuts_by_chain([Normal(0.0)], np.ones((1, 3)), draws=30, **SETTINGS | {"cores": 1})
    one, _ = nuts_by_chain([Normal(0.0)] * 3, np.ones((3, 3)), draws=30, **SETTINGS | {"cores": None})
    assert_array_equal(alone.points[0], all_three.points[0])
    assert_array_equal(one.points, all_three.points)
    assert len(np.unique(all_three.points[:, -1, 0])) == 3


def test_an_error_in_one_chain_ends_all_and_is_raised() -> None:
    breaks = iter([1] * 300 + [0] * 10**6)
    with pytest.raises(BaseException, match="this density is broken"):  # nutpie panics
        nuts_by_chain([Normal(0.0), Normal(0.0, left=breaks)], np.ones((2, 3)), draws=200_000, **SETTINGS)


def test_a_start_without_density_is_explained() -> None:
    with pytest.raises(ValueError, match="sampling cannot start: the log posterior is not finite around its mode"):
        nuts_by_chain([Normal(0.0), Normal(np.nan)], np.ones((2, 3)), draws=200_000, **SETTINGS)
