"""What is drawn can be read: names and numbers do not overlap, figures are no larger than they need be."""

import warnings
from collections.abc import Callable
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.transforms import Bbox
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.plots.picture import Picture
from bayes_softmax.plots.style import compact, wrapped

mpl.use("Agg")

PARTIES = ["Greens", "Liberals", "Centre", "Conservatives", "Labour", "Other"]
LONG = [f"{name} of region number {i:02d}"[:30].ljust(30, "x") for i, name in enumerate(["labourers", "clerks"] * 6)]


def drawn(logits: np.ndarray, classes: list[str], rng: np.random.Generator) -> np.ndarray:
    return np.array(classes)[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]


def survey() -> bs.SoftmaxRegression:
    """Six classes, nine variables: incomes, ages, years, rates of 1e-4, and factors."""
    rng, n = np.random.default_rng(0), 500
    data = pd.DataFrame(
        {
            "income": rng.lognormal(10.8, 0.5, n).round(-2),
            "age": rng.integers(18, 90, n),
            "household_size": rng.integers(1, 7, n),
            "distance_to_the_nearest_station_km": rng.gamma(2, 3, n),
            "rate": rng.normal(0, 1e-4, n),
            "year": rng.integers(1995, 2021, n),
            "region": rng.choice(["north", "south", "east", "west", "the_far_north_west_of_the_country"], n),
            "sex": rng.choice(["female", "male"], n),
            "education": rng.choice(["primary", "secondary", "tertiary"], n),
        }
    )
    Z = np.column_stack([(data[c] - data[c].mean()) / data[c].std() for c in list(data)[:6]])
    data["party"] = drawn(Z @ rng.normal(size=(6, 6)) * 0.5, PARTIES, rng)
    return bs.SoftmaxRegression.from_formula("party ~ " + " + ".join(list(data)[:9]), data)


def long_names() -> bs.SoftmaxRegression:
    """Twelve classes with names of thirty letters."""
    rng, n = np.random.default_rng(1), 900
    X = rng.normal(size=(n, 2))
    data = pd.DataFrame({"a_very_long_name_of_a_feature_in_metres": 5e4 * X[:, 0] + 1e5, "x": X[:, 1]})
    data["g"] = rng.choice(["p", "q", "r"], n)
    data["y"] = drawn(X @ rng.normal(size=(2, 12)) * 0.8, LONG, rng)
    return bs.SoftmaxRegression.from_formula("y ~ a_very_long_name_of_a_feature_in_metres + x + g", data)


def levels() -> bs.SoftmaxRegression:
    """A factor of twenty levels."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": rng.permutation([f"level {i:02d}" for i in range(20)] * 30)})
    data["y"] = drawn(rng.normal(size=(20, 3))[pd.factorize(data["g"], sort=True)[0]], list("abc"), rng)
    return bs.SoftmaxRegression.from_formula("y ~ g", data)


def letters() -> bs.SoftmaxRegression:
    """Twenty-six classes."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(800, 1))
    names = [f"class {c}" for c in "abcdefghijklmnopqrstuvwxyz"]
    return bs.SoftmaxRegression(X, drawn(X @ rng.normal(size=(1, 26)), names, rng), ["x"])


def penguins(formula: str) -> Callable[[], bs.SoftmaxRegression]:
    return lambda: bs.SoftmaxRegression.from_formula(formula, bs.datasets.load_penguins(), missing="drop")


MODELS: dict[str, Callable[[], bs.SoftmaxRegression]] = {
    "penguins": penguins("species ~ bill_length_mm + body_mass_g"),
    "binary": penguins("sex ~ bill_length_mm + species"),
    "spline": penguins("species ~ bs(bill_length_mm, df=4) + sex"),
    "intercept": penguins("species ~ 1"),
    "survey": survey,
    "long names": long_names,
    "levels": levels,
    "letters": letters,
}
PICTURES: dict[str, Callable[..., Picture]] = {
    "forest": lambda model, fit: bs.plots.forest(fit),
    "compare": lambda model, fit: bs.plots.compare(map=model.map(), posterior=fit),
    "probabilities": lambda model, fit: bs.plots.probabilities(fit),
    "effects": lambda model, fit: bs.plots.effects(fit),
    "calibration": lambda model, fit: bs.plots.calibration(fit, n_bins=5),
    "posterior_predictive": lambda model, fit: bs.plots.posterior_predictive(fit, random_seed=1),
    "prior": lambda model, fit: bs.plots.prior(model, draws=50),
}
CASES = [
    (model, name)
    for model in MODELS
    for name in PICTURES
    if model != "intercept" or name not in ("probabilities", "effects")  # it has no variables
]


@pytest.fixture(scope="module")
def fits() -> Callable[[str], tuple[bs.SoftmaxRegression, bs.Posterior]]:
    known: dict[str, tuple[bs.SoftmaxRegression, bs.Posterior]] = {}

    def fitted(name: str) -> tuple[bs.SoftmaxRegression, bs.Posterior]:
        if name not in known:
            model = MODELS[name]()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bs.NotReliableWarning)  # what is drawn need not be exact
                known[name] = model, model.laplace(200, random_seed=1, progressbar=False)
        return known[name]

    return fitted


def boxes(picture: Picture) -> list[tuple[str, Bbox]]:
    """All text that is drawn, with its box: ticks, titles, labels, legends, the heading."""
    picture.root.canvas.draw()
    renderer = picture.root.canvas.get_renderer()
    found = [text for legend in picture.figure.legends for text in legend.get_texts()]
    found += [picture.figure._suptitle] if picture.figure.get_suptitle() else []
    for panel in picture.axes.values():
        for axis in (panel.xaxis, panel.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=False)  # no labels where they are hidden
            found += [*(text for text, at in ticks if low <= at <= high), axis.label]
        found.append(panel.title)
    return [(t.get_text(), t.get_window_extent(renderer)) for t in found if t.get_text() and t.get_visible()]


