"""A density of several parts of rows is the one of all rows: its numbers, and what is fitted through it."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.core.protocols import Part, PartCurvature
from bayes_softmax.core.records import ExpectedRows
from bayes_softmax.data.design import Design
from bayes_softmax.density import kernel
from bayes_softmax.density.building import build_posterior, posterior_of_parts
from bayes_softmax.density.jeffreys import JeffreysPosterior
from bayes_softmax.density.likelihood import each_range
from bayes_softmax.density.parts import MemoryPart, holds_intercept, parts_of, rows_of
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fitting.problem import COMPILED, density_of
from bayes_softmax.inference.laplace import laplace_whitening
from bayes_softmax.inference.newton import newton
from bayes_softmax.inference.nuts import whitened_nuts
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.linear import LINEAR
from bayes_softmax.spec.priors import PriorTable
from bayes_softmax.spec.specification import Specification
from tests.cases import build
from tests.conftest import simulate

CASES = [
    ("normal", "normal", "zero-sum", "labels"),
    ("mixed", "student", "reference", "real weights"),
    ("normal", "flat", "full", "weighted counts"),
    ("laplace", "default", "zero-sum", "offset"),
    ("default", "default", "reference", "available"),
    ("student", "default", "zero-sum", "whole weights"),
    ("normal", "default", "full", "no intercept"),
    ("default", "default", "zero-sum", "two classes"),
    ("default", "normal", "zero-sum", "intercept only"),
]


@dataclass(frozen=True)
class Elsewhere:
    """A part that compiled code cannot reach, that is one block, and that keeps nothing between calls."""

    inside: MemoryPart
    n_blocks: int = 1

    def __getattr__(self, name: str) -> object:
        return getattr(self.inside, name)

    def _whole(self, first: int, end: int) -> tuple[int, int]:
        assert (first, end) == (0, 1)
        return 0, self.inside.n_blocks

    def log_likelihood_gradient(self, V: np.ndarray, first: int, end: int) -> tuple[float, np.ndarray]:
        return self.inside.log_likelihood_gradient(V, *self._whole(first, end))

    def log_likelihoods(self, Vs: np.ndarray, first: int, end: int) -> np.ndarray:
        return self.inside.log_likelihoods(Vs, *self._whole(first, end))

    def pair_hessians(self, V: np.ndarray, first: int, end: int) -> np.ndarray:
        return self.inside.pair_hessians(V, *self._whole(first, end))

    def metric_sums(self, V: np.ndarray, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        return self.inside.metric_sums(V, *self._whole(first, end))

    def curvature_at(self, V: np.ndarray) -> PartCurvature:
        return _Forgetful(self, V)

    def expected_rows(self, V: np.ndarray) -> Iterator[ExpectedRows]:
        for Z, counts, totals in self.inside.expected_rows(V):
            yield ExpectedRows(Z.copy(), counts.copy(), totals.copy())

    def native(self) -> None:
        return None


@dataclass(frozen=True)
class _Forgetful:
    part: Elsewhere
    V: np.ndarray

    def prepare(self, first: int, end: int) -> None:
        pass

    def product(self, D: np.ndarray, first: int, end: int) -> np.ndarray:
        whole = self.part._whole(first, end)
        inside = self.part.inside.curvature_at(self.V)
        inside.prepare(*whole)
        return inside.product(D, *whole)


def elsewhere(
    rows: Design | Sequence[Design], spec: Specification, n_parts: int = 1, which: Sequence[int] | None = None
) -> SoftmaxPosterior:
    """The density of rows in parts, of which some, or all, are out of reach of compiled code."""
    parts = parts_of(rows, n_parts)
    moved: list[Part] = [Elsewhere(part) if which is None or i in which else part for i, part in enumerate(parts)]
    return posterior_of_parts(moved, spec.coordinates, spec.priors, intercept_is_held=holds_intercept(rows))


def cut(design: Design, bounds: Sequence[int]) -> list[Design]:
    """Consecutive rows between bounds."""
    inner = [0, *bounds, design.n_obs]
    return [rows_of(design, slice(a, b)) for a, b in itertools.pairwise(inner)]


def assert_same(one: SoftmaxPosterior, other: SoftmaxPosterior, *, rtol: float = 1e-12) -> None:
    """All that a density offers, at three points, relative to the largest entry of each array."""

    def near(a: np.ndarray | float, b: np.ndarray | float) -> None:
        assert_allclose(a, b, rtol=rtol, atol=rtol * (1 + np.abs(a).max(initial=0.0)))

    assert (one.definite, one.dimension) == (other.definite, other.dimension)
    near(one.total_weight, other.total_weight)
    assert (one.work, one.hessian_work) == (other.work, other.hessian_work)
    rng = np.random.default_rng(0)
    thetas = rng.normal(size=(3, one.dimension))
    near(one.values(thetas), other.values(thetas))
    for theta in thetas:
        for a, b in zip(one.value_gradient(theta), other.value_gradient(theta), strict=True):
            near(a, b)
        near(one.value(theta), other.value(theta))
        near(one.hessian(theta), other.hessian(theta))
        near(one.metric(theta), other.metric(theta))
        v = rng.normal(size=one.dimension)
        for convex in (True, False):
            near(one.hessian_vector(theta, convex=convex)(v), other.hessian_vector(theta, convex=convex)(v))
        metrics = one.block_metric(theta), other.block_metric(theta)
        assert (metrics[0] is None) == (metrics[1] is None)
        if metrics[0] is not None and metrics[1] is not None:
            dense = [np.einsum("ce,emn,de->cmdn", m.mixing, m.precisions, m.mixing) for m in metrics]
            near(dense[0], dense[1])


@pytest.mark.parametrize("n_parts", [2, 3, 7])
@pytest.mark.parametrize("case", CASES, ids="/".join)
def test_parts_add_up(case: tuple[str, str, str, str], n_parts: int) -> None:
    model = build(*case)
    spec = model._spec
    whole = build_posterior(spec.design, spec.coordinates, spec.priors)
    parts = build_posterior(spec.design, spec.coordinates, spec.priors, parts=n_parts)
    assert len(parts.likelihood.parts) == n_parts
    assert_same(whole, parts)
    assert_same(whole, elsewhere(spec.design, spec, n_parts))
    assert_same(whole, elsewhere(spec.design, spec, n_parts, [0]))


@pytest.mark.parametrize("form", ["labels", "real weights", "offset", "available"])
def test_empty_unequal_and_one_class_parts(form: str) -> None:
    model = build("normal", "flat", "zero-sum", form)
    spec = model._spec
    codes = spec.design.response.codes
    assert codes is not None
    order = np.argsort(codes, kind="stable")
    by_class = rows_of(spec.design, order)  # type: ignore[arg-type]
    first = int((codes == 0).sum())
    whole = build_posterior(spec.design, spec.coordinates, spec.priors)
    for bounds in ([0], [first], [first, first], [1], [1, 2, 38, 40, 40]):
        designs = cut(by_class, bounds)
        assert_same(whole, build_posterior(designs, spec.coordinates, spec.priors))
        assert_same(whole, elsewhere(designs, spec))


def test_parts_of_many_blocks_share_the_threads() -> None:
    X, y = simulate(40_000, 12, 4)
    spec = bs.SoftmaxRegression(X, y)._spec
    whole = build_posterior(spec.design, spec.coordinates, spec.priors)
    parts = build_posterior(cut(spec.design, [10, 5300, 38_000]), spec.coordinates, spec.priors)
    assert not whole.likelihood.is_small
    assert_same(whole, parts)


def test_ranges_cover_every_block_of_every_item_once() -> None:
    for n_blocks in ([3], [0, 4], [5, 0, 1], [1] * 9, [40, 1, 7]):
        for work in (0.0, 1e5, 1e9):
            found = each_range(range(len(n_blocks)), n_blocks, lambda i, a, b: [(i, j) for j in range(a, b)], work)
            assert list(itertools.chain(*found)) == [(i, j) for i, n in enumerate(n_blocks) for j in range(n)]


def test_more_features_than_rows_and_jeffreys() -> None:
    X, y = simulate(30, 40, 3)
    spec = bs.SoftmaxRegression(X, y)._spec
    theta = np.random.default_rng(0).normal(size=spec.coordinates.dimension) * 0.1
    whole = build_posterior(spec.design, spec.coordinates, spec.priors)
    expected = whole.low_rank_metric(theta)
    assert expected is not None
    for n in (2, 7):
        parts = build_posterior(spec.design, spec.coordinates, spec.priors, parts=n)
        for density in (parts, elsewhere(spec.design, spec, n)):
            found = density.low_rank_metric(theta)
            assert found is not None
            assert_allclose(found.rows, expected.rows, rtol=1e-12)
            assert_allclose(found.spread, expected.spread, rtol=1e-11)
            assert_allclose(found.diagonal, expected.diagonal, rtol=1e-12)
    spec = build("normal", "normal", "zero-sum", "weighted counts")._spec
    one, *others = [
        JeffreysPosterior(build_posterior(spec.design, spec.coordinates, spec.priors, parts=n)) for n in (1, 2, 7)
    ]
    theta = np.random.default_rng(0).normal(size=one.dimension)
    for other in others:
        for a, b in zip(one.value_gradient(theta), other.value_gradient(theta), strict=True):
            assert_allclose(a, b, rtol=1e-11)


def in_parts(monkeypatch: pytest.MonkeyPatch, n_parts: int) -> None:
    """Fit all models in this many parts from here on."""
    monkeypatch.setitem(COMPILED, LINEAR, functools.partial(build_posterior, parts=n_parts))


def all_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit all models from two parts that are not in memory from here on."""

    def build(design: Design, coordinates: Coordinates, priors: PriorTable) -> SoftmaxPosterior:
        moved = [Elsewhere(part) for part in parts_of(design, 2)]
        return posterior_of_parts(moved, coordinates, priors, intercept_is_held=holds_intercept(design))

    monkeypatch.setitem(COMPILED, LINEAR, build)


