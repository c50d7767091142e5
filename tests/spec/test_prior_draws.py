"""Draws from the prior: their distribution is the one the model says, in every coding."""

import numpy as np
import pytest
from scipy import stats

import bayes_softmax as bs
from bayes_softmax.spec.prior_draws import prior_draws
from tests.cases import CODINGS, build

N = 4000


def drawn(model, seed=0):
    rng = np.random.default_rng(seed)
    found = prior_draws(model._spec.priors, model._spec.coordinates, N, rng, feature_names=model.feature_names)
    return found["intercept"], found["weights"]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("prior", "intercept"), [("normal", "default"), ("student", "student"), ("default", "normal")])
def test_free_coordinates_have_the_distribution_of_their_prior(prior, intercept, coding) -> None:
    """Kolmogorov-Smirnov on every free coordinate, at 1e-4 each: about 70 tests, an error of 0.7 % in all; seed 0."""
    model = build(prior, intercept, coding, "uncentred")
    b, W = drawn(model)
    at_means = b + model._spec.coordinates.centre @ W if model._spec.priors.intercept_at == "means" else b
    rows = [(model._spec.priors.intercept, at_means, model._spec.coordinates.intercept_contrast)]
    rows += [
        (family, W[:, j], model._spec.coordinates.weights_contrast)
        for j, family in enumerate(model._spec.priors.weights)
    ]
    for family, values, contrast in rows:
        free = values @ np.linalg.pinv(contrast).T
        np.testing.assert_allclose(free @ contrast.T, values, atol=1e-9)
        known = stats.t(family.df) if isinstance(family, bs.StudentT) else stats.norm
        for column in free.T:
            assert stats.kstest(column / family.scale, known.cdf).pvalue > 1e-4


def test_student_is_spherical_under_zero_sum_coding_and_element_wise_elsewhere() -> None:
    """The squares of a row's coordinates rise and fall together only where the row has one divisor.

    Spearman correlation over 4000 draws, sd 0.016: about 0.2 against 0; seed 0.
    """
    for coding, together in (("zero-sum", True), ("reference", False), ("full", False)):
        model = build("student", "student", coding)
        free = drawn(model)[1][:, 0] @ np.linalg.pinv(model._spec.coordinates.weights_contrast).T
        correlation = stats.spearmanr(free[:, 0] ** 2, free[:, 1] ** 2).statistic
        assert (correlation > 0.1) == together


@pytest.mark.parametrize("coding", CODINGS)
def test_laplace_radii_and_directions(coding) -> None:
    """Spherical: Gamma(k) radius, uniform direction; element-wise: each Laplace.  KS at 1e-4; seed 0."""
    model = build("laplace", "default", coding)
    free = drawn(model)[1][:, 1] @ np.linalg.pinv(model._spec.coordinates.weights_contrast).T / 0.6
    if coding != "zero-sum":
        assert all(stats.kstest(column, stats.laplace.cdf).pvalue > 1e-4 for column in free.T)
        return
    assert stats.kstest(np.linalg.norm(free, axis=1), stats.gamma(2).cdf).pvalue > 1e-4
    assert stats.kstest(np.arctan2(*free.T), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-4


# What PyTensor compiles, Numba may find slow, the first time on a machine.
@pytest.mark.filterwarnings("ignore:.*faster on contiguous arrays.*")
def test_draws_agree_with_the_pymc_model() -> None:
    """Means of logits and their spread against ``pm.sample_prior_predictive``: two-sample KS at 1e-4; seeds 0 and 1."""
    import pymc as pm

    model = build("mixed", "default", "zero-sum", "uncentred")
    with model.pymc_model:
        theirs = pm.sample_prior_predictive(N, var_names=["intercept", "weights"], random_seed=1)["prior"]
    b, W = drawn(model)
    row = model._spec.design.X[3]
    logits = b + np.einsum("p,npk->nk", row, W)
    other = theirs["intercept"].values[0] + np.einsum("p,npk->nk", row, theirs["weights"].values[0])
    for ours, expected in zip(logits.T, other.T, strict=True):
        assert stats.ks_2samp(ours, expected).pvalue > 1e-4


def test_without_an_intercept_it_is_zero_and_flat_is_refused() -> None:
    assert not drawn(build("normal", "default", "zero-sum", "no intercept"))[0].any()
    with pytest.raises(ValueError, match=r"the prior of the weights of 'x2' is Flat\(\), from which nothing can be"):
        drawn(build("two student", "default", "zero-sum"))
    with pytest.raises(ValueError, match=r"the prior of the intercept is Flat\(\)"):
        drawn(build("normal", "flat", "zero-sum"))
