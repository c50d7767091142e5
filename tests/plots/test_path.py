"""The MAP path: lines are the estimates, the border the maximum-likelihood estimate."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate

mpl.use("Agg")

X, CODES = simulate(120, 2, 3)
SCALES = [0.01, 0.1, 1.0, 10.0, 1000.0]


def test_lines_are_the_estimates_and_dots_maximum_likelihood() -> None:
    model = bs.SoftmaxRegression(X, CODES)
    picture = bs.plots.map_path(model, SCALES, features=["x1", "intercept"])
    assert list(picture.axes) == ["x1", "intercept"]
    path, mle = model.map_path(SCALES), model.mle()
    for feature, panel in picture.axes.items():
        lines = [line for line in panel.get_lines() if len(line.get_xdata()) == len(SCALES)]
        assert len(lines) == 3
        for k, line in enumerate(lines):
            assert_allclose(line.get_xdata(), SCALES)
            values = [e.summary(vs="average").loc[(feature, f"{k} vs average"), "estimate"] for e in path.values()]
            assert_allclose(line.get_ydata(), values, atol=1e-9)
        dots = [line for line in panel.get_lines() if line.get_marker() == "o"]
        limits = mle.summary(vs="average").loc[feature]["estimate"]
        assert_allclose([dot.get_ydata()[0] for dot in dots], limits, atol=1e-9)
        assert all(dot.get_xdata()[0] > SCALES[-1] for dot in dots)
    picture.close()


def test_an_infinite_estimate_is_an_arrow_in_its_direction() -> None:
    model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
    picture = bs.plots.map_path(model, SCALES)  # without a warning: the arrows say it
    (panel,) = picture.axes.values()
    arrows = [t for t in panel.texts if t.arrow_patch is not None]
    assert [np.sign(-a.xyann[1]) for a in arrows] == [-1, 1]  # a falls, b rises
    assert not [line for line in panel.get_lines() if line.get_marker() == "o"]
    picture.close()


def test_contrasts_against_a_class_and_the_models_own_prior() -> None:
    model = bs.SoftmaxRegression(X, CODES)
    picture = bs.plots.map_path(model, SCALES, vs=0, classes=[2], features="x0")
    (panel,) = picture.axes.values()
    (line,) = [line for line in panel.get_lines() if len(line.get_xdata()) == len(SCALES)]
    W = [e.weights.sel(feature="x0").values for e in model.map_path(SCALES).values()]
    assert_allclose(line.get_ydata(), [w[2] - w[0] for w in W], atol=1e-9)
    assert panel.get_ylabel() == "logit per unit, vs 0"
    assert any(line.get_linestyle() == "--" and line.get_xdata()[0] == 1.0 for line in panel.get_lines())
    picture.close()


def test_log_losses_are_those_of_evaluate() -> None:
    model = bs.SoftmaxRegression(X, CODES)
    picture = bs.plots.map_path(model, SCALES, loo=True, mle=False)
    assert list(picture.axes) == ["x0", "x1", "log loss"]
    inside, outside, best = picture.axes["log loss"].get_lines()[:3]
    path = model.map_path(SCALES)
    assert_allclose(inside.get_ydata(), [e.evaluate().log_loss for e in path.values()])
    losses = [e.evaluate(loo=True).log_loss for e in path.values()]
    assert_allclose(outside.get_ydata(), losses)
    assert best.get_ydata()[0] == pytest.approx(min(losses))
    picture.close()


def test_twelve_features_by_default_and_that_is_said() -> None:
    X, codes = simulate(60, 15, 2)
    picture = bs.plots.map_path(bs.SoftmaxRegression(X, codes), [0.1, 1], mle=False)
    assert len(picture.axes) == 12
    assert "12 of 15 features" in picture.figure.get_suptitle()
    picture.close()


def test_wrong_models_features_and_classes() -> None:
    model = bs.SoftmaxRegression(X, CODES)
    with pytest.raises(TypeError, match="PointEstimate, a fit; pass the model"):
        bs.plots.map_path(model.map())
    with pytest.raises(ValueError, match="features: 'x9' is not one of 'intercept'"):
        bs.plots.map_path(model, features="x9")
    with pytest.raises(ValueError, match=r"classes=\[0\]: the contrasts are '1 vs 0'"):
        bs.plots.map_path(model, vs=0, classes=[0])
    with pytest.raises(ValueError, match="no scale to change"):
        bs.plots.map_path(bs.SoftmaxRegression(X, CODES, prior=bs.Flat()))
