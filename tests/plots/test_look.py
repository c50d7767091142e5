"""Keywords that all pictures share, and what they return: where, how large, which classes, which colours."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

import bayes_softmax as bs
from bayes_softmax.plots.look import Look
from bayes_softmax.plots.picture import Picture
from bayes_softmax.plots.style import COLOURS, class_colours, class_styles
from tests.conftest import simulate

mpl.use("Agg")

X, CODES = simulate(120, 2, 3)
DATA = pd.DataFrame(X, columns=["x", "z"]).assign(
    g=pd.Categorical.from_codes(CODES, ["p", "q", "r"])[np.argsort(X[:, 1])], y=np.array(list("abc"))[CODES]
)


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula("y ~ x + z", DATA)


@pytest.fixture(scope="module")
def fit(model: bs.SoftmaxRegression) -> bs.Posterior:
    return model.laplace(200, random_seed=1, progressbar=False)


# Each picture with the number of its panels.
PICTURES: dict[str, tuple[int, Callable[..., Picture]]] = {
    "forest": (2, lambda model, fit, **look: bs.plots.forest(fit, **look)),
    "compare": (2, lambda model, fit, **look: bs.plots.compare(map=model.map(), posterior=fit, **look)),
    "probabilities": (2, lambda model, fit, **look: bs.plots.probabilities(fit, **look)),
    "effects": (2, lambda model, fit, **look: bs.plots.effects(fit, **look)),
    "calibration": (3, lambda model, fit, **look: bs.plots.calibration(fit, n_bins=4, **look)),
    "posterior_predictive": (3, lambda model, fit, **look: bs.plots.posterior_predictive(fit, DATA["g"], **look)),
    "prior": (2, lambda model, fit, **look: bs.plots.prior(model, draws=20, **look)),
}
each = pytest.mark.parametrize("name", PICTURES)


def colours(picture: Picture) -> set[str]:
    """All colours of lines and marks."""
    found: set[str] = set()
    for panel in picture.axes.values():
        found |= {to_hex(line.get_color()) for line in panel.get_lines()}
        for marks in panel.collections:
            found |= {to_hex(c) for c in marks.get_edgecolor()} | {to_hex(c) for c in marks.get_facecolor()}
    return found


def test_every_picture_is_tried() -> None:
    assert set(PICTURES) <= set(bs.plots.__all__) == set(dir(bs.plots))


@pytest.mark.parametrize("name", bs.plots.__all__)
def test_the_shared_keywords_are_written_out_in_the_documentation(name: str) -> None:
    drawn = getattr(bs.plots, name)
    assert "plots.look.Look" not in drawn.__doc__
    shared = {field.name for field in fields(Look)}
    for keyword in shared & set(inspect.signature(drawn).parameters):
        assert re.search(rf"^(\w+, )*{keyword}(, \w+)*\n    \S", drawn.__doc__, flags=re.MULTILINE), keyword


@each
def test_a_new_figure_stays_in_pyplot(name: str, model, fit, tmp_path: Path) -> None:
    n, draw = PICTURES[name]
    before = dict(mpl.rcParams)
    picture = draw(model, fit, figsize=(8, 5), title="A $heading_")
    assert dict(mpl.rcParams) == before
    assert [plt.figure(i) for i in plt.get_fignums()] == [picture.figure]
    assert tuple(picture.root.get_size_inches()) == (8, 5)
    assert picture.figure.get_suptitle() == "A $heading_"
    assert len(picture.axes) == n
    assert list(picture.axes.values()) == picture.figure.axes
    picture.savefig(tmp_path / "a.png", dpi=30)
    picture.close()
    assert not plt.get_fignums()
    picture.savefig(tmp_path / "b.png", dpi=30)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("a.png", "b.png"))


@each
def test_given_axes_are_drawn_into(name: str, model, fit) -> None:
    n, draw = PICTURES[name]
    figure, axes = plt.subplots(n + 1)
    axes[0].set_title("mine")
    note = axes[1].text(0, 0, "$mine$")
    picture = draw(model, fit, ax=axes[1:])
    assert picture.figure is figure
    assert list(picture.axes.values()) == list(axes[1:])
    assert all(panel.has_data() for panel in axes[1:])
    assert not axes[0].has_data()
    assert not figure.legends
    assert figure.get_suptitle() == ""
    assert note.get_parse_math()
    assert plt.get_fignums() == [figure.number]
    figure.draw_without_rendering()
    with pytest.raises(ValueError, match=rf"ax: this picture has {n} panels \('.*'\), and {n + 1} axes were given"):
        draw(model, fit, ax=axes)
    with pytest.raises(ValueError, match="title: your own figure has the heading"):
        draw(model, fit, ax=axes[1:], title="a")
    with pytest.raises(ValueError, match="figsize belongs to a new figure, and ax was given"):
        draw(model, fit, ax=axes[1:], figsize=(3, 3))


@each
def test_a_figure_or_a_subfigure_is_drawn_into(name: str, model, fit) -> None:
    n, draw = PICTURES[name]
    alone = Figure(figsize=(9, 4))
    assert draw(model, fit, figure=alone).root is alone
    assert len(alone.axes) == n
    assert not plt.get_fignums()
    alone.draw_without_rendering()
    whole = plt.figure(figsize=(12, 4), layout="constrained")
    left, right = whole.subfigures(1, 2)
    picture = draw(model, fit, figure=right, title="right")
    assert picture.figure is right
    assert picture.root is whole
    assert len(right.axes) == n
    assert not left.axes
    whole.draw_without_rendering()
    with pytest.raises(ValueError, match=f"figure has {n} panels already"):
        draw(model, fit, figure=right)
    with pytest.raises(ValueError, match="ax and figure were both given"):
        draw(model, fit, figure=left, ax=right.axes)


def test_one_panel_takes_one_axes_and_a_title(fit) -> None:
    figure, (first, second) = plt.subplots(1, 2)
    picture = bs.plots.probabilities(fit, "x", ax=first, title="along x")
    assert picture.axes == {"x": first}
    assert first.get_title() == "along x"
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["a", "b", "c"]
    bs.plots.forest(fit, features="z", ax=[second])
    assert second.get_title() == "z"
    figure.draw_without_rendering()


@each
def test_classes_and_colours(name: str, model, fit) -> None:
    _, draw = PICTURES[name]
    a, b, c = COLOURS[:3]
    drawn = {to_hex(colour) for colour in COLOURS}
    assert colours(draw(model, fit)) & drawn == {to_hex(colour) for colour in (a, b, c)}
    assert colours(draw(model, fit, classes=["c", "a"])) & drawn == {to_hex(a), to_hex(c)}  # as among all classes
    mixed = colours(draw(model, fit, classes=["c", "a"], colors={"c": "#010203"}))
    assert {"#010203", to_hex(a)} <= mixed
    assert not mixed & {to_hex(b), to_hex(c)}
    assert {"#010203", "#040506"} <= colours(draw(model, fit, classes=["c", "a"], colors=["#010203", "#040506"]))
    with pytest.raises(ValueError, match=r"classes: 'A' is not a class; did you mean 'a'\? \(classes: 'a', 'b', 'c'\)"):
        draw(model, fit, classes=["A"])
    with pytest.raises(ValueError, match="colors has 1 of the 3 colours needed"):
        draw(model, fit, colors=["red"])
    with pytest.raises(ValueError, match="colors: 'rde' is not a colour of matplotlib"):
        draw(model, fit, colors={"a": "rde"})


def test_classes_are_drawn_in_the_order_asked_for(model, fit) -> None:
    def rows(picture: Picture, panel: str) -> list[str]:
        return [text.get_text() for text in picture.axes[panel].get_yticklabels()]

    assert rows(bs.plots.forest(fit, classes=["c", "a"]), "x") == ["c", "a"]
    assert rows(bs.plots.effects(fit, classes=["c", "a"]), "x") == ["c", "a"]
    assert rows(bs.plots.prior(model, draws=20, classes=["c", "a"]), "classes") == ["c", "a"]
    assert list(bs.plots.calibration(fit, n_bins=4, classes=["c", "a"]).axes) == ["c", "a"]
    assert list(bs.plots.probabilities(fit, "x", classes=["c", "a"], panels="class").axes) == ["c", "a"]
    assert list(bs.plots.probabilities(fit, classes=["c"], panels="class").axes) == ["x: c", "z: c"]
    assert rows(bs.plots.forest(fit, vs="a", classes=["c", "a"]), "x") == ["c"]
    with pytest.raises(ValueError, match=r"classes=\['a'\]: the contrasts shown are 'b vs a', 'c vs a'"):
        bs.plots.forest(fit, vs="a", classes=["a"])
    marks = bs.plots.forest(fit, classes=["c", "a"]).axes["x"].collections[-1].get_offsets()[:, 0]
    means = fit.summary(vs="average")["mean"]
    np.testing.assert_allclose(marks, [means["x", "c vs average"], means["x", "a vs average"]])


def test_labels_that_look_alike_are_different_classes() -> None:
    styles = class_styles([1, "1", True, 0], classes=["1", True, np.int64(0)], colors={1: "red", "1": "blue"})
    assert [(s.position, s.label, s.colour) for s in styles] == [
        (1, "1", "blue"),
        (2, True, COLOURS[2]),
        (3, 0, COLOURS[3]),
    ]
    with pytest.raises(ValueError, match=r"classes: '0' is not a class \(the class is of type int\)"):
        class_styles([1, "1", True, 0], classes=["0"])


def test_six_classes_have_a_panel_each_and_sixty_have_lines() -> None:
    features, codes = simulate(300, 1, 6)
    six = bs.SoftmaxRegression(features, codes).map()
    assert list(bs.plots.probabilities(six).axes) == ["0", "1", "2", "3", "4", "5"]
    (panel,) = bs.plots.probabilities(six, panels="variable").axes.values()
    assert len(panel.get_lines()) == 6
    assert len(panel.collections) == 7  # six bands, and the values in the data
    assert list(bs.plots.probabilities(six, ax=plt.subplots()[1]).axes) == ["x0"]
    assert list(bs.plots.probabilities(six, classes=[1, 2]).axes) == ["x0"]
    features, codes = simulate(300, 11, 6)
    picture = bs.plots.probabilities(bs.SoftmaxRegression(features, codes).map())
    assert len(picture.axes) == 11
    assert all(len(panel.collections) == 1 for panel in picture.axes.values())  # no bands
    assert "panels='class' show them" in picture.figure.get_suptitle()


def test_a_certain_point_is_not_cut_off() -> None:
    features = np.linspace(-1, 1, 40)[:, None]
    certain = bs.SoftmaxRegression(features, (features[:, 0] > 0).astype(int), prior=bs.Normal(300)).map()
    for panel in bs.plots.probabilities(certain).axes.values():
        assert panel.get_ylim()[1] > 1.0
        assert not any(line.get_clip_on() for line in panel.get_lines())
    for panel in bs.plots.calibration(certain, n_bins=2).axes.values():
        assert not any(line.get_clip_on() for line in panel.get_lines()[1:])


# ---------------------------------------------------------------------- colours

# Machado, Oliveira and Fernandes, IEEE Transactions on Visualization and Computer Graphics 15 (2009), severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def cielab(colour: str, vision: Any) -> np.ndarray:
    """Coordinates of a colour in CIELAB (D65), as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(vision) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    ratio = np.array(to_xyz) @ seen / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_twelve_colours_can_be_told_apart(vision: str) -> None:
    seen = [cielab(colour, VISION[vision]) for colour in COLOURS]
    assert len(seen) == 12
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 16
    assert min(np.linalg.norm(a - cielab("white", VISION[vision])) for a in seen) > 16


