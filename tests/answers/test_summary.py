"""One table for both kinds of fit: its columns, from the draws and from the estimate themselves."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtri

import bayes_softmax as bs
from bayes_softmax.answers.contrasts import build_view
from bayes_softmax.answers.convergence import convergence_table
from tests.conftest import simulate

X, Y = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 5.0]] * 5, list("abcbacbbcaacbbaabcac")
QUALITY = ["ess_bulk", "ess_tail", "r_hat", "mcse_mean"]


@pytest.mark.parametrize("vs", [None, "average", "b", ("c", "a")])
@pytest.mark.parametrize("intercept", [True, False])
def test_an_estimate(vs, intercept: bool) -> None:
    formula = "y ~ x + z" if intercept else "y ~ 0 + x + z"
    fit = bs.SoftmaxRegression.from_formula(formula, pd.DataFrame(X, columns=["x", "z"]).assign(y=Y)).map()
    table, view = fit.summary(vs=vs, ci_prob=0.9, ci_kind="eti"), build_view(fit._fitted.schema, vs)
    assert table.columns.tolist() == ["estimate", "std_error", "wald90_lb", "wald90_ub", "contraction"]
    assert table.index.names == ["feature", "contrast"]
    features = ["intercept", "x", "z"] if intercept else ["x", "z"]
    assert table.index.tolist() == [(f, c) for f in features for c in view.names]
    values = np.vstack([fit.intercept, fit.weights])[-len(features) :]
    assert_allclose(table["estimate"], (values @ view.matrix).ravel(), rtol=1e-13, atol=1e-15)
    error = np.sqrt(np.einsum("km,ikil,lm->im", view.matrix, *[fit._fitted.raw_covariance, view.matrix]))
    assert_allclose(table["std_error"], error[-len(features) :].ravel(), rtol=1e-10)
    assert_allclose(table["wald90_ub"] - table["estimate"], ndtri(0.95) * table["std_error"], rtol=1e-10)


@pytest.mark.parametrize("vs", [None, "b", ("c", "a")])
def test_draws(vs) -> None:
    model = bs.SoftmaxRegression(X, Y)
    fit = model.sample(draws=100, chains=2, engine="nuts", random_seed=1, progressbar=False)
    table, view = fit.summary(vs=vs, ci_prob=0.8, ci_kind="eti"), build_view(fit._fitted.schema, vs)
    spread = ["mean", "sd", "eti80_lb", "eti80_ub", "p_positive"]
    assert table.columns.tolist() == [*spread, "contraction", *QUALITY]
    draws = (fit._fitted.draws @ view.matrix).reshape(2, 100, -1)
    flat = draws.reshape(200, -1)
    assert_array_equal(table["mean"], flat.mean(axis=0))
    assert_array_equal(table["sd"], flat.std(axis=0, ddof=1))
    assert_allclose(table[["eti80_lb", "eti80_ub"]], np.quantile(flat, [0.1, 0.9], axis=0).T, rtol=1e-12, atol=1e-14)
    assert_array_equal(table["p_positive"], (flat > 0).mean(axis=0))
    assert_array_equal(table[QUALITY], convergence_table(draws))


def test_draws_of_importance_weights_and_of_the_prior() -> None:
    model = bs.SoftmaxRegression(X, Y)
    weighted = model.laplace(draws=500, random_seed=1, progressbar=False)
    table = weighted.summary()
    assert_array_equal(table["ess_bulk"], np.round(weighted.ess))
    assert table["r_hat"].isna().all()
    before = model.sample_prior(draws=200, random_seed=1).summary()
    assert before.columns[-4:].tolist() == QUALITY  # nothing was seen that could contract it
    flat = bs.SoftmaxRegression(X, Y, prior=bs.Flat(), intercept_prior=bs.Flat())
    assert "contraction" not in flat.mle().summary()


@pytest.fixture(scope="module")
def crossed() -> bs.SoftmaxRegression:
    X, codes = simulate(600, 2, 3)
    frame = pd.DataFrame({"age": X[:, 0], "income": X[:, 1], "g": np.resize(list("pqr"), 600), "y": codes})
    return bs.SoftmaxRegression.from_formula("y ~ poly(age, 2) * g + income:g", frame)


@pytest.mark.parametrize(
    ("features", "shown"),
    [
        ("intercept", ["intercept"]),
        ("g[T.q]", ["g[T.q]"]),
        ("g", ["g[T.q]", "g[T.r]"]),
        ("age", ["poly(age, 2)[1]", "poly(age, 2)[2]"]),
        ("poly(age,2)", ["poly(age, 2)[1]", "poly(age, 2)[2]"]),
        ("g:income", ["income:g[p]", "income:g[q]", "income:g[r]"]),
        (["g", "g[T.q]", "intercept", "age"], ["intercept", "poly(age, 2)[1]", "poly(age, 2)[2]", "g[T.q]", "g[T.r]"]),
    ],
    ids=str,
)
def test_features_choose_rows_in_the_order_of_the_model(crossed, features, shown) -> None:
    for fit in (crossed.map(), crossed.laplace(draws=200, random_seed=1, progressbar=False)):
        part, whole = fit.summary(features=features), fit.summary()
        assert part.index.get_level_values("feature").unique().tolist() == shown
        pd.testing.assert_frame_equal(part, whole[whole.index.get_level_values("feature").isin(shown)])
        both = bs.compare(one=fit, two=fit, features=features)
        pd.testing.assert_index_equal(both.index, part.index)


def test_features_that_are_not_there(crossed) -> None:
    fit = crossed.map()
    for ask in (fit.summary, lambda features: bs.compare(a=fit, features=features)):
        with pytest.raises(ValueError, match=r"features: 'agee' is not in the model; did you mean 'age'\?"):
            ask(features="agee")
        with pytest.raises(ValueError, match="features is empty"):
            ask(features=[])
        with pytest.raises(TypeError, match=r"features=1\.5 must be the name of a feature"):
            ask(features=1.5)
    bare = bs.SoftmaxRegression(*simulate(50, 2, 3), intercept=False).map()
    with pytest.raises(ValueError, match=r"features: 'intercept' is not in the model \(names are 'x0', 'x1'\)"):
        bare.summary(features="intercept")
    assert bare.summary(features=1).index.get_level_values("feature").unique().tolist() == ["x1"]


def test_a_list_or_mapping_of_fits_is_to_be_unpacked(crossed) -> None:
    fit = crossed.map()
    for call, text in (
        (lambda: bs.compare({"mle": fit}), r"got a dict: unpack it with two stars, compare\(\*\*\{'mle': \.\.\.\}\)"),
        (lambda: bs.compare([fit, fit]), r"got a list: name them, for example compare\(a=\.\.\., b=\.\.\.\)"),
        (lambda: bs.compare(fits={"mle": fit}), r"fits is of type dict: unpack it with two stars"),
        (lambda: bs.compare(fit, fit), r"2 fits came without one: compare\(mle=a, map=b\)"),
    ):
        with pytest.raises(TypeError, match=text):
            call()