def overlapping(texts: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Pairs of texts that meet."""
    small = [(text, box.shrunk(0.98, 0.98)) for text, box in texts]
    return [(one, other) for (one, a), (other, b) in combinations(small, 2) if a.overlaps(b)]


@pytest.mark.parametrize(("model", "name"), CASES)
def test_names_and_numbers_do_not_overlap(model: str, name: str, fits: Callable) -> None:
    picture = PICTURES[name](*fits(model))
    width, height = picture.root.get_size_inches()
    assert width <= 11.5
    assert height <= 14
    texts, edge = boxes(picture), picture.root.bbox
    assert not overlapping(texts)
    for text, box in texts:
        assert edge.x0 - 1 <= box.x0 <= box.x1 <= edge.x1 + 1, f"{text!r} leaves the figure"
        assert edge.y0 - 1 <= box.y0 <= box.y1 <= edge.y1 + 1, f"{text!r} leaves the figure"


def test_overlapping_names_are_found(fits: Callable) -> None:
    picture = bs.plots.forest(fits("penguins")[1])
    assert not overlapping(boxes(picture))
    picture.axes["body_mass_g"].set_xticks([0.0, 0.0005], ["0.000000000", "0.000500000"])
    assert overlapping(boxes(picture)) == [("0.000000000", "0.000500000")]


def test_at_most_five_ticks_of_few_letters(fits: Callable) -> None:
    picture = bs.plots.probabilities(fits("survey")[1], ["income", "age", "rate", "year"], panels="variable")
    picture.root.canvas.draw()
    shown = {}
    for name, panel in picture.axes.items():
        low, high = panel.get_xlim()
        texts = [t.get_text() for t, at in zip(panel.get_xticklabels(), panel.get_xticks(), strict=True)
                 if low <= at <= high]  # fmt: skip
        assert 2 <= len(texts) <= 5, texts
        assert max(map(len, texts)) <= 7, texts
        shown[name] = texts
    assert "100k" in shown["income"]
    assert "2000" in shown["year"]


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0, 50_000, 100_000], ["0", "50k", "100k"]),
        ([1e6, 1.25e6, 1.5e6], ["1.00M", "1.25M", "1.50M"]),
        ([1990, 2000, 2010], ["1990", "2000", "2010"]),
        ([-5e-5, 0, 5e-5, 1e-4], ["−5e-5", "0", "5e-5", "10e-5"]),
        ([0.1 + 0.2, 0.4, 0.5], ["0.3", "0.4", "0.5"]),
        ([-0.005, -0.0025, 0.0025, 0.005], ["−0.0050", "−0.0025", "0.0025", "0.0050"]),
        ([2e16, 4e16], ["2e16", "4e16"]),
        ([20_000.1, 20_000.2], ["20.0001k", "20.0002k"]),
    ],
)
def test_numbers_are_short_and_differ(ticks: list[float], expected: list[str]) -> None:
    assert [compact(value, ticks) for value in ticks] == expected


def test_long_names_keep_every_letter() -> None:
    for name in ["a" * 50, "word " * 12, "under_scores_" * 5, "short", "", "two\nlines", " x", "a b" * 30]:
        lines = wrapped(name, 20).split("\n")
        assert max(map(len, lines)) <= 20
        assert "".join(lines).replace(" ", "") == name.replace(" ", "").replace("\n", "")


def test_features_of_one_factor_share_a_panel(fits: Callable) -> None:
    fit = fits("survey")[1]
    picture = bs.plots.forest(fit)
    numbers = ["income", "age", "household_size", "distance_to_the_nearest_station_km", "rate", "year"]
    assert list(picture.axes) == [*numbers, "region", "sex[T.male]", "education"]
    panel = picture.axes["education"]
    assert panel.get_title() == "education (vs primary)"
    assert [t.get_text() for t in panel.get_yticklabels()] == ["secondary", "tertiary"]
    table, marks = fit.summary(vs="average"), [c for c in panel.collections if isinstance(c, PathCollection)]
    for party, mark in zip(fit.classes, marks, strict=True):
        rows = [(f"education[T.{level}]", f"{party} vs average") for level in ("secondary", "tertiary")]
        assert_allclose(mark.get_offsets()[:, 0], table.loc[rows, "mean"])
    assert list(bs.plots.forest(fit, features=["education", "age"]).axes) == ["education", "age"]
    assert list(bs.plots.forest(fit, features=["education[T.tertiary]"]).axes) == ["education[T.tertiary]"]


def test_the_values_in_the_data_are_shown(fits: Callable) -> None:
    panel = bs.plots.probabilities(fits("penguins")[1]).axes["bill_length_mm"]
    (strokes,) = [c for c in panel.collections if isinstance(c, LineCollection)]
    at = [float(segment[0][0]) for segment in strokes.get_segments()]
    data = bs.datasets.load_penguins().dropna(subset="bill_length_mm")
    assert at == sorted(set(data["bill_length_mm"]))


def test_names_are_cut_where_they_can_be() -> None:
    assert wrapped("02 highly_qualified_profession") == "02 highly_qualified\n_profession"
    assert wrapped("00 agricultural labourers", 14) == "00\nagricultural\nlabourers"
    assert wrapped("x" * 25) == "x" * 22 + "\nxxx"
