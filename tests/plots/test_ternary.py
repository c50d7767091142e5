"""The triangle: places are probabilities, colours are observed classes."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.plots.observed import observed_rows
from bayes_softmax.plots.style import class_colours
from bayes_softmax.plots.ternary import CORNERS, find_shares
from tests.conftest import simulate

mpl.use("Agg")

HEIGHT = np.sqrt(0.75)


def points(picture: object) -> tuple[np.ndarray, np.ndarray]:
    (panel,) = picture.axes.values()  # type: ignore[attr-defined]
    (dots,) = panel.collections
    return np.asarray(dots.get_offsets()), dots.get_facecolor()


def test_places_are_probabilities_and_colours_observed_classes(posterior: bs.Posterior, penguins: object) -> None:
    picture = bs.plots.ternary(posterior)
    places, colours = points(picture)
    P = posterior.predict_proba(penguins).to_numpy()
    top = places[:, 1] / HEIGHT
    right = places[:, 0] - 0.5 * top
    assert_allclose(np.column_stack([1 - right - top, right, top]), P, atol=1e-9)
    classes = list(posterior.classes)
    own = [to_rgba(class_colours(3)[classes.index(label)]) for label in penguins["species"]]
    assert_allclose(colours, own)
    assert {t.get_text() for t in next(iter(picture.axes.values())).texts} >= set(classes)
    picture.close()


def test_corners_in_the_order_asked_for(posterior: bs.Posterior, penguins: object) -> None:
    picture = bs.plots.ternary(posterior, classes=["Gentoo", "Adelie", "Chinstrap"])
    places, _ = points(picture)
    P = posterior.predict_proba(penguins)
    assert_allclose(places[:, 1] / HEIGHT, P["Chinstrap"], atol=1e-9)
    picture.close()


def test_three_of_six_classes_are_conditional_and_others_left_out() -> None:
    X, codes = simulate(300, 3, 6)
    fit = bs.SoftmaxRegression(X, codes).map()
    found = find_shares(fit._fitted, observed_rows(fit._fitted), [4, 0, 2], with_draws=False)
    kept = np.flatnonzero(np.isin(codes, [4, 0, 2]))
    assert found.kept.tolist() == kept.tolist()
    P = fit.predict_proba(X[kept])[[4, 0, 2]].to_numpy()
    assert_allclose(found.shares, P / P.sum(axis=1, keepdims=True), atol=1e-12)
    picture = bs.plots.ternary(fit, classes=[4, 0, 2])
    assert f"{len(kept)} of 300 rows" in picture.figure.get_suptitle()
    assert "conditional on three of 6 classes" in picture.figure.get_suptitle()
    picture.close()


def test_clouds_are_draws_of_the_same_row(posterior: bs.Posterior, penguins: object) -> None:
    found = find_shares(posterior._fitted, observed_rows(posterior._fitted), [0, 1, 2], with_draws=True)
    assert found.clouds.shape == (60, 100, 3)
    row = int(found.clouded[30])
    each = posterior.predict_draws(penguins.iloc[[row]]).values.reshape(-1, 3)
    assert np.abs(each[None] - found.clouds[30][:, None]).sum(axis=2).min(axis=1).max() < 1e-12
    picture = bs.plots.ternary(posterior, draws=True)
    picture.close()


def test_counts_are_points_of_their_size() -> None:
    counts = np.array([[9, 1, 0], [1, 4, 4], [0, 2, 16]])
    fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], counts).map()
    picture = bs.plots.ternary(fit)
    (panel,) = picture.axes.values()
    sizes = panel.collections[0].get_sizes()
    assert len(sizes) == 7
    assert sizes.max() == pytest.approx(4 * sizes[1:-1][np.argsort(sizes[1:-1])[len(sizes) // 2]], rel=1.0)
    assert sizes[0] == sizes.max()
    picture.close()


def test_corners_are_an_equilateral_triangle() -> None:
    sides = [np.linalg.norm(CORNERS[i] - CORNERS[j]) for i, j in ((0, 1), (1, 2), (2, 0))]
    assert_allclose(sides, 1.0)


def test_needs_three_classes_and_draws() -> None:
    X, codes = simulate(60, 2, 5)
    five, two = bs.SoftmaxRegression(X, codes).map(), bs.SoftmaxRegression(X, codes > 1).map()
    with pytest.raises(ValueError, match="classes: a triangle shows three classes; name three of the 5"):
        bs.plots.ternary(five)
    with pytest.raises(ValueError, match="this fit has 2 classes"):
        bs.plots.ternary(two)
    with pytest.raises(ValueError, match="draws=True needs a posterior"):
        bs.plots.ternary(five, classes=[0, 1, 2], draws=True)
