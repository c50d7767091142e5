"""Answers for known and new levels of groups, and averaged over the population of levels."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

import bayes_softmax as bs
from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.answers.levels import ask, at_levels
from bayes_softmax.answers.mean_probabilities import mean_probabilities
from bayes_softmax.answers.new_data import encode_rows
from bayes_softmax.answers.nodes import covariance_roots
from bayes_softmax.answers.perturbed import moved
from bayes_softmax.answers.probabilities import ThinnedDraws, over_blocks
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.fits.estimate import Estimate

CLASSES = ["a", "b", "c"]


def frame(n=240, seed=1):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"x": rng.normal(size=n), "f": rng.choice(["u", "v"], n), "g": rng.integers(0, 8, n)})
    data["s"] = rng.choice(list("uvwxyz"), n)
    eta = rng.normal(size=(8, 3))[data.g] + np.outer(data.x, [0.0, 0.5, -1.0])
    data["y"] = [CLASSES[rng.choice(3, p=softmax(row))] for row in eta]
    return data


@pytest.fixture(scope="module")
def post():
    model = bs.SoftmaxRegression.from_formula("y ~ x + f + (1 + x | g) + (1 | s)", frame())
    return model.sample(draws=100, tune=200, chains=2, random_seed=1, progressbar=False)


def logits_without_groups(post, data):
    """Logits (draws, rows, K) of the features alone."""
    draws = post.idata["posterior"].dataset.stack(sample=("chain", "draw"))
    b, W = draws.intercept.transpose("sample", ...).values, draws.weights.transpose("sample", ...).values
    X = np.column_stack([data.x, data.f == "v"])
    return b[:, None] + np.einsum("np,spk->snk", X, W)


def covariances(post, name):
    """Covariance (draws, q K, q K) of a grouping's effects."""
    values = post.idata["posterior"].dataset[f"{name}_covariance"].values
    size = values.shape[2] * values.shape[3]
    return values.reshape(-1, size, size)


def simulated(post, data, n_effects, seed):
    """Probabilities (draws, effects, rows, K) with effects drawn by Cholesky factors, row by row the same levels."""
    rng, eta = np.random.default_rng(seed), logits_without_groups(post, data)
    S = len(eta)
    g, s = (
        np.linalg.cholesky(V + 1e-12 * np.eye(V.shape[1])) @ rng.standard_normal((S, V.shape[1], n_effects))
        for V in (covariances(post, "g"), covariances(post, "s"))
    )
    u = g.reshape(S, 2, 3, n_effects).transpose(0, 3, 1, 2)  # (S, effects, term, K)
    total = eta[:, None] + (u[:, :, 0] + s.reshape(S, 3, n_effects).transpose(0, 2, 1))[:, :, None]
    total = total + data.x.to_numpy()[:, None] * u[:, :, 1, None]
    return softmax(total, axis=-1)


def test_an_average_is_the_integral_over_the_population_in_every_draw(post):
    data = frame().head(3)
    by_hand = simulated(post, data, 4000, seed=2)
    found = post.predict_draws(data, levels="average").values.reshape(200, 3, 3)
    error = by_hand.std(axis=1) / np.sqrt(4000)  # 1800 comparisons: 5.5 standard errors fail by chance 1 in 10 000
    assert (abs(found - by_hand.mean(axis=1)) < 5.5 * error + 2e-3).all()
    assert abs(found - by_hand.mean(axis=1)).mean() < 1.05 * error.mean()
    assert np.allclose(post.predict_proba(data, levels="average"), found.mean(axis=0))


def test_an_average_over_one_grouping_is_a_fine_quadrature():
    data = frame(120).assign(y=np.where(frame(120).y == "a", "a", "b"))
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", data)
    post = model.sample(draws=50, tune=100, chains=1, random_seed=1, progressbar=False)
    draws = post.idata["posterior"].dataset.isel(chain=0)
    sd = np.sqrt(draws.g_covariance.values[:, 0, 0, 0, 0] * 4)  # of the difference of the two logits
    eta = 2 * (draws.intercept.values[:, 1] + draws.weights.values[:, 0, 1] * 0.7)
    z, w = np.linspace(-9, 9, 4001), np.exp(-0.5 * np.linspace(-9, 9, 4001) ** 2)
    exact = (w / w.sum() / (1 + np.exp(-(eta[:, None] + sd[:, None] * z)))).sum(axis=1)
    found = post.predict_draws(pd.DataFrame({"x": [0.7]}), levels="average").sel(category="b").values.ravel()
    assert abs(found - exact).max() < 1e-3


