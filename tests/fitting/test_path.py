"""The MAP path: each estimate is that of a model with other scales, and its ends are the prior and the likelihood."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.fitting.path import SCALES
from tests.conftest import simulate

X, CODES = simulate(120, 2, 3)
Y = np.array(list("abc"))[CODES]


@pytest.mark.parametrize("prior", [bs.Normal(0.7), bs.StudentT(4, 0.7), bs.Laplace(0.7)], ids=str)
def test_each_estimate_is_that_of_a_model_with_these_scales(prior: object) -> None:
    path = bs.SoftmaxRegression(X, Y, prior=prior, intercept_prior=bs.Normal(2.0)).map_path([3, 0.5])
    assert list(path) == [0.5, 3.0]
    for factor, estimate in path.items():
        numbers = [n for n in (getattr(prior, "df", None),) if n is not None]
        wider = bs.SoftmaxRegression(
            X, Y, prior=type(prior)(*numbers, 0.7 * factor), intercept_prior=bs.Normal(2.0 * factor)
        ).map()
        assert estimate.converged
        assert_allclose(estimate.weights, wider.weights, atol=1e-7)
        assert_allclose(estimate.intercept, wider.intercept, atol=1e-7)
        assert estimate._fitted.schema.prior_sd == pytest.approx(wider._fitted.schema.prior_sd)


def test_the_ends_are_the_prior_and_the_maximum_likelihood_estimate() -> None:
    model = bs.SoftmaxRegression(X, Y)
    path = model.map_path([1e-4, 1, 1e5])
    assert abs(path[1e-4].weights).max() < 1e-4
    assert_allclose(path[1.0].weights, model.map().weights, atol=1e-9)
    assert_allclose(path[1e5].weights, model.mle().weights, atol=1e-6)


def test_the_default_holds_the_model_itself_and_reaches_both_ends() -> None:
    assert 1.0 in SCALES
    assert (SCALES[0], SCALES[-1], len(SCALES)) == (0.001, 1000.0, 49)
    assert_allclose(np.diff(np.log10(SCALES)), 0.125)


def test_flat_features_stay_flat_and_a_model_without_intercept_has_a_path() -> None:
    model = bs.SoftmaxRegression(X, Y, prior={"x0": bs.Flat(), "x1": bs.Normal(1)}, intercept=False)
    path = model.map_path([1e-4, 1])
    assert abs(path[1e-4].weights.sel(feature="x1")).max() < 1e-3
    assert abs(path[1e-4].weights.sel(feature="x0")).max() > 0.1


def test_an_infinite_estimate_diverges_and_more_features_than_rows_shrink() -> None:
    path = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]).map_path([1, 100, 10000])
    sizes = [float(abs(e.weights).max()) for e in path.values()]
    assert sizes[1] > 1.5 * sizes[0]
    assert sizes[2] > 1.5 * sizes[1]
    wide = bs.SoftmaxRegression(np.random.default_rng(0).normal(size=(20, 50)), Y[:20]).map_path([0.01, 1])
    assert abs(wide[0.01].weights).max() < 0.2 * abs(wide[1.0].weights).max()


@pytest.mark.parametrize("prior", [bs.Flat(), bs.Jeffreys(), bs.R2D2(), bs.Normal(bs.HalfNormal(1))], ids=str)
def test_priors_without_a_fixed_scale_are_refused(prior: object) -> None:
    with pytest.raises(ValueError, match=r"the priors of the weights are .*no scale to change"):
        bs.SoftmaxRegression(X, Y, prior=prior).map_path()


def test_a_scale_beyond_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="scales: 1e\\+308 times"):
        bs.SoftmaxRegression(X, Y, prior=bs.Normal(1e10)).map_path([1e308])


def test_a_path_is_read_as_a_dictionary_and_shown_in_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = bs.SoftmaxRegression(X, Y).map_path()
    assert (len(path), 1 in path, 1.5 in path) == (49, True, False)
    assert dict(path) == dict(path.items()) == dict(zip(path.keys(), path.values(), strict=True))
    assert path[1] is list(path.values())[24]
    assert "MAP estimates for 49 scales of the prior, from 0.001 to 1000 times" in repr(path)
    assert len(repr(path).splitlines()) <= 3
    assert "MAP estimates" in path._repr_html_()
    again = pickle.loads(pickle.dumps(path))
    assert_allclose(again[10].weights, path[10].weights)
    with pytest.raises(AttributeError):
        path._estimates = {}
    for scale, text in ((0.3, "the nearest is 0.316"), ("a", "numbers from 0.001 to 1000"), ([1], "numbers from")):
        with pytest.raises(KeyError, match=text):
            path[scale]
