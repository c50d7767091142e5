"""What is said of the data of a model, and of an optimum."""

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.core.records import Mode, Status
from bayes_softmax.fitting.advice import advice, collinearity_notes, kink_notes, size_notes
from bayes_softmax.fitting.notes import notes_of
from bayes_softmax.fitting.problem import Problem, problem_of
from bayes_softmax.separation.examination import what_is_open
from tests.conftest import simulate

X = [[0.0], [1.0], [2.0], [3.0]]
Y = ["a", "b", "a", "b"]


def mode_with(status: Status, value: float = 0.0) -> Mode:
    return Mode(np.zeros(2), value, 0.0, 0.0, 0.0, 1, status, np.zeros(1))


def test_plain_data_need_no_note() -> None:
    assert notes_of(bs.SoftmaxRegression(X, Y)._spec) == ()


def test_each_thing_that_was_done_to_the_data_is_said() -> None:
    frame = pd.DataFrame({"y": Y * 30, "x": [0.0, 1.0] * 60, "same": 1.0, "level": "only"})
    frame.loc[0, "x"] = np.nan
    model = bs.SoftmaxRegression.from_formula(
        "y ~ x + same + level", frame, missing="drop", constant="drop", classes=["a", "b", "c"]
    )
    assert notes_of(model._spec) == (
        "no observation of class 'c': only the prior informs it",
        "1 row with missing values was dropped",
        "119 rows were collapsed to 2 distinct ones, without loss",
        "columns that do not vary were dropped: 'same', 'level'",
    )


def test_rows_with_one_class_on_offer_are_counted() -> None:
    offered = np.array([[True, True], [True, True], [True, False], [True, True]])
    model = bs.SoftmaxRegression(X, Y, available=offered)
    assert notes_of(model._spec) == ("1 row with a single class on offer count for nothing",)


def test_summary_has_a_line_for_classes_features_and_each_note() -> None:
    model = bs.SoftmaxRegression(X, Y, classes=["a", "b", "c"])
    assert repr(model).splitlines() == [
        "SoftmaxRegression of 'y': 3 classes, 1 feature, 4 rows",
        "  classes: 'a' 2, 'b' 2, 'c' 0",
        "  features: x0",
        "  coding: zero-sum",
        "  note: no observation of class 'c': only the prior informs it",
    ]


@pytest.mark.parametrize(
    ("status", "solver", "expected"),
    [
        (Status.MAX_ITERATIONS, "newton", "raise max_iterations"),
        (
            Status.MAX_ITERATIONS,
            "lbfgs",
            "raise max_iterations (max_iter of SoftmaxClassifier), or use solver='newton'",
        ),
        (Status.SADDLE, "newton", "sample() explores all modes, or use Normal priors"),
        (Status.SINGULAR, "newton", "features are nearly collinear, the prior is nearly flat, or offsets"),
    ],
)
def test_advice_names_what_would_help(status: Status, solver: str, expected: str) -> None:
    spec = bs.SoftmaxRegression(X, Y)._spec.without_priors()
    found = what_is_open(spec.design, spec.priors)
    assert advice(mode_with(status), "mle", found, solver).startswith(expected)


def test_advice_on_steps_that_left_the_numbers() -> None:
    spec = bs.SoftmaxRegression(X, Y)._spec.without_priors()
    found = what_is_open(spec.design, spec.priors)
    lost = mode_with(Status.MAX_ITERATIONS, -np.inf)
    assert advice(lost, "mle", found, "gradient-descent") == "the steps diverged: lower learning_rate"
    assert "large offsets" in advice(lost, "mle", found, "newton")


def test_advice_on_separated_classes_knows_that_map_has_a_prior() -> None:
    spec = bs.SoftmaxRegression(X, ["a", "a", "b", "b"])._spec.without_priors()
    found = what_is_open(spec.design, spec.priors)
    for kind in ("mle", "map"):
        text = advice(mode_with(Status.MAX_ITERATIONS), kind, found, "newton")
        assert text.endswith("; map() has a prior to decide") == (kind == "mle")


def test_near_collinearity_is_named_where_an_optimum_exists() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    both = np.column_stack([x, x + 1e-7 * rng.normal(size=100)])
    spec = bs.SoftmaxRegression(both, rng.integers(0, 2, 100), ["one", "two"])._spec.without_priors()
    (note,) = collinearity_notes(spec, None)
    assert "'one'" in note
    assert "'two'" in note
    assert collinearity_notes(bs.SoftmaxRegression(X, Y)._spec.without_priors(), None) == ()


def test_zeros_at_a_kink_are_counted() -> None:
    features, codes = simulate(60, 3, 3)
    spec = bs.SoftmaxRegression(features, codes, prior=bs.Laplace(0.01))._spec
    density = problem_of(spec).density
    (note,) = kink_notes(density.penalty, np.zeros(density.dimension))
    assert note.startswith("6 of 6 free weights with a Laplace prior are exactly zero")
    assert kink_notes(density.penalty, np.ones(density.dimension)) == ()
    assert kink_notes(None, np.zeros(2)) == ()


def test_standard_errors_that_are_not_computed_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(bs.SoftmaxRegression(X, Y)._spec)
    assert size_notes(problem, mode_with(Status.CONVERGED)) == ()
    monkeypatch.setattr(Problem, "has_many_coefficients", property(lambda _: True))
    (note,) = size_notes(problem, mode_with(Status.CONVERGED))
    assert note.startswith("standard errors are NaN: those of 2 free coefficients")
    assert size_notes(problem, mode_with(Status.MAX_ITERATIONS)) == ()
