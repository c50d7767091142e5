"""Posteriors against gold: means and standard deviations known to a hundredth of an sd or better.

``gold_posteriors.json`` holds four posteriors in reference coding (first class the base) with independent
Normal priors, made by randomised quasi-Monte-Carlo importance sampling and checked against two published
ones.  Vectors run over classes, then features within a class.  Data: hsb2 (openintro), housing (MASS), iris
(Fisher); ``upg_program`` is hsb2 with the model and the N(0, 4) prior of the UPG package's vignette (Zens,
Frühwirth-Schnatter and Wagner).

A quantity disagrees if it is more than 4 combined Monte Carlo standard errors from gold.  Two-sided, a correct
sampler does that with probability 6.3e-5 for each of 80 means and sds of the gold posteriors, 48 numbers of the
quadrature cases and 8 of the comparison with PyMC: 0.9 % for the whole file, were the seeds drawn anew.  They
are fixed (SEED), so a passing test keeps passing until the draws change.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from sklearn.datasets import load_iris

import bayes_softmax as bs

SEED = 20240229
DRAWS = 5000

# Intercept only, K = 3, logits of the second and third class against the first ~ N(0, 2.5^2): two-dimensional
# quadrature.  Per response: means and sds of the two logits, their correlation, expected probabilities.
QUADRATURE = {
    (7, 2, 1): {
        "mean": [-1.23212710, -1.89338808],
        "sd": [0.80009104, 0.99475402],
        "correlation": 0.15635296,
        "probability": [0.64999176, 0.21971403, 0.13029421],
    },
    (10, 0, 0): {
        "mean": [-3.44630605, -3.44630605],
        "sd": [1.39915326, 1.39915326],
        "correlation": 0.02835471,
        "probability": [0.88971818, 0.05514091, 0.05514091],
    },
    (50, 30, 20): {
        "mean": [-0.51013268, -0.91918340],
        "sd": [0.23142991, 0.26513015],
        "correlation": 0.32419122,
        "probability": [0.49771309, 0.30081621, 0.20147069],
    },
}
GOLD = json.loads(Path(__file__).with_name("gold_posteriors.json").read_text())


def standardised(column, ddof=0):
    """The column with mean 0 and sd 1."""
    return (column - column.mean()) / column.std(ddof=ddof)


def dummies(frame, **levels):
    """0/1 columns ``name.level``."""
    return {f"{name}.{level}": 1.0 * (frame[name] == level) for name, ls in levels.items() for level in ls}


def gold_data(request, name):
    """Features, labels and weights of a gold posterior, as documented with it."""
    if name == "iris":
        iris = load_iris(as_frame=True)
        return standardised(iris.data), iris.target.astype(str), None
    if name == "housing_counts":
        housing = request.getfixturevalue("housing")
        levels = {"Infl": ["Medium", "High"], "Type": ["Apartment", "Atrium", "Terrace"], "Cont": ["High"]}
        return pd.DataFrame(dummies(housing, **levels)), housing["Sat"], housing["Freq"]
    hsb2 = request.getfixturevalue("hsb2")
    if name == "hsb2_ses_write":
        columns = dummies(hsb2, ses=["middle", "high"]) | {"z_write": standardised(hsb2["write"])}
        return pd.DataFrame(columns), hsb2["prog"], None
    female, ses = 1.0 * (hsb2["gender"] == "female"), hsb2["ses"].cat.codes + 1.0
    columns = {"female": female, "ses": ses, "write_std": standardised(hsb2["write"], ddof=1)}
    return pd.DataFrame(columns), hsb2["prog"].replace("vocational", "vocation"), None


def gold_model(request, name, *, prior_factor=1.0, drop_last=0):
    """The model of a gold posterior; ``prior_factor`` and ``drop_last`` plant a bug."""
    gold = GOLD[name]
    X, y, weights = gold_data(request, name)
    keep = slice(0, len(X) - drop_last)
    intercept_sd, *weight_sds = np.multiply(prior_factor, gold["prior_sd"])
    return bs.SoftmaxRegression(
        X[keep],
        y[keep],
        weights=None if weights is None else weights[keep],
        prior={feature: bs.Normal(sd) for feature, sd in zip(gold["features"][1:], weight_sds, strict=True)},
        intercept_prior=bs.Normal(intercept_sd),
        coding="reference",
        classes=gold["classes"],
    )


def class_major(intercept, weights):
    """Coefficients (..., K) and (..., p, K) of reference coding as vectors in the order of the gold file."""
    stacked = np.concatenate([intercept[..., None, :], weights], axis=-2)[..., 1:]
    return np.swapaxes(stacked, -1, -2).reshape(*stacked.shape[:-2], -1)


def gold_draws(posterior):
    """Draws (chain, draw, m) in the order of the gold file."""
    variables = posterior.idata["posterior"]
    return class_major(variables["intercept"].values, variables["weights"].values)


def mcse(draws, method):
    """Monte Carlo standard error of the mean or the sd of draws (chain, draw, m)."""
    return array_stats.mcse(draws, method=method, chain_axis=0, draw_axis=1)


def standard_scores(draws, gold):
    """Distance of every mean and sd from gold in combined Monte Carlo standard errors, by name."""
    flat = draws.reshape(-1, draws.shape[2])
    scores = {}
    for what, values in (("mean", flat.mean(axis=0)), ("sd", flat.std(axis=0, ddof=1))):
        error = np.hypot(mcse(draws, what), gold.get(f"{what}_se", 0.0))
        scores |= {f"{what} {i}": z for i, z in enumerate((values - gold[what]) / error)}
    return scores


def disagreements(scores):
    """The scores beyond 4 (or NaN); empty if all agree."""
    return {name: z for name, z in scores.items() if not abs(z) <= 4}


def sample(model, **options):
    """Draws with the default engine and the fixed seed."""
    return model.sample(draws=DRAWS, chains=4, random_seed=SEED, progressbar=False, **options)


@pytest.mark.parametrize("name", GOLD)
def test_mode_and_curvature(request, name):
    """MAP and Laplace standard deviations equal gold up to rounding, by name and in the table."""
    gold = GOLD[name]
    base, *others = gold["classes"]
    estimate = gold_model(request, name).map()
    assert estimate.converged
    error = estimate.std_error
    table = estimate.summary(vs=base)
    order = [(feature, f"{other} vs {base}") for other in others for feature in ["intercept", *gold["features"][1:]]]
    for column, found, expected in (
        ("estimate", (estimate.intercept, estimate.weights), gold["map"]),
        ("std_error", (error["intercept"], error["weights"]), gold["laplace_sd"]),
    ):
        np.testing.assert_allclose(class_major(*(values.values for values in found)), expected, rtol=1e-6)
        np.testing.assert_allclose(table.loc[order, column], expected, rtol=1e-6)


@pytest.mark.parametrize("name", GOLD)
def test_posterior_means_and_sds(request, name):
    """The default engine draws from the gold posterior."""
    posterior = sample(gold_model(request, name))
    assert posterior.diagnostics.ok
    assert disagreements(standard_scores(gold_draws(posterior), GOLD[name])) == {}


@pytest.mark.parametrize(
    ("name", "bug"),
    [
        ("iris", {"prior_factor": 1.2}),
        ("hsb2_ses_write", {"drop_last": 3}),
        ("housing_counts", {"drop_last": 1}),
    ],
)
def test_the_comparison_can_fail(request, name, bug):
    """Planted bugs are found: prior sds too wide by a factor 1.2; the last rows forgotten.

    The rows are three students of 200, or the residents in one cell of the table.  All scores lie far beyond 4.
    """
    posterior = sample(gold_model(request, name, **bug))
    assert posterior.diagnostics.ok
    assert disagreements(standard_scores(gold_draws(posterior), GOLD[name])) != {}


@pytest.mark.parametrize("form", ["labels", "counts"])
@pytest.mark.parametrize("counts", QUADRATURE, ids=str)
def test_intercept_only_posterior_equals_quadrature(counts, form):
    """Moments of the logits and expected probabilities, from N labels and from one row of counts."""
    gold = QUADRATURE[counts]
    y = np.repeat(["a", "b", "c"], counts) if form == "labels" else np.array([counts])
    model = bs.SoftmaxRegression(
        np.empty((len(y), 0)), y, intercept_prior=bs.Normal(2.5), coding="reference", classes=["a", "b", "c"]
    )
    posterior = sample(model)
    assert posterior.diagnostics.ok
    draws = gold_draws(posterior)
    scores = standard_scores(draws, gold)
    # The influence function of a correlation turns its standard error into that of a mean.
    first, second = np.moveaxis((draws - gold["mean"]) / gold["sd"], -1, 0)
    correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    influence = first * second - 0.5 * correlation * (first**2 + second**2)
    scores["correlation"] = (correlation - gold["correlation"]) / mcse(influence[..., None], "mean")[0]
    probabilities = posterior.predict_draws(np.empty((1, 0))).values[:, :, 0]
    z = (probabilities.mean(axis=(0, 1)) - gold["probability"]) / mcse(probabilities, "mean")
    scores |= {f"probability {k}": z[k] for k in range(3)}
    assert disagreements(scores) == {}


@pytest.mark.verify
def test_pymc_engine_draws_from_the_same_posterior(hsb2):
    """``engine="pymc"`` and the default engine agree, under the default priors and zero-sum coding."""
    model = bs.SoftmaxRegression.from_formula("prog ~ write", hsb2)
    reference = sample(model)
    other = model.sample(draws=1000, chains=4, random_seed=SEED, engine="pymc", progressbar=False)
    assert other.engine.startswith("pymc")
    draws, expected = (
        posterior._fitted.draws.reshape(*posterior._fitted.draws.shape[:2], -1) for posterior in (other, reference)
    )
    gold = {
        "mean": expected.mean(axis=(0, 1)),
        "sd": expected.std(axis=(0, 1), ddof=1),
        "mean_se": mcse(expected, "mean"),
        "sd_se": mcse(expected, "sd"),
    }
    assert disagreements(standard_scores(draws, gold)) == {}
