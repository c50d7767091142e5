"""Prior families and the autoscaled default."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate


@pytest.mark.parametrize("n_classes", [2, 3, 10, 50])
@pytest.mark.parametrize("n_features", [2, 20, 200])
def test_default_prior_rarely_saturates(n_classes: int, n_features: int) -> None:
    """Share of prior-predictive rows with a class above 0.99: under 20 % (seed 0; 200 draws x 100 rows)."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, n_features)) * 10.0 ** rng.uniform(-3, 3, size=n_features) + 5
    model = bs.SoftmaxRegression(X, np.arange(100) % n_classes, classes=range(n_classes))
    c, scales = model._spec.coordinates, np.array([p.scale for p in model._spec.priors.weights])
    k = n_classes - 1
    gammas = rng.normal(size=(200, k, n_features)) * scales * c.scale
    thetas = np.concatenate([1.5 * rng.normal(size=(200, k)), gammas.reshape(200, -1)], axis=1)
    logits = np.einsum("nj,skj->snk", model._spec.design.standardised(), c.to_engine(thetas))
    assert (bs.softmax(logits).max(axis=2) > 0.99).mean() < 0.20


def test_default_scale_follows_the_units_and_floors_rare_binaries() -> None:
    X, y = simulate(200, 1, 3)
    rare = np.zeros(200)
    rare[:3] = 1.0
    model = bs.SoftmaxRegression(np.column_stack([X[:, 0] * 1000, rare]), y)
    wide, binary = model._spec.priors.weights
    c = 2 / np.sqrt(1 + (rare.std() / 0.5) ** 2)
    assert_allclose(wide.scale, c / (X[:, 0].std() * 1000))
    assert_allclose(binary.scale, c / 0.5)


def test_default_map_does_not_depend_on_units_or_labels() -> None:
    X, y = simulate(100, 3, 3)
    a = bs.SoftmaxRegression(X, y).map().predict_proba(X)
    b = (
        bs.SoftmaxRegression(X * [1e-6, 1.0, 1e6] + [3, -100, 1e5], y)
        .map()
        .predict_proba(X * [1e-6, 1.0, 1e6] + [3, -100, 1e5])
    )
    assert_allclose(a, b, rtol=1e-6)


def test_mapping_leaves_other_features_at_the_default() -> None:
    X, y = simulate(100, 2, 3)
    model = bs.SoftmaxRegression(X, y, prior={"x1": bs.StudentT(4, 0.5)})
    assert model._spec.priors.weights[1] == bs.StudentT(4, 0.5)
    assert tuple(model._spec.priors.by_default.tolist()) == (True, False)
    assert list(model.describe_prior()["autoscaled"]) == [True, True, False]
    assert model.describe_prior().loc["x1", "prior"] == "StudentT(4, 0.5)"


