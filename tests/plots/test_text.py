"""Names of classes, features, levels, groups and fits are drawn as they are, in every picture."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

import bayes_softmax as bs
from bayes_softmax.plots.picture import Picture

mpl.use("Agg")

CLASSES = ["$0-$50k", "_other", "$^$", "100 %", "two\nlines", r"\frac{x}"]
FEATURES = ["_x$^$", "$a_1$"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=240) for name in FEATURES}
    y = np.array(CLASSES, dtype=object)[rng.permutation(np.arange(240) % 6)]
    return pd.DataFrame({**columns, "y": y, "_g$": np.where(rng.random(240) > 0.5, "_p", "$^$")})


PICTURES: dict[str, Callable[..., Picture]] = {
    "probabilities": lambda fits, data: bs.plots.probabilities(fits["map"]),
    "probabilities by level": lambda fits, data: bs.plots.probabilities(fits["formula"], "_g$"),
    "effects": lambda fits, data: bs.plots.effects(fits["map"]),
    "effects of levels": lambda fits, data: bs.plots.effects(fits["formula"]),
    "forest": lambda fits, data: bs.plots.forest(fits["map"]),
    "forest against a class": lambda fits, data: bs.plots.forest(fits["laplace"], vs="$^$"),
    "compare": lambda fits, data: bs.plots.compare(_map=fits["map"], post=fits["laplace"]),
    "calibration": lambda fits, data: bs.plots.calibration(fits["map"]),
    "posterior predictive": lambda fits, data: bs.plots.posterior_predictive(fits["laplace"], data["_g$"]),
    "prior": lambda fits, data: bs.plots.prior(fits["model"], draws=50),
}
SHOWS = {
    "probabilities": [*CLASSES, *FEATURES],
    "probabilities by level": [*CLASSES, "_g$", "_p", "$^$"],
    "effects": [
        *CLASSES,
        *(f"{name}: per unit" for name in FEATURES),
    ],
    "effects of levels": [*CLASSES, "_g$: _p vs $^$"],
    "forest": [*FEATURES, *CLASSES],
    "forest against a class": [*FEATURES, *(name for name in CLASSES if name != "$^$"), "logit per unit, vs $^$"],
    "compare": [*FEATURES, "_map (estimate, 89 % Wald interval)"],
    "calibration": CLASSES,
    "posterior predictive": [*CLASSES, "$^$\n(", "_p\n("],
    "prior": [*CLASSES, "y"],
}


@pytest.fixture(scope="module")
def fits(data: pd.DataFrame) -> dict[str, object]:
    model = bs.SoftmaxRegression(data[FEATURES], data["y"])
    formula = bs.SoftmaxRegression.from_formula("y ~ `_g$`", data)
    return {
        "model": model,
        "map": model.map(),
        "laplace": model.laplace(random_seed=1, progressbar=False),
        "formula": formula.map(),
    }


@pytest.mark.parametrize("usetex", [False, True])
@pytest.mark.parametrize("picture", PICTURES)
def test_names_are_text_and_no_markup(picture: str, usetex: bool, fits: dict, data: pd.DataFrame) -> None:
    with mpl.rc_context({"text.usetex": usetex}):
        figure = PICTURES[picture](fits, data)
        figure.root.draw_without_rendering()  # with usetex, too: nothing of it needs TeX
        drawn = [text for text in figure.figure.findobj(Text) if text.get_text() and text.get_visible()]
        for name in SHOWS[picture]:
            found = [text for text in drawn if text.get_text() == name or text.get_text().startswith(f"{name}")]
            assert found, f"{name!r} is not shown"
            for text in found:
                assert not text.get_parse_math(), name
                assert not text.get_usetex(), name


def test_a_legend_names_every_class(fits: dict, data: pd.DataFrame) -> None:
    (legend,) = bs.plots.probabilities(fits["map"], panels="variable").figure.legends
    assert sorted(text.get_text() for text in legend.get_texts()) == sorted(CLASSES)
    assert len(legend.legend_handles) == len(CLASSES)


def test_a_dollar_sign_is_drawn(tmp_path) -> None:
    """What is drawn for ``$x$`` is as wide as the same letters without a meaning, not as the mathematics."""
    widths = {}
    for name in ("$x$", "SxS", "x"):
        y = np.array([name, "other"])[np.arange(40) % 2]
        fit = bs.SoftmaxRegression(np.linspace(-1, 1, 40)[:, None] ** 2 + 0.01 * np.arange(40)[:, None], y).map()
        figure = bs.plots.probabilities(fit)
        figure.root.draw_without_rendering()
        (text,) = (t for t in figure.figure.legends[0].get_texts() if t.get_text() == name)
        widths[name] = text.get_window_extent().width
    assert widths["$x$"] == pytest.approx(widths["SxS"], rel=0.1)
    assert widths["$x$"] > 2 * widths["x"]
