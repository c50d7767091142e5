"""The priors of a network: by layer and by feature, before any data, and on the scale of probabilities."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import softmax

import bayes_softmax as bs
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.plots.prior_predictive import implied_probabilities
from bayes_softmax.spec.from_prior import draws_from_prior
from bayes_softmax.spec.network.activations import ACTIVATIONS
from tests.cases import CODINGS
from tests.conftest import simulate

mpl.use("Agg")

X, y = simulate(60, 3, 3)
WITH_FLAG = np.column_stack([X, np.arange(60) < 2])
PRIORS = {
    "default": None,
    "given": {"hidden_1": bs.Normal(0.4), "weights": bs.StudentT(5, 0.6), "skip": bs.Laplace(0.7), "x1": bs.Normal(2)},
}


def model(hidden=(4, 3), prior=None, *, skip=True, activation="tanh", features=X, **options):
    return bs.SoftmaxRegression(features, y, logits=bs.MLP(hidden, activation, skip), prior=prior, **options)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("coding", CODINGS)
def test_draws_have_the_distributions_of_their_layers(coding, prior) -> None:
    """Kolmogorov-Smirnov at 1e-5 for about 300 tests in all, an error of 0.3 %; seed 0."""
    spec = model(prior=PRIORS[prior], coding=coding, features=X + 5.0)._spec
    drawn, n = draws_from_prior(spec, 2000, np.random.default_rng(0)), 2000
    assert {name: values.shape for name, values in drawn.items()} == {
        name: (n, *shape) for name, shape in spec.logits.shapes.items()
    }
    for layer, scale in enumerate(spec.hidden.scales, 1):
        free = (
            np.concatenate([drawn[f"hidden_{layer}_bias"][:, None], drawn[f"hidden_{layer}"]], axis=1) / scale[:, None]
        )
        assert all(stats.kstest(values, "norm").pvalue > 1e-5 for values in free.reshape(n, -1).T)
    weights = np.concatenate([drawn["weights"], drawn["skip"]], axis=1)
    means = drawn["intercept"] + spec.design.X.mean(axis=0) @ drawn["skip"]
    contrast = np.linalg.pinv(spec.coordinates.weights_contrast).T
    known = {bs.Normal: lambda p: stats.norm(), bs.StudentT: lambda p: stats.t(p.df), bs.Laplace: lambda p: None}
    pairs = [(bs.Normal(1.5), means), *zip(spec.priors.weights, np.moveaxis(weights, 1, 0), strict=True)]
    for family, values in pairs:
        free = values @ contrast
        assert_allclose(free @ spec.coordinates.weights_contrast.T, values, atol=1e-9)
        distribution = known[type(family)](family)
        if distribution is not None:
            assert all(stats.kstest(column / family.scale, distribution.cdf).pvalue > 1e-5 for column in free.T)


# What PyTensor compiles, Numba may find slow, the first time on a machine.
@pytest.mark.filterwarnings("ignore:.*faster on contiguous arrays.*")
def test_draws_agree_with_the_pymc_model() -> None:
    """Logits of one row against ``pm.sample_prior_predictive``: two-sample KS at 1e-4, three tests; seeds 0 and 1."""
    import pymc as pm

    made = model(prior=PRIORS["given"], features=X + 5.0, activation="relu")
    spec, names = made._spec, list(made._spec.logits.shapes)
    with made.pymc_model:
        theirs = pm.sample_prior_predictive(2000, var_names=names, random_seed=1)["prior"]
    row, ours = spec.design.X[3:4], draws_from_prior(spec, 2000, np.random.default_rng(0))
    others = Parameters({name: theirs[name].values[0] for name in names})
    for a, b in zip(spec.logits.at(Parameters(ours))(row)[:, 0], spec.logits.at(others)(row)[:, 0], strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-4


def near_certain_by_sd(K):
    """Share of draws with a class above 0.99 for K independent normal logits, as a function of their sd."""
    z, sds = np.random.default_rng(0).normal(size=(20_000, K)), np.linspace(0, 16, 80)
    shares = [(softmax(sd * z, axis=1).max(axis=1) > 0.99).mean() for sd in sds]
    return lambda sd: np.interp(sd, sds, shares)


SHARES = {K: near_certain_by_sd(K) for K in (2, 3, 10)}


def shares_of_sure_rows(hidden, activation, n_draws):
    """For 2, 3 and 10 classes, with and without ``skip``: share of rows with a class above 0.99, and standard error.

    Given hidden units logits are normal, whatever the number of classes.
    """
    spec = model(hidden, skip=False, activation=activation, features=WITH_FLAG)._spec
    rows, width = spec.design.X[::10], hidden[-1]
    rng, parts = np.random.default_rng(0), []
    for _ in range(n_draws // 200):  # weights between wide layers are large
        drawn = Parameters(draws_from_prior(spec, 200, rng))
        parts.append(np.square(spec.logits._passes.units(drawn, rows)).sum(axis=2))
    units = np.concatenate(parts)
    both = model(hidden, skip=True, activation=activation, features=WITH_FLAG)._spec
    linear = np.square(rows - spec.design.X.mean(axis=0)) @ np.square(both.priors.features.scale[width:])
    for of_units, of_features in ((spec, 0.0), (both, linear)):
        variance = 1.5**2 + units * of_units.priors.features.scale[0] ** 2 + of_features
        for share in SHARES.values():
            by_draw = share(np.sqrt(variance)).mean(axis=1)
            yield by_draw.mean(), by_draw.std() / n_draws**0.5


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("width", [5, 50, 200])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_default_priors_are_seldom_certain_of_a_row(activation, width, depth) -> None:
    """Fewer than a fifth of rows and draws: 200 draws with a standard error below 0.01, seed 0.

    A share of 0.24 would be let through once in ten thousand times; ``make verify`` adds four standard errors.
    """
    for share, error in shares_of_sure_rows((width,) * depth, activation, 200):
        assert share < 0.2
        assert error < 0.01


@pytest.mark.verify
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("width", [5, 50, 200])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_default_priors_are_seldom_certain_of_a_row_beyond_doubt(activation, width, depth) -> None:
    """As above, with 2000 draws, and four standard errors added: once in 30 000 times a share of 0.2 is let through."""
    for share, error in shares_of_sure_rows((width,) * depth, activation, 2000):
        assert share + 4 * error < 0.2


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_table_says_what_sd_logits_have(activation, skip) -> None:
    """Variances of logits of 3000 draws, relative standard error about 5 %: within four of them; seed 0."""
    prior = {"hidden_2": bs.Normal(0.7), "weights": bs.Normal(0.3)} | ({"x0": bs.Normal(0.9)} if skip else {})
    for found in (model(activation=activation, skip=skip), model(prior=prior, activation=activation, skip=skip)):
        spec, table = found._spec, found.describe_prior()
        L = spec.logits.at(Parameters(draws_from_prior(spec, 3000, np.random.default_rng(0))))(spec.design.X)
        variance = np.square(L).mean() / (1 - 1 / 3)  # of a free coordinate
        assert_allclose(variance, table.attrs["total_logit_sd"] ** 2, rtol=0.2)
        last = table.loc["weights":, "sd_over_rows"]
        assert_allclose(np.square(last).sum(), table.attrs["total_logit_sd"] ** 2, rtol=1e-9)


def test_plots_prior_shows_the_share_of_the_draws() -> None:
    """The picture's share against the same from ``sample_prior``, two samples of 1000 draws: four standard errors."""
    found = model((20,), skip=False)
    implied = implied_probabilities(found._spec, 1000, np.random.default_rng(0))
    by_draw = (found.sample_prior(1000, random_seed=1).predict_draws(X).values.max(axis=-1) > 0.99)[0].mean(axis=1)
    error = np.hypot(by_draw.std(), (implied.largest > 0.99).mean(axis=1).std()) / 1000**0.5
    assert abs(by_draw.mean() - implied.share_near_certain) < 4 * error < 0.08
    entries = bs.plots.prior(found, draws=200).figure.legends[0].get_texts()
    assert [entry.get_text().partition(":")[0] for entry in entries] == [
        "this model's prior",
        "Normal(2.5) on all weights and biases",
    ]
    with pytest.raises(TypeError, match=r"against=StudentT\(.*\) must be Normal, as the priors of hidden layers are"):
        bs.plots.prior(found, against=bs.StudentT(3, 1))


