"""Leave-one-out: ArviZ's own numbers, counts as units, exact refits, and comparisons of models."""

import warnings
from functools import partial

import arviz as az
import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
import xarray as xr
from arviz_stats.utils import ELPDDataLOO
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers import rows
from tests.conftest import simulate
from tests.inside import changed

quiet = partial(dict, progressbar=False, random_seed=1)


def test_it_is_arviz_loo(posterior: bs.Posterior) -> None:
    """Elpd, standard error, p_loo and every pointwise value, from the full array of log likelihoods."""
    ours = posterior.loo()
    theirs = az.loo(posterior.add_log_likelihood(), reff=posterior._fitted.relative_ess, pointwise=True)
    assert isinstance(ours, ELPDDataLOO)
    assert_allclose([ours.elpd, ours.se, ours.p], [theirs.elpd, theirs.se, theirs.p], rtol=1e-10)
    assert_allclose(ours.elpd_i, theirs.elpd_i, rtol=1e-10)
    assert_allclose(ours.pareto_k, theirs.pareto_k, atol=1e-8)
    assert (ours.n_samples, ours.n_data_points, ours.good_k) == (theirs.n_samples, theirs.n_data_points, theirs.good_k)
    assert ours.elpd_i.dims == ("obs",)
    assert str(ours).startswith("Computed from 2000 posterior samples and 333 observations")
    del posterior.idata["log_likelihood"]


def test_blocks_change_nothing(posterior: bs.Posterior, monkeypatch) -> None:
    whole = posterior.loo()
    monkeypatch.setattr(rows, "BLOCK_BYTES", 8 * 2000 * 3 * 10)
    assert_allclose(posterior.loo().elpd_i, whole.elpd_i, rtol=1e-12)


@pytest.fixture(scope="module")
def grouped() -> tuple[np.ndarray, np.ndarray]:
    """Counts (12, 3) of a regression with one feature, 150 units."""
    rng = np.random.default_rng(4)
    X = np.arange(12.0)[:, None] / 6
    P = bs.softmax(X @ np.array([[-0.8, 0.0, 0.8]]) + np.array([0.3, 0.2, -0.5]))
    return X, np.array([rng.multinomial(n, p) for n, p in zip(rng.integers(5, 21, size=12), P, strict=True)])


def test_counts_weights_and_rows_have_the_same_loo(grouped) -> None:
    """One unit of a cell is a row of the long format: pointwise values of the same draws, 1e-10; elpd of all forms."""
    X, counts = grouped
    rows, codes = (np.repeat(i.ravel(), counts.ravel()) for i in np.indices(counts.shape))
    long = bs.SoftmaxRegression(X[rows], codes, collapse=False).sample(**quiet())
    forms = {
        "counts": bs.SoftmaxRegression(X, counts, classes=[0, 1, 2]),
        "collapsed": bs.SoftmaxRegression(X[rows], codes),
        "weights": bs.SoftmaxRegression(
            np.repeat(X, 3, axis=0), np.tile([0, 1, 2], 12), weights=counts.ravel(), collapse=False
        ),
    }
    expected = long.loo()
    assert expected.n_data_points == counts.sum()
    for name, model in forms.items():
        post = model.sample(**quiet())
        found = post.loo()
        assert found.n_data_points == counts.sum(), name
        # The same density, but not to the last bit: chains drift apart, so elpd agrees to Monte Carlo error.
        assert abs(found.elpd - expected.elpd) < 0.15, name
        swapped = changed(post, idata=long.idata)  # the long format's draws with this form's data
        assert_allclose(swapped.loo().elpd_i, expected.elpd_i, rtol=1e-10)
        assert_allclose(swapped.loo().se, expected.se, rtol=1e-10)


def test_whole_rows_are_another_question(grouped) -> None:
    X, counts = grouped
    post = bs.SoftmaxRegression(X, counts, classes=[0, 1, 2]).sample(**quiet())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.NotReliableWarning)
        by_row = post.loo(by="row")
        theirs = az.loo(post.add_log_likelihood(), reff=post._fitted.relative_ess)
    assert by_row.n_data_points == 12
    assert_allclose(by_row.elpd, theirs.elpd, rtol=1e-10)


