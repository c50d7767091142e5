"""Aleatoric against epistemic uncertainty: the points are the table's numbers."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs

mpl.use("Agg")


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_points_are_the_numbers_of_uncertainty(
    kind: str, overlapping: bs.SoftmaxRegression, posterior: bs.Posterior, penguins: pd.DataFrame
) -> None:
    fit = overlapping.map() if kind == "map" else posterior
    table = fit.uncertainty(penguins)
    picture = bs.plots.uncertainty(fit)
    (panel,) = picture.axes.values()
    (dots,) = panel.collections
    assert_allclose(dots.get_offsets(), table[["aleatoric", "epistemic"]], atol=1e-12)
    worst = table["epistemic"].nlargest(5).index
    assert [t.get_text() for t in panel.texts] == [f"row {i}" for i in worst]
    picture.close()


def test_rows_are_named_by_their_labels(posterior: bs.Posterior, penguins: pd.DataFrame) -> None:
    new = penguins.iloc[::10].set_axis([f"bird {i}" for i in range(len(penguins.iloc[::10]))])
    picture = bs.plots.uncertainty(posterior, new.drop(columns="species"), label_rows=1)
    (panel,) = picture.axes.values()
    worst = posterior.uncertainty(new)["epistemic"].idxmax()
    assert [t.get_text() for t in panel.texts] == [f"row {worst}"]
    assert not picture.figure.legends
    picture.close()


def test_names_do_not_overlap(posterior: bs.Posterior) -> None:
    picture = bs.plots.uncertainty(posterior, label_rows=8)
    picture.figure.canvas.draw()
    boxes = [t.get_window_extent() for t in next(iter(picture.axes.values())).texts]
    assert len(boxes) == 8
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(overlap) < 3  # pixels: the boxes include the room below letters
    picture.close()


def test_many_rows_are_thinned_and_that_is_said() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2500, 1))
    fit = bs.SoftmaxRegression(X, rng.integers(0, 2, 2500)).map()
    picture = bs.plots.uncertainty(fit)
    assert len(next(iter(picture.axes.values())).collections[0].get_offsets()) == 1000
    assert "1,000 of 2,500 rows" in picture.figure.get_suptitle()
    picture.close()


def test_collapsed_rows_weights_and_a_row_without_observations() -> None:
    X = np.array([[0.0], [1.0], [2.0]] * 4)
    y = np.array(list("abbaabbabbaa"))
    weights = np.array([2.0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 3])
    fit = bs.SoftmaxRegression(X, y, weights=weights, collapse=True).map()
    picture = bs.plots.uncertainty(fit)
    places = np.asarray(next(iter(picture.axes.values())).collections[0].get_offsets())
    expected = fit.uncertainty(X[weights > 0])[["aleatoric", "epistemic"]].to_numpy()
    assert_allclose(np.sort(places, axis=0), np.sort(expected, axis=0), atol=1e-12)
    picture.close()


def test_an_infinite_estimate_has_nothing_to_split() -> None:
    with pytest.warns(bs.NotConvergedWarning):
        mle = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]).mle()
    with (
        pytest.warns(bs.NotConvergedWarning),
        pytest.raises(ValueError, match=r"fit: the uncertainty of this estimate is not known.*pass model\.map"),
    ):
        bs.plots.uncertainty(mle)