def test_the_first_classes_keep_their_colours() -> None:
    assert class_colours(3) == list(COLOURS[:3])
    assert class_colours(30)[:12] == list(COLOURS)
    assert len(set(class_colours(36))) == 36


# ---------------------------------------------------------------------- where it is shown


def displayed(code: str) -> list[list[str]]:
    """The kinds of output of each cell of a notebook."""
    book = nbformat.v4.new_notebook()
    setup = "import bayes_softmax as bs\nfit = bs.SoftmaxRegression([[0], [1], [2], [3]], ['a', 'b', 'a', 'b']).map()"
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in [setup, *code.split("---")]]
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    return [
        ["image" if "image/png" in out.get("data", {}) else str(out) for out in cell.outputs] for cell in book.cells[1:]
    ]


def test_a_notebook_shows_a_picture_once() -> None:
    cells = """bs.plots.forest(fit)
---
p = bs.plots.forest(fit)
---
import matplotlib.pyplot as plt
bs.plots.forest(fit)
plt.show()
---
bs.plots.forest(fit); bs.plots.effects(fit)
---
p
---
from matplotlib.figure import Figure
bs.plots.forest(fit, figure=Figure())
---
fig, ax = plt.subplots()
bs.plots.forest(fit, ax=ax)
---
1 + 1;"""
    assert displayed(cells) == [["image"]] * 3 + [["image"] * 2] + [["image"]] * 3 + [[]]


def test_a_picture_says_what_it_is(fit) -> None:
    assert repr(bs.plots.forest(fit)) == "Picture of 2 panels: 'x', 'z'"


def test_without_matplotlib_the_message_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import bayes_softmax as bs\n"
        "fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ['a', 'b', 'a', 'b']).map()\n"
        "bs.plots.forest\n"
        "bs.plots.forest(fit)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: pictures need matplotlib: pip install 'bayes-softmax[plots]'" in done.stderr
