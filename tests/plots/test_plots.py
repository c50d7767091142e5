"""Pictures: what they show is what the tables say."""

import matplotlib as mpl
import pytest
from matplotlib.collections import PathCollection
from numpy.testing import assert_allclose

import bayes_softmax as bs

mpl.use("Agg")


def test_compare_shows_every_fit_class_and_feature(overlapping: bs.SoftmaxRegression, posterior: bs.Posterior) -> None:
    mle = overlapping.mle()
    picture = bs.plots.compare(mle=mle, posterior=posterior)
    assert list(picture.axes) == ["bill_length_mm", "sex[T.male]"]
    panel = picture.axes["bill_length_mm"]
    assert [t.get_text() for t in panel.get_yticklabels()] == list(mle.classes)
    assert panel.get_xlabel() == "logit per unit, vs average"
    first, second = (marks.get_offsets()[:, 0] for marks in panel.collections if isinstance(marks, PathCollection))
    assert_allclose(first, mle.summary(vs="average").loc["bill_length_mm", "estimate"])
    assert_allclose(second, posterior.summary(vs="average").loc["bill_length_mm", "mean"])
    labels = [t.get_text() for t in picture.figure.legends[0].get_texts()]
    assert labels == ["mle (estimate, 89 % Wald interval)", "posterior (mean, 89 % ETI)"]


def test_forest_against_a_class_and_chosen_features(posterior: bs.Posterior) -> None:
    picture = bs.plots.forest(posterior, vs="Adelie", features=["intercept"], ci_prob=0.5)
    (panel,) = picture.axes.values()
    assert panel.get_title() == "intercept"
    assert [t.get_text() for t in panel.get_yticklabels()] == ["Chinstrap", "Gentoo"]
    assert panel.get_xlabel() == "logit at x = 0, vs Adelie"
    with pytest.raises(ValueError, match="features: 'age' is not one of 'intercept'"):
        bs.plots.forest(posterior, features=["age"])
