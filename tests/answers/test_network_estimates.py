"""What an estimate of a network answers, and the sentences where it does not."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs

matplotlib.use("Agg")
NONE = "an estimate of a network has no intervals"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return bs.datasets.load_penguins().dropna()


@pytest.fixture(scope="module")
def net(data) -> bs.PointEstimate:
    formula = "species ~ bill_length_mm + bill_depth_mm + sex"
    return bs.SoftmaxRegression.from_formula(formula, data, logits=bs.MLP(3)).map(restarts=2)


def test_parameters_by_layer_give_the_probabilities(net, data) -> None:
    at = net.parameters
    assert dict(at.sizes) == {"feature": 3, "unit_1": 3, "category": 3}
    X, _ = net._fitted.schema.encode(data)
    units = np.tanh((X - X.mean(axis=0)) / X.std(axis=0) @ at["hidden_1"].values + at["hidden_1_bias"].values)
    logits = units @ at["weights"].values + at["intercept"].values
    assert_allclose(net.predict_proba(data), bs.softmax(logits), rtol=1e-9)


def test_effects_are_finite_differences_of_predictions(net, data) -> None:
    effect = net.effects("bill_length_mm")["estimate"].to_numpy()
    up, down = (net.predict_proba(data.assign(bill_length_mm=data["bill_length_mm"] + h)) for h in (1e-4, -1e-4))
    assert_allclose(effect, ((up - down) / 2e-4).mean(), rtol=1e-6)
    male, female = (net.predict_proba(data.assign(sex=sex)).mean() for sex in ("male", "female"))
    found = net.contrast({"sex": "male"}, {"sex": "female"})
    assert_allclose(found["estimate"], male - female, rtol=1e-9)
    assert found["std_error"].isna().all()
    assert NONE in found.attrs["note"]


def test_decisions_and_entropies_come_without_intervals(net, data) -> None:
    cost = pd.DataFrame(1 - np.eye(3), index=net.classes, columns=net.classes)
    decided = net.decide(data.head(3), cost)
    assert decided["decision"].tolist() == net.predict(data.head(3)).tolist()
    assert decided[["wald89_lb", "wald89_ub", "p_best"]].isna().all(axis=None)
    P = net.predict_proba(data.head(3)).to_numpy()
    known = net.uncertainty(data.head(3))
    assert_allclose(known["total"], -(P * np.log(P)).sum(axis=1), rtol=1e-9)
    assert known[["aleatoric", "epistemic"]].isna().all(axis=None)
    for table in (decided, known):
        assert NONE in table.attrs["note"]


def test_intervals_are_refused(net, data) -> None:
    cost = pd.DataFrame(1 - np.eye(3), index=net.classes, columns=net.classes)
    for question in (
        lambda: net.predict_proba(data.head(2), ci_prob=0.9),
        lambda: net.effects(ci_prob=0.9),
        lambda: net.decide(data.head(2), cost, ci_prob=0.9),
        lambda: bs.plots.probabilities(net, "bill_length_mm", ci_prob=0.9),
    ):
        with pytest.raises(ValueError, match=rf"ci_prob=0.9: {NONE}.*model.sample\(layers='last'\)"):
            question()
    with pytest.raises(ValueError, match="leave-one-out of an estimate of a network is not approximated; kfold"):
        net.evaluate(loo=True)
    with pytest.raises(ValueError, match=f"fit: {NONE}"):
        bs.plots.uncertainty(net)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("weights", "the weights"),
        ("intercept", "the intercept"),
        ("std_error", "standard errors"),
        ("covariance", "the covariance of coefficients"),
        ("prior_dominated", "prior_dominated"),
    ],
)
def test_questions_about_coefficients_are_refused(net, name: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"{what}: that is a question about coefficients.*'network'"):
        getattr(net, name)


def test_pictures_say_that_there_are_no_intervals(net) -> None:
    from matplotlib import pyplot as plt

    for picture in (bs.plots.probabilities(net, "bill_length_mm"), bs.plots.effects(net)):
        texts = [text.get_text() for text in picture.figure.findobj(matplotlib.text.Text)]
        assert any("without intervals" in text for text in texts)
        assert not any("%" in text for text in texts)
    bs.plots.regions(net, ["bill_length_mm", "bill_depth_mm"])
    bs.plots.calibration(net)
    plt.close("all")