def test_models_are_fitted_from_parts_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates to 1e-9 of the certificate; draws by Metropolis-Hastings, the same under a seed."""
    X, y = simulate(400, 3, 3)
    options = {"draws": 50, "chains": 2, "random_seed": 1, "progressbar": False, "engine": "independence"}
    model = bs.SoftmaxRegression(X, y)
    fits, post = (model.mle(), model.map()), model.sample(**options)
    all_elsewhere(monkeypatch)
    for one, other in zip(fits, (model.mle(), model.map()), strict=True):
        assert other.converged
        assert_allclose(other.weights, one.weights, atol=1e-9)
    assert not len(density_of(model._spec).data.parts)
    assert_allclose(model.sample(**options)._fitted.draws, post._fitted.draws, atol=1e-5)


def test_learned_scales_refuse_rows_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    all_elsewhere(monkeypatch)
    model = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=bs.Normal(bs.HalfNormal(1.0)))
    for ask in (lambda: model.sample(draws=10, random_seed=1, progressbar=False), lambda: model.log_density):
        with pytest.raises(ValueError, match="learned scales need rows in memory"):
            ask()


@pytest.mark.parametrize("form", ["labels", "weighted counts", "offset", "available"])
def test_estimates_through_parts(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to 1e-12 of the largest coefficient, but for what a certificate leaves open, 1e-9."""
    models = [build("normal", "normal", "zero-sum", form), build("laplace", "normal", "zero-sum", form)]
    estimates = [model.map() for model in models]
    estimates.append(bs.SoftmaxRegression(*simulate(120, 3, 3)).mle())
    draws = models[0].laplace(draws=200, random_seed=1, progressbar=False)
    in_parts(monkeypatch, 3)
    again = [build("normal", "normal", "zero-sum", form).map(), build("laplace", "normal", "zero-sum", form).map()]
    again.append(bs.SoftmaxRegression(*simulate(120, 3, 3)).mle())
    for one, other in zip(estimates, again, strict=True):
        assert other.converged
        assert_allclose(other.log_posterior, one.log_posterior, rtol=1e-12)
        assert_allclose(other.weights, one.weights, atol=1e-9)
        assert_allclose(other.intercept, one.intercept, atol=1e-9)
        assert_allclose(other.std_error.to_array(), one.std_error.to_array(), rtol=1e-7)
    others = build("normal", "normal", "zero-sum", form).laplace(draws=200, random_seed=1, progressbar=False)
    assert_allclose(others._fitted.draws, draws._fitted.draws, atol=1e-6)


