"""Shared data sets: small, seeded, with classes that overlap unless the name says otherwise."""

import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from tests.inside import changed

# Files of few and slow tests, which go first: a worker that meets one at the end works on it alone.
SLOW = ("core/test_compiling.py", "fitting/test_scales.py", "notebooks/test_notebooks.py", "hostile/test_hostile.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first; within them and among the others the order stays."""
    items.sort(key=lambda item: not str(item.path).endswith(SLOW))


def simulate(n_obs: int, n_features: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, p) and codes (N,) drawn from a softmax regression with moderate weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_obs, n_features))
    logits = X @ rng.normal(size=(n_features, n_classes)) * 0.7 + rng.normal(size=n_classes) * 0.3
    return X, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.fixture(scope="session")
def penguins() -> pd.DataFrame:
    """The complete rows of the Palmer penguins, numbered anew."""
    return bs.datasets.load_penguins().dropna().reset_index(drop=True)


@pytest.fixture(scope="session")
def overlapping(penguins: pd.DataFrame) -> bs.SoftmaxRegression:
    """A penguins model whose maximum-likelihood estimate exists."""
    return bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)


@pytest.fixture(scope="session")
def drawn(overlapping: bs.SoftmaxRegression) -> bs.Posterior:
    """Draws from that model, made once."""
    return overlapping.sample(draws=500, chains=4, random_seed=1, progressbar=False)


@pytest.fixture
def posterior(drawn: bs.Posterior) -> bs.Posterior:
    """These draws, in a tree that a test may add groups to."""
    return changed(drawn, idata=drawn.idata.copy())


@pytest.fixture(autouse=True)
def _closed_pictures() -> Iterator[None]:
    """Figures stay open in pyplot, which warns of more than twenty: each test leaves none."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
