"""The joint density of weights, effects and hyperparameters: against NumPy, its derivatives, and its C callback."""

import ctypes
from typing import Any

import numpy as np
import pytest

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.layout import Layout
from bayes_softmax.density.groups.packing import LevelRows
from tests.density.grouped import Grouped, at_random, grouped, log_joint, specification, stencil

N, K = 60, 3
# With no border every grouping is whitened level by level.
CASES: dict[str, dict[str, Any]] = {
    "one": {"sizes": (7,)},
    "one, slopes": {"sizes": (30,), "slopes": True},
    "crossed, in the border": {"sizes": (7, 3), "slopes": True},
    "crossed, largest last": {"sizes": (3, 9)},
    "crossed, level by level": {"sizes": (7, 3), "slopes": True, "max_border": 0},
    "nested, in the border": {"sizes": (8, 2), "nested": True},
    "nested, level by level": {"sizes": (8, 2), "nested": True, "max_border": 0},
    "three": {"sizes": (3, 6, 2), "max_border": 0},
}
DATA = ["plain", "weights", "offset", "available", "counts", "reference", "binary"]


def case(
    sizes: tuple[int, ...], *, data: str = "plain", slopes: bool = False, nested: bool = False, max_border: int = 64
) -> Grouped:
    rng = np.random.default_rng(0)
    X, y, given, coding = rng.normal(size=(N, 2)), rng.integers(0, K, N), {}, "zero-sum"
    if data == "weights":
        given["weights"] = rng.integers(0, 3, N).astype(float)  # zeros among them
    elif data == "offset":
        given["offset"] = rng.normal(size=(N, K))
    elif data == "available":
        given["available"] = rng.random((N, K)) < 0.7
        given["available"][np.arange(N), y] = True
    elif data == "counts":
        y = rng.integers(0, 4, (N, K))
        y[0] = 0
    elif data == "reference":
        coding = "reference"
    elif data == "binary":
        y = np.minimum(y, 1)
    levels, finer = [], rng.integers(0, sizes[0] - 1, N)  # the last level has no rows
    for j, size in enumerate(sizes):
        codes = finer if j == 0 else finer % size if nested else rng.integers(0, size, N)
        terms = np.column_stack([np.ones(N), X[:, 0]]) if slopes and j == 0 else np.ones((N, 1))
        levels.append(LevelRows(codes, size, terms))
    return at_random(grouped(specification(X, y, coding, **given), levels, coding, max_border), rng)


def every() -> list[Any]:
    return [*((name, "plain") for name in CASES), *(("crossed, in the border", data) for data in DATA[1:])]


@pytest.mark.parametrize(("name", "data"), every())
def test_gradient_against_stencils(name: str, data: str) -> None:
    density = case(**CASES[name], data=data).density
    z = np.random.default_rng(1).normal(size=density.dimension)
    gradient = density.value_gradient(z)[1]
    found = [stencil(lambda z: density.value_gradient(z)[0], z, e) for e in np.eye(len(z))]
    np.testing.assert_allclose(gradient, found, rtol=1e-8, atol=1e-8 * np.abs(gradient).max())


@pytest.mark.parametrize(("name", "data"), every())
def test_differences_against_numpy(name: str, data: str) -> None:
    """The determinant of the map is that of its Jacobian, by stencils."""
    given = case(**CASES[name], data=data)
    density, rng = given.density, np.random.default_rng(2)

    def moved(z: FloatArray) -> FloatArray:
        return np.concatenate([part.ravel() for part in density.to_model(z)])

    def expected(z: FloatArray) -> float:
        jacobian = np.array([stencil(moved, z, e) for e in np.eye(len(z))])
        return log_joint(given, density.to_model(z)) + float(np.linalg.slogdet(jacobian)[1])

    a, b = rng.normal(size=(2, density.dimension))
    found = density.value_gradient(a)[0] - density.value_gradient(b)[0]
    assert found == pytest.approx(expected(a) - expected(b), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", ["one", "crossed, in the border", "crossed, level by level"])
def test_the_callback_equals_python(name: str) -> None:
    density = case(**CASES[name]).density
    callbacks, d = density.callbacks(), density.dimension
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)(callbacks.logp_address)
    z, gradient, value = np.random.default_rng(3).normal(size=d), np.empty(d), np.empty(1)

    def called(z: FloatArray) -> int:
        addresses = (array.ctypes.data for array in (z, gradient, value))
        return int(call(d, *addresses, callbacks.user_address))

    assert called(z) == 0
    expected, of_z = density.value_gradient(z)
    assert value[0] == expected
    np.testing.assert_array_equal(gradient, of_z)
    z[-1] = np.nan
    assert called(z) == 4  # a divergence


def test_points_and_flat_points() -> None:
    layout = Layout.of(4, [(3, 2), (9, 2), (5, 1)], 20)
    assert layout.own == (False, True, False)
    assert layout.exact
    assert layout.n_border == 4 + 6 + 5
    x, hyper = np.arange(4.0 + 6 + 18 + 5), np.zeros(3)
    point = layout.point(x, hyper)
    assert point.effects.shape == (3, 2)
    np.testing.assert_array_equal(layout.flat(point), x)
    np.testing.assert_array_equal(point.common[4:22], layout.effects(x, 1).ravel())
    assert Layout.of(4, [(3, 2), (9, 2), (5, 1)], 14).own == (True, True, True)


def test_unknown_levels_are_refused() -> None:
    spec = specification(np.random.default_rng(0).normal(size=(N, 2)), np.arange(N) % K)
    with pytest.raises(ValueError, match="codes has unknown levels"):
        grouped(spec, [LevelRows(np.arange(N), N - 1, np.ones((N, 1)))])
