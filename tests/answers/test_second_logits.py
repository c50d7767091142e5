"""Logits that no room of the package knows go through all answers and through a file; numbers are by plain NumPy."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit, softmax
from scipy.stats import entropy, norm

import bayes_softmax as bs
from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.answers.training import training_data
from bayes_softmax.core import parameters as generic
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fits.tree import build_idata
from tests.inside import changed

NAMES = ("x0", "x1", "place")
CLASSES = ("a", "b", "c")
N, K, G, S = 150, 3, 4, 400
COST = pd.DataFrame({"a": [0.0, 3.0], "b": [1.0, 1.0], "c": [4.0, 0.0]}, index=["stay", "go"])


@dataclass(frozen=True)
class GroupedLogits:
    """A bend in the first feature, and offsets of the group whose number is in the last one."""

    n_groups: int
    n_features: int
    n_classes: int
    kind: str = "bend-and-groups"
    is_linear: bool = False
    compiled: None = None

    @property
    def shapes(self):
        return {"basis": (self.n_features, self.n_classes), "level": (self.n_groups, self.n_classes)}

    @property
    def dims(self):
        return {"basis": ("term", "category"), "level": ("group", "category")}

    def _terms(self, X):
        """The features and tanh of the first, without the group's number."""
        return np.column_stack([X[:, :-1], np.tanh(X[:, 0])]), X[:, -1].round().astype(int)

    def at(self, parameters):
        def logits(X):
            terms, group = self._terms(X)
            L = np.einsum("np,spk->kns", terms, parameters["basis"])
            return L + parameters["level"][:, group].transpose(2, 1, 0)

        return logits

    def bounds(self, parameters, X):
        largest = np.abs(parameters["basis"]).max(axis=(0, 2))
        return np.abs(self._terms(X)[0]) @ largest + np.abs(parameters["level"]).max()

    def jacobian(self, X):
        terms, group = self._terms(X)
        both, eye = np.concatenate([terms, np.eye(self.n_groups)[group]], axis=1), np.eye(self.n_classes)
        return np.einsum("nj,kl->nkjl", both, eye).reshape(len(X), self.n_classes, -1)

    def covariance(self, parameters, X, covariance):
        return generic.covariance_by_jacobian(self.jacobian(X), covariance)

    def pull_back(self, parameters, X, derivatives):
        return generic.pull_back_by_jacobian(self.jacobian(X), derivatives)

    def slope(self, parameters, X, change):
        return generic.slope_by_differences(self.at(parameters), X, change, np.ones(X.shape[1]))

    def pull_back_slope(self, parameters, X, change, derivatives):
        def pull_back(X, B):
            return self.pull_back(parameters, X, B)

        return generic.pull_back_slope_by_differences(pull_back, X, change, derivatives, np.ones(X.shape[1]))

    def expression(self, X, variables):
        import pytensor.tensor as pt

        terms = pt.concatenate([X[:, :-1], pt.tanh(X[:, :1])], axis=1)
        return terms @ variables["basis"] + variables["level"][pt.cast(X[:, -1], "int64")]

    def to_data(self):
        return {"n_groups": self.n_groups, "n_features": self.n_features, "n_classes": self.n_classes}


LOGITS = GroupedLogits(G, 3, K)


def by_hand(theta, X):
    """Logits (n, K) of one flat vector of parameters."""
    basis, level = theta[: 3 * K].reshape(3, K), theta[3 * K :].reshape(G, K)
    terms = np.column_stack([X[:, 0], X[:, 1], np.tanh(X[:, 0])])
    return terms @ basis + level[X[:, 2].astype(int)]


def jacobian_by_differences(function, theta, h=1e-5):
    """Derivatives (d, ...) of a function of the flat parameters."""
    steps = h * np.eye(len(theta))
    return np.array([(function(theta + step) - function(theta - step)) / (2 * h) for step in steps])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.normal(size=(N, 2)), rng.integers(G, size=N)])
    y = (by_hand(rng.normal(size=(3 + G) * K), X) + rng.gumbel(size=(N, K))).argmax(axis=1)
    return X, y


@pytest.fixture(scope="module")
def mode(data):
    """Mode and covariance under independent standard normal priors, by SciPy."""
    X, y = data
    J = LOGITS.jacobian(X)

    def loss(theta):
        eta = by_hand(theta, X)
        residual = softmax(eta, axis=1) - np.eye(K)[y]
        value = 0.5 * theta @ theta - log_softmax(eta, axis=1)[np.arange(N), y].sum()
        return value, theta + np.einsum("nkd,nk->d", J, residual)

    theta = minimize(loss, np.zeros((3 + G) * K), jac=True, options={"gtol": 1e-9}).x
    P = softmax(by_hand(theta, X), axis=1)
    inner = P[:, :, None] * (np.eye(K) - P[:, None, :])
    return theta, np.linalg.inv(np.eye(len(theta)) + np.einsum("nkd,nkl,nle->de", J, inner, J))


