"""What a reader meets in a picture: labels that fit, legends that are understood, names clear of points."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import bayes_softmax as bs
from bayes_softmax.plots.picture import Picture

mpl.use("Agg")

RNG = np.random.default_rng(2)
N = 300
PLANS = ["Basic", "Family", "Gold", "Premium", "Student"]
DATA = pd.DataFrame(
    {
        "age": RNG.normal(40, 10, N),
        "income": RNG.normal(5, 1, N),
        "region": RNG.choice(["East", "North", "South"], N),
        "plan": RNG.choice(PLANS, N),
    }
)
MODEL = bs.SoftmaxRegression.from_formula("plan ~ age + income + region", DATA)
FIT = MODEL.map()
POST = MODEL.laplace(1000, random_seed=1, progressbar=False)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def legend_of(picture: Picture) -> dict[str, object]:
    (legend,) = picture.legends
    return {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)}


def test_many_classes_and_fits_have_a_panel_for_each_level_and_no_legend_of_classes() -> None:
    picture = bs.plots.compare(mle=MODEL.mle(), map=FIT, laplace=POST)
    assert list(picture.axes) == ["age", "income", "region[T.North]", "region[T.South]"]
    assert not set(legend_of(picture)) & set(PLANS)
    few = bs.plots.compare(mle=MODEL.mle(), map=FIT, classes=["Basic", "Gold"])
    assert list(few.axes) == ["age", "income", "region"]
    assert legend_of(few)["Basic"].get_marker() == "s"  # type: ignore[attr-defined]  # unlike the marks of fits


def test_the_arrow_has_a_mark_in_the_legend() -> None:
    separated = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
    with pytest.warns(bs.NotConvergedWarning):
        infinite = separated.mle()
    handle = legend_of(bs.plots.compare(mle=infinite, map=separated.map()))["infinite (both ways: not determined)"]
    assert handle.get_marker() == ">"  # type: ignore[attr-defined]


def test_an_axis_says_once_in_a_column_what_it_shows() -> None:
    labels = [panel.get_xlabel() for panel in bs.plots.effects(FIT).axes.values()]
    assert "change of probability" in labels
    assert set(labels) <= {"", "change of probability"}
    own = plt.figure(figsize=(12, 4)).subplots(1, 3)
    assert {a.get_xlabel() for a in bs.plots.effects(FIT, ax=own).axes.values()} == {"change of probability"}


def test_the_interval_is_in_the_heading_where_there_is_one() -> None:
    picture = bs.plots.probabilities(FIT, classes=["Basic", "Gold"])
    assert picture.figure.get_suptitle() == "Average probability (89 % intervals)"
    assert {panel.get_ylabel() for panel in picture.axes.values()} <= {"", "average probability"}
    (alone,) = bs.plots.probabilities(FIT, "age", classes=["Basic"], ax=plt.figure().subplots()).axes.values()
    assert "intervals)" in alone.get_ylabel()


def test_regions_say_that_points_are_of_all_rows() -> None:
    picture = bs.plots.regions(FIT, ["age", "income"])
    assert "points: all rows, whatever their own values of these" in picture.figure.get_suptitle()
    alone = bs.SoftmaxRegression.from_formula("plan ~ age + income", DATA).map()
    assert "points" not in bs.plots.regions(alone).figure.get_suptitle()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            (),
            r"the model has 3 variables \('age', .*\); name two numeric ones; for example regions\(fit, \['age', ",
        ),
        (("age", "income"), r"give both names in one list, as in regions\(fit, \['age', 'income'\]\)"),
    ],
)
def test_regions_say_how_variables_are_named(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        bs.plots.regions(FIT, *arguments)


def test_calibration_takes_new_data() -> None:
    new = DATA.iloc[:150]
    drawn = bs.plots.calibration(FIT, new, n_bins=4)
    expected = bs.plots.calibration(FIT.evaluate(new, n_bins=4))
    for own, other in zip(drawn.axes.values(), expected.axes.values(), strict=True):
        assert own.lines[1].get_xydata().tolist() == other.lines[1].get_xydata().tolist()
    assert "150 observations" in drawn.figure.get_suptitle()
    with pytest.raises(ValueError, match="data and y belong to a fit"):
        bs.plots.calibration(FIT.evaluate(), new)


def test_names_of_rows_hide_no_points() -> None:
    picture = bs.plots.pareto_k(POST)
    picture.root.canvas.draw()
    (panel,) = picture.axes.values()
    points = np.concatenate([panel.transData.transform(c.get_offsets()) for c in panel.collections])
    named = [text for text in panel.texts if text.get_text().startswith("row ")]
    assert len(named) == 5
    hidden = 0
    for text in named:
        box = text.get_window_extent()
        hidden += int(((points > box.min + 1) & (points < box.max - 1)).all(axis=1).sum())
    assert hidden == 0