def test_weights_that_are_not_whole_are_refused_with_the_reason() -> None:
    X, y = simulate(60, 1, 3)
    post = bs.SoftmaxRegression(X, y, weights=np.linspace(0.5, 1.5, 60)).laplace(**quiet())
    with pytest.raises(ValueError, match=r"not whole numbers.*loo\(by='row'\)"):
        post.loo()
    with pytest.raises(ValueError, match="there are no observations to leave out one by one"):
        post.evaluate(loo=True)
    assert post.loo(by="row").n_data_points == 60


def test_estimates_are_those_of_exact_refits(grouped) -> None:
    """PSIS against refits without each unit: every cell within 0.05 (Monte Carlo error of a log is about 0.01)."""
    X, counts = grouped
    small = counts[:6]
    post = bs.SoftmaxRegression(X[:6], small, classes=[0, 1, 2]).sample(draws=2000, **quiet())
    found, cells = post.loo(), post._fitted.training.cells
    first_unit = np.unique(post._fitted.training.observations()[1], return_index=True)[1]
    for cell, unit in enumerate(first_unit):
        without = bs.Posterior(post.refit(int(cells.rows[cell]), int(cells.codes[cell])))
        p = without.predict_proba(X[[cells.rows[cell]]]).to_numpy()[0, cells.codes[cell]]
        assert abs(np.log(p) - float(found.elpd_i[unit])) < 0.05


def test_bad_units_are_named_and_refitted_on_request() -> None:
    """An outlier: its Pareto k is too large, the warning names its row, and the refit changes its value only.

    The truth is two-dimensional quadrature over intercept and slope of the log odds, which are normal with variance
    twice that of the free coordinates.  The mean of 4000 probabilities near e^-11 has an error of a few tenths in the
    log.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1))
    y = (5 * X[:, 0] + rng.logistic(size=40) > 0).astype(int)
    X[7], y[7] = 3.5, 0
    priors = {"prior": bs.Normal(2.0), "intercept_prior": bs.Normal(10.0)}
    post = bs.SoftmaxRegression(X, y, **priors).sample(**quiet())
    with pytest.warns(bs.NotReliableWarning, match=r"Pareto k is above 0\.70 for 1 of 40 observations \(row 7\)"):
        rough = post.loo()
    exact = post.loo(refit=True)
    assert exact.warning is False
    assert np.flatnonzero(np.asarray(exact.elpd_i != rough.elpd_i)).tolist() == [7]
    b, w = np.meshgrid(np.linspace(-40, 40, 801), np.linspace(-10, 40, 801))
    log_odds = b[..., None] + w[..., None] * X[:, 0]
    log_p = -np.logaddexp(0, np.where(y == 1, -log_odds, log_odds))
    others = np.delete(log_p, 7, axis=2).sum(axis=2) - b**2 / 400 - w**2 / 16
    weight = np.exp(others - others.max())
    truth = np.log((weight * np.exp(log_p[..., 7])).sum() / weight.sum())
    assert abs(float(exact.elpd_i[7]) - truth) < 0.7
    assert float(rough.elpd_i[7]) - truth > 1.0


def test_a_loaded_fit_says_how_to_refit(posterior, tmp_path) -> None:
    posterior.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    assert_allclose(again.loo().elpd_i, posterior.loo().elpd_i, rtol=1e-12)
    with pytest.raises(ValueError, match="a loaded fit cannot refit"):
        again.loo(refit=True)
    assert again.loo(refit=posterior.refit).elpd == pytest.approx(posterior.loo().elpd)
    posterior.save(tmp_path / "bare.nc", data=False)
    with pytest.raises(ValueError, match=r"loo\(\) needs the data of the fit, which was saved without them"):
        bs.load(tmp_path / "bare.nc").loo()


def test_models_are_compared_by_arviz(posterior, penguins) -> None:
    other = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm", penguins).sample(**quiet())
    table = bs.compare_models({"with sex": posterior, "without": other})
    theirs = az.compare({"with sex": posterior.loo(), "without": other.loo()}, round_to="none")
    pd.testing.assert_frame_equal(pd.DataFrame(table), theirs.rename_axis("model")[table.columns])
    assert table.index[0] == "with sex"
    fewer = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm", penguins.iloc[:300]).laplace(**quiet())
    with pytest.raises(ValueError, match="'b' and 'a' were fitted to different observations"):
        bs.compare_models({"a": posterior, "b": fewer})
    with pytest.raises(TypeError, match=r"posteriors\['b'\] is of type PointEstimate"):
        bs.compare_models({"a": posterior, "b": bs.SoftmaxRegression.from_formula("species ~ sex", penguins).map()})


def test_power_scaling_is_that_of_arviz(posterior) -> None:
    posterior.add_log_likelihood()
    theirs = az.psense_summary(posterior.add_log_prior(), var_names=["weights", "intercept"])
    theirs = pd.concat([theirs.iloc[-3:], theirs.iloc[:-3]])  # the intercept first, as in summary()
    ours = posterior.prior_sensitivity()
    pd.testing.assert_frame_equal(pd.DataFrame(ours).round(3).set_axis(theirs.index), theirs)
    pd.testing.assert_index_equal(ours.index, posterior.summary().index)
    del posterior.idata["log_likelihood"], posterior.idata["log_prior"]


def test_comparisons_do_not_depend_on_the_order_of_the_classes() -> None:
    """Counts by class: the same model with its classes reversed differs by Monte Carlo error, unit by unit."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 30)
    P = bs.softmax(np.outer(x, [-2.0, 0.0, 2.0]))
    frame = pd.DataFrame([rng.multinomial(6, p) for p in P], columns=list("abc")).assign(x=x)
    fits = {
        name: bs.SoftmaxRegression.from_formula(formula, frame).laplace(**quiet())
        for name, formula in {"forward": "a + b + c ~ x", "back": "c + b + a ~ x"}.items()
    }
    table = bs.compare_models(fits)
    assert table["dse"].max() < 0.1
    assert table["elpd_diff"].abs().max() < 0.2


