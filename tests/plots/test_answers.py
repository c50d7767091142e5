"""Pictures carry the names of classes and variables, on every panel that shows them."""

import matplotlib as mpl
import pytest

import bayes_softmax as bs
from bayes_softmax.plots.picture import Picture

mpl.use("Agg")


def texts(picture: Picture) -> set[str]:
    """All text of a picture: titles, labels, ticks and legend."""
    picture.root.canvas.draw()
    return {t.get_text() for t in picture.figure.findobj(mpl.text.Text) if t.get_text()}


SPECIES = {"Adelie", "Chinstrap", "Gentoo"}


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_probabilities_and_effects(overlapping: bs.SoftmaxRegression, posterior: bs.Posterior, kind: str) -> None:
    fit = overlapping.map() if kind == "map" else posterior
    shown = texts(bs.plots.probabilities(fit))
    assert SPECIES | {"bill_length_mm", "sex", "female", "male"} <= shown
    shown = texts(bs.plots.effects(fit))
    assert SPECIES | {"bill_length_mm: per unit", "sex: male vs female"} <= shown
    assert any("Wald" in t or "ETI" in t for t in shown)


def test_calibration_names_every_class(overlapping: bs.SoftmaxRegression, posterior: bs.Posterior) -> None:
    figure = bs.plots.calibration(posterior, loo=True)
    assert [axis.get_title() for axis in figure.axes.values()] == ["Adelie", "Chinstrap", "Gentoo"]
    assert any("leave-one-out, 333 observations" in t for t in texts(figure))
    assert texts(bs.plots.calibration(overlapping.map().evaluate(n_bins=5))) >= SPECIES


def test_predictive_checks_name_groups_and_classes(posterior: bs.Posterior) -> None:
    shown = texts(bs.plots.posterior_predictive(posterior, by="sex", random_seed=1))
    assert SPECIES | {"sex: female\n(165 observations)", "sex: male\n(168 observations)", "observed"} <= shown


def test_many_classes_have_colours_of_their_own() -> None:
    from bayes_softmax.plots.style import class_colours

    assert len(set(class_colours(26))) == 26
