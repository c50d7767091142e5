"""Pictures: what they show is what the tables say."""

import matplotlib as mpl
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs

mpl.use("Agg")


def test_compare_shows_every_fit_class_and_feature(overlapping: bs.SoftmaxRegression, posterior: bs.Posterior) -> None:
    mle = overlapping.mle()
    figure = bs.plots.compare(mle=mle, posterior=posterior)
    shown = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title() for panel in shown] == ["bill_length_mm", "sex[T.male]"]
    assert [t.get_text() for t in shown[0].get_yticklabels()] == [f"{c} vs average" for c in mle.classes]
    marks = shown[0].get_lines()
    assert_allclose(marks[1].get_xdata(), mle.summary(vs="average").loc["bill_length_mm", "estimate"])
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels == ["mle (estimate, 89 % Wald interval)", "posterior (mean, 89 % ETI)"]


def test_forest_against_a_class_and_chosen_features(posterior: bs.Posterior) -> None:
    figure = bs.plots.forest(posterior, vs="Adelie", features=["intercept"], ci_prob=0.5)
    (panel,) = [p for p in figure.axes if p.get_visible()]
    assert panel.get_title() == "intercept"
    assert len(panel.get_yticklabels()) == 2
    with pytest.raises(ValueError, match="features: 'age' is not one of 'intercept'"):
        bs.plots.forest(posterior, features=["age"])