def test_new_levels_are_drawn_from_the_population(post):
    data = frame().head(2).assign(g=[100, 200], s=["new", "newer"])
    found = post.predict_draws(data, levels="new", random_seed=3).values.reshape(200, 2, 3)
    by_hand = simulated(post, data, 1, seed=4)[:, 0]
    for moment in (lambda P: P, lambda P: P**2):
        a, b = moment(found), moment(by_hand)
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 200)
        assert (abs(a.mean(axis=0) - b.mean(axis=0)) < 4 * error).all()  # 12 comparisons: 1 in 1000 by chance


def test_new_levels_repeat_under_a_seed_and_rows_of_one_level_share_a_draw(post):
    data = frame().head(3).assign(g=[100, 100, 200], x=0.5, f="u", s="other")
    found = post.predict_draws(data, levels="new", random_seed=3).values
    assert np.array_equal(found, post.predict_draws(data, levels="new", random_seed=3).values)
    assert not np.array_equal(found, post.predict_draws(data, levels="new", random_seed=4).values)
    assert np.array_equal(found[..., 0, :], found[..., 1, :])
    assert abs(found[..., 0, :] - found[..., 2, :]).max() > 0.1
    without = post.predict_draws(data.drop(columns=["g", "s"]), levels="new", random_seed=3).values
    assert np.array_equal(without[..., 0, :], without[..., 2, :])


def test_known_or_new_keeps_the_effects_of_known_levels(post):
    data = frame().head(4)
    known = post.predict_draws(data).values
    mixed = post.predict_draws(data.assign(g=[100, *data.g[1:]]), levels="known or new", random_seed=1).values
    assert np.array_equal(mixed[..., 1:, :], known[..., 1:, :])
    assert not np.array_equal(mixed[..., 0, :], known[..., 0, :])
    one = post.predict_draws(data.assign(g=100), levels={"g": "new"}, random_seed=1).values
    assert one.shape == known.shape


@pytest.mark.parametrize("levels", ["new", "average", "known", {"g": "new", "s": "known"}])
def test_both_arms_of_a_contrast_have_the_same_effects(post, levels):
    same = post.contrast({"f": "u"}, {"f": "u"}, levels=levels, n_draws=50)
    assert not same[["mean", "sd"]].any(axis=None)


def test_marginal_effects_are_derivatives_of_the_averaged_probability(post):
    data = frame().head(5)
    found = post.effects("x", data, levels="average", draws=True).values.reshape(200, 3)
    step = 1e-4
    up, down = (
        post.predict_draws(data.assign(x=data.x + move), levels="average").values.reshape(200, 5, 3)
        for move in (step, -step)
    )
    assert abs(found - ((up - down) / (2 * step)).mean(axis=1)).max() < 1e-6
    assert abs(found.sum(axis=1)).max() < 1e-9


def test_effects_are_averaged_by_default_and_their_title_says_so(post):
    table = post.effects("f", n_draws=20)
    assert table.columns.name == "change of probability, averaged over the population of 'g', 's'"
    assert "quadrature nodes" in table.attrs["note"]
    by_name = post.effects("f", levels={"g": "known", "s": "average"}, n_draws=20).columns.name
    assert by_name == "change of probability, for the known levels of 'g', averaged over the population of 's'"
    draws = post.effects("f", levels="known", draws=True).values.reshape(200, 3)
    up, down = (post.predict_draws(frame().assign(f=f)).values.reshape(200, 240, 3).mean(axis=1) for f in "vu")
    assert np.allclose(draws, up - down)


def test_rows_that_differ_in_averaged_levels_alone_count_once_with_their_weights(post):
    data = frame().head(30)
    found = post.contrast({"x": 1.0}, {"x": 0.0}, data, draws=True).values.reshape(200, 3)
    up, down = (
        post.predict_draws(data.assign(x=x), levels="average").values.reshape(200, 30, 3).mean(axis=1) for x in (1.0, 0)
    )
    assert np.allclose(found, up - down)


