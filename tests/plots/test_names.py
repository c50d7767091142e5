"""Names in the pictures of one kind are drawn as they are, the class colours are the same, and given axes are used."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.text import Text

import bayes_softmax as bs
from bayes_softmax.plots.picture import Picture
from bayes_softmax.plots.style import class_colours

mpl.use("Agg")

CLASSES = ["$0-$50k", "_other", "$^$", "100 %", "two\nlines", r"\frac{x}"]
FEATURES = ["_x$^$", "$a_1$"]


@pytest.fixture(scope="module")
def fits() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.normal(size=240) for name in FEATURES})
    y = np.array(CLASSES, dtype=object)[rng.permutation(np.arange(240) % 6)]
    model = bs.SoftmaxRegression(X, y)
    return {
        "model": model,
        "map": model.map(),
        "laplace": model.laplace(random_seed=1, progressbar=False),
        "chains": model.sample(100, chains=2, random_seed=1, progressbar=False),
    }


PICTURES: dict[str, Callable[..., Picture]] = {
    "confusion": lambda fits, **look: bs.plots.confusion(fits["map"], **look),
    "interaction": lambda fits, **look: bs.plots.interaction(fits["map"], *FEATURES, **look),
    "map_path": lambda fits, **look: bs.plots.map_path(fits["model"], [0.1, 1, 10], **look),
    "pareto_k": lambda fits, **look: bs.plots.pareto_k(fits["laplace"], **look),
    "regions": lambda fits, **look: bs.plots.regions(fits["laplace"], FEATURES, **look),
    "ternary": lambda fits, **look: bs.plots.ternary(fits["map"], **{"classes": CLASSES[:3], **look}),
    "traces": lambda fits, **look: bs.plots.traces(fits["chains"], most=1, **look),
    "uncertainty": lambda fits, **look: bs.plots.uncertainty(fits["map"], **look),
}
SHOWS = {
    "confusion": CLASSES,
    "interaction": [*CLASSES, FEATURES[0], f"{FEATURES[1]} = "],
    "map_path": [*CLASSES, *FEATURES],
    "pareto_k": [],
    "regions": [*CLASSES, *FEATURES],
    "ternary": CLASSES[:3],
    "traces": [],
    "uncertainty": CLASSES,
}


@pytest.mark.parametrize("usetex", [False, True])
@pytest.mark.parametrize("picture", PICTURES)
def test_names_are_text_and_no_markup(picture: str, usetex: bool, fits: dict[str, Any]) -> None:
    with mpl.rc_context({"text.usetex": usetex}):
        drawn = PICTURES[picture](fits)
        if not usetex:  # TeX need not be installed
            drawn.figure.canvas.draw()
        texts = [text for text in drawn.figure.findobj(Text) if text.get_text() and text.get_visible()]
        for text in texts:
            assert not text.get_parse_math(), text
            assert not text.get_usetex(), text
        for name in SHOWS[picture]:
            assert any(text.get_text().startswith(name) for text in texts), f"{name!r} is not shown"
        drawn.close()


@pytest.mark.parametrize("picture", PICTURES)
def test_nothing_is_drawn_outside_the_figure(picture: str, fits: dict[str, Any]) -> None:
    drawn = PICTURES[picture](fits)
    drawn.figure.canvas.draw()
    box = drawn.figure.bbox
    numbers = {id(t) for panel in drawn.axes.values() for t in [*panel.get_xticklabels(), *panel.get_yticklabels()]}
    for text in drawn.figure.findobj(Text):
        if text.get_text() and text.get_visible() and id(text) not in numbers:  # some lie beyond the axis, not drawn
            inside = text.get_window_extent()
            assert inside.x0 > box.x0 - 2, text
            assert inside.x1 < box.x1 + 2, text
            assert inside.y0 > box.y0 - 2, text
            assert inside.y1 < box.y1 + 2, text
    drawn.close()


@pytest.mark.parametrize("picture", PICTURES)
def test_given_axes_and_figures_are_drawn_into(picture: str, fits: dict[str, Any]) -> None:
    whole = plt.figure(figsize=(12, 8))
    drawn = PICTURES[picture](fits, figure=whole, title="_a $title$")
    assert drawn.figure is whole
    assert whole.get_suptitle() == "_a $title$"
    _, axes = plt.subplots(1, len(drawn.axes))
    again = PICTURES[picture](fits, ax=axes)
    assert list(again.axes.values()) == list(np.ravel(axes))
    assert all(panel.has_data() for panel in again.axes.values())
    plt.close("all")


@pytest.mark.parametrize("picture", ["map_path", "regions", "ternary", "uncertainty"])
def test_a_class_has_its_colour_whatever_is_shown(picture: str, fits: dict[str, Any]) -> None:
    drawn = PICTURES[picture](fits, classes=["100 %", "_other", "$^$"], colors={"_other": "black"})
    used = {tuple(c) for panel in drawn.axes.values() for dots in panel.collections for c in dots.get_facecolor()}
    used |= {to_rgba(line.get_color()) for panel in drawn.axes.values() for line in panel.get_lines()}
    own = dict(zip(fits["map"].classes, map(to_rgba, class_colours(6)), strict=True))
    assert {own["100 %"], own["$^$"], to_rgba("black")} <= used
    assert not {own["_other"], own["$0-$50k"], own["two\nlines"]} & used
    drawn.close()


def test_every_kind_of_label_and_a_loaded_fit(tmp_path) -> None:
    rng = np.random.default_rng(1)
    X, codes = rng.normal(size=(90, 2)), np.arange(90) % 3
    for labels in (codes + 5, codes > 0, np.array(["1", "1.0", "01"])[codes]):
        model = bs.SoftmaxRegression(X, labels, weights=np.ones(90) + codes)
        model.laplace(400, random_seed=1, progressbar=False).save(tmp_path / "fit.nc")
        fit = bs.load(tmp_path / "fit.nc")
        for draw in (bs.plots.confusion, bs.plots.regions, bs.plots.uncertainty, bs.plots.pareto_k):
            draw(fit).close()
        bs.plots.interaction(fit, "x0", "x1").close()
        if len(fit.classes) == 3:
            bs.plots.ternary(fit, draws=True).close()
        fit.save(tmp_path / "fit.nc", data=False)
        with pytest.raises(ValueError, match="saved without them"):
            bs.plots.regions(bs.load(tmp_path / "fit.nc"))
        bs.plots.uncertainty(bs.load(tmp_path / "fit.nc"), X, labels).close()