def test_the_table_has_a_row_for_each_layer_and_each_feature_of_the_last() -> None:
    table = model(skip=True, features=WITH_FLAG).describe_prior()
    layers = ["hidden_1", "hidden_1_bias", "hidden_2", "hidden_2_bias", "weights", "intercept"]
    assert list(table.index) == [*layers, *(f"skip[x{j}]" for j in range(4))]
    assert table.loc["hidden_1", "prior"] == "Normal(0.4059 to 1.131)"  # the flag is rare
    assert table["shape"].tolist()[:6] == ["4 x 4", "4", "4 x 3", "3", "3 x 3", "3"]
    assert table["autoscaled"].all()
    assert table.loc["hidden_2", "scale_from"] == "2 / (0.8367 sqrt(4))"
    assert "Units and features share" in table.attrs["note"]
    given = model(prior=bs.Normal(0.5), intercept_prior=bs.Normal(2.0)).describe_prior()
    assert set(given["scale_from"]) == {"given"}
    assert not given["autoscaled"].any()
    assert given.attrs["note"].startswith("A logit then has")


def test_flat_and_heavy_tailed_layers_have_no_finite_sd() -> None:
    for prior, activation in (({"hidden_1": bs.Flat()}, "relu"), ({"weights": bs.StudentT(2, 1)}, "tanh")):
        found = model(prior=prior, activation=activation, skip=False).describe_prior()
        assert found.attrs["total_logit_sd"] == np.inf
    bounded = model(prior={"hidden_1": bs.Flat(), "hidden_2": bs.Flat()}, skip=False).describe_prior()
    assert_allclose(bounded.loc["weights", "sd_over_rows"], 2 / 0.8367, rtol=1e-3)  # units of tanh are at most one


