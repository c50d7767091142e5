"""Transforms that keep a state of all rows: the same from partitions as in memory."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering, samples
from bayes_softmax.data.sources.spread import merged_spreads, recurrence, spread_of
from tests.data.sources.partitions import model_of, source_of_parts

N = 600
RNG = np.random.default_rng(4)
FRAME = pd.DataFrame({
    "x": RNG.gamma(2, 3, N), "far": 1e9 + RNG.normal(size=N), "k": RNG.integers(0, 4, N),
    "g": RNG.choice(list("pq"), N), "y": RNG.choice(list("abc"), N),
})  # fmt: skip
PARTS = [FRAME.iloc[a:b] for a, b in [(0, 7), (7, 7), (7, 8), (8, 300), (300, N)]]


@pytest.fixture(autouse=True)
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are never kept in memory."""
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)


def numbers(state: Any) -> list[float]:
    """All numbers of a state, in order."""
    if isinstance(state, dict):
        return [number for value in state.values() for number in numbers(value)]
    if isinstance(state, list | tuple | np.ndarray):
        return [number for value in state for number in numbers(value)]
    return [] if state is None else [float(state)]


FORMULAS = [
    "y ~ poly(x, 2)", "y ~ poly(x, 5):g", "y ~ poly(x, 12)", "y ~ poly(log(x), 3) + scale(far)", "y ~ poly(far, 3)",
    "y ~ poly(k, 3)", "y ~ poly(x, 2, raw=True)", "y ~ scale(x) + center(x) + standardize(x) + scale(x, scale=False)",
    "y ~ scale(x, 2.0, True) + scale(x, False) + standardize(x, rescale=False) + scale(x, True, 3.0)",
    "y ~ I(scale(x) > 0.5) + g", "y ~ bs(x, df=5) + cs(far, df=4)", "y ~ bs(x, knots=[4, 8]) + cc(k, df=3)",
    "y ~ cr(x, df=4, constraints='center')", "y ~ bs(x, df=6, extrapolation='clip', lower_bound=1, upper_bound=20)",
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_states_are_those_of_all_rows(formula: str) -> None:
    a = model_of(formula, source_of_parts(PARTS, piece=50))._spec.schema.encoder
    b = bs.SoftmaxRegression.from_formula(formula, FRAME)._spec.schema.encoder
    assert a.feature_names == b.feature_names
    assert list(a.state) == list(b.state)
    for call, state in b.state.items():
        assert list(a.state[call]) == list(state)
        np.testing.assert_allclose(numbers(a.state[call]), numbers(state), rtol=1e-10)
    close = 1e-6 if "far" in formula else 1e-10  # the digits of a centre of 1e9
    np.testing.assert_allclose(a.encode(FRAME)[0], b.encode(FRAME)[0], atol=close)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    cuts=st.lists(st.integers(1, 199), max_size=8, unique=True),
    degree=st.integers(1, 8),
    few=st.integers(2, 300),
    far=st.sampled_from([0.0, 1e3, -1e9]),
)
def test_quadratures_have_the_moments_of_all_values(cuts: list[int], degree: int, few: int, far: float) -> None:
    rng = np.random.default_rng(degree)
    x = far + np.floor(rng.random(200) ** 2 * few) / few
    whole = spread_of(x, far, 200)  # the distinct values themselves
    pieces = [spread_of(part, far, degree + 1) for part in np.split(x, sorted(cuts))]
    merged = pieces[0]
    for piece in pieces[1:]:
        merged = merged_spreads(merged, piece)
    assert (merged.low, merged.high) == (x.min(), x.max())
    assert len(merged.points) <= degree + 1
    if len(whole.points) > degree:
        for found, expected in zip(recurrence(merged, degree), recurrence(whole, degree), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9)
    else:
        np.testing.assert_array_equal(merged.points, whole.points)
    np.testing.assert_allclose(merged.mean, x.mean(), rtol=1e-14)
    np.testing.assert_allclose(merged.squares_about(x.mean()), np.square(x - x.mean()).sum(), rtol=1e-9, atol=1e-12)


