"""Posteriors: ArviZ reads them rightly, tables and predictions agree with the draws, PyMC gives the same."""

from dataclasses import dataclass
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers.diagnostics import Diagnostics
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.fits.tree import build_idata
from tests.conftest import simulate
from tests.inside import changed


def test_tree_has_the_groups_and_dims(posterior: bs.Posterior) -> None:
    assert isinstance(posterior.idata, xr.DataTree)
    assert set(posterior.idata.children) == {"posterior", "sample_stats", "observed_data", "constant_data"}
    assert posterior.idata["posterior"]["weights"].dims == ("chain", "draw", "feature", "category")
    assert posterior.idata["posterior"]["intercept"].dims == ("chain", "draw", "category")
    assert "diverging" in posterior.idata["sample_stats"]
    assert posterior.idata["constant_data"]["X"].sizes == {"obs": 333, "feature": 2}


def test_arviz_labels_the_rows_of_its_summary_rightly(posterior: bs.Posterior) -> None:
    """az.summary (ArviZ 1.3) mislabels rows when an earlier variable has its dimensions in another order."""
    theirs, ours = az.summary(posterior.idata, round_to="none"), posterior.summary()
    for (feature, contrast), row in ours.iterrows():
        label = contrast.removesuffix(" vs average")
        name = f"intercept[{label}]" if feature == "intercept" else f"weights[{feature}, {label}]"
        columns = ["mean", "sd", "eti89_lb", "eti89_ub", "mcse_mean"]
        assert_allclose(theirs.loc[name, columns].astype(float), row[columns].astype(float), rtol=1e-6)
        sizes = ["ess_bulk", "ess_tail"]
        assert_allclose(theirs.loc[name, sizes].astype(float), row[sizes].astype(float), atol=0.51)
        # Ranks of values equal to a rounding may swap.
        assert_allclose(float(theirs.loc[name, "r_hat"]), row["r_hat"], rtol=1e-4)


def test_predictions_are_averages_over_draws(posterior: bs.Posterior, penguins: pd.DataFrame) -> None:
    new = penguins.iloc[:7]
    draws = posterior.predict_draws(new)
    assert draws.dims == ("chain", "draw", "obs", "category")
    X = posterior._fitted.schema.encode(new)[0]
    b, W = (posterior.idata["posterior"][name] for name in ("intercept", "weights"))
    by_hand = bs.softmax(b.values[..., None, :] + np.einsum("np,cdpk->cdnk", X, W.values))
    assert_allclose(draws, by_hand, rtol=1e-10)
    assert_allclose(posterior.predict_proba(new), by_hand.mean(axis=(0, 1)), rtol=1e-10)
    table = posterior.predict_proba(new, ci_prob=0.9)
    low = np.quantile(by_hand.reshape(-1, 7, 3), 0.05, axis=0)
    assert_allclose(table.xs("eti90_lb", axis=1, level="statistic"), low, rtol=1e-8)
    assert list(posterior.predict(new)) == [posterior.classes[k] for k in by_hand.mean(axis=(0, 1)).argmax(1)]


@dataclass(frozen=True)
class Elsewhere:
    """Data that offer what answers may ask of them, and no more."""

    inside: TrainingData

    def __getattr__(self, name: str) -> object:
        if name not in dir(TrainingData):
            raise AttributeError(name)
        return getattr(self.inside, name)


def test_a_tree_of_data_elsewhere_holds_draws_and_statistics(posterior: bs.Posterior, tmp_path: Path) -> None:
    """Whoever asks for the data asks the fit; a file is made without them, or not at all."""
    assert posterior._fitted.training is not None
    draws = {name: posterior.idata["posterior"][name].values for name in posterior._fitted.logits.shapes}
    data = Elsewhere(posterior._fitted.training)
    tree = build_idata(posterior._fitted.logits, draws, {}, {}, data, posterior._fitted.schema, "by hand")  # type: ignore[arg-type]
    assert set(tree.children) == {"posterior", "sample_stats"}
    fit = changed(posterior, idata=tree, training=data)
    assert fit.evaluate().log_loss == posterior.evaluate().log_loss
    pd.testing.assert_frame_equal(fit.effects(), posterior.effects())
    with pytest.raises(ValueError, match="data that are not in memory are not saved with a fit; pass data=False"):
        fit.save(tmp_path / "fit.nc")
    fit.save(tmp_path / "fit.nc", data=False)
    assert_allclose(bs.load(tmp_path / "fit.nc")._fitted.draws, posterior._fitted.draws)


def test_blocks_of_rows_change_nothing(posterior: bs.Posterior, penguins: pd.DataFrame, monkeypatch) -> None:
    from bayes_softmax.answers import rows

    whole = posterior.predict_proba(penguins, ci_prob=0.8)
    monkeypatch.setattr(rows, "BLOCK_BYTES", 8 * 2000 * 3 * 10)
    pd.testing.assert_frame_equal(posterior.predict_proba(penguins, ci_prob=0.8), whole, rtol=1e-12)