def test_without_spread_an_average_is_the_model_without_effects():
    covariance = np.zeros((3, 6, 6))
    assert not covariance_roots(covariance, 4).any()
    C = np.linalg.qr(np.column_stack([np.ones(3), np.eye(3)[:, :2]]))[0][:, 1:]
    V = C @ np.array([[2.0, 0.5], [0.5, 1.0]]) @ C.T
    root = covariance_roots(np.stack([V, 4 * V]), 2)
    assert np.allclose(root @ np.swapaxes(root, 1, 2), [V, 4 * V])


def test_groups_are_given_by_value_for_arrays():
    data = frame(150)
    X = data[["x"]].to_numpy()
    post = bs.SoftmaxRegression(X, data.y, groups={"g": data.g.to_numpy()}).sample(
        draws=50, tune=100, chains=1, random_seed=1, progressbar=False
    )
    given = post.predict_proba(X[:3], groups={"g": data.g.to_numpy()[:3]})
    assert np.allclose(given, post.predict_proba(pd.DataFrame({"x0": X[:3, 0], "g": data.g[:3]})))
    assert np.allclose(post.predict_proba(X[:3], groups={"g": 5}), post.predict_proba(X[:3], groups={"g": [5] * 3}))
    frame_ = pd.DataFrame({"x0": X[:3, 0], "g": 5})
    assert np.allclose(post.predict_proba(frame_, groups={"g": 2}), post.predict_proba(frame_.assign(g=2)))
    assert post.predict_proba(X[:3], levels="average").shape == (3, 3)
    assert np.isfinite(post.effects()["mean"]).all()
    assert np.isfinite(post.effects(data=X, groups={"g": 1}, levels="known")["mean"]).all()
    with pytest.raises(TypeError, match=r"data is an array, and the model has groups"):
        post.predict_proba(X[:3])


def test_missing_levels_are_missing_answers_only_where_levels_are_read(post):
    data = frame().head(3).assign(g=[np.nan, 1, 2])
    found = post.predict_proba(data, missing="nan")
    assert found.isna().all(axis=1).tolist() == [True, False, False]
    assert post.predict_proba(data, levels="average").notna().all(axis=None)
    assert post.predict_proba(data, levels="new", missing="nan").isna().any(axis=1).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="'g' has a missing value in row 0"):
        post.predict_proba(data, levels="new")


def test_scores_and_decisions_for_levels(post):
    data = frame()
    assert post.evaluate().log_loss < post.evaluate(levels="average").log_loss
    scores = post.evaluate(data.head(50), levels="average")
    P = post.predict_proba(data.head(50), levels="average").to_numpy()
    assert np.isclose(scores.log_loss, -np.log(P[np.arange(50), [CLASSES.index(c) for c in data.y[:50]]]).mean())
    cost = pd.DataFrame(1.0 - np.eye(3), CLASSES, CLASSES)
    decided = post.decide(data.head(5), cost, levels="average")
    assert np.allclose(decided["expected_cost"], 1 - P[:5].max(axis=1))
    assert (decided["decision"] == post.predict(data.head(5), levels="average")).all()
    known, new = post.uncertainty(data.head(5)), post.uncertainty(data.head(5), levels="new", random_seed=1)
    assert (new["epistemic"] > known["epistemic"]).all()
    with pytest.raises(ValueError, match="levels are known"):
        post.evaluate(loo=True, levels="new")


def test_replicated_shares_by_level(post):
    table = post.posterior_predictive(by="g", random_seed=1)
    assert table.index.get_level_values("group").unique().tolist() == sorted(frame().g.unique())
    assert np.allclose(
        table["observed"].unstack()[CLASSES],
        pd.crosstab(frame().g, frame().y, normalize="index"),
    )
    new = post.posterior_predictive(by="g", levels="new", random_seed=1)
    width = [(t.iloc[:, 3] - t.iloc[:, 2]).mean() for t in (table, new)]
    assert width[1] > 1.3 * width[0]
    with pytest.raises(ValueError, match="replicate no data"):
        post.posterior_predictive(levels="average")


