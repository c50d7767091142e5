"""Decision regions: the cells are the predictions, hatching the draws' disagreement, the points the data."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from bayes_softmax.plots.observed import observed_rows
from bayes_softmax.plots.regions import find_regions, typical_row

mpl.use("Agg")

AXES = ["bill_length_mm", "bill_depth_mm"]


@pytest.fixture(scope="module")
def model(penguins: pd.DataFrame) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + bill_depth_mm + body_mass_g + sex", penguins)


@pytest.fixture(scope="module")
def draws(model: bs.SoftmaxRegression) -> bs.Posterior:
    return model.laplace(300, random_seed=1, progressbar=False)


def grid_of(fit: object, at: dict | None = None) -> tuple[object, pd.DataFrame]:
    one = typical_row(fit._fitted, None, at, AXES, offset=None, available=None)
    found = find_regions(fit._fitted, one, tuple(AXES), [(35.0, 55.0), (14.0, 20.0)])
    return found, next(one.chunks()).frame


@pytest.mark.parametrize("kind", ["map", "laplace"])
def test_cells_are_the_predictions_at_typical_values(
    kind: str, model: bs.SoftmaxRegression, draws: bs.Posterior, penguins: pd.DataFrame
) -> None:
    fit = model.map() if kind == "map" else draws
    found, typical = grid_of(fit)
    assert typical["sex"].iloc[0] == penguins["sex"].mode()[0]
    assert typical["body_mass_g"].iloc[0] == pytest.approx(penguins["body_mass_g"].mean())
    cells = [(0, 0), (7, 93), (50, 20), (100, 100)]
    new = pd.concat([typical] * len(cells), ignore_index=True)
    new["bill_depth_mm"] = [found.y[i] for i, _ in cells]
    new["bill_length_mm"] = [found.x[j] for _, j in cells]
    assert_allclose([found.probabilities[c] for c in cells], fit.predict_proba(new), atol=1e-12)
    assert [fit.classes[found.chosen[c]] for c in cells] == fit.predict(new).tolist()
    assert (found.x[0], found.x[-1], found.y[0], found.y[-1]) == (35, 55, 14, 20)


def test_agreement_is_the_share_of_draws_with_the_same_class(draws: bs.Posterior) -> None:
    found, typical = grid_of(draws)
    i, j = np.unravel_index(found.agreement.argmin(), found.agreement.shape)
    new = typical.assign(bill_length_mm=found.x[j], bill_depth_mm=found.y[i])
    each = draws.predict_draws(new).values[0, :, 0]
    assert found.agreement[i, j] == pytest.approx((each.argmax(axis=1) == found.chosen[i, j]).mean())
    assert 0.2 < found.agreement[i, j] < 0.7
    assert found.agreement.max() == 1.0


def test_the_border_is_where_two_classes_tie(draws: bs.Posterior) -> None:
    found, _ = grid_of(draws)
    for k in range(3):
        assert_array_equal(found.lead[..., k] > 0, found.chosen == k)


def test_the_picture_has_the_image_points_and_names(draws: bs.Posterior, penguins: pd.DataFrame) -> None:
    picture = bs.plots.regions(draws, AXES, at={"sex": "female"})
    (panel,) = picture.axes.values()
    (image,) = panel.get_images()
    pixels = np.asarray(image.get_array())
    assert pixels.shape == (101, 101, 3)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    points = panel.collections[-1]
    assert_allclose(np.sort(points.get_offsets()[:, 0]), np.sort(penguins["bill_length_mm"]))
    assert (panel.get_xlabel(), panel.get_ylabel()) == tuple(AXES)
    heading = picture.figure.get_suptitle().replace("\n", " ")
    assert "body_mass_g = 4207" in heading
    assert "sex = female" in heading
    assert "hatched: fewer than 89 % of the draws agree" in heading
    assert [t.get_text() for t in picture.figure.legends[0].get_texts()] == ["Adelie", "Chinstrap", "Gentoo"]
    picture.close()


def test_stronger_colours_are_larger_probabilities(draws: bs.Posterior) -> None:
    picture = bs.plots.regions(draws, AXES)
    pixels = np.asarray(next(iter(picture.axes.values())).get_images()[0].get_array())
    one = typical_row(draws._fitted, None, None, AXES, offset=None, available=None)
    points = observed_rows(draws._fitted)
    ranges = [(float(points.frame[n].min()), float(points.frame[n].max())) for n in AXES]
    found = find_regions(draws._fitted, one, tuple(AXES), ranges)
    strength = (1 - pixels).max(axis=2)
    for k in range(3):
        own = found.chosen == k
        rank = np.corrcoef(strength[own], found.probabilities.max(axis=2)[own])[0, 1]
        assert rank > 0.999
    picture.close()


def test_new_rows_with_and_without_classes(draws: bs.Posterior, penguins: pd.DataFrame) -> None:
    few = penguins.iloc[[3, 200, 300]]
    for data, y, known in ((few, None, True), (few.drop(columns="species"), None, False), (few, few["species"], True)):
        picture = bs.plots.regions(draws, AXES, data, y)
        colours = next(iter(picture.axes.values())).collections[-1].get_facecolor()
        assert len(colours) == 3
        assert (len({tuple(c) for c in colours}) > 1) == known
        picture.close()


def test_an_infinite_estimate_has_regions_but_nothing_hatched() -> None:
    X = np.array([[0.0, 0.0], [1.0, 0.2], [2.0, 0.1], [3.0, 0.9]])
    with pytest.warns(bs.NotConvergedWarning):
        mle = bs.SoftmaxRegression(X, ["a", "a", "b", "b"]).mle()
    with pytest.warns(bs.NotConvergedWarning, match="without a certified optimum") as told:
        picture = bs.plots.regions(mle, [0, 1])
    assert len(told) == 1
    assert "agree" not in picture.figure.get_suptitle()
    picture.close()


def test_choice_sets_are_those_of_most_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    on = np.ones((90, 3), dtype=bool)
    on[:60, 2] = False
    y = np.array(list("abc"))[np.where(on[:, 2], rng.integers(0, 3, 90), rng.integers(0, 2, 90))]
    fit = bs.SoftmaxRegression(X, y, available=on).map()
    one = typical_row(fit._fitted, None, None, ["x0", "x1"], offset=None, available=None)
    found = find_regions(fit._fitted, one, ("x0", "x1"), [(-1.0, 1.0), (-1.0, 1.0)])
    assert (found.probabilities[..., 2] == 0).all()
    bs.plots.regions(fit, ["x0", "x1"]).close()


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("bill_length_mm", "must name two different variables"),
        (["bill_length_mm"] * 2, "must name two different variables"),
        (["bill_length_mm", "sex"], "'sex' has levels, not numbers; plots.interaction"),
        (["bill_length_mm", "bill_dept_mm"], "did you mean 'bill_depth_mm'"),
        ([*AXES, "body_mass_g"], "must name two different variables"),
    ],
)
def test_features_that_are_no_axes_are_refused(draws: bs.Posterior, features: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        bs.plots.regions(draws, features)


def test_an_axis_cannot_be_set(draws: bs.Posterior) -> None:
    with pytest.raises(ValueError, match="at: 'bill_length_mm' varies in the picture"):
        bs.plots.regions(draws, AXES, at={"bill_length_mm": 40})