def test_summary_of_another_contrast_and_interval(posterior: bs.Posterior) -> None:
    table = posterior.summary(vs="Adelie", ci_prob=0.5, ci_kind="hdi")
    assert list(table.columns[:4]) == ["mean", "sd", "hdi50_lb", "hdi50_ub"]
    draws = posterior.idata["posterior"]["weights"].sel(feature="bill_length_mm")
    difference = draws.sel(category="Gentoo") - draws.sel(category="Adelie")
    row = table.loc[("bill_length_mm", "Gentoo vs Adelie")]
    assert_allclose(row["mean"], difference.mean(), rtol=1e-10)
    assert_allclose(row[["hdi50_lb", "hdi50_ub"]], az.hdi(difference.values.ravel(), prob=0.5), atol=0.01)
    for options, text in (
        ({"ci_prob": 95}, "ci_prob=95 must be"),
        ({"ci_kind": "cdi"}, "ci_kind='cdi' is not known"),
    ):
        with pytest.raises(ValueError, match=text):
            posterior.summary(**options)


def test_same_seed_same_draws_and_generators_work(overlapping: bs.SoftmaxRegression) -> None:
    def draws(seed: object, **options: object) -> np.ndarray:
        return overlapping.sample(draws=20, tune=50, random_seed=seed, progressbar=False, **options)._fitted.draws  # type: ignore[arg-type]

    assert (draws(5, cores=1) == draws(5, cores=2)).all()
    assert (draws(np.random.default_rng(0)) == draws(np.random.default_rng(0))).all()
    assert (draws(5) != draws(6)).any()


def test_reference_coding_and_integer_classes() -> None:
    X, y = simulate(80, 1, 3)
    post = bs.SoftmaxRegression(X, y, coding="reference").sample(draws=200, random_seed=1, progressbar=False)
    weights = post.idata["posterior"]["weights"]
    assert_allclose(weights.sel(category=0), 0)
    assert list(weights.category.values) == [0, 1, 2]
    assert np.isfinite(post.diagnostics.max_rhat)
    assert list(post.summary().index.get_level_values("contrast").unique()) == ["1 vs 0", "2 vs 0"]


def test_no_intercept_means_no_intercept_variable() -> None:
    X, y = simulate(80, 2, 3)
    post = bs.SoftmaxRegression(X, y, intercept=False).sample(draws=100, random_seed=1, progressbar=False)
    assert "intercept" not in post.idata["posterior"]
    assert "intercept" not in post.summary().index.get_level_values("feature")
    assert post.predict_proba(X).shape == (80, 3)


def test_diagnostics_say_what_is_wrong() -> None:
    good = Diagnostics(1.001, 2000, 1500, 0, 7, 4, 1000, 200)
    assert good.ok
    assert "all diagnostics good" in str(good)
    bad = Diagnostics(1.2, 50, 30, 3, 7, 4, 1000, 200)
    assert len(bad.problems) == 3
    assert "3 divergences" in str(bad)


def test_pymc_engine_gives_the_same_labelled_result(overlapping: bs.SoftmaxRegression, posterior: bs.Posterior) -> None:
    """Means within 5 combined Monte Carlo standard errors (9 coefficients, false alarm below 1e-5), seed 1."""
    theirs = overlapping.sample(draws=500, tune=500, chains=2, random_seed=1, engine="pymc", progressbar=False)
    assert theirs.idata["posterior"]["weights"].dims == posterior.idata["posterior"]["weights"].dims
    assert theirs.engine.startswith("pymc")
    a, b = posterior.summary(), theirs.summary()
    assert (np.abs(a["mean"] - b["mean"]) / np.hypot(a["mcse_mean"], b["mcse_mean"])).max() < 5


def test_compare_brings_codings_to_common_coordinates(
    overlapping: bs.SoftmaxRegression, penguins: pd.DataFrame
) -> None:
    other = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins, coding="reference")
    table = bs.compare(a=overlapping.mle(), b=other.mle())
    assert list(table.columns) == ["a", "a_se", "b", "b_se"]
    assert_allclose(table["a"], table["b"], rtol=1e-7, atol=1e-9)
    assert_allclose(table["a_se"], table["b_se"], rtol=1e-6)


def test_compare_refuses_what_cannot_be_compared(overlapping: bs.SoftmaxRegression, penguins: pd.DataFrame) -> None:
    other = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm", penguins).mle()
    with pytest.raises(ValueError, match=r"b has features .* but a has"):
        bs.compare(a=overlapping.mle(), b=other)
    with pytest.raises(TypeError, match="a is of type int, not a PointEstimate or Posterior"):
        bs.compare(a=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one fit"):
        bs.compare()


@pytest.mark.parametrize(("draws", "chains"), [(1, 1), (1, 4), (2, 1), (3, 2), (4, 1)])
def test_very_few_draws_have_answers_without_warnings_from_inside(overlapping, draws: int, chains: int) -> None:
    post = overlapping.sample(draws=draws, chains=chains, random_seed=1, progressbar=False)
    assert not post.diagnostics.ok
    assert "nan" not in post.diagnostics.problems[0]
    table = post.summary()
    assert np.isfinite(table["mean"]).all()
    assert table["sd"].isna().all() == (draws * chains == 1)
    assert "draw" in repr(post)
    with pytest.raises(ValueError, match="at least 100 draws"):
        post.prior_sensitivity()
