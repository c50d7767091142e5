"""What a fit says of its groupings: contrasts of covariances and effects by hand, errors by differences."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers import group_effects as effects_module
from bayes_softmax.answers.group_covariance import group_covariance
from bayes_softmax.answers.group_effects import group_effects
from bayes_softmax.core.parameters import Parameters
from tests.conftest import simulate

CLASSES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Thirty people of ten rows, crossed with four places."""
    X, codes = simulate(300, 2, 3, seed=5)
    frame = pd.DataFrame({"x": X[:, 0], "y": np.array(CLASSES)[codes]})
    return frame.assign(person=np.arange(300) % 30, place=np.array(list("pqrs"))[np.arange(300) // 30 % 4])


@pytest.fixture(scope="module")
def model(data) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | person) + (1 | place)", data)


@pytest.fixture(scope="module")
def post(model) -> bs.Posterior:
    return model.sample(draws=100, tune=100, chains=2, random_seed=1, progressbar=False)


@dataclass
class Estimated:
    """An estimate with a covariance of all parameters, as the answers see one."""

    schema: Any
    logits: Any
    parameters: Parameters
    delta_covariance: Any
    is_estimate: bool = True
    caution: str | None = None

    def draw_quality(self, quantities: Any) -> None:
        return None


@pytest.fixture(scope="module")
def estimated(post) -> Estimated:
    """The means of the draws, with their covariance."""
    fit = post._fitted
    flat = fit.parameters.flat()
    means = {name: fit.parameters[name].mean(axis=0, keepdims=True) for name in fit.logits.shapes}
    return Estimated(fit.schema, fit.logits, Parameters(means), np.cov(flat.T))


def drawn(post: bs.Posterior, name: str) -> np.ndarray:
    """Draws (S, ...) of a variable."""
    values = post.idata["posterior"][name].values
    return values.reshape(-1, *values.shape[2:])


def test_effects_of_levels_are_contrasts_of_their_draws(post) -> None:
    table = post.group_effects(ci_prob=0.8)
    assert list(table.columns) == ["mean", "sd", "eti80_lb", "eti80_ub", "p_positive"]
    assert table.index.names == ["group", "term", "level", "contrast"]
    assert len(table) == (30 * 2 + 4) * 3
    for term, name in enumerate(["intercept", "x"]):
        own = drawn(post, "person")[:, 7, term]
        rows = table.loc[("person", name, 7)]
        assert_allclose(rows["mean"], own.mean(axis=0) - own.mean(), atol=1e-14)
        assert_allclose(rows["eti80_ub"], np.quantile(own, 0.9, axis=0), atol=1e-14)
    pairs = post.group_effects("place", vs=[("b", "a"), ("c", "b")])
    own = drawn(post, "place")[:, 2, 0]
    assert_allclose(
        pairs.loc[("place", "intercept", "r"), "mean"], [np.mean(own[:, 1] - own[:, 0]), np.mean(own[:, 2] - own[:, 1])]
    )
    assert pairs.index.unique("contrast").tolist() == ["b vs a", "c vs b"]
    slopes = post.group_effects(terms="x", vs="c")
    assert slopes.index.unique("group").tolist() == ["person"]
    assert_allclose(slopes.loc[("person", "x")], post.group_effects(vs="c").loc[("person", "x")])


def test_parts_of_the_levels_change_nothing(post, monkeypatch) -> None:
    table = post.group_effects()
    monkeypatch.setattr(effects_module, "BLOCK_BYTES", 7 * 8 * 200 * 6)
    pd.testing.assert_frame_equal(post.group_effects(), table)


@pytest.mark.parametrize("vs", [None, "a", ("c", "a"), [("b", "a"), ("c", "b")]])
def test_covariances_are_those_of_contrasts(post, vs) -> None:
    """Standard deviations, correlations and intraclass correlations of both groupings, from draws of the covariance."""
    matrix = {
        None: np.eye(3) - 1 / 3,
        "a": np.array([[-1.0, -1], [1, 0], [0, 1]]),
        ("c", "a"): np.array([[-1.0], [0], [1]]),
    }.get(vs if not isinstance(vs, list) else "pairs", np.array([[-1.0, 0], [1, -1], [0, 1]]))
    table = post.group_covariance(vs=vs, ci_prob=0.5)
    assert list(table.columns) == ["mean", "sd", "eti50_lb", "eti50_ub"]
    S = np.einsum("km,stkul,lp->stmup", matrix, drawn(post, "person_covariance"), matrix)
    m = S.shape[2]
    flat = S.reshape(len(S), 2 * m, 2 * m)
    sds = np.sqrt(np.einsum("see->se", flat))
    assert_allclose(table.loc[("person", "sd"), "mean"], sds.mean(axis=0), rtol=1e-10)
    r = flat / (sds[:, :, None] * sds[:, None])
    i, j = np.triu_indices(2 * m, 1)
    assert_allclose(table.loc[("person", "correlation"), "mean"], r[:, i, j].mean(axis=0), rtol=1e-9, atol=1e-12)
    assert_allclose(table.loc[("person", "correlation"), "eti50_lb"], np.quantile(r[:, i, j], 0.25, axis=0), atol=1e-12)
    place = np.einsum("km,skl,lm->sm", matrix, drawn(post, "place_covariance")[:, 0, :, 0], matrix)
    total = flat[:, range(m), range(m)] + place + np.pi**2 / 6 * (matrix**2).sum(axis=0)
    assert_allclose(table.loc[("place", "icc"), "mean"], (place / total).mean(axis=0), rtol=1e-10)
    assert_allclose(
        table.loc[("person", "icc"), "mean"], (flat[:, range(m), range(m)] / total).mean(axis=0), rtol=1e-10
    )


def test_two_classes_have_the_intraclass_correlation_of_a_logistic_model(data) -> None:
    """The latent residual variance is pi^2 / 3, whichever class is the reference; no correlation is shown."""
    two = data[data["y"] != "c"]
    post = bs.SoftmaxRegression.from_formula("y ~ x + (1 | person)", two).sample(
        draws=50, tune=50, chains=2, random_seed=1, progressbar=False
    )
    effects = drawn(post, "person_covariance")[:, 0, :, 0]
    variance = effects[:, 0, 0] + effects[:, 1, 1] - 2 * effects[:, 0, 1]
    for vs, name in ((("a", "b"), "a vs b"), ("a", "b vs a")):
        table = post.group_covariance(vs=vs)
        assert_allclose(table.loc[("person", "icc", name, ""), "mean"], np.mean(variance / (variance + np.pi**2 / 3)))
    assert post.group_covariance().index.unique("statistic").tolist() == ["sd", "icc"]


def test_draws_of_covariances(post) -> None:
    found = post.group_covariance("person", vs="a", draws=True)
    assert found.dims == ("chain", "draw", "effect", "effect_other")
    assert found["effect"].values.tolist() == ["intercept: b vs a", "intercept: c vs a", "x: b vs a", "x: c vs a"]
    S = drawn(post, "person_covariance")
    own = S[:, 0, 1, 1, 2] - S[:, 0, 0, 1, 2] - S[:, 0, 1, 1, 0] + S[:, 0, 0, 1, 0]
    one = found.sel(effect="intercept: b vs a", effect_other="x: c vs a")
    assert_allclose(one.values.ravel(), own, atol=1e-12)


def test_errors_of_an_estimate_are_those_of_the_delta_method_by_differences(estimated) -> None:
    """Statistics of the covariance moved along each of its entries (and its mirror image), by central differences."""
    table = group_covariance(estimated, vs=[("b", "a"), ("c", "b")], ci_prob=0.9)
    names, h, columns = ["person_covariance", "place_covariance"], 1e-6, []
    sizes = {name: int(np.prod(shape)) for name, shape in estimated.logits.shapes.items()}
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()])[:-1], strict=True))
    places = []
    for name in names:
        shape = estimated.logits.shapes[name]
        for at in np.ndindex(*shape):
            ends = []
            for sign in (1, -1):
                arrays = {n: estimated.parameters[n].copy() for n in estimated.logits.shapes}
                # The statistics read a symmetric matrix: half of the step on each side.
                arrays[name][(0, *at)] += sign * h / 2
                arrays[name][(0, *at[2:], *at[:2])] += sign * h / 2
                moved = Estimated(estimated.schema, estimated.logits, Parameters(arrays), None)
                ends.append(group_covariance(moved, vs=[("b", "a"), ("c", "b")])["estimate"].to_numpy())
            columns.append((ends[0] - ends[1]) / (2 * h))
            places.append(starts[name] + np.ravel_multi_index(at, shape))
    J = np.array(columns).T
    variance = np.einsum("ij,jk,ik->i", J, estimated.delta_covariance[np.ix_(places, places)], J)
    assert_allclose(table["std_error"], np.sqrt(variance), rtol=1e-5)
    low, high = table["wald90_lb"], table["wald90_ub"]
    sd, r = table.xs("sd", level="statistic"), table.xs("correlation", level="statistic")
    assert_allclose(sd["wald90_lb"] * sd["wald90_ub"], sd["estimate"] ** 2)
    assert_allclose(np.arctanh(r["wald90_lb"]) + np.arctanh(r["wald90_ub"]), 2 * np.arctanh(r["estimate"]))
    assert ((low < table["estimate"]) & (table["estimate"] < high) & (high < np.inf)).all()
    moved = Estimated(estimated.schema, estimated.logits, estimated.parameters, None)
    assert group_covariance(moved)["std_error"].isna().all()