@pytest.mark.parametrize("engine", ["nuts", "independence"])
def test_chains_through_parts(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws under a seed: rounding is not amplified where trajectories contract."""
    options = {"draws": 100, "chains": 2, "random_seed": 1, "progressbar": False, "engine": engine}
    X, y = simulate(400, 3, 3)
    one = bs.SoftmaxRegression(X, y).sample(**options)
    for n_parts in (2, 7):
        in_parts(monkeypatch, n_parts)
        other = bs.SoftmaxRegression(X, y).sample(**options)
        assert_allclose(other._fitted.draws, one._fitted.draws, atol=1e-5)


def test_learned_scales_through_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(100, 4, 3)
    options = {"draws": 50, "chains": 2, "random_seed": 1, "progressbar": False}
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(bs.HalfNormal(1.0)))
    one = model.sample(**options)
    value = model.log_density.value_gradient(np.zeros(model.log_density.dimension))
    in_parts(monkeypatch, 3)
    again = bs.SoftmaxRegression(X, y, prior=bs.Normal(bs.HalfNormal(1.0)))
    assert_allclose(again.log_density.value_gradient(np.zeros(model.log_density.dimension))[0], value[0], rtol=1e-8)
    fresh = again.sample(**options)._fitted.draws
    assert_allclose(fresh.mean(axis=(0, 1)), one._fitted.draws.mean(axis=(0, 1)), atol=0.5)


def test_parts_elsewhere_are_sampled_without_callbacks() -> None:
    """Means within 5 combined standard errors, at effective sizes above 500 each."""
    X, y = simulate(150, 2, 3)
    spec = bs.SoftmaxRegression(X, y)._spec
    density = build_posterior(spec.design, spec.coordinates, spec.priors, parts=2)
    mode = newton(density, np.zeros(density.dimension))
    away = elsewhere(spec.design, spec, 2)
    assert_allclose(newton(away, np.zeros(density.dimension)).theta, mode.theta, atol=1e-9)
    whitening = laplace_whitening(density, mode)
    assert away.native(whitening) is None
    partly = elsewhere(spec.design, spec, 2, [1])
    assert partly.native(whitening) is None
    # What compiled code does not reach it does not leave out: there is no number then.
    gradient, values = np.empty(density.dimension), np.zeros(1)
    assert np.isnan(kernel.log_posterior_gradient(partly.data, mode.theta, gradient))
    kernel.log_posterior_values(partly.data, mode.theta[None], values)
    assert np.isnan(values[0])
    options = {"draws": 500, "tune": 200, "chains": 2, "cores": 1, "target_accept": 0.8, "progressbar": False}
    found = [
        whitened_nuts(d, whitening, seed=1, **options).points.reshape(-1, density.dimension) for d in (density, away)
    ]
    error = np.sqrt(sum(points.var(axis=0) for points in found) / 500)
    assert (np.abs(found[0].mean(axis=0) - found[1].mean(axis=0)) < 5 * error).all()


def test_a_density_keeps_the_rows_behind_its_addresses() -> None:
    """The table of addresses owns the parts: callbacks may outlive the density."""
    spec = build("normal", "normal", "zero-sum")._spec
    density = build_posterior(spec.design, spec.coordinates, spec.priors, parts=2)
    table = density.data.parts
    assert table.base is not None
    assert table.base.parts == density.likelihood.parts
    assert replace(density, data=density.data._replace(df=density.data.df)).data.parts is table
