"""``random_seed`` and ``rng`` are two names of one argument, everywhere."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import bayes_softmax as bs
from bayes_softmax.core.randomness import generator_of, seed_of
from tests.conftest import simulate

mpl.use("Agg")
MODEL = bs.SoftmaxRegression(*simulate(60, 2, 3))
DRAWS = MODEL.laplace(400, random_seed=1, progressbar=False)


def pixels(drawn: Any) -> np.ndarray:
    """A picture as numbers, whether a figure or its panels are returned."""
    while isinstance(drawn, np.ndarray | list | tuple):
        drawn = drawn[0]
    figure = drawn if isinstance(drawn, Figure) else drawn.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def weights(draws: bs.Posterior) -> np.ndarray:
    """Draws of the weights, of a posterior or a prior."""
    (group,) = {"posterior", "prior"} & set(draws.idata.children)
    return draws.idata[group]["weights"].to_numpy()


CALLS: dict[str, Callable[..., np.ndarray]] = {
    "sample": lambda **seed: weights(MODEL.sample(50, 50, 2, engine="nuts", progressbar=False, **seed)),
    "laplace": lambda **seed: weights(MODEL.laplace(400, progressbar=False, **seed)),
    "sample_prior": lambda **seed: weights(MODEL.sample_prior(50, **seed)),
    "posterior_predictive": lambda **seed: DRAWS.posterior_predictive(n_draws=50, **seed).to_numpy(),
    "plots.prior": lambda **seed: pixels(bs.plots.prior(MODEL, draws=100, **seed)),
    "plots.posterior_predictive": lambda **seed: pixels(bs.plots.posterior_predictive(DRAWS, **seed)),
}


@pytest.mark.parametrize("name", CALLS)
def test_rng_is_random_seed(name: str) -> None:
    call = CALLS[name]
    first = call(random_seed=1)
    np.testing.assert_array_equal(call(rng=1), first)
    np.testing.assert_array_equal(call(rng=np.int64(1)), first)
    assert not np.array_equal(call(rng=2), first)
    by_generator = call(random_seed=np.random.default_rng(1))
    np.testing.assert_array_equal(call(rng=np.random.default_rng(1)), by_generator)
    np.testing.assert_array_equal(call(rng=np.random.PCG64(1)), by_generator)
    np.testing.assert_array_equal(call(rng=np.random.SeedSequence(1)), by_generator)
    np.testing.assert_array_equal(call(rng=[1, 2]), call(rng=np.random.SeedSequence([1, 2])))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("argument", ["random_seed", "rng"])
def test_a_generator_is_advanced(name: str, argument: str) -> None:
    generator = np.random.default_rng(1)
    first, second = (CALLS[name](**{argument: generator}) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", CALLS)
def test_both_are_one_too_many(name: str) -> None:
    with pytest.raises(TypeError, match="rng=0 and random_seed=0 are two names of one argument; pass one of them"):
        CALLS[name](random_seed=0, rng=0)


def test_large_numbers_and_fresh_entropy() -> None:
    assert seed_of(None, 2**64 - 1) == 2**64 - 1
    assert seed_of(None, 2**64) == seed_of(None, [0, 0, 1]) == seed_of(None, 2**64) < 2**31  # NumPy's own words
    assert seed_of(None, None) != seed_of(None, None)
    assert generator_of(None, None).random() != generator_of(None, None).random()
    assert generator_of(None, None, default=0).random() == generator_of(0, None).random()
    bits = np.random.PCG64(1)
    assert seed_of(None, bits) != seed_of(None, bits)


def public_callables() -> Iterator[tuple[str, Any]]:
    """Functions and methods that users call."""
    owners = [bs, bs.plots, *(value for name in bs.__all__ if isinstance(value := getattr(bs, name), type))]
    for owner in owners:
        for name, value in inspect.getmembers(owner, callable):
            if not name.startswith("_"):
                yield f"{getattr(owner, '__name__', owner)}.{name}", value


def test_every_function_that_takes_one_takes_the_other() -> None:
    seeded = {}
    for name, call in public_callables():
        try:
            parameters = inspect.signature(call).parameters
        except ValueError:  # compiled, without a signature
            continue
        if "random_seed" in parameters:
            seeded[name] = "rng" in parameters
    assert len(seeded) >= len(CALLS)
    assert [name for name, has_both in seeded.items() if not has_both] == []
