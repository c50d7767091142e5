"""Point estimates of models with group-level effects, and where none exists."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import chi2

import bayes_softmax as bs
from bayes_softmax.core.errors import NotConvergedWarning
from bayes_softmax.density.groups.marginal import signed
from bayes_softmax.fitting.group_marginal import marginal_density
from tests.density.grouped import stencil


def frame(n=240, seed=1, sd=1.0, K=3, G=8):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, G, n), "s": rng.choice(list("uvwxyz"), n)})
    eta = (sd * rng.normal(size=(G, K)))[data.g] + np.outer(data.x, np.linspace(0, -1, K))
    data["y"] = [list("abcde")[rng.choice(K, p=softmax(row))] for row in eta]
    return data


def model(formula="y ~ x + (1 | g)", data=None, **options):
    return bs.SoftmaxRegression.from_formula(formula, frame() if data is None else data, **options)


def test_the_maximum_is_the_same_under_every_coding_and_order_of_classes():
    data = frame()
    first = model(data=data).mle()
    reversed_ = list("cba")
    for options in ({"coding": "reference"}, {"coding": "full"}, {"classes": reversed_, "coding": "reference"}):
        other = model(data=data, **options).mle()
        assert other.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-7)  # the error of 15 nodes
        P = other.predict_proba(data)
        np.testing.assert_allclose(P[list("abc")], first.predict_proba(data), atol=1e-6)
        own, others = (fit.summary(vs="a") for fit in (first, other))
        np.testing.assert_allclose(others.loc[own.index, "std_error"], own["std_error"], rtol=1e-4)


@pytest.mark.parametrize("kind", ["mle", "map"])
@pytest.mark.parametrize(
    ("formula", "options", "method"),
    [
        ("y ~ x + (1 | g)", {}, "15 x 15 nodes"),
        ("y ~ x + (1 + x || g)", {}, "Laplace"),
        ("y ~ x + (1 | g) + (1 | s)", {}, "Laplace"),
        ("y ~ x + (1 | s/g)", {}, "Laplace"),
        ("y ~ x + (1 | g)", {"group_prior": bs.GroupNormal(covariance="independent")}, "nodes"),
        ("y ~ x + (1 | g)", {"group_prior": bs.GroupNormal(covariance="exchangeable")}, "nodes"),
        ("y ~ x + (1 | g)", {"coding": "full"}, ""),
        ("y ~ 0 + x + (1 | g)", {}, "nodes"),
    ],
)
def test_every_form_has_a_certified_maximum(formula, options, method, kind):
    fit = getattr(model(formula, **options), kind)()
    assert fit.converged, fit.status
    assert method in fit.notes[0]
    assert "marginal" in fit.notes[0]
    assert fit.gradient_norm < 1e-8
    assert np.isfinite(fit.std_error.weights).all()
    for grouping in ("g", "s", "s:g"):
        if f"{grouping}_covariance" in fit.parameters:
            assert abs(fit.parameters[grouping].sum("category")).max() < 1e-10
            covariance = fit.parameters[f"{grouping}_covariance"].values
            side = covariance.shape[0] * covariance.shape[1]
            assert np.linalg.eigvalsh(covariance.reshape(side, side)).min() > -1e-10


def test_the_map_is_a_maximum_of_likelihood_and_priors():
    spec = model()._spec
    fit = model().map()
    density = marginal_density(spec, signed, 15, priors=True)
    raw = spec.coordinates.from_raw(fit.intercept.values, fit.weights.values)
    assert fit.log_prior < 0
    assert fit.log_posterior == pytest.approx(fit.log_likelihood + fit.log_prior)
    rng, best = np.random.default_rng(0), -np.inf
    for _ in range(20):  # no sds and correlations give these weights a higher density
        x = rng.normal(size=density.dimension - len(raw))
        best = max(best, density.value(np.concatenate([raw, x])))
    at_optimum = fit.log_likelihood + fit.log_prior
    constant = fit.log_prior - (at_optimum - fit.log_likelihood)
    assert constant == pytest.approx(0.0)
    assert -fit.history[-1] * fit.n_obs >= best - 1e-8


def test_twenty_five_widths_of_priors_lead_from_the_map_to_the_mle():
    wide = bs.GroupNormal(scale=bs.HalfNormal(1e4), correlation=bs.LKJ(1))
    options = {"prior": bs.Normal(1e4), "intercept_prior": bs.Normal(1e4), "coding": "reference"}
    near = model(**options, group_prior=wide).map()
    mle = model(coding="reference").mle()
    np.testing.assert_allclose(near.weights, mle.weights, atol=1e-5)
    np.testing.assert_allclose(near.parameters["g_covariance"], mle.parameters["g_covariance"], atol=1e-4)


def test_the_likelihood_ratio_of_variances_is_not_negative_and_levels_without_spread_end_on_the_boundary():
    data = frame(sd=0.0, n=400, seed=3)
    with_effects, without = model(data=data).mle(), model("y ~ x", data=data).mle()
    assert with_effects.log_likelihood >= without.log_likelihood - 1e-8
    assert 2 * (with_effects.log_likelihood - without.log_likelihood) < chi2(3).isf(1e-6)
    assert "on the boundary" in with_effects.status
    assert "on the boundary" in " ".join(with_effects.notes)


def test_a_variance_of_zero_gives_the_estimate_without_effects():
    rng = np.random.default_rng(0)
    n = 60  # each level has every answer equally often: less spread between levels than chance
    data = pd.DataFrame({"g": np.repeat(np.arange(n // 6), 6), "y": np.tile(list("aabbcc"), n // 6)})
    data["x"] = rng.normal(size=n)
    fit, without = model(data=data).mle(), model("y ~ x", data=data).mle()
    assert fit.converged
    assert "the sd of 'intercept' is zero over the levels of g" in " ".join(fit.notes)
    assert fit.log_likelihood == pytest.approx(without.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(fit.weights, without.weights, atol=1e-5)
    np.testing.assert_allclose(fit.std_error.weights, without.std_error.weights, rtol=1e-3)
    np.testing.assert_allclose(fit.parameters["g"], 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.assign(y=np.where(d.x > 0, "a", np.where(d.x < -0.5, "b", "c"))), "complete separation"),
        (lambda d: d.assign(y=np.array(list("abc"))[d.g % 3]), "the variance of g grows without end"),
        (lambda d: d.assign(g=[f"level {i}" for i in range(len(d))]), "every level of g has one observation"),
    ],
)
def test_where_no_maximum_exists_it_is_said_why(change, words):
    data = change(frame(n=60))
    with pytest.warns(NotConvergedWarning, match=words):
        fit = model(data=data).mle()
    assert not fit.converged
    assert words in fit.status
    assert "map() has priors to decide" in fit.status
    assert model(data=data).map().converged


def test_separated_contrasts_are_infinite_and_others_keep_their_errors():
    data = frame().assign(z=lambda d: np.where(d.y == "c", 1.0, 0.0))
    with pytest.warns(NotConvergedWarning, match="separation"):
        fit = model("y ~ x + z + (1 | g)", data=data).mle()
    table = fit.summary(vs="a")
    assert table.loc[("z", "c vs a"), "estimate"] == np.inf
    assert np.isfinite(table.loc[("x", "b vs a")]).all()
    with pytest.warns(NotConvergedWarning, match="without a certified optimum"):
        P = fit.predict_proba(data.head(4))
    assert (P["c"].round(6) == (data.head(4).y == "c")).all()


def test_weights_counts_and_collapsed_rows_are_the_same_data():
    data = frame().assign(x=lambda d: d.x.round(0))
    first = model(data=data).mle()
    assert first.log_likelihood == pytest.approx(model(data=data, collapse=False).mle().log_likelihood, abs=1e-9)
    cells = data.value_counts(["x", "g", "y"]).rename("n").reset_index()
    weighted = model(data=cells, weights="n").mle()
    assert weighted.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(weighted.std_error.weights, first.std_error.weights, rtol=1e-5)


def test_units_of_a_slope_change_its_variance_alone():
    data = frame(K=2)
    first, large = (
        model("y ~ x + (1 + x | g)", data).mle(),
        model("y ~ x + (1 + x | g)", data.assign(x=data.x * 1e5)).mle(),
    )
    assert large.converged
    assert large.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-7)
    ratio = first.parameters["g_covariance"].values[1, 0, 1, 0] / large.parameters["g_covariance"].values[1, 0, 1, 0]
    assert ratio == pytest.approx(1e10, rel=1e-3)


def test_errors_of_effects_and_covariances_against_differences():
    """The joint covariance is of modes that move with weights and variances."""
    fit = model(data=frame(K=2), coding="reference").mle()
    spec = model(data=frame(K=2), coding="reference")._spec
    density = marginal_density(spec.without_priors(), signed, 15, priors=False)
    theta = spec.coordinates.from_raw(fit.intercept.values, fit.weights.values)
    sd = np.sqrt(fit.parameters["g_covariance"].values[0, 1, 0, 1])
    point = np.append(theta, sd)
    H = -np.array([stencil(lambda z: density.value_gradient(z)[1], point, e) for e in np.eye(3)])
    V = np.linalg.inv(0.5 * (H + H.T))
    J = np.array([stencil(lambda z: density.normals(z).modes[0][:, 0], point, e) for e in np.eye(3)]).T
    expected = np.diag(J @ V @ J.T) + density.normals(point).covariances[0][:, 0, 0]
    errors = fit.std_error
    np.testing.assert_allclose(errors["g"].values[:, 0, 1] ** 2, expected, rtol=1e-5)
    assert errors["g_covariance"].values[0, 1, 0, 1] == pytest.approx(2 * sd * np.sqrt(V[2, 2]), rel=1e-5)


def test_an_estimate_goes_through_a_file_and_predicts_with_intervals(tmp_path):
    data, fit = frame(), model().mle()
    fit.save(tmp_path / "fit.nc")
    loaded = bs.load(tmp_path / "fit.nc")
    for one, other in ((fit, loaded),):
        np.testing.assert_array_equal(one.predict_proba(data), other.predict_proba(data))
        np.testing.assert_array_equal(one.predict_proba(data, ci_prob=0.9), other.predict_proba(data, ci_prob=0.9))
        assert one.status == other.status
        assert one.std_error.identical(other.std_error)
    assert str(loaded) == str(fit)


def test_many_levels_have_no_joint_covariance_and_keep_the_errors_of_weights(monkeypatch):
    fit = model().mle()
    monkeypatch.setattr("bayes_softmax.fitting.group_estimates.MANY_PARAMETERS", 5)
    large = model().mle()
    np.testing.assert_allclose(large.std_error.weights, fit.std_error.weights, rtol=1e-6)
    with pytest.raises(ValueError, match="laplace\\(\\) or sample\\(\\)"):
        _ = large.covariance


@pytest.mark.parametrize(
    ("options", "call", "words"),
    [
        ({}, {"solver": "newton-cg"}, "for models without groups"),
        ({}, {"solver": "steepest"}, "solver='steepest'"),
        ({}, {"learning_rate": 0.1}, "for models without groups"),
        ({"prior": bs.Laplace(1.0)}, {}, "kink at zero"),
        ({"group_prior": bs.GroupNormal(correlation=bs.LKJ(0.5))}, {}, "LKJ\\(0.5\\) is unbounded"),
    ],
)
def test_what_is_not_for_groups_is_refused(options, call, words):
    with pytest.raises(ValueError, match=words):
        model(**options).map(**call)