def test_other_rows_are_not_the_same_observations() -> None:
    """Equal numbers of rows dropped for different columns would pair other rows."""
    X, y = simulate(60, 2, 2)
    frame = pd.DataFrame(X, columns=["x", "z"]).assign(y=np.sort(y))
    frame.loc[3, "x"], frame.loc[10, "z"] = np.nan, np.nan
    fits = {
        name: bs.SoftmaxRegression.from_formula(f"y ~ {name}", frame, missing="drop").laplace(**quiet())
        for name in ("x", "z")
    }
    with pytest.raises(ValueError, match=r"different observations: row 3 is 3 in one and 4 in the other.*dropna"):
        bs.compare_models(fits)


def test_rows_that_no_draw_cares_about() -> None:
    """Without an intercept a row of zeros has probability 1/K in every draw: no tail to smooth, and no error."""
    X, y = simulate(60, 1, 3)
    X[:5] = 0.0
    post = bs.SoftmaxRegression(X, y, intercept=False).laplace(**quiet())
    found = post.loo()
    assert_allclose(found.elpd_i[:5], -np.log(3), rtol=1e-12)
    assert (found.pareto_k[:5] == -np.inf).all()
    weighted = bs.SoftmaxRegression(X, y, weights=np.r_[np.zeros(10), np.full(50, 0.5)]).laplace(**quiet())
    assert weighted.loo(by="row").n_data_points == 50


def test_what_has_no_leave_one_out_says_so(overlapping) -> None:
    prior = overlapping.sample_prior(draws=500, random_seed=1)
    few = overlapping.sample(draws=10, chains=2, **quiet())
    flat = bs.SoftmaxRegression(*simulate(80, 1, 2), prior=bs.Flat(), intercept_prior=bs.Flat()).laplace(**quiet())
    for call, text in (
        (lambda: prior.loo(), "leave-one-out needs a posterior, and these are draws from the prior"),
        (lambda: prior.evaluate(loo=True), "leave-one-out needs a posterior"),
        (lambda: prior.prior_sensitivity(), "these are draws from the prior"),
        (lambda: few.loo(), "leave-one-out needs at least 100 draws"),
        (lambda: flat.prior_sensitivity(), "every prior is flat"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError, match="refit=5 must be True, False"):
        few.loo(refit=5)


def test_scores_warn_of_bad_weights_too() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1))
    y = (5 * X[:, 0] + rng.logistic(size=40) > 0).astype(int)
    X[7], y[7] = 3.5, 0
    post = bs.SoftmaxRegression(X, y, prior=bs.Normal(2.0), intercept_prior=bs.Normal(10.0)).sample(**quiet())
    with pytest.warns(bs.NotReliableWarning, match=r"row 7"):
        post.evaluate(loo=True)


