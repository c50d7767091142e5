"""Rows in passes and rows in memory: the same sums, whatever the partitions."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayes_softmax as bs
from bayes_softmax.data.observations import Observations
from bayes_softmax.data.sources import gathering, passes
from bayes_softmax.data.sources.partitions import Source
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.spec.specification import Specification
from tests.data.sources.partitions import model_of, source_of_parts

N, CLOSE = 240, 1e-10


def rows_of(form: str, *, few: bool) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    """Rows with a response of some form; ``few`` distinct ones, or numbers far from zero and small."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"g": rng.choice(list("rst"), N), "f": rng.random(N) < 0.2})
    frame["a"] = rng.integers(0, 3, N) if few else 1e4 + rng.normal(size=N)
    frame["b"] = rng.integers(0, 2, N) * 0.5 if few else rng.normal(size=N) * 1e-5
    K, options = 3, dict[str, Any](prior=bs.Normal(0.9))
    scores = 0.7 * np.c_[frame["a"] - frame["a"].mean(), frame["f"], frame["g"] == "s"] + rng.gumbel(size=(N, K))
    y = scores.argmax(axis=1)
    frame["y"] = np.array(["no", "yes", "dunno"])[y]
    response = "y"
    if form in ("weights", "weighted counts"):
        frame["w"] = rng.integers(0, 3, N) * 0.7
        options["weights"] = "w"
    if form in ("counts", "weighted counts"):
        for k in "uvw":
            frame[k] = rng.integers(0, 3, N)
        response = "u + v + w"
    if form == "offset":
        frame[["o1", "o2", "o3"]] = rng.integers(0, 3, (N, 3)) if few else rng.normal(size=(N, 3))
        options["offset"] = ["o1", "o2", "o3"]
    if form == "choice sets":
        on = (rng.random((N, K)) < 0.6) | (np.arange(K) == np.searchsorted(["dunno", "no", "yes"], frame["y"])[:, None])
        frame[["c1", "c2", "c3"]] = on
        options["available"] = ["c1", "c2", "c3"]
    right = "0 + a + b + f" if form == "no intercept" else "a + b + g * f"
    return frame, f"{response} ~ {right}", options


FORMS = ("labels", "weights", "counts", "weighted counts", "offset", "choice sets", "no intercept")


def parts_of(frame: pd.DataFrame, cuts: list[int], order: str) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """The frame in another order of rows, and its partitions, of which some may be empty."""
    if order == "by class":
        frame = frame.sort_values("y")
    elif order == "at random":
        frame = frame.sample(frac=1, random_state=1)
    ends = [0, *sorted(cuts), len(frame)]
    return frame, [frame.iloc[a:b] for a, b in pairwise(ends)]


def same(a: Any, b: Any, scale: float | None = None) -> None:
    """Both are equal to ten digits of the largest entry."""
    a, b = np.asarray(a), np.asarray(b)
    largest = np.abs(b).max(initial=0.0) if scale is None else scale
    assert np.abs(a - b).max(initial=0.0) <= CLOSE * largest


def compare(of_source: Specification, of_frame: Specification) -> None:
    """Summaries, log posterior, gradient and Hessian are the same."""
    known, frame = of_source.summary, of_frame.summary
    same(known.standardisation.scale, frame.standardisation.scale)
    same((known.standardisation.centre - frame.standardisation.centre) / frame.standardisation.scale, 0.0, 1.0)
    same(known.class_counts(), frame.class_counts())
    assert known.n_forced == frame.n_forced or of_source.streamed is None
    if isinstance(of_source.rows, StreamedRows):
        Z = of_frame.design.standardised() * np.sqrt(of_frame.design.totals)[:, None]
        same(of_source.rows.summary.cross_products, Z.T @ Z)
    a, b = density_of(of_source), density_of(of_frame)
    theta = np.random.default_rng(2).normal(size=a.dimension) * 0.4
    (value, gradient), (expected, expected_gradient) = a.value_gradient(theta), b.value_gradient(theta)
    same(value, expected)
    same(gradient, expected_gradient)
    same(a.hessian(theta), b.hessian(theta))


WAYS = {"streamed": (0, False), "gathered": (2**28, False), "collapsed": (2**28, True)}
cuts_of_rows = st.lists(st.integers(0, N), max_size=9)
orders = st.sampled_from(["as given", "by class", "at random"])
examples = settings(max_examples=5, deadline=None, derandomize=True)


def specification_of(formula: str, source: Source, limit: float, **options: Any) -> Specification:
    """The model of a source, of which rows up to a limit are kept in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "IN_MEMORY", limit)
        return model_of(formula, source, **options)._spec


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", WAYS)
@examples
@given(cuts=cuts_of_rows, order=orders, piece=st.integers(1, N))
def test_sums_do_not_depend_on_the_partitions(way: str, form: str, cuts: list[int], order: str, piece: int) -> None:
    limit, few = WAYS[way]
    frame, formula, options = rows_of(form, few=few)
    frame, parts = parts_of(frame, cuts, order)
    of_source = specification_of(formula, source_of_parts(parts, piece=max(piece, 20)), limit, **options)
    assert isinstance(of_source.rows, StreamedRows if way == "streamed" else Observations)
    compare(of_source, bs.SoftmaxRegression.from_formula(formula, frame, **options)._spec)


@pytest.mark.parametrize(("form", "how"), [("weights", "mle"), ("offset", "mle"), ("choice sets", "map")])
def test_estimates_do_not_depend_on_the_partitions(monkeypatch: pytest.MonkeyPatch, form: str, how: str) -> None:
    frame, formula, options = rows_of(form, few=False)
    frame, parts = parts_of(frame, [0, 3, 100, 100, 160], "by class")
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)
    a = model_of(formula, source_of_parts(parts), **options)
    assert a._spec.streamed is not None
    b = bs.SoftmaxRegression.from_formula(formula, frame, **options)
    pd.testing.assert_frame_equal(a.describe_prior(), b.describe_prior(), rtol=CLOSE)
    one, other = getattr(a, how)(), getattr(b, how)()
    same(one.log_likelihood, other.log_likelihood)
    for name in ("weights", "intercept"):
        same(getattr(one, name), getattr(other, name))
        same(one.std_error[name], other.std_error[name])


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, formula, options = rows_of("offset", few=False)
    _, parts = parts_of(frame, [20, 50, 80, 80, 110, 140, 200], "by class")
    found = []
    for n_threads in (1, 2, 7):
        monkeypatch.setattr(passes.os, "cpu_count", lambda n=n_threads: n)
        spec = specification_of(formula, source_of_parts(parts, piece=13), 0, **options)
        assert spec.streamed is not None
        assert spec.streamed.passes.n_threads == n_threads
        density = density_of(spec)
        theta = np.linspace(-1, 1, density.dimension)
        value, gradient = density.value_gradient(theta)
        found.append((value, gradient.tobytes(), density.hessian(theta).tobytes(), spec.streamed.sample.X.tobytes()))
    assert found[0] == found[1] == found[2]