def named(thetas):
    """Flat parameters (..., d) by name."""
    return {
        "basis": thetas[..., : 3 * K].reshape(*thetas.shape[:-1], 3, K),
        "level": thetas[..., 3 * K :].reshape(*thetas.shape[:-1], G, K),
    }


@pytest.fixture(scope="module")
def made(data):
    """Schema and data of a fit."""
    X, y = data
    model = bs.SoftmaxRegression(X, np.array(CLASSES)[y], feature_names=NAMES, classes=CLASSES)
    return replace(model._spec.schema, prior_sd=()), training_data(model._spec.design, model._spec.collapsed)


@pytest.fixture(scope="module")
def estimate(mode, made, data):
    theta, covariance = mode
    X, y = data
    schema, training = made
    likelihood = float(log_softmax(by_hand(theta, X), axis=1)[np.arange(N), y].sum())
    fitted = Estimate(
        kind="map", values=label_parameters(LOGITS, named(theta), schema), log_likelihood=likelihood,
        log_prior=float(norm.logpdf(theta).sum()), total_weight=float(N), n_obs=N, converged=True, status="converged",
        gradient_norm=0.0, newton_decrement=0.0, n_iterations=1, history=np.zeros(1), schema=schema, logits=LOGITS,
        covariance_of=lambda: covariance, training=training,
    )  # fmt: skip
    return bs.PointEstimate(fitted)


@pytest.fixture(scope="module")
def thetas(mode):
    theta, covariance = mode
    return np.random.default_rng(5).multivariate_normal(theta, 0.25 * covariance, size=S)  # any draws will do


