"""What peers' users stumble over when they ask for answers instead of coefficients, and what must not change them.

Measured failures of bambi 0.21, PyMC 6.4, ArviZ 1.3, statsmodels 0.15 and scikit-learn 1.9: coefficients misread as
effects and no effects for categorical models; lost labels and NaN predictions; arrays of N x K x draws; class codes
scored as numbers; weights ignored and cells left out as units; class names missing from plots.
"""

import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate

# ---------------------------------------------------------------------- labels, missing values, files


def test_new_levels_missing_values_and_columns_are_errors_with_row_and_column(overlapping, posterior, penguins) -> None:
    new = penguins.iloc[:3].set_axis(["r1", "r2", "r3"])
    for fit in (overlapping.map(), posterior):
        for answer in (fit.predict, fit.predict_proba, fit.uncertainty, lambda data, f=fit: f.effects(data=data)):
            with pytest.raises(ValueError, match=r"column 'sex' has level 'x' in row r2"):
                answer(new.assign(sex=["male", "x", "male"]))
            with pytest.raises(ValueError, match=r"column 'bill_length_mm' has a missing value in row r3"):
                answer(new.assign(bill_length_mm=[40.0, 41.0, np.nan]))
            with pytest.raises(ValueError, match=r"data has no column 'sex'"):
                answer(new.drop(columns="sex"))


def test_a_file_answers_in_a_fresh_process_without_compiling(overlapping, posterior, tmp_path) -> None:
    """Predictions, scores, effects and leave-one-out; neither PyMC, nutpie nor the kernel is loaded."""
    posterior.save(tmp_path / "posterior.nc")
    posterior.save(tmp_path / "posterior.zarr")
    overlapping.map().save(tmp_path / "map.nc")
    code = (
        "import sys, bayes_softmax as bs\n"
        "new = bs.datasets.load_penguins().dropna()\n"
        "for name in ('posterior.nc', 'posterior.zarr', 'map.nc'):\n"
        "    fit = bs.load(name)\n"
        "    fit.predict(new), fit.predict_proba(new, 0.9), fit.effects(), fit.evaluate(), fit.evaluate(loo=True)\n"
        "    fit.evaluate(new), fit.odds_ratios(vs='Adelie'), fit.contrast({'sex': 'male'}, {'sex': 'female'})\n"
        "    if name != 'map.nc':\n"
        "        print(round(fit.loo().elpd, 6), fit.posterior_predictive(random_seed=1).shape)\n"
        "heavy = ('pymc', 'pytensor', 'nutpie', 'bayes_softmax.density.kernel')\n"
        "print('LOADED', [m for m in heavy if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "LOADED []"
    for line in lines[:2]:
        elpd, shape = line.split(maxsplit=1)
        assert float(elpd) == pytest.approx(posterior.loo().elpd, abs=1e-6)
        assert shape == "(3, 6)"


# ---------------------------------------------------------------------- memory


def peak_beyond(function) -> float:
    """Most MiB of NumPy memory that a call holds beyond what there was."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_answers_stay_within_a_stated_memory() -> None:
    """4000 rows x 6 classes x 4000 draws are 732 MiB; no answer holds more than 200: blocks of 32, and copies."""
    X, y = simulate(4000, 4, 6)
    post = bs.SoftmaxRegression(X, y).laplace(random_seed=1, progressbar=False)
    for answer in (
        lambda: post.predict_proba(X, 0.9),
        lambda: post.effects(),
        lambda: post.evaluate(),
        lambda: post.posterior_predictive(random_seed=1),
        lambda: post.prior_sensitivity(),
    ):
        assert peak_beyond(answer) < 200
    small = bs.SoftmaxRegression(X[:1000], y[:1000]).laplace(random_seed=1, progressbar=False)
    assert peak_beyond(lambda: small.loo()) < 200


# ---------------------------------------------------------------------- nominal scores


def test_scores_are_of_names_not_of_codes() -> None:
    """Codes 0, 1, 2 and codes 0, 5, 1 for the same classes: accuracy is that of the most probable class."""
    X, y = simulate(200, 2, 3)
    scores = []
    for codes in ([0, 1, 2], [0, 5, 1]):
        labels = np.array(codes)[y]
        fit = bs.SoftmaxRegression(X, labels).map()
        by_hand = (fit.predict(X).to_numpy() == labels).mean()
        assert fit.evaluate().accuracy == by_hand
        scores.append(fit.evaluate().to_frame().iloc[:, 0].astype(float))
    assert_allclose(scores[0], scores[1], rtol=1e-9)


# ---------------------------------------------------------------------- invariance


def tables(model: bs.SoftmaxRegression) -> dict[str, pd.DataFrame]:
    """Answers of a MAP fit, sorted by their labels."""
    fit = model.map()
    evaluated = fit.evaluate(loo=True)
    return {
        "effects": fit.effects().iloc[:, :2].sort_index(),
        "contrast": fit.contrast({"x0": 1.0}, {"x0": -1.0}).iloc[:, :2].sort_index(),
        "scores": evaluated.to_frame().iloc[:, :2].astype(float),
        "confusion": evaluated.confusion.sort_index().sort_index(axis=1),
        "calibration": evaluated.calibration.sort_index(),
    }


def assert_same(a: dict[str, pd.DataFrame], b: dict[str, pd.DataFrame]) -> None:
    for name, table in a.items():
        assert list(table.index) == list(b[name].index), name
        assert_allclose(table.to_numpy(dtype=float), b[name].to_numpy(dtype=float), rtol=1e-6, atol=1e-9, err_msg=name)


COMMON = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@COMMON
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 5), order=st.randoms(use_true_random=False))
def test_order_of_classes_and_of_rows_change_nothing(seed, n_classes, order) -> None:
    X, y = simulate(40, 2, n_classes, seed=seed)
    classes = list(range(n_classes))
    shuffled, rows = classes.copy(), list(range(40))
    order.shuffle(shuffled)
    order.shuffle(rows)
    options = {"prior": bs.Normal(1.0), "intercept_prior": bs.Normal(2.0)}
    one = bs.SoftmaxRegression(X, y, classes=classes, **options)
    other = bs.SoftmaxRegression(X[rows], y[rows], classes=shuffled, **options)
    assert_same(tables(one), tables(other))


@COMMON
@given(seed=st.integers(0, 10_000), n_classes=st.integers(3, 5))
def test_coding_changes_nothing_where_the_priors_agree(seed, n_classes) -> None:
    """Zero-sum and full coding have one MAP (a common shift of a row has no effect); flat priors have one under any."""
    X, y = simulate(60, 2, n_classes, seed=seed)
    y[:n_classes] = np.arange(n_classes)
    normal = {"prior": bs.Normal(0.8), "intercept_prior": bs.Normal(2.0)}
    a, b = (bs.SoftmaxRegression(X, y, coding=c, **normal) for c in ("zero-sum", "full"))
    assert_same(tables(a), tables(b))


def test_leave_one_out_does_not_depend_on_the_order_of_the_classes(penguins) -> None:
    """Same model, other order of the classes: elpd within 4 Monte Carlo errors (about 0.05 each), seed 1."""
    found = [
        bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins, classes=order)
        .sample(random_seed=1, progressbar=False)
        .loo()
        .elpd
        for order in (["Adelie", "Chinstrap", "Gentoo"], ["Gentoo", "Chinstrap", "Adelie"])
    ]
    assert abs(found[0] - found[1]) < 0.3