def test_intercept_prior_is_at_zero_or_at_the_means() -> None:
    """Far from x = 0, a tight prior on the raw intercept binds; at the means it does not."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1)) + 50
    y = X[:, 0] + 0.5 * rng.normal(size=200) > 50
    at_means = bs.SoftmaxRegression(X, y).map()
    at_zero = bs.SoftmaxRegression(X, y, intercept_prior=bs.Normal(1.5)).map()
    assert abs(at_means.intercept).max() > 5
    assert abs(at_zero.intercept).max() < 5


def test_learned_scales_are_described() -> None:
    X, y = simulate(100, 3, 3)
    table = bs.SoftmaxRegression(X, y, prior=bs.Normal(bs.HalfNormal(1))).describe_prior()
    assert table.loc["x0", "prior"] == "Normal(HalfNormal(1))"
    assert table.loc["x0", "measured"] == "per unit of the feature, learned by 3 features together"
    assert np.isnan(table.loc["x0", "logit_sd"])
    table = bs.SoftmaxRegression(X, y, prior={"x1": bs.R2D2()}).describe_prior()
    assert table.loc["x1", "prior"] == "R2D2(0.5, 4, 0.5)"
    assert table.loc["x1", "measured"] == "per sd of the feature, learned"


def test_r2d2_does_not_depend_on_units_and_floors_rare_binaries() -> None:
    X, y = simulate(200, 1, 3)
    rare = np.zeros(200)
    rare[:3] = 1.0
    X = np.column_stack([X[:, 0] * 1000, rare])
    (scale,) = bs.SoftmaxRegression(X, y, prior=bs.R2D2())._spec.priors.learned
    share = (1 + (rare.std() / 0.5) ** 2) / 2
    assert_allclose(scale.units, np.array([X[:, 0].std(), 0.5]) * np.sqrt(share))


@pytest.mark.filterwarnings("ignore:column 'g' has 200 levels in 400 rows")
def test_r2d2_shares_out_a_variance_that_arrives() -> None:
    """The dummies of 200 levels, with a share of 1/199 each, give a logit the variance omega over the rows."""
    levels = np.repeat(np.arange(200), 2)
    frame = pd.DataFrame({"g": pd.Categorical([f"level {i}" for i in levels]), "y": np.tile([0, 1], 200)})
    model = bs.SoftmaxRegression.from_formula("y ~ g", frame, prior=bs.R2D2())
    (scale,) = model._spec.priors.learned
    omega = 1.7
    variances = omega / 199 / scale.units**2
    assert_allclose((np.var(model._spec.design.X, axis=0) * variances).sum(), omega)


def test_one_rare_flag_under_r2d2_keeps_its_floor() -> None:
    flag = (np.arange(1000) < 1.0).astype(float)[:, None]
    (scale,) = bs.SoftmaxRegression(flag, np.arange(1000) % 3, prior=bs.R2D2())._spec.priors.learned
    assert_allclose(scale.units, [0.5])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: bs.HalfNormal(0), ValueError, "HalfNormal: scale=0 must be positive"),
        (lambda: bs.HalfNormal("1"), TypeError, "HalfNormal: scale='1' must be a positive number"),
        (lambda: bs.HalfStudentT(-1, 1), ValueError, "HalfStudentT: df=-1 must be positive"),
        (lambda: bs.R2D2(mean=1.0), ValueError, "R2D2: mean=1.0 must be between 0 and 1"),
        (lambda: bs.R2D2(precision=0), ValueError, "R2D2: precision=0 must be positive"),
        (lambda: bs.R2D2(concentration=np.nan), ValueError, "R2D2: concentration=nan must be positive"),
        (lambda: bs.StudentT(4, bs.HalfNormal(1)), TypeError, "StudentT: scale=HalfNormal.* must be a positive number"),
    ],
)
def test_bad_hyperpriors_are_refused(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("prior", [bs.Normal(bs.HalfNormal(1)), bs.R2D2()], ids=str)
def test_scales_are_learned_for_weights_only(prior: object) -> None:
    with pytest.raises(TypeError, match=r"intercept_prior=.* must have a fixed scale"):
        bs.SoftmaxRegression(*simulate(40, 2, 3), intercept_prior=prior)


@pytest.mark.parametrize(
    "prior",
    [
        bs.Normal(1.0),
        bs.StudentT(4, 1),
        bs.Laplace(1.0),
        bs.Flat(),
        bs.Jeffreys(),
        bs.R2D2(),
        bs.Normal(bs.HalfNormal(1)),
    ],
)
def test_a_prior_of_weights_is_harmless_where_there_are_none(prior: object) -> None:
    """A constant column that is dropped leaves a model of the intercept, whatever the prior of weights."""
    model = bs.SoftmaxRegression(np.ones((4, 1)), ["a", "b", "a", "b"], prior=prior, constant="drop")
    assert model.feature_names == ()
    assert len(model.describe_prior()) == 1
    assert_allclose(model.map().predict_proba([[1.0]]), 0.5)
