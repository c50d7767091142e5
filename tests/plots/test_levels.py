"""Pictures of the levels of groupings: order, names, what is left out, and probabilities by level."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.plots.picture import Picture
from tests.conftest import simulate
from tests.plots.test_layout import boxes, overlapping

mpl.use("Agg")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Fifty people in five towns of two countries, with names that are no markup."""
    X, codes = simulate(300, 2, 3, seed=5)
    frame = pd.DataFrame({"x": X[:, 0], "z": X[:, 1], "y": np.array(["$a$", "b_1", "100 %"])[codes]})
    frame["person"] = np.arange(300) % 50
    frame["town"] = np.array(["_p", "$q$", "r", "s", "t"])[np.arange(300) % 5]
    frame["country"] = np.where(frame["town"].isin(["_p", "r"]), "North", "South")
    return frame.assign(sex=np.where(np.arange(300) // 50 % 2, "f", "m"))


@pytest.fixture(scope="module")
def post(data) -> bs.Posterior:
    model = bs.SoftmaxRegression.from_formula("y ~ x + z + sex + (1 + x | person) + (1 | country/town)", data)
    return model.sample(draws=50, tune=100, chains=2, random_seed=1, progressbar=False)


def titles(picture: Picture) -> list[str]:
    return list(picture.axes)


def names(panel: Any) -> list[str]:
    """Names of the rows, from the top."""
    return [text.get_text() for text in panel.get_yticklabels()]


def heading(picture: Picture) -> str:
    return " ".join(picture.figure.get_suptitle().split())


def centres(panel: Any, kind: int = 0) -> np.ndarray:
    """Positions along the axis of the marks of one kind, from the top."""
    from matplotlib.collections import PathCollection

    marks = [c for c in panel.collections if isinstance(c, PathCollection)]
    return np.asarray(marks[kind].get_offsets())[:, 0]


def test_levels_are_ordered_by_their_effects_and_the_middle_is_left_out(post) -> None:
    picture = bs.plots.group_effects(post, "person", terms="intercept", most=11)
    assert titles(picture) == ["$a$", "100 %", "b_1"]
    assert heading(picture) == (
        "Effects of person: means, 89 % ETI intervals; in each panel the 6 highest and 5 lowest of 50 levels"
    )
    table = post.group_effects("person", terms="intercept")["mean"]
    for name, panel in picture.axes.items():
        means = table.xs(f"{name} vs average", level="contrast").droplevel(["group", "term"]).sort_values()[::-1]
        assert names(panel) == [*map(str, means.index[:6]), "(39 between)", *map(str, means.index[-5:])]
        drawn = centres(panel)
        assert np.isnan(drawn[6])
        assert_allclose(np.delete(drawn, 6), np.r_[means[:6], means[-5:]])
    assert overlapping(boxes(picture)) == []


def test_all_groupings_and_terms_have_panels_of_their_own(post) -> None:
    picture = bs.plots.group_effects(post, classes=["b_1"], vs="$a$")
    assert titles(picture) == [
        "person, intercept: b_1",
        "person, x: b_1",
        "country, intercept: b_1",
        "country:town, intercept: b_1",
    ]
    labels = [panel.get_xlabel() for panel in picture.axes.values()]
    assert labels == ["logit, vs $a$", "logit, vs $a$, per unit", "logit, vs $a$", "logit, vs $a$"]
    assert "20 highest and 20 lowest of 50 levels of person" in heading(picture)
    assert overlapping(boxes(picture)) == []


def test_hundreds_of_levels_have_no_names(post) -> None:
    picture = bs.plots.group_effects(post, "person", terms="x", most=49)
    assert "(1 between)" in names(picture.axes["$a$"])
    many = bs.SoftmaxRegression.from_formula("y ~ (1 | g)", _many_levels())
    post = many.sample(draws=20, tune=50, chains=2, random_seed=1, progressbar=False)
    picture = bs.plots.group_effects(post, most=100)
    assert names(picture.axes["a"]) == []
    assert picture.axes["a"].get_ylabel() == "100 levels"
    assert len(centres(picture.axes["a"])) == 100


def _many_levels() -> pd.DataFrame:
    return pd.DataFrame({"y": list("ab") * 150, "g": np.arange(300) % 100})


def test_probabilities_of_the_levels_are_averages_with_every_row_set_to_them(post, data) -> None:
    """Few levels are marks in one panel, with their names; many are ordered in a panel for each class."""
    picture = bs.plots.probabilities(post, by="sex")
    assert titles(picture) == ["sex"]
    assert names(picture.axes["sex"]) == ["f", "m"]
    picture = bs.plots.probabilities(post, by="person")
    assert heading(picture) == (
        "Average probability by person, 89 % intervals, averaged over the population of country, country:town; in each "
        "panel the 20 highest and 20 lowest of 50 levels"
    )
    panel = picture.axes["100 %"]
    first = int(names(panel)[0])
    others = dict.fromkeys(("country", "country:town"), "average")
    expected = post.predict_proba(data.assign(person=first), levels=others)["100 %"].mean()
    assert_allclose(np.nanmax(centres(panel)), expected, rtol=0.05)  # of half of the draws
    picture = bs.plots.probabilities(post, by="country:town")
    assert names(picture.axes["country:town"]) == ["North:_p", "North:r", "South:$q$", "South:s", "South:t"]
    town = data.assign(country="South", town="s")
    expected = post.predict_proba(town, levels={"person": "average"})["$a$"].mean()
    assert_allclose(centres(picture.axes["country:town"])[3], expected, rtol=0.02)
    picture = bs.plots.probabilities(post, by="country")  # its towns averaged over
    assert names(picture.axes["country"]) == ["North", "South"]
    assert overlapping(boxes(picture)) == []


@pytest.mark.parametrize("by", ["sex", "country:town"])
def test_curves_have_a_panel_for_each_of_few_levels(post, by) -> None:
    picture = bs.plots.probabilities(post, "x", by=by)
    expected = ["f", "m"] if by == "sex" else ["North:_p", "North:r", "South:$q$", "South:s", "South:t"]
    assert titles(picture) == expected
    assert all(len(panel.get_lines()) == 3 for panel in picture.axes.values())
    others = "person, country, country:town" if by == "sex" else "person"
    assert heading(picture) == f"Average probability by {by}, 89 % intervals, averaged over the population of {others}"
    assert overlapping(boxes(picture)) == []


def test_curves_of_many_levels_are_lines_in_a_panel_for_each_class(post, data) -> None:
    picture = bs.plots.probabilities(post, "x", by="person")
    assert titles(picture) == ["$a$", "100 %", "b_1"]
    assert all(len(panel.get_lines()) == 51 for panel in picture.axes.values())  # and their mean
    assert heading(picture) == (
        "Average probability: a line for each level of person, black their mean, averaged over the population of "
        "country, country:town"
    )
    few = bs.plots.probabilities(post, "x", by="person", panels="level")
    assert len(few.axes) == 12
    assert heading(few).endswith("12 of 50 levels, evenly spaced in the order of $a$")
    effects = post.group_effects("person", vs="average", terms="intercept")["mean"]
    own = [effects.loc[("person", "intercept", int(name), "$a$ vs average")] for name in few.axes]
    assert np.corrcoef(own, np.arange(12))[0, 1] < -0.5  # the slopes and few draws have their part in the order


def test_estimates_of_models_without_groups_have_curves_by_factor(overlapping) -> None:
    picture = bs.plots.probabilities(overlapping.map(), "bill_length_mm", by="sex")
    assert titles(picture) == ["female", "male"]


def test_what_cannot_be_drawn_by_level_is_refused(post) -> None:
    for options, told in (
        ({"by": "contry"}, r"by='contry' is not a grouping or factor of the model; did you mean 'country'\? \(there"),
        ({"by": "sex", "features": ["x", "z"]}, "with by= the curves are along one variable; name one"),
        ({"by": "sex", "features": "sex"}, "with by= the curves are along a numeric variable"),
        ({"by": "sex", "panels": "level"}, "is for curves along a variable; name one by features="),
        ({"by": "sex", "features": "x", "panels": "variable"}, "is not known; use one of 'level', 'class'"),
    ):
        with pytest.raises(ValueError, match=told):
            bs.plots.probabilities(post, **options)
