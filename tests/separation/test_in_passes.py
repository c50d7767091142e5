"""Separation of rows that are read in passes: the verdict, the status and the summary of the same rows in memory."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.core.errors import ImproperPosteriorError, NotReliableWarning
from bayes_softmax.data.sources import gathering, samples, scan
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.separation import in_passes

N = 1500
FORMULA = "y ~ a + b + g"
SINGULAR = "the Hessian is singular; "
CHECK = "rows that contradict a separation"


def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(5.0, 2.0, N), "b": rng.normal(size=N), "g": rng.choice(list("xyz"), N)})
    scores = np.column_stack([0.2 * frame.a, 0.8 * frame.b, np.zeros(N)]) + rng.gumbel(size=(N, 3))
    frame["y"] = np.array(list("uvw"))[scores.argmax(axis=1)]
    frame["rare"] = (np.arange(N) % 500 == 7).astype(float)
    frame["sum"] = 2.0 * frame.a - frame.b
    frame["weight"] = rng.integers(0, 3, N)
    for label in "uvw":
        frame[f"on_{label}"] = (rng.random(N) < 0.7) | (frame.y == label)
        frame[f"n_{label}"] = rng.integers(0, 3, N)
    return frame


DATA = data()
ON = [f"on_{label}" for label in "uvw"]


def with_y(y: Any) -> pd.DataFrame:
    return DATA.assign(y=y)


def one_row_apart() -> pd.DataFrame:
    frame = DATA.copy()
    frame.loc[1234, "sum"] += 1.0
    return frame


def one_of_w() -> pd.DataFrame:
    frame = with_y(np.where(DATA.y == "w", "v", DATA.y))
    frame.loc[5, "y"] = "w"
    return frame


def no_v_in_y() -> pd.DataFrame:
    frame = DATA.copy()
    frame.loc[frame.g == "y", "n_v"] = 0
    return frame


def w_alone() -> pd.DataFrame:
    """Class w is never on offer beside another one."""
    frame, own = DATA.copy(), DATA.y == "w"
    frame["on_w"] = own
    frame.loc[own, ["on_u", "on_v"]] = False
    return frame


LEVEL = with_y(np.where((DATA.g == "z") & (DATA.y == "w"), "u", DATA.y))
CASES: dict[str, tuple[pd.DataFrame, str, dict[str, Any]]] = {
    "overlap": (DATA, FORMULA, {}),
    "a level without a class": (LEVEL, FORMULA, {}),
    "two classes": (with_y(np.where(DATA.a > 5, "u", "v")), FORMULA, {}),
    "one class apart": (with_y(np.where(DATA.a > 7, "u", np.where(DATA.y == "u", "v", DATA.y))), FORMULA, {}),
    "a rare flag": (with_y(np.where(DATA.rare > 0, "u", DATA.y)), FORMULA + " + rare", {}),
    "collinear": (DATA, FORMULA + " + sum", {}),
    "collinear but for one row": (one_row_apart(), FORMULA + " + sum", {}),
    "one observation of a class": (one_of_w(), FORMULA, {}),
    "weights": (LEVEL, FORMULA, {"weights": "weight"}),
    "choice sets": (LEVEL.assign(on_u=True), FORMULA, {"available": ON}),
    "never on offer together": (w_alone(), FORMULA, {"available": ON}),
    "counts": (no_v_in_y(), "n_u + n_v + n_w ~ a + b + g", {}),
}


def models(
    path: Path, frame: pd.DataFrame, formula: str, **options: Any
) -> tuple[bs.SoftmaxRegression, bs.SoftmaxRegression]:
    """The model in memory, and the one of rows that are read in passes, with a small sample."""
    for i, rows in enumerate(np.array_split(np.arange(N), 3)):
        frame.iloc[rows].to_parquet(path / f"part-{i}.parquet", index=False, row_group_size=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "IN_MEMORY", 0)
        there = bs.SoftmaxRegression.from_formula(formula, path, **options)
    return bs.SoftmaxRegression.from_formula(formula, frame, **options), there


@pytest.fixture(autouse=True)
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "SAMPLE_ROWS", 200)
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 200)
    monkeypatch.setattr(in_passes, "FIRST", 60)


def passes(model: bs.SoftmaxRegression) -> int:
    rows = model._spec.rows
    assert isinstance(rows, StreamedRows)
    return rows.log.count(CHECK)


@pytest.mark.filterwarnings("ignore::bayes_softmax.core.errors.UnusedClassWarning")
@pytest.mark.parametrize("case", CASES)
def test_verdict_status_and_summary_are_those_in_memory(tmp_path: Path, case: str) -> None:
    frame, formula, options = CASES[case]
    here, there = models(tmp_path, frame, formula, **options)
    a, b = here.check_separation(), there.check_separation()
    shown = ("kind", "features", "pairs", "rows", "n_separated", "n_obs", "collinear", "empty_classes", "never_offered")
    for name in (*shown, "unconnected", "undetermined", "levels", "levels_explain", "reasons"):
        assert getattr(a, name) == getattr(b, name), name
    assert a.proof == ""
    assert passes(there) <= 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = here.mle(), there.mle()
    assert one.converged == other.converged
    # Where the search stopped may differ, and its own words with it; what the data say does not.
    assert one.status.replace(SINGULAR, "") == other.status.replace(SINGULAR, "")
    infinite = np.isinf(one.summary()[["mle"]].to_numpy()) if "mle" in one.summary() else np.zeros(0)
    assert infinite.any() == (a.separated and "mle" in one.summary())
    pd.testing.assert_frame_equal(
        pd.DataFrame(one.summary()), pd.DataFrame(other.summary()), rtol=1e-3, atol=1e-4, check_exact=False
    )


def test_the_verdict_says_what_proves_it(tmp_path: Path) -> None:
    _, there = models(tmp_path, DATA, FORMULA)
    assert "by the rows of a sample of 60, which prove it for all 1,500" in repr(there.check_separation())
    assert passes(there) == 0
    _, there = models(tmp_path, LEVEL, FORMULA)
    assert "found in 60 rows, and checked on all 1,500" in repr(there.check_separation())
    assert passes(there) == 1


def test_a_class_without_data_falls(tmp_path: Path) -> None:
    here, there = models(tmp_path, DATA, FORMULA, classes=["u", "v", "w", "t"])
    a, b = here.check_separation(), there.check_separation()
    assert a.kind == b.kind == "quasi-complete"
    assert a.empty_classes == b.empty_classes == ("t",)
    assert a.reasons == b.reasons
    assert a.n_separated == b.n_separated == N


def test_rows_that_contradict_a_direction_are_found_wherever_they_are(tmp_path: Path) -> None:
    """One row of 1500 makes classes overlap that are separated in all others."""
    for place in (0, 799, N - 1):
        frame = with_y(np.where(DATA.a > 5, "u", "v"))
        frame.loc[place, "y"] = {"u": "v", "v": "u"}[frame.loc[place, "y"]]
        frame.loc[place, "a"] = 5.0 + 3.0 * np.sign(frame.loc[place, "a"] - 5.0)
        here, there = models(tmp_path, frame, "y ~ a")
        assert here.check_separation().kind == there.check_separation().kind == "none"
        assert passes(there) >= 1


def test_improper_posteriors_are_refused_with_the_reason(tmp_path: Path) -> None:
    for model in models(tmp_path, LEVEL, FORMULA, prior=bs.Flat(), intercept_prior=bs.Flat()):
        with pytest.raises(ImproperPosteriorError, match=r"level 'z' of 'g' \(\d+ rows\) was never observed with 'w'"):
            model.laplace(draws=100, progressbar=False)


def test_an_intercept_that_alone_bounds_weights_is_told(tmp_path: Path) -> None:
    said = []
    for model in models(tmp_path, with_y(np.where(DATA.a > 5, "u", "v")), FORMULA, prior=bs.Flat()):
        with pytest.warns(NotReliableWarning, match="only the prior of the intercept keeps") as told:
            model.map()
        said.append(str(told[0].message))
    assert said[0] == said[1]