def test_effects_of_an_estimate(estimated) -> None:
    table = group_effects(estimated, "person", vs="a", ci_prob=0.9)
    assert list(table.columns) == ["estimate", "std_error", "wald90_lb", "wald90_ub", "p_positive"]
    start = sum(int(np.prod(estimated.logits.shapes[name])) for name in ("intercept", "weights"))
    at = start + 7 * 6 + 3  # person 7, x, class a
    V = estimated.delta_covariance[at : at + 3, at : at + 3]
    assert_allclose(table.loc[("person", "x", 7, "c vs a"), "std_error"], np.sqrt(V[0, 0] + V[2, 2] - 2 * V[0, 2]))
    assert "most probable effects, given the estimates of the other" in table.attrs["note"]
    without = group_effects(Estimated(estimated.schema, estimated.logits, estimated.parameters, None))
    assert without["std_error"].isna().all()


def people() -> pd.DataFrame:
    """Twenty-five people of six rows, with effects of standard deviation 1 against the first class."""
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(25), 6)
    logits = np.column_stack([np.zeros(25), rng.normal(size=(25, 2))])[person]
    y = np.array(CLASSES)[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]
    return pd.DataFrame({"y": y, "person": person})


def test_a_maximum_of_the_marginal_likelihood_has_effects_and_covariances_with_errors(tmp_path) -> None:
    """Those of variances are of standard deviations by the chain rule; a file keeps all."""
    fit = bs.SoftmaxRegression.from_formula("y ~ (1 | person)", people(), coding="reference").mle()
    table, error = fit.group_covariance(), fit.std_error
    variance = np.diag(fit.parameters["person_covariance"].values[0, :, 0])[1:]
    of_variance = np.diag(error["person_covariance"].values[0, :, 0])[1:]
    assert_allclose(table.loc[("person", "sd"), "estimate"], np.sqrt(variance))
    assert_allclose(table.loc[("person", "sd"), "std_error"], of_variance / (2 * np.sqrt(variance)), rtol=1e-6)
    effects = fit.group_effects()
    assert_allclose(effects["std_error"], error["person"].values[:, 0, 1:].ravel(), rtol=1e-9)
    shares = fit.poststratify(pd.DataFrame({"person": np.arange(25), "n": 1}))
    assert_allclose(shares["estimate"].sum(), 1.0)
    fit.save(tmp_path / "fit.nc")
    loaded = bs.load(tmp_path / "fit.nc")
    for question in ("group_covariance", "group_effects"):
        pd.testing.assert_frame_equal(getattr(loaded, question)(), getattr(fit, question)())


