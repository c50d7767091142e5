"""Predictions on other base rates, their intervals, and what is uncertain about them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logsumexp, ndtri, xlogy

import bayes_softmax as bs
from bayes_softmax.answers import probabilities


@pytest.fixture(scope="module")
def fits(overlapping: bs.SoftmaxRegression, drawn: bs.Posterior) -> dict[str, bs.PointEstimate | bs.Posterior]:
    return {"map": overlapping.map(), "sample": drawn}


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_other_base_rates_follow_bayes_rule_in_every_draw(fits, posterior, penguins, kind) -> None:
    fit, new = fits[kind], penguins.iloc[:5]
    rates = {"Gentoo": 0.7, "Adelie": 0.2, "Chinstrap": 0.1}
    P = posterior.predict_draws(new).values if kind == "sample" else fit.predict_proba(new).to_numpy()[None, None]
    base = penguins["species"].value_counts(normalize=True)
    factor = np.array([rates[c] / base[c] for c in fit.classes])
    by_hand = P * factor / (P * factor).sum(axis=-1, keepdims=True)
    assert_allclose(fit.predict_proba(new, class_prior=rates), by_hand.mean(axis=(0, 1)), rtol=1e-9)
    table = fit.predict_proba(new, 0.8, class_prior=rates)
    assert_allclose(table.xs(table.columns[0][1], axis=1, level=1), by_hand.mean(axis=(0, 1)), rtol=1e-9)
    certain = fit.predict_proba(new, class_prior={"Gentoo": 1.0, "Adelie": 0.0, "Chinstrap": 0.0})
    assert (certain["Gentoo"] == 1).all()
    assert (fit.predict(new, class_prior={"Gentoo": 1.0, "Adelie": 0.0, "Chinstrap": 0.0}) == "Gentoo").all()


def test_shifted_base_rates_are_those_of_a_resampled_population() -> None:
    """A model fitted to one mix of classes, shifted, is the model fitted to another mix (only the intercept moves).

    Both fits are of the same 200 000 rows a class; the sampling error of a logit is about 0.005.
    """
    rng = np.random.default_rng(0)
    n = 200_000
    X = np.concatenate([rng.normal(m, 1.0, size=n) for m in (-1.0, 0.0, 1.0)])[:, None]
    y = np.repeat([0, 1, 2], n)
    even = bs.SoftmaxRegression(X, y).mle()
    skewed = bs.SoftmaxRegression(X, y, weights=np.repeat([1.0, 2.0, 7.0], n)).mle()
    new = np.linspace(-2, 2, 9)[:, None]
    shifted = even.predict_proba(new, class_prior={0: 0.1, 1: 0.2, 2: 0.7})
    assert_allclose(shifted, skewed.predict_proba(new), atol=0.004)


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ({"Adelie": 1.0}, "class_prior has no probability for class 'Chinstrap'"),
        ({"Adelie": 0.5, "Chinstrap": 0.1, "Gentoo": 0.1}, "must be probabilities that sum to 1"),
        ({"Adelie": 0.5, "Chinstrap": 0.6, "Gentoo": -0.1}, "the probability of class 'Gentoo' is -0.1"),
        ({"Adelie": 0.5, "Chinstrap": 0.4, "Gento": 0.1}, "class_prior: 'Gento' is not a class; did you mean 'Gentoo'"),
    ],
)
def test_impossible_base_rates_are_named(fits, penguins, rates, text) -> None:
    with pytest.raises(ValueError, match=text):
        fits["map"].predict_proba(penguins, class_prior=rates)


def test_base_rates_are_numbers_by_class(fits, penguins) -> None:
    with pytest.raises(TypeError, match=r"class_prior=\[0.5, 0.5\] must be a mapping"):
        fits["map"].predict(penguins, class_prior=[0.5, 0.5])
    with pytest.raises(TypeError, match="class_prior: class 'Adelie' has 'half'; expected a number"):
        fits["map"].predict(penguins, class_prior={"Adelie": "half"})


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_base_rates_as_a_series(fits, penguins, kind) -> None:
    """``value_counts(normalize=True)`` of other data, wherever base rates are taken."""
    fit, new = fits[kind], penguins.iloc[::40]
    rates = penguins["species"].iloc[:300].value_counts(normalize=True)
    cost = pd.DataFrame(1.0 - np.eye(3), columns=rates.index)
    for answer in (
        lambda rates: fit.predict_proba(new, class_prior=rates),
        lambda rates: fit.decide(new, cost, class_prior=rates),
        lambda rates: fit.uncertainty(new, class_prior=rates),
    ):
        pd.testing.assert_frame_equal(answer(rates), answer(rates.to_dict()))
    shifted = fit.predict_proba(new, class_prior=rates)
    total = -(shifted * np.log(shifted)).sum(axis=1)
    # Of an estimate, the mean over the normal approximation is not the probability at the estimate.
    assert_allclose(fit.uncertainty(new, class_prior=rates)["total"], total, atol=1e-9 if kind == "sample" else 0.05)
    certain = {"Gentoo": 1.0, "Adelie": 0.0, "Chinstrap": 0.0}
    assert_allclose(fit.uncertainty(new, class_prior=certain), 0.0)


# ---------------------------------------------------------------------- intervals where probabilities round to 0 and 1


@pytest.mark.parametrize("shift", [None, {0: 0.2, 1: 0.8}])
def test_intervals_of_two_classes_are_those_of_the_logit(shift) -> None:
    """K = 2: expit of the normal interval of the difference of the logits, however near to 0 or 1 (eta 41, se 30)."""
    X, y = np.arange(8.0)[:, None], np.array([0, 0, 1, 0, 1, 0, 1, 1])
    fit = bs.SoftmaxRegression(X, y).mle()
    new = np.array([[0.0], [4.0], [72.0], [-60.0], [2000.0]])
    contrast = np.array([-1.0, 1.0])
    design = np.column_stack([np.ones(5), new])
    eta = design @ np.vstack([fit.intercept, fit.weights]) @ contrast
    covariance = np.einsum("k,ikjl,l->ij", contrast, fit._fitted.raw_covariance, contrast)
    half = ndtri(0.95) * np.sqrt(np.einsum("ni,ij,nj->n", design, covariance, design))
    if shift is not None:
        eta = eta + np.log(0.8 / 0.2) - np.log(y.mean() / (1 - y.mean()))
    table = fit.predict_proba(new, 0.9, class_prior=shift)
    assert_allclose(table[1, "wald90_lb"], expit(eta - half), rtol=1e-9)
    assert_allclose(table[1, "wald90_ub"], expit(eta + half), rtol=1e-9)
    assert_allclose(table[0, "wald90_lb"], expit(-eta - half), rtol=1e-9)
    assert_allclose(table[0, "wald90_ub"], expit(half - eta), rtol=1e-9)


def test_intervals_of_many_classes_where_one_is_certain() -> None:
    """K = 3, p from 1e-30 to 1 - 1e-30: by differences of each logit in the coefficients, which 1 - p is no part of."""
    X, y = np.arange(12.0)[:, None], np.array([0, 0, 1, 0, 2, 0, 1, 1, 2, 1, 2, 2])
    fit = bs.SoftmaxRegression(X, y).mle()
    flat, K = np.vstack([fit.intercept, fit.weights]).ravel(), 3
    covariance = fit._fitted.raw_covariance.reshape(6, 6)
    new = np.array([[-60.0], [4.0], [80.0], [900.0]])

    def logit(coefficients: np.ndarray, x: float, k: int) -> float:
        eta = np.array([1.0, x]) @ coefficients.reshape(2, 3)
        return eta[k] - logsumexp(np.delete(eta, k))

    table = fit.predict_proba(new, 0.9)
    assert table.xs("estimate", axis=1, level=1).iloc[-1].max() == 1
    for n, x in enumerate(new[:, 0]):
        for k in range(K):
            step = 1e-6 * np.eye(6)
            slope = np.array([logit(flat + h, x, k) - logit(flat - h, x, k) for h in step]) / 2e-6
            half = ndtri(0.95) * np.sqrt(slope @ covariance @ slope)
            assert_allclose(table[k, "wald90_lb"].iloc[n], expit(logit(flat, x, k) - half), rtol=1e-4, atol=1e-300)
            assert_allclose(table[k, "wald90_ub"].iloc[n], expit(logit(flat, x, k) + half), rtol=1e-4, atol=1e-300)


def test_intervals_where_classes_are_impossible() -> None:
    X, y = np.arange(12.0)[:, None], np.array([0, 0, 1, 0, 2, 0, 1, 1, 2, 1, 2, 2])
    fit, new = bs.SoftmaxRegression(X, y).mle(), [[-60.0], [4.0], [80.0], [900.0]]
    ends = fit.predict_proba(new, 0.9, class_prior={0: 0.4, 1: 0.0, 2: 0.6})
    assert (ends[1] == 0).to_numpy().all()
    # The others are two then: their intervals mirror each other.
    assert_allclose(ends[0, "wald90_lb"], 1 - ends[2, "wald90_ub"], atol=1e-12)
    assert (ends[0, "wald90_ub"] - ends[0, "wald90_lb"]).iloc[1] > 0.1
    certain = fit.predict_proba(new, 0.9, class_prior={0: 1.0, 1: 0.0, 2: 0.0})
    assert (certain[0] == 1).to_numpy().all()


@pytest.fixture(scope="module")
def uncertified() -> bs.PointEstimate:
    X = np.array([[-2.0], [-1.0], [1.0], [2.0], [3.0], [4.0]])
    with pytest.warns(bs.NotConvergedWarning):
        return bs.SoftmaxRegression(X, [0, 0, 1, 1, 2, 2]).mle()


def test_nothing_is_sure_without_a_certified_optimum(uncertified) -> None:
    new = [[-2.0], [2.6]]
    with pytest.warns(bs.NotConvergedWarning, match="without a certified optimum"):
        table = uncertified.decide(new, pd.DataFrame(1.0 - np.eye(3)))
    assert table["expected_cost"].notna().all()
    assert table.iloc[:, [2, 3]].isna().to_numpy().all()
    assert table["p_best"].isna().all()
    with pytest.warns(bs.NotConvergedWarning, match="without a certified optimum"):
        split = uncertified.uncertainty(new)
    with pytest.warns(bs.NotConvergedWarning, match="without a certified optimum"):
        P = uncertified.predict_proba(new)
    assert_allclose(split["total"], -xlogy(P, P).sum(axis=1), atol=1e-12)
    assert split[["aleatoric", "epistemic"]].isna().to_numpy().all()
    with pytest.warns(bs.NotConvergedWarning, match="without a certified optimum"):
        interval = uncertified.predict_proba(new, 0.9)
    assert interval.xs("wald90_lb", axis=1, level=1).isna().to_numpy().all()


# ---------------------------------------------------------------------- decisions


def test_uncertainty_splits_entropy(fits, posterior, penguins) -> None:
    P = posterior.predict_draws(penguins.iloc[:9]).values.reshape(-1, 9, 3)
    table = posterior.uncertainty(penguins.iloc[:9])
    mean = P.mean(axis=0)
    assert_allclose(table["total"], -(mean * np.log(mean)).sum(axis=1), rtol=1e-9)
    assert_allclose(table["aleatoric"], -(P * np.log(P)).sum(axis=2).mean(axis=0), rtol=1e-9)
    assert_allclose(table["total"] - table["aleatoric"], table["epistemic"], atol=1e-12)
    assert (table["total"] <= np.log(3)).all()
    # The normal approximation of an estimate says about the same where there are data.
    assert np.abs(fits["map"].uncertainty(penguins) - posterior.uncertainty(penguins)).to_numpy().max() < 0.1


def test_large_answers_are_announced(posterior, penguins, monkeypatch, capsys) -> None:
    monkeypatch.setattr(probabilities, "ANNOUNCED_BYTES", 1000)
    posterior.predict_draws(penguins)
    assert "predict_draws(): 4 x 500 x 333 x 3 numbers, 0.0 GiB" in capsys.readouterr().err
    monkeypatch.undo()
    posterior.predict_draws(penguins)
    assert capsys.readouterr().err == ""