@pytest.fixture(scope="module")
def posterior(thetas, made):
    schema, training = made
    draws = named(thetas.reshape(2, S // 2, -1))
    idata = build_idata(LOGITS, draws, {}, {}, training, schema, "by hand")
    return bs.Posterior(PosteriorDraws(idata, schema, "by hand", 0, LOGITS, training=training))


@pytest.fixture(scope="module")
def probabilities(thetas, data):
    """(S, N, K) of each draw."""
    return np.array([softmax(by_hand(theta, data[0]), axis=1) for theta in thetas])


def test_probabilities_and_classes(estimate, posterior, probabilities, mode, data):
    X = data[0]
    at_mode = softmax(by_hand(mode[0], X), axis=1)
    assert_allclose(estimate.predict_proba(X), at_mode, rtol=1e-12)
    assert_allclose(posterior.predict_proba(X), probabilities.mean(axis=0), rtol=1e-12)
    assert_array_equal(estimate.predict(X), np.array(CLASSES)[at_mode.argmax(axis=1)])
    assert_allclose(posterior.predict_draws(X).values.reshape(S, N, K), probabilities, rtol=1e-12)
    with pytest.raises(ValueError, match="logits overflow in row 0: column 'x1' is 1e"):
        estimate.predict([[1.0, 1e200, 0.0]])


def test_intervals(estimate, posterior, probabilities, mode, data):
    """Quantiles of the draws; and of the estimate the delta method on the logit of each probability."""
    X, (theta, covariance) = data[0], mode
    table = posterior.predict_proba(X, ci_prob=0.8)
    for k, label in enumerate(CLASSES):
        assert_allclose(table[label, "eti80_lb"], np.quantile(probabilities[:, :, k], 0.1, axis=0), rtol=1e-10)
        assert_allclose(table[label, "eti80_ub"], np.quantile(probabilities[:, :, k], 0.9, axis=0), rtol=1e-10)

    def logits_of_p(theta):
        return logit(softmax(by_hand(theta, X), axis=1))

    J = jacobian_by_differences(logits_of_p, theta)
    half = norm.ppf(0.9) * np.sqrt(np.einsum("dnk,de,enk->nk", J, covariance, J))
    table = estimate.predict_proba(X, ci_prob=0.8)
    for k, label in enumerate(CLASSES):
        assert_allclose(table[label, "wald80_ub"], expit(logits_of_p(theta) + half)[:, k], rtol=1e-7)


def test_uncertainty_and_decisions(estimate, posterior, probabilities, mode, data):
    X, (theta, covariance) = data[0], mode
    found = posterior.uncertainty(X)
    assert_allclose(found["total"], entropy(probabilities.mean(axis=0), axis=1), rtol=1e-10)
    assert_allclose(found["aleatoric"], entropy(probabilities, axis=2).mean(axis=0), rtol=1e-10)
    by_normal = estimate.uncertainty(X)
    points = np.random.default_rng(6).multivariate_normal(theta, covariance, size=2000)
    drawn = entropy(np.array([softmax(by_hand(point, X[:9]), axis=1) for point in points]), axis=2)
    assert_allclose(by_normal["aleatoric"][:9], drawn.mean(axis=0), atol=0.02)
    table = posterior.decide(X, COST, ci_prob=0.8)
    expected = probabilities.mean(axis=0) @ COST.to_numpy().T
    assert_array_equal(table["decision"], COST.index[expected.argmin(axis=1)])
    assert_allclose(table["expected_cost"], expected.min(axis=1), rtol=1e-10)

    def cost(theta):
        return softmax(by_hand(theta, X), axis=1) @ COST.to_numpy().T

    own = cost(theta).argmin(axis=1)
    J = jacobian_by_differences(cost, theta)[:, np.arange(N), own]
    error = np.sqrt(np.einsum("dn,de,en->n", J, covariance, J))
    table = estimate.decide(X, COST, ci_prob=0.8)
    inside = table["wald80_ub"] < COST.to_numpy()[own].max(axis=1) - 1e-9  # else it ends at the largest cost
    low_high = table["expected_cost"] + norm.ppf(0.9) * error
    assert inside.any()
    assert_allclose(table["wald80_ub"][inside], low_high[inside], rtol=1e-6)


def slopes(theta, X, h=1e-5):
    """Average slopes (K,) in the first feature."""
    move = h * np.eye(3)[0]
    ends = [softmax(by_hand(theta, X + sign * move), axis=1).mean(axis=0) for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * h)


def difference(theta, X):
    """Average difference (K,) between two values of the second feature, in another group."""
    settings = (np.column_stack([X[:, 0], np.full(N, value), np.full(N, place)]) for value, place in ((1, 2), (-1, 0)))
    first, second = (softmax(by_hand(theta, at), axis=1).mean(axis=0) for at in settings)
    return first - second


@pytest.mark.parametrize("average", [slopes, difference])
def test_effects_and_contrasts(average, estimate, posterior, thetas, mode, data):
    """Averages of the draws; of the estimate with errors by a Jacobian of differences."""
    X, (theta, covariance) = data[0], mode

    def asked(fit):
        if average is slopes:
            return fit.effects("x0", ci_prob=0.8)
        return fit.contrast({"x1": 1.0, "place": 2}, {"x1": -1.0, "place": 0}, ci_prob=0.8)

    drawn = np.array([average(one, X) for one in thetas])
    table = asked(posterior)
    assert_allclose(table["mean"], drawn.mean(axis=0), atol=1e-8)
    assert_allclose(table["sd"], drawn.std(axis=0, ddof=1), rtol=1e-6)
    J = jacobian_by_differences(lambda theta: average(theta, X), theta, h=1e-3)
    table = asked(estimate)
    assert_allclose(table["estimate"], average(theta, X), atol=1e-8)
    assert_allclose(table["std_error"], np.sqrt(np.einsum("dk,de,ek->k", J, covariance, J)), rtol=1e-4)


def test_scores(estimate, posterior, probabilities, mode, data):
    X, y = data
    at_mode = softmax(by_hand(mode[0], X), axis=1)
    own = np.arange(N), y
    for fit, P in ((estimate, at_mode), (posterior, probabilities.mean(axis=0))):
        found, again = fit.evaluate(), fit.evaluate(X, np.array(CLASSES)[y])
        assert_allclose(found.log_loss, -np.log(P[own]).mean(), rtol=1e-12)
        assert_allclose(found.accuracy, (P.argmax(axis=1) == y).mean(), rtol=1e-12)
        assert_allclose(again.brier, ((P - np.eye(K)[y]) ** 2).sum(axis=1).mean(), rtol=1e-12)


def test_leave_one_out(estimate, posterior, probabilities, mode, data):
    """ArviZ's numbers from all log likelihoods; of the estimate one Newton step in the parameters."""
    from arviz_stats import loo

    X, y = data
    found = posterior.loo()
    values = np.log(probabilities[:, np.arange(N), y]).reshape(2, S // 2, N)
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior.idata["posterior"].to_dataset(),
            "log_likelihood": xr.Dataset({"y": (("chain", "draw", "obs"), values)}),
        }
    )
    theirs = loo(tree, reff=posterior._fitted.relative_ess)
    assert_allclose(found.elpd_i, theirs.elpd_i, rtol=1e-8)
    assert_allclose(posterior.loo(by="row").elpd, theirs.elpd, rtol=1e-8)
    theta, covariance = mode
    precision, J, P = np.linalg.inv(covariance), LOGITS.jacobian(X), softmax(by_hand(theta, X), axis=1)
    log_p = []
    for n in range(N):
        inner = np.diag(P[n]) - np.outer(P[n], P[n])
        step = np.linalg.solve(precision - J[n].T @ inner @ J[n], J[n].T @ (np.eye(K)[y[n]] - P[n]))
        log_p.append(log_softmax(by_hand(theta - step, X[[n]])[0])[y[n]])
    assert_allclose(estimate.evaluate(loo=True).log_loss, -np.mean(log_p), rtol=1e-8)


def test_replications(posterior, probabilities, data):
    """Shares in replications are those of the probabilities, in groups that a feature makes."""
    X, y = data
    table = posterior.posterior_predictive(by="place", n_draws=S, random_seed=1)
    for group in range(G):
        at = X[:, 2] == group
        shares = probabilities[:, at].mean(axis=(0, 1))
        assert_allclose(table.loc[group, "observed"], np.bincount(y[at], minlength=K) / at.sum(), rtol=1e-12)
        assert (np.abs(table.loc[group, "replicated"] - shares) < 5 * np.sqrt(0.25 / at.sum() / S)).all()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_file_holds_no_code(estimate, posterior, data, tmp_path, suffix):
    """A file says what function it needs; whoever loads it gives the function."""
    X = data[0]
    for name, fit in (("estimate", estimate), ("posterior", posterior)):
        path = tmp_path / f"{name}{suffix}"
        fit.save(path)
        with pytest.raises(ValueError, match=r"of kind 'bend-and-groups', which is none of the package's.*logits="):
            bs.load(path)
        with pytest.raises(ValueError, match=r"the fit was made with 'bend-and-groups' and \{'n_groups': 4"):
            bs.load(path, logits=GroupedLogits(G + 1, 3, K))
        again = bs.load(path, logits=LOGITS)
        assert again._fitted.logits == LOGITS
        pd.testing.assert_frame_equal(again.predict_proba(X, ci_prob=0.8), fit.predict_proba(X, ci_prob=0.8))
        pd.testing.assert_frame_equal(again.effects(), fit.effects())
        assert again.evaluate().log_loss == fit.evaluate().log_loss
    assert again.loo().elpd == posterior.loo().elpd


def test_a_linear_fit_is_loaded_as_one(overlapping, tmp_path):
    fit = overlapping.map()
    fit.save(tmp_path / "fit.nc")
    assert bs.load(tmp_path / "fit.nc")._fitted.logits == fit._fitted.logits
    with pytest.raises(ValueError, match="the fit was made with 'linear'"):
        bs.load(tmp_path / "fit.nc", logits=LOGITS)


def test_questions_about_coefficients_are_refused(estimate, posterior):
    for fit in (estimate, posterior):
        for ask in (fit.summary, fit.odds_ratios):
            with pytest.raises(ValueError, match=r"not linear but of kind 'bend-and-groups'.*'basis', 'level'"):
                ask()
        assert "by hand" in repr(fit) or "converged" in repr(fit)


def test_the_expression_and_the_generic_derivatives(thetas, data):
    """PyTensor's values are those of the draws; what linear logits have in closed form is what differences give."""
    import pytensor
    import pytensor.tensor as pt

    X = data[0]
    draws = Parameters(named(thetas[:5]))
    X_, variables = pt.dmatrix(), {"basis": pt.dmatrix(), "level": pt.dmatrix()}
    outputs = LOGITS.expression(X_, variables)
    compiled = pytensor.function([X_, *variables.values()], outputs, mode="FAST_COMPILE")
    for s in range(5):
        values = compiled(X, draws["basis"][s], draws["level"][s])
        assert_allclose(LOGITS.at(draws)(X)[:, :, s].T, values, rtol=1e-12)
    assert_allclose(draws.flat(), thetas[:5])


@dataclass(frozen=True)
class WrongLogits(GroupedLogits):
    """Logits of one class, or of one row, where there are more."""

    axis: int = 0

    def at(self, parameters):
        return lambda X: GroupedLogits.at(self, parameters)(X).take([0], axis=self.axis)


@pytest.mark.parametrize("axis", [0, 1])
def test_logits_of_another_shape_are_not_broadcast_into_answers(estimate, data, axis):
    wrong = changed(estimate, logits=WrongLogits(G, 3, K, axis=axis))
    with pytest.raises(ValueError, match=r"logits: at\(\) must give an array of shape"):
        wrong.predict_proba(data[0])
    with pytest.raises(ValueError, match=r"logits: at\(\) must give an array of shape"):
        wrong.predict_proba(data[0], ci_prob=0.9)


@pytest.mark.parametrize("logits", [5, "linear", {}, GroupedLogits])
def test_what_is_no_logit_function_is_not_called_a_damaged_file(estimate, tmp_path, logits):
    estimate.save(tmp_path / "fit.nc")
    with pytest.raises(TypeError, match="must be a logit function"):
        bs.load(tmp_path / "fit.nc", logits=logits)