def test_units_and_features_share_the_default_and_nothing_else() -> None:
    linear, both = bs.SoftmaxRegression(X, y)._spec, model()._spec
    alone, given = model(skip=False)._spec, model(prior={"x0": bs.Normal(3)})._spec
    assert_allclose(both.priors.features.scale[3:], linear.priors.features.scale / 2**0.5)
    assert_allclose(both.priors.features.scale[:3], alone.priors.features.scale / 2**0.5)
    assert given.priors.features.scale[3] == 3.0
    raw = model(prior={"skip": bs.Normal(3)})._spec
    assert_allclose(raw.priors.features.scale[:3], alone.priors.features.scale)
    units_given = model(prior={"weights": bs.Normal(1)})._spec
    assert_allclose(units_given.priors.features.scale[3:], linear.priors.features.scale)


@pytest.mark.parametrize(
    ("skip", "prior", "said"),
    [
        (
            False,
            {"x0": bs.Normal(1)},
            r"prior: 'x0' is a feature or term, and MLP\(.*\) has priors of layers, 'hidden_1'",
        ),
        (False, {"skip": bs.Normal(1)}, r"prior: 'skip' is for skip=True, and this is MLP\("),
        (False, {"intercept": bs.Normal(1)}, "the prior of the intercept is the argument intercept_prior"),
        (True, {"intercept": bs.Normal(1)}, "the prior of the intercept is the argument intercept_prior"),
        (True, {"hidden_1_bias": None}, "neither a layer nor a feature; did you mean 'hidden_1'"),
        (
            True,
            {"hiden_2": bs.Normal(1)},
            r"did you mean 'hidden_2'\? \(layers: 'hidden_1', 'hidden_2', 'weights'",
        ),
        (True, {"x9": bs.Normal(1)}, "unknown feature 'x9'"),
    ],
)
def test_names_that_are_none_of_a_layer_are_told_apart(skip, prior, said) -> None:
    with pytest.raises(ValueError, match=said):
        model(skip=skip, prior=prior)


def test_terms_of_a_formula_have_priors_beside_the_layers() -> None:
    import pandas as pd

    data = pd.DataFrame(X, columns=["a", "b", "hidden_1"]).assign(y=y, g=np.where(X[:, 0] > 0, "u", "v"))
    prior = {"g": bs.Normal(0.1), "a:b": bs.Normal(0.2), "hidden_1": bs.Normal(0.3), "skip": bs.Normal(4)}
    found = bs.SoftmaxRegression.from_formula(
        "y ~ a * b + hidden_1 + g", data, logits=bs.MLP(3, skip=True), prior=prior
    )
    table = found.describe_prior()["prior"]
    assert table["hidden_1"] == "Normal(0.3)"  # a layer comes first where a feature has its name
    expected = {"a": 4, "b": 4, "a:b": 0.2, "hidden_1": 4, "g[T.v]": 0.1}
    assert {name: table[f"skip[{name}]"] for name in expected} == {n: f"Normal({s})" for n, s in expected.items()}


@pytest.mark.parametrize(("prior", "said"), [
    ({"hidden_2": bs.Flat()}, r"the prior of hidden_2 is Flat\(\), from which nothing can be drawn"),
    ({"weights": bs.Flat()}, r"the prior of weights, the last layer, is Flat\(\)"),
    ({"x1": bs.Flat()}, r"the prior of the weights of 'x1' is Flat\(\)"),
])  # fmt: skip
def test_nothing_is_drawn_from_flat_priors(prior, said) -> None:
    found = model(prior=prior)
    for draw in (found.sample_prior, lambda: bs.plots.prior(found)):
        with pytest.raises(ValueError, match=said):
            draw()


def test_hidden_layers_see_centred_features_whatever_the_last_layer_has() -> None:
    """A shift of the features changes no hidden layer, its prior neither; a constant is no input of one."""
    shifted = X + np.array([1000.0, -50.0, 3.0])
    options = {"intercept": False, "skip": False}
    here, there = model(**options)._spec, model(features=shifted, **options)._spec
    for a, b in zip(here.hidden.scales, there.hidden.scales, strict=True):
        assert_allclose(a, b)
    drawn = Parameters(draws_from_prior(here, 5, np.random.default_rng(0)))
    assert not drawn["intercept"].any()
    assert_allclose(here.logits.at(drawn)(X), there.logits.at(drawn)(shifted), rtol=1e-9, atol=1e-9)
    constant = model(features=np.column_stack([X, np.ones(60)]), intercept=False)._spec
    assert_allclose(constant.hidden.scales[0][:4], here.hidden.scales[0])
    units = (constant.design.X - constant.logits.centre) / constant.logits.scale
    assert not units[:, 3].any()
    assert np.isfinite(constant.hidden.scales[0]).all()


def test_shapes_agree_with_sizes() -> None:
    for hidden, skip in itertools.product([(4,), (4, 3)], [True, False]):
        found = model(hidden, skip=skip)
        sizes = [np.prod([int(n) for n in shape.split(" x ")]) for shape in found.describe_prior()["shape"]]
        assert sum(sizes) == sum(int(np.prod(shape)) for shape in found._spec.logits.shapes.values())