def test_quadratures_keep_the_digits_that_power_sums_lose() -> None:
    x = np.unique(RNG.gamma(2, 1, 1000))
    x = (x - x.mean()) / np.ptp(x)
    degree = 12
    norms = recurrence(spread_of(x, 0.0, 1000), degree)[1]
    merged = merged_spreads(spread_of(x[:400], 0.0, degree + 1), spread_of(x[400:], 0.0, degree + 1))
    np.testing.assert_allclose(recurrence(merged, degree)[1], norms, rtol=1e-12)
    powers = np.array([(x**k).sum() for k in range(2 * degree + 1)])
    sums = np.array([[powers[i + j] for j in range(degree + 1)] for i in range(degree + 1)])
    by_powers = np.square(np.diag(np.linalg.cholesky(sums)))
    assert np.abs(by_powers / norms - 1).max() > 1e-8


SAID = {
    "y ~ poly(log(x - 5), 2)": r"'log\(x - 5\)' is not a finite number in rows? .*, which poly\(\) needs",
    "y ~ poly(k, 4)": r"'poly\(k, 4\)': degree=4 is too large for 4 distinct values of k",
    "y ~ bs(k, df=7)": r"'bs\(k, df=7\)': df=7 is too large for 4 distinct values of k",
    "y ~ bs(x, knots=[400])": r"the knot 400 must lie within the range of x, between ",
    "y ~ poly(g, 2)": r"column 'g' holds levels \('p', 'q'\), not numbers",
    "y ~ scale(I(x - x))": r"the values of I\(x - x\) do not vary, or overflow",
    "y ~ bs(x, df=5, lower_bound=3, upper_bound=9)": r"x' is .* in rows? .*, outside the range of bs\(",
}


@pytest.mark.parametrize("formula", SAID)
def test_what_cannot_be_transformed_is_said_as_in_memory(formula: str) -> None:
    for make, data in ((model_of, source_of_parts(PARTS)), (bs.SoftmaxRegression.from_formula, FRAME)):
        with pytest.raises(ValueError, match=SAID[formula]):
            make(formula, data)


def test_a_transform_of_a_transform_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'poly\(center\(x\), 2\)': one transform inside another needs the rows in"):
        model_of("y ~ poly(center(x), 2)", source_of_parts(PARTS))


def test_knots_of_a_sample_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 200)
    model = model_of("y ~ bs(x, df=5) + scale(far) + cs(far, knots=[1e9])", source_of_parts(PARTS, piece=50))
    assert "note: knots of 'bs(x, df=5)' are quantiles of a sample of 200 rows" in str(model)
    assert any("knots of" in note for note in model.map().notes)
    a, b = (
        m._spec.schema.encoder.state["bs(x, df=5)"]
        for m in (model, bs.SoftmaxRegression.from_formula("y ~ bs(x, df=5)", FRAME))
    )
    assert (a["lower_bound"], a["upper_bound"]) == (b["lower_bound"], b["upper_bound"])  # of all rows
    inner = np.array(a["knots"][4:-4]), np.array(b["knots"][4:-4])
    assert 0 < np.abs(inner[0] - inner[1]).max() < 1.0


def test_the_sample_is_uniform_and_the_same_for_any_frames() -> None:
    """The sample depends on the rows of partitions alone; its first rows are as likely as its last."""
    rows = pd.DataFrame({"i": np.arange(1000)})
    one, other = samples.Sample(), samples.Sample()
    keys = np.random.default_rng(0).random(1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "SAMPLE_ROWS", 100)
        for start in range(0, 1000, 250):
            one = one.added(rows.iloc[start : start + 250], keys[start : start + 250])
        for start in range(0, 1000, 40):
            piece = samples.Sample().added(rows.iloc[start : start + 40], keys[start : start + 40])
            other = other.merged(piece)
        expected = np.argsort(keys)[:100]
        for sample in (one, other):
            assert sample.frame()["i"].tolist() == expected.tolist()
            assert sum(len(k) for _, k in sample.pieces) <= 200
