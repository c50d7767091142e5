"""Probabilities along one variable at values of another: averages over the rows with both set."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate

mpl.use("Agg")


@pytest.fixture(scope="module")
def model(penguins: pd.DataFrame) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula("species ~ bill_length_mm * sex + body_mass_g", penguins.iloc[::3])


def test_lines_are_average_probabilities(model: bs.SoftmaxRegression, penguins: pd.DataFrame) -> None:
    fit, few = model.map(), penguins.iloc[::3]
    picture = bs.plots.interaction(fit, "bill_length_mm", "sex")
    assert list(picture.axes) == ["Adelie", "Chinstrap", "Gentoo"]
    for label, panel in picture.axes.items():
        for line, sex in zip(panel.get_lines(), ["female", "male"], strict=True):
            x, y = line.get_data()
            for i in (0, 12, 24):
                rows = few.assign(bill_length_mm=x[i], sex=sex)
                assert y[i] == pytest.approx(fit.predict_proba(rows)[label].mean(), abs=1e-9)
    texts = [t.get_text() for t in picture.figure.legends[0].get_texts()]
    assert texts == ["sex = female", "sex = male"]
    picture.close()


def test_bands_are_intervals_of_the_draws(model: bs.SoftmaxRegression, penguins: pd.DataFrame) -> None:
    post = model.laplace(300, random_seed=1, progressbar=False)
    picture = bs.plots.interaction(post, "bill_length_mm", "sex", classes=["Gentoo"], ci_prob=0.5)
    (panel,) = picture.axes.values()
    rows = penguins.iloc[::3].assign(bill_length_mm=panel.get_lines()[0].get_xdata()[10], sex="female")
    draws = post.predict_draws(rows).sel(category="Gentoo").mean("obs").values.ravel()
    band = panel.collections[0].get_paths()[0].vertices
    at = band[np.isclose(band[:, 0], rows["bill_length_mm"].iloc[0]), 1]
    assert_allclose([at.min(), at.max()], np.quantile(draws, [0.25, 0.75]), atol=1e-9)
    picture.close()


def test_a_factor_along_the_axis_and_values_of_a_number(model: bs.SoftmaxRegression, penguins: pd.DataFrame) -> None:
    fit = model.map()
    picture = bs.plots.interaction(fit, "sex", "bill_length_mm", values=[40, 50])
    panel = picture.axes["Adelie"]
    assert [t.get_text() for t in panel.get_xticklabels()] == ["female", "male"]
    rows = penguins.iloc[::3].assign(bill_length_mm=50.0, sex="male")
    assert panel.get_lines()[1].get_ydata()[1] == pytest.approx(fit.predict_proba(rows)["Adelie"].mean(), abs=1e-9)
    picture.close()


def test_default_values_are_quantiles_as_shown() -> None:
    X, codes = simulate(200, 2, 2)
    fit = bs.SoftmaxRegression(X * [1, 20000] + [0, 50000], codes, feature_names=["a", "income"]).map()
    picture = bs.plots.interaction(fit, "a", "income")
    names = [t.get_text() for t in picture.figure.legends[0].get_texts()]
    expected = [float(f"{v:.3g}") for v in np.quantile(X[:, 1] * 20000 + 50000, [0.1, 0.5, 0.9])]
    assert names == [f"income = {v:g}" for v in expected]
    picture.close()


def test_at_fixes_the_other_variables(model: bs.SoftmaxRegression) -> None:
    fit = model.map()
    picture = bs.plots.interaction(fit, "bill_length_mm", "sex", at={"body_mass_g": 4000})
    x, y = picture.axes["Adelie"].get_lines()[0].get_data()
    new = pd.DataFrame({"bill_length_mm": [x[5]], "sex": ["female"], "body_mass_g": [4000.0]})
    assert y[5] == pytest.approx(fit.predict_proba(new)["Adelie"].iloc[0], abs=1e-9)
    picture.close()


def test_many_levels_show_six_and_say_so() -> None:
    X, codes = simulate(400, 1, 2)
    data = pd.DataFrame({"x": X[:, 0], "g": [f"level {i % 9}" for i in range(400)], "y": codes.astype(str)})
    fit = bs.SoftmaxRegression.from_formula("y ~ x + g", data).map()
    picture = bs.plots.interaction(fit, "x", "g")
    assert len(picture.axes["0"].get_lines()) == 6
    assert "6 of 9 levels of g" in picture.figure.get_suptitle()
    picture.close()


def test_wrong_variables_name_the_argument(model: bs.SoftmaxRegression) -> None:
    fit = model.map()
    with pytest.raises(ValueError, match=r"along: 'bill_lenght_mm'.*did you mean 'bill_length_mm'"):
        bs.plots.interaction(fit, "bill_lenght_mm", "sex")
    with pytest.raises(ValueError, match="by: 'sx' is not a variable"):
        bs.plots.interaction(fit, "bill_length_mm", "sx")
    with pytest.raises(ValueError, match="values: 'men' is not a level of 'sex'"):
        bs.plots.interaction(fit, "bill_length_mm", "sex", values=["men"])
    with pytest.raises(ValueError, match="at: 'sex' varies in the picture"):
        bs.plots.interaction(fit, "bill_length_mm", "sex", at={"sex": "male"})
