"""Every answer asks a fit for what the protocols name, and for nothing else."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.answers import (
    decisions,
    effects,
    evaluation,
    loo,
    prediction,
    predictive,
    ratios,
    sensitivity,
    summary,
)
from bayes_softmax.answers.fitted import Fit, Fitted, Sampled

mpl.use("Agg")
SPECIES = ["Adelie", "Chinstrap", "Gentoo"]
COST = pd.DataFrame(1.0 - np.eye(3), index=SPECIES, columns=SPECIES)
ANSWERS: dict[str, Callable[[Any, pd.DataFrame], Any]] = {
    "summary": lambda fit, _: summary.summary(fit, vs="Gentoo", ci_kind="hdi"),
    "odds_ratios": lambda fit, _: ratios.odds_ratios(fit, per={"bill_length_mm": 10}),
    "predict": prediction.predict,
    "predict_proba": lambda fit, data: prediction.predict_proba(fit, data, ci_prob=0.9),
    "uncertainty": prediction.uncertainty,
    "decide": lambda fit, data: decisions.decide(fit, data, COST, ci_prob=0.9),
    "effects": lambda fit, _: effects.effects(fit),
    "contrast": lambda fit, data: effects.contrast(fit, {"bill_length_mm": 50}, {"bill_length_mm": 40}, data),
    "evaluate": lambda fit, _: evaluation.evaluate(fit, loo=True).to_frame(),
    "compare": lambda fit, _: bs.compare(a=held(fit), vs="Adelie"),
    "forest": lambda fit, _: [text.get_text() for text in bs.plots.forest(held(fit)).figure.legends[0].get_texts()],
    "plots.effects": lambda fit, _: [panel.get_title() for panel in bs.plots.effects(held(fit)).axes.values()],
    "plots.probabilities": lambda fit, _: [
        panel.get_ylim() for panel in bs.plots.probabilities(held(fit)).axes.values()
    ],
    "plots.calibration": lambda fit, _: bs.plots.calibration(held(fit)).figure.get_suptitle(),
}
OF_DRAWS: dict[str, Callable[[Any, pd.DataFrame], Any]] = {
    "posterior_predictive": lambda fit, _: predictive.posterior_predictive(fit, random_seed=1),
    "loo": lambda fit, _: str(loo.loo(fit)),
    "compare_models": lambda fit, _: bs.compare_models({"a": held(fit), "b": held(fit)}),
    "prior_sensitivity": lambda fit, _: sensitivity.prior_sensitivity(fit),
    "add_log_likelihood": lambda fit, _: sensitivity.add_log_likelihood(fit)["log_likelihood"]["y"].values,
    "add_log_prior": lambda fit, _: sensitivity.add_log_prior(fit)["log_prior"]["prior"].values,
}


def only(fit: Any, protocol: type) -> SimpleNamespace:
    """What a protocol names of what answers see of a fit."""
    names = [name for name in dir(protocol) if not name.startswith("_")]
    return SimpleNamespace(**{name: getattr(fit._fitted, name) for name in names})


def held(fitted: Any) -> SimpleNamespace:
    """As users hold it, where a function takes fits by the names users give them."""
    return SimpleNamespace(_fitted=fitted)


def same(a: Any, b: Any) -> None:
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, check_exact=True)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("kind", ["estimate", "posterior"])
def test_an_answer_needs_the_protocol_only(name, kind, overlapping, posterior, penguins) -> None:
    fit, data = overlapping.map() if kind == "estimate" else posterior, penguins.dropna().head(7)
    stranger = only(fit, Fitted)
    assert isinstance(stranger, Fitted)
    same(ANSWERS[name](stranger, data), ANSWERS[name](fit._fitted, data))


@pytest.mark.parametrize("name", OF_DRAWS)
def test_an_answer_from_draws_needs_the_protocol_only(name, posterior, penguins) -> None:
    stranger = only(posterior, Sampled)
    assert isinstance(stranger, Sampled)
    same(OF_DRAWS[name](stranger, penguins), OF_DRAWS[name](posterior._fitted, penguins))


def test_who_is_a_fit_and_who_has_draws(overlapping, posterior) -> None:
    estimate = overlapping.map()
    assert isinstance(estimate, Fit)
    assert isinstance(posterior, Fit)
    assert not isinstance(overlapping, Fit)
    assert isinstance(estimate._fitted, Fitted)
    assert not isinstance(estimate._fitted, Sampled)
    assert isinstance(posterior._fitted, Sampled)
    assert not isinstance(estimate, Fitted)
    with pytest.raises(ValueError, match=r"needs draws; use model\.laplace"):
        bs.plots.posterior_predictive(estimate)