def test_messages(post):
    data = frame().head(2)
    with pytest.raises(ValueError, match="levels='unseen' must be one of 'known', 'new', 'average', 'known or new'"):
        post.predict(data, levels="unseen")
    with pytest.raises(ValueError, match=r"levels: 'G' is not a grouping; did you mean 'g'"):
        post.predict(data, levels={"G": "new"})
    with pytest.raises(ValueError, match=r"groups: 'G' is not a grouping; did you mean 'g'"):
        post.predict(data, groups={"G": 1})
    with pytest.raises(ValueError, match=r"groups\['g'\] has shape \(3,\); expected \(2,\)"):
        post.predict(data, groups={"g": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"data has no column 'g' with levels of the groups .* pass groups={'g': ...}"):
        post.predict(data.drop(columns="g"))
    with pytest.raises(ValueError, match="'g' has level 100 in rows 0, 1, which the model was not fitted with"):
        post.predict(data.assign(g=100))
    plain = bs.SoftmaxRegression.from_formula("y ~ x", frame()).map()
    with pytest.raises(ValueError, match="levels='new': the model has no groups"):
        plain.predict(data, levels="new")
    with pytest.raises(ValueError, match="the model has no groups"):
        plain.effects(groups={"g": 1})
    with pytest.raises(ValueError, match="one level for all"):
        post.effects("f", groups={"g": [1, 2]}, levels="known")


def relabelled(post, order):
    """The posterior with its classes in another order: the same draws, permuted."""
    fitted = post._fitted
    parameters = fitted.parameters
    moved = {
        name: values.take(order, axis=-1) if name.count("covariance") == 0 else values[:, :, order][..., order]
        for name, values in parameters.arrays.items()
    }
    return ThinnedDraws(fitted.logits, Parameters(moved))


def test_relabelling_classes_changes_no_average(post):
    order, fitted = np.array([2, 0, 1]), post._fitted
    asked = ask(fitted, "average")
    data = frame().head(4)
    rows = encode_rows(fitted, data, asked=asked).rows
    here, there = (
        mean_probabilities(at.draws, at.place(rows._replace(nodes=None)))
        for at in (at_levels(draws, fitted.schema, asked, {}) for draws in (fitted, relabelled(post, order)))
    )
    assert abs(there - here[:, order]).max() < 2e-4  # 3e-4 per draw, averaged over 200 draws


@pytest.mark.parametrize("formula", ["y ~ x + (1 | s/g)", "y ~ x + (0 + x | g) + (1 | s)", "y ~ 1 + (x || g)"])
def test_averages_of_other_groupings(formula):
    data = frame(120)
    model = bs.SoftmaxRegression.from_formula(formula, data)
    post = model.sample(draws=40, tune=60, chains=1, random_seed=1, progressbar=False)
    row = pd.DataFrame({"x": [0.8]})
    draws = post.idata["posterior"].dataset.isel(chain=0)
    eta = draws.intercept.values + (0.8 * draws.weights.values[:, 0] if draws.sizes["feature"] else 0.0)
    V = 0.0
    for g in post._fitted.schema.groups:  # the covariance of all effects on this row
        own = draws[f"{g.name}_covariance"].values
        z = np.array([1.0 if term == "intercept" else 0.8 for term in g.terms])
        V = V + np.einsum("stkul,t,u->skl", own, z, z)
    z = np.random.default_rng(1).standard_normal((4000, 3))
    root = np.linalg.cholesky(V + 1e-12 * np.eye(3))
    P = softmax(eta[:, None] + z @ np.swapaxes(root, 1, 2), axis=-1)
    found = post.predict_draws(row, levels="average").values[0, :, 0]
    assert (abs(found - P.mean(axis=1)) < 5 * P.std(axis=1) / np.sqrt(4000) + 2e-3).all()


def test_choice_sets_offsets_and_many_classes():
    rng = np.random.default_rng(2)
    n, K = 200, 6
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, 5, n)})
    on, offset = np.ones((n, K), dtype=bool), rng.normal(size=(n, K))
    on[::2, 0] = False
    data["y"] = [str(rng.choice(np.flatnonzero(row))) for row in on]
    post = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", data, offset=offset, available=on).sample(
        draws=40, tune=60, chains=1, random_seed=1, progressbar=False
    )
    new = {"offset": offset[:4], "available": on[:4]}
    for levels in ("known", "new", "average"):
        P = post.predict_proba(data.head(4), levels=levels, random_seed=1, **new)
        assert np.allclose(P.sum(axis=1), 1.0)
        assert not P.iloc[::2, 0].any()
    by_weights = post.effects(data=data.head(4), weights=np.array([2.0, 0.0, 1.0, 1.0]), **new)
    kept = [0, 0, 2, 3]
    repeated = post.effects(data=data.iloc[kept], offset=offset[kept], available=on[kept])
    assert np.allclose(by_weights["mean"], repeated["mean"])


