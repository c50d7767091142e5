"""Pareto k of each observation, as leave-one-out found it."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs

mpl.use("Agg")


def places(picture: object) -> np.ndarray:
    (panel,) = picture.axes.values()  # type: ignore[attr-defined]
    points = np.concatenate([c.get_offsets() for c in panel.collections])
    return points[np.argsort(points[:, 0])]


def test_points_are_those_of_loo(posterior: bs.Posterior) -> None:
    result = posterior.loo()
    for shown in (posterior, result):
        picture = bs.plots.pareto_k(shown)
        points = places(picture)
        assert_allclose(points[:, 1], result.pareto_k, atol=1e-12)
        assert_allclose(points[:, 0], np.arange(333))
        (panel,) = picture.axes.values()
        worst = np.asarray(result.pareto_k).argsort()[::-1][:5]
        names = [t.get_text() for t in panel.texts if t.get_text().startswith("row")]
        assert names == [f"row {i}" for i in np.asarray(result.pareto_k["obs"])[worst]]
        assert "above 0.70 for 0 of 333 observations" in picture.figure.get_suptitle()
        assert panel.lines[0].get_ydata()[0] == pytest.approx(result.good_k)
        picture.close()


def test_poor_and_infinite_values_are_marked(posterior: bs.Posterior) -> None:
    result = posterior.loo()
    k = result.pareto_k.copy()
    k[[3, 7, 9]] = [0.8, np.inf, np.nan]
    k[11] = -np.inf
    picture = bs.plots.pareto_k(replace(result, pareto_k=k), label_rows=3)
    (panel,) = picture.axes.values()
    good, poor = panel.collections
    assert sorted(poor.get_offsets()[:, 0]) == [3, 7, 9]
    assert len(good.get_offsets()) == 330
    bottom, top = panel.get_ylim()
    assert places(picture)[[7, 9], 1].tolist() == [top, top]
    assert places(picture)[11, 1] == bottom
    assert {line.get_ydata()[0] for line in panel.lines} == {result.good_k, 1.0}
    assert "for 3 of 333 observations" in picture.figure.get_suptitle()
    picture.close()


def test_observations_of_counts_have_the_row_they_come_from() -> None:
    counts = np.array([[3, 2], [4, 4], [1, 5]])
    post = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], counts).laplace(random_seed=1, progressbar=False)
    picture = bs.plots.pareto_k(post)
    assert len(places(picture)) == 19
    assert {t.get_text() for t in next(iter(picture.axes.values())).texts} <= {"0.7", "row 0", "row 1", "row 2"}
    picture.close()


def test_what_has_no_pareto_k_is_refused(overlapping: bs.SoftmaxRegression) -> None:
    for wrong in (overlapping, overlapping.map(), 5):
        with pytest.raises(TypeError, match=r"evaluated: plots\.pareto_k shows a posterior"):
            bs.plots.pareto_k(wrong)