def test_what_is_not_in_the_model_is_named(post, overlapping) -> None:
    with pytest.raises(ValueError, match=r"^this fit is of a model without groups; they are written \(1 \| person\)"):
        overlapping.map().group_effects()
    for call in (post.group_effects, post.group_covariance):
        with pytest.raises(ValueError, match="group: 'persn' is not a grouping of the model; did you mean 'person'"):
            call("persn")
        with pytest.raises(ValueError, match="vs='z' is not a class"):
            call(vs="z")
        with pytest.raises(ValueError, match="names a pair twice"):
            call(vs=[("a", "b"), ("a", "b")])
    with pytest.raises(ValueError, match=r"terms: 'X' is not a term; did you mean 'x'\? \(terms: 'intercept', 'x'\)"):
        post.group_effects(terms="X")
    with pytest.raises(ValueError, match=r"draws=True: the draws are of one grouping; name it by group="):
        post.group_covariance(draws=True)


@pytest.mark.parametrize("kind", ["draws", "estimate"])
def test_correlations_that_the_prior_fixes_are_left_out(kind) -> None:
    """Of exchangeable classes all correlations are known; of independent ones those that a common reference makes."""
    found = {}
    for covariance in ("exchangeable", "independent"):
        prior = bs.GroupNormal(covariance=covariance)
        model = bs.SoftmaxRegression.from_formula("y ~ (1 | person)", people(), group_prior=prior)
        fit = model.sample(50, 50, 2, random_seed=1, progressbar=False) if kind == "draws" else model.map()
        found[covariance] = fit.group_covariance(vs="a").index.get_level_values("statistic").tolist()
    assert found == {
        "exchangeable": ["sd", "sd", "icc", "icc"],
        "independent": ["sd", "sd", "correlation", "icc", "icc"],
    }