def estimate_near(post):
    """An estimate at the means of the draws, with their covariance."""
    fitted = post._fitted
    values = {name: values.mean(axis=0) for name, values in fitted.parameters.arrays.items()}
    covariance = np.cov(fitted.parameters.flat().T)
    return bs.PointEstimate(
        Estimate(
            kind="map", values=label_parameters(fitted.logits, values, fitted.schema), log_likelihood=0.0,
            log_prior=0.0, total_weight=240.0, n_obs=240, converged=True, status="", gradient_norm=0.0,
            newton_decrement=0.0, n_iterations=1, history=np.zeros(1), schema=fitted.schema, logits=fitted.logits,
            covariance_of=lambda: covariance, training=fitted.training,
        )
    )  # fmt: skip


def test_averages_of_an_estimate_have_standard_errors(post):
    fit, data = estimate_near(post), frame().head(3)
    table, draws = fit.effects(data=frame().head(40)), post.effects(data=frame().head(40))
    assert np.allclose(table["estimate"], draws["mean"], atol=0.02)
    ratio = table["std_error"] / draws["sd"]  # the draws are not normal
    assert ratio.between(0.7, 1.4).all()
    assert np.allclose(table.groupby(level=[0, 1])["estimate"].sum(), 0.0, atol=1e-9)
    P = fit.predict_proba(data, levels="average", ci_prob=0.9)
    by_draws = post.predict_proba(data, levels="average", ci_prob=0.9)
    assert np.allclose(P.to_numpy(), by_draws.to_numpy(), atol=0.06)
    assert ((P.xs("estimate", axis=1, level=1) - fit.predict_proba(data, levels="average")).abs() < 1e-9).all(axis=None)
    cost = pd.DataFrame(1.0 - np.eye(3), CLASSES, CLASSES)
    decided, of_draws = fit.decide(data, cost, levels="average"), post.decide(data, cost, levels="average")
    assert np.allclose(decided.iloc[:, 1:4], of_draws.iloc[:, 1:4], atol=0.06)  # expected cost and its interval
    u, v = fit.uncertainty(data, levels="average"), post.uncertainty(data, levels="average")
    assert np.allclose(u["total"], v["total"], atol=0.03)
    assert (u["epistemic"] / v["epistemic"]).between(0.5, 2.0).all()
    with pytest.raises(ValueError, match="drawn once for each draw of a posterior, and a point estimate has none"):
        fit.predict(data, levels="new")


def test_maximum_likelihood_has_effects_averaged_over_the_population():
    fit = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", frame()).mle()
    table = fit.effects()
    assert table.columns.name == "change of probability, averaged over the population of 'g'"
    assert table["std_error"].between(0.005, 0.1).all()
    up, down = (fit.predict_proba(frame().assign(x=frame().x + h), levels="average") for h in (1e-4, -1e-4))
    assert np.allclose(table["estimate"], (up - down).mean() / 2e-4, atol=1e-6)
    known = fit.predict_proba(frame().head(3))
    assert abs(known - fit.predict_proba(frame().head(3), levels="average")).max(axis=None) > 0.02


def test_standard_errors_by_differences_are_those_of_the_exact_jacobian():
    fit = bs.SoftmaxRegression.from_formula("y ~ x + f", frame()).map()._fitted
    near = moved(fit.logits, fit.parameters, fit.delta_covariance)
    rows = encode_rows(fit, frame().head(3), asked=ask(fit, "known")).rows
    (P,) = over_blocks(near.draws, rows, lambda P, _: P.copy())
    logit = np.moveaxis(np.log(P / (1 - P)), 2, 0)
    ends = bs.PointEstimate(fit).predict_proba(frame().head(3), ci_prob=0.9)
    low, high = (ends.xs(name, axis=1, level=1).to_numpy().T for name in ends.columns.levels[1][1:])
    half = (np.log(high / (1 - high)) - np.log(low / (1 - low))) / 2
    assert np.allclose(near.errors(logit) * 1.6448536, half, rtol=1e-5)