def test_rows_without_an_observation_are_not_left_out() -> None:
    """Of a row of weight zero every draw says the same, and ArviZ has no tail to fit: it was an error of its own."""
    X, y = simulate(60, 2, 3)
    weights = np.ones(60)
    weights[[0, 7]] = 0.0
    posterior = bs.SoftmaxRegression(X, y, weights=weights).laplace(draws=400, random_seed=5, progressbar=False)
    log_likelihood = posterior.add_log_likelihood()["log_likelihood"]["y"]
    assert log_likelihood["obs"].values.tolist() == [n for n in range(60) if n not in (0, 7)]
    theirs = az.loo(posterior.idata, reff=posterior._fitted.relative_ess)
    assert_allclose(theirs.elpd, posterior.loo(by="row").elpd, rtol=1e-8)


def with_draws(post: bs.Posterior, draws: np.ndarray) -> bs.Posterior:
    """The same fit with other draws (chain, draw, q, K)."""
    idata = post.idata.copy(deep=True)
    dims = {"weights": ("chain", "draw", "feature", "category"), "intercept": ("chain", "draw", "category")}
    group = idata["posterior"].to_dataset().drop_dims(["draw", "chain"])
    group = group.assign(weights=(dims["weights"], draws[:, :, 1:]), intercept=(dims["intercept"], draws[:, :, 0]))
    tree = xr.DataTree.from_dict({"posterior": group, "sample_stats": xr.Dataset()})
    return changed(post, idata=tree)


def stuck(kind: str, draws: np.ndarray) -> np.ndarray:
    out = draws.copy()
    if kind == "every chain":
        out[:] = out[:, :1]
    elif kind == "one chain":
        out[0] = out[0, :1] + 2.0 * np.array([1.0, 0.0, -1.0])
    else:
        out[:] = out[:1, :1]
    return out


@pytest.mark.parametrize(
    ("kind", "text"),
    [("every chain", "only 4 of 2000"), ("one chain", "the chains disagree"), ("all alike", "only 1 of 2000")],
)
def test_draws_that_cannot_be_trusted_have_no_leave_one_out_without_a_warning(posterior, kind: str, text: str) -> None:
    bad = with_draws(posterior, stuck(kind, posterior._fitted.draws))
    assert posterior._fitted.doubts == ()
    for by in ("observation", "row"):
        with pytest.warns(bs.NotReliableWarning, match=f"leave-one-out is not reliable here: {text}"):
            found = bad.loo(by=by)
        assert found.warning
        assert np.isfinite(found.elpd)
    with pytest.warns(bs.NotReliableWarning, match=text):
        bad.evaluate(loo=True)
    assert not bad.diagnostics.ok
    assert bad.summary().shape == posterior.summary().shape  # and no warning from inside


@pytest.mark.parametrize("scale", [10.0, 1000.0])
def test_leave_one_out_after_an_unreliable_laplace(scale: float) -> None:
    """Resampling leaves 8 distinct draws of 4000, or one: the tail of a row may have one value only."""
    X, y = sklearn.datasets.load_wine(return_X_y=True)
    with pytest.warns(bs.NotReliableWarning, match=r"laplace\(\) is not reliable"):
        post = bs.SoftmaxRegression(X, y, prior=bs.Normal(scale)).laplace(**quiet())
    with pytest.warns(bs.NotReliableWarning, match="leave-one-out is not reliable here.*Pareto k"):
        found = post.loo()
    assert found.warning
    assert (found.pareto_k > found.good_k).any()


def test_the_old_spelling_of_what_is_left_out(posterior: bs.Posterior) -> None:
    for old, new in (("unit", "observation"), ("row", "row")):
        with pytest.warns(FutureWarning, match="unit= is now by="):
            found = posterior.loo(unit=old)
        assert found.elpd == posterior.loo(by=new).elpd
    with pytest.warns(FutureWarning, match="n_units is now n_observations"):
        assert posterior.evaluate().n_units == 333
