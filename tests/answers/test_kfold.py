"""K-fold cross-validation: by hand, as exact leave-one-out, whatever the classes are called, and in comparisons."""

import io
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
from arviz_stats.utils import ELPDDataLOOKFold
from numpy.testing import assert_allclose
from scipy.special import log_softmax, logsumexp

import bayes_softmax as bs
from bayes_softmax.answers import kfold as kfold_module
from bayes_softmax.answers.folds import divide
from bayes_softmax.answers.training import Cells
from bayes_softmax.core import progress
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.observations import Observations
from bayes_softmax.fitting import engines
from bayes_softmax.fitting.again import complete
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.fitting.weighted import sample_laplace
from tests.conftest import simulate
from tests.inside import changed

quiet = partial(dict, progressbar=False, random_seed=1)
FIXED: dict[str, Any] = {"prior": bs.Normal(1.0), "intercept_prior": bs.Flat()}  # do not depend on the rows
RNG = np.random.default_rng(5)
X, Y = simulate(60, 2, 3)
ON = np.ones((60, 3), dtype=bool)
ON[::4, 1] = Y[::4] == 1
ON[5] = np.arange(3) == Y[5]  # a row with one class on offer is not scored
COUNTS = RNG.integers(0, 4, size=(60, 3)).astype(float)
COUNTS[7] = 0
VARIANTS: dict[str, dict[str, Any]] = {
    "labels": {"y": Y},
    "two classes, reference, no intercept": {
        "y": Y == 1,
        "coding": "reference",
        "intercept": False,
        "intercept_prior": None,
    },
    "offset": {"y": Y, "offset": RNG.normal(size=(60, 3))},
    "choice sets": {"y": Y, "available": ON},
    "a class without data": {"y": Y, "classes": [0, 1, 2, 3], "coding": "full", "intercept_prior": bs.Normal(2.0)},
    "whole weights": {"y": Y, "weights": np.arange(60) % 3},
    "counts": {"y": COUNTS, "classes": [0, 1, 2]},
    "equal rows": {"y": Y, "X": np.round(X)},
}


def model_of(variant: str, **more: Any) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(**{"X": X, **FIXED, **VARIANTS[variant], **more})


def by_hand_map(variant: str, found: Any) -> np.ndarray:
    """Scores of the observations in the order of the result, from MAP fits to the others alone."""
    given = {"X": X, **FIXED, **VARIANTS[variant]}
    Xs, y, weights = given["X"], given["y"], given.get("weights")
    K = len(given.get("classes", np.unique(y)))
    counts = y if np.ndim(y) == 2 else np.eye(K)[np.asarray(y, int)] * (1 if weights is None else weights[:, None])
    rows, folds = np.asarray(found.elpd_i.obs), np.asarray(found.elpd_i.fold)
    codes = np.asarray(found.elpd_i.category).astype(int)
    out = np.empty(len(rows))
    for fold in np.unique(folds):
        held = folds == fold
        kept = counts.copy()
        np.subtract.at(kept, (rows[held], codes[held]), 1)
        on = given.get("available")
        assert (kept >= 0).all()
        others: dict[str, Any] = {k: v for k, v in given.items() if k not in ("X", "y", "weights")} | {
            "classes": given.get("classes", list(range(K)) if K > 2 else [False, True])
        }
        fit = bs.SoftmaxRegression(X=Xs, y=kept, collapse=False, **others).map()
        P = fit.predict_proba(Xs, **{n: given[n] for n in ("offset", "available") if n in given})
        out[held] = np.log(P.to_numpy()[rows[held], codes[held]])
        assert on is None or 5 not in rows
    return out


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_is_a_fit_to_the_other_observations(variant: str) -> None:
    """MAP fits through the front door, to counts from which the fold is subtracted."""
    found = model_of(variant).map().kfold(4)
    assert isinstance(found, ELPDDataLOOKFold)
    assert_allclose(found.elpd_i, by_hand_map(variant, found), rtol=1e-6, atol=1e-9)
    scored = COUNTS.sum() if variant == "counts" else {"whole weights": 60, "choice sets": 59}.get(variant, 60)
    assert found.n_data_points == scored == found.elpd_i.size
    assert_allclose([found.elpd, found.se], [found.elpd_i.sum(), np.sqrt(scored) * found.elpd_i.std()], rtol=1e-12)
    assert found.p == pytest.approx(float(found.p_kfold_i.sum()))


def subset(spec: Any, rows: Any) -> Any:
    """The specification of some rows, taken one array at a time."""
    design = spec.design
    response = replace(design.response, codes=design.response.codes[rows])
    offset = None if design.offset is None else design.offset[rows]
    taken = replace(
        design,
        features=DenseFeatures(design.X[rows].copy()),
        response=response,
        offset=offset,
        index=design.index[rows],
    )
    return replace(spec, rows=Observations(taken, collapse=False))


@pytest.mark.parametrize("engine", ["nuts", "laplace"])
@pytest.mark.parametrize("variant", ["labels", "offset"])
def test_draws_are_those_of_the_other_rows(engine: str, variant: str) -> None:
    """The same seeds, rows taken by hand, and plain NumPy for the score: equal to 1e-10."""
    model = model_of(variant)
    run = {"draws": 150, "tune": 100, "chains": 2}
    post = model.laplace(300, **quiet()) if engine == "laplace" else model.sample(engine=engine, **run, **quiet())
    found = post.kfold(3, random_seed=8)
    seeds = np.random.default_rng(8).integers(2**31, size=3).tolist()
    folds = np.asarray(found.elpd_i.fold)
    for fold, seed in enumerate(seeds, start=1):
        spec = subset(model._spec, np.flatnonzero(folds != fold))
        drawn = (
            sample_laplace(spec, 300, seed, False)
            if engine == "laplace"
            else engines.sample(spec, SamplerSettings(150, 100, 2, seed=seed), engine)
        )
        b, W = (drawn.parameters[name] for name in ("intercept", "weights"))
        held = np.flatnonzero(folds == fold)
        eta = b[:, None] + X[held] @ W + VARIANTS[variant].get("offset", np.zeros((60, 3)))[held]
        log_p = log_softmax(eta, axis=2)[:, np.arange(len(held)), Y[held]]
        expected = logsumexp(log_p, axis=0) - np.log(len(log_p))
        assert_allclose(found.elpd_i[held], expected, rtol=1e-10, atol=1e-14)


def test_a_row_that_stays_in_its_training_data_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison by hand is not met by scores of fits that saw the observations."""
    fit = model_of("labels").map()
    honest = fit.kfold(4)
    whole = kfold_module._without
    monkeypatch.setattr(kfold_module, "_without", lambda *a: whole(*a[:3], np.ones_like(a[3]), *a[4:]))
    leaking = fit.kfold(4)
    assert leaking.elpd > honest.elpd + 1
    with pytest.raises(AssertionError):
        assert_allclose(leaking.elpd_i, by_hand_map("labels", leaking), rtol=1e-6)


def test_one_fold_an_observation_is_leave_one_out() -> None:
    fit = model_of("labels").map()
    found = fit.kfold(60)
    for n in (0, 17, 59):
        others = bs.SoftmaxRegression(np.delete(X, n, axis=0), np.delete(Y, n), **FIXED).map()
        assert float(found.elpd_i[n]) == pytest.approx(np.log(others.predict_proba(X[[n]]).to_numpy()[0, Y[n]]), 1e-6)
    assert sorted(np.asarray(found.elpd_i.fold)) == list(range(1, 61))
    post = model_of("labels").laplace(**quiet())
    assert_allclose(post.kfold(60).elpd, post.loo().elpd, atol=0.2)  # Monte Carlo error


def test_it_agrees_with_leave_one_out(posterior: bs.Posterior) -> None:
    """Fits to nine tenths of the rows are a little worse; every row has about the same score."""
    by_folds, loo = posterior.kfold(), posterior.loo()
    assert -2.0 < by_folds.elpd - loo.elpd < 0.5
    assert np.corrcoef(by_folds.elpd_i, loo.elpd_i)[0, 1] > 0.99
    assert 0.5 < by_folds.p / loo.p < 2.0


@pytest.mark.parametrize("by", ["row", "observation"])
@pytest.mark.parametrize("groups", [None, np.arange(60) // 5])
def test_names_of_the_classes_change_nothing(by: str, groups: Any) -> None:
    for y, first in ((COUNTS, "counts"), (Y, "labels")):
        names = {"counts": (["a", "b", "c"], ["z", "y", "x"]), "labels": (None, None)}[first]
        other = COUNTS[:, ::-1] if first == "counts" else np.array(["z", "m", "a"])[Y]
        # The columns in another order under other names: class k of one is class 2 - k of the other.
        own = bs.SoftmaxRegression(X, y, classes=names[0], **FIXED).map()
        renamed = bs.SoftmaxRegression(X, other, classes=names[1], **FIXED).map()
        a, b = (fit.kfold(5, by=by, groups=groups).elpd_i for fit in (own, renamed))
        assert (np.asarray(a.fold) == np.asarray(b.fold)).all()
        assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_weights_are_repetitions_and_collapsing_changes_nothing() -> None:
    weights = RNG.integers(0, 4, size=60)
    Xr = np.round(X)
    post = {
        "weights": bs.SoftmaxRegression(Xr, Y, weights=weights, collapse=False, **FIXED),
        "rows": bs.SoftmaxRegression(Xr.repeat(weights, axis=0), Y.repeat(weights), collapse=False, **FIXED),
        "collapsed": bs.SoftmaxRegression(Xr.repeat(weights, axis=0), Y.repeat(weights), **FIXED),
    }
    assert post["collapsed"]._spec.collapsed is not None
    found = {name: model.map().kfold(4).elpd_i for name, model in post.items()}
    for name in ("weights", "collapsed"):
        assert (np.asarray(found[name].fold) == np.asarray(found["rows"].fold)).all(), name
        assert_allclose(found[name], found["rows"], rtol=1e-6, atol=1e-9)


def test_whole_rows_and_weights_that_are_not_whole() -> None:
    weights = np.linspace(0.5, 1.5, 60)
    fit = bs.SoftmaxRegression(X, Y, weights=weights, **FIXED).map()
    with pytest.raises(ValueError, match=r"not whole numbers.*kfold\(by='row'\)"):
        fit.kfold()
    found = fit.kfold(3, by="row").elpd_i
    for fold in (1, 2, 3):
        held = np.asarray(found.fold) == fold
        others = bs.SoftmaxRegression(X[~held], Y[~held], weights=weights[~held], **FIXED).map()
        P = others.predict_proba(X[held]).to_numpy()[np.arange(held.sum()), Y[held]]
        assert_allclose(found[held], weights[held] * np.log(P), rtol=1e-6)
    counted = model_of("counts").map().kfold(3, by="row")
    assert counted.n_data_points == (COUNTS.sum(axis=1) > 0).sum() < 60
    assert "category" not in counted.elpd_i.coords


def test_rows_of_a_group_stay_together() -> None:
    person = pd.Series(np.repeat([f"p{i}" for i in range(12)], 5), index=np.arange(60)[::-1])
    frame = pd.DataFrame(X, columns=["x0", "x1"]).assign(y=Y, person=np.asarray(person.loc[range(60)]))
    fit = bs.SoftmaxRegression.from_formula("y ~ x0", frame, **FIXED).map()
    by_series, by_column = fit.kfold(4, groups=person), fit.kfold(4, groups=frame["person"].to_numpy())
    assert by_series.elpd_i.equals(by_column.elpd_i)  # the series is matched by its index
    assert (frame.assign(fold=np.asarray(by_column.elpd_i.fold)).groupby("person")["fold"].nunique() == 1).all()
    each = fit.kfold(12, groups=person).elpd_i
    assert len(set(zip(np.asarray(each.fold), frame["person"], strict=True))) == 12
    by_name = bs.SoftmaxRegression.from_formula("y ~ x0 + person", frame).map().kfold(4, groups="person")
    assert (np.asarray(by_name.elpd_i.fold) == np.asarray(by_column.elpd_i.fold)).all()


@pytest.mark.parametrize("k", [2, 3, 7])
def test_folds_are_alike(k: int) -> None:
    rng = np.random.default_rng(k)
    classes = np.repeat([0, 1, 2], [61, 2, 30])
    ones, own = np.ones(93), np.arange(93)
    folds = divide(own, classes, ones, k, rng, stratify=True)
    for c in range(3):
        counts = np.bincount(folds[classes == c], minlength=k)
        assert counts.max() - counts.min() <= 1  # so the class of two is missing from no training data
    plain = np.bincount(divide(own, classes, ones, k, rng, stratify=False), minlength=k)
    assert plain.max() - plain.min() <= 1
    groups = np.concatenate([rng.integers(0, 15, size=61), [15, 16], rng.integers(0, 15, size=30)])
    grouped = divide(groups, classes, ones, k, rng, stratify=True)
    assert len(set(zip(groups, grouped, strict=True))) == 17
    assert len(set(grouped[classes == 1])) == 2
    assert (np.bincount(grouped, minlength=k) > 0).all()


def test_as_many_folds_as_groups_are_one_each() -> None:
    sizes = np.array([50, 1, 1, 1, 9])
    groups = np.repeat(np.arange(5), sizes)
    folds = divide(groups, groups % 2, np.ones(62), 5, np.random.default_rng(1), stratify=True)
    assert len(set(zip(groups, folds, strict=True))) == 5 == len(set(folds))


def test_it_repeats_itself_and_leaves_the_fit_alone() -> None:
    post = model_of("labels").laplace(300, **quiet())
    before = post.idata.posterior["weights"].values.copy()
    assert post.kfold(3).elpd == post.kfold(3).elpd
    assert post.kfold(3, random_seed=2).elpd == post.kfold(3, rng=2).elpd != post.kfold(3).elpd
    assert (post.idata.posterior["weights"].values == before).all()
    generator = np.random.default_rng(4)
    assert post.kfold(3, rng=generator).elpd != post.kfold(3, rng=generator).elpd


def test_learned_scales_are_learned_again() -> None:
    prior = bs.Normal(bs.HalfNormal(1.0))
    post = bs.SoftmaxRegression(X, Y, prior=prior).sample(draws=300, tune=300, chains=2, **quiet())
    found = post.kfold(3)
    assert abs(found.elpd - post.loo().elpd) < 5
    assert found.n_samples == 600


def test_what_cannot_be_fitted_again(tmp_path: Any) -> None:
    post = model_of("labels").laplace(300, **quiet())
    post.save(tmp_path / "fit.nc")
    with pytest.raises(ValueError, match=r"loaded from a file cannot: fit the model anew"):
        bs.load(tmp_path / "fit.nc").kfold()
    post.save(tmp_path / "bare.nc", data=False)
    with pytest.raises(ValueError, match=r"kfold\(\) needs the data of the fit"):
        bs.load(tmp_path / "bare.nc").kfold()
    with pytest.raises(ValueError, match="draws from the prior"):
        bs.SoftmaxRegression(X, Y).sample_prior(random_seed=1).kfold()


def test_numbers_of_folds_that_are_not_possible() -> None:
    fit = model_of("labels").map()
    for k, told in ((1, "at least 2"), (61, "at most 60, the number of observations")):
        with pytest.raises(ValueError, match=f"k={k} must be {told}"):
            fit.kfold(k)
    with pytest.raises(ValueError, match="k=10 must be at most 2, the number of groups"):
        fit.kfold(groups=Y == 1)


def test_refits_that_are_doubtful_are_told_of_once() -> None:
    """Without row 2, classes are separated and exclude what was observed there; with it they overlap."""
    x, y = np.arange(8.0)[:, None], list("aababbbb")
    fit = bs.SoftmaxRegression(x, y).mle()
    with (
        pytest.warns(
            bs.NotConvergedWarning, match=r"kfold\(\), without .*: mle\(solver='newton'\) not certified"
        ) as told,
        pytest.warns(bs.NotEstimableWarning, match=r"elpd is -inf, .* exclude what was observed in row"),
    ):
        found = fit.kfold(8)
    assert sum(issubclass(w.category, bs.NotConvergedWarning) for w in told) == 1
    assert found.elpd == -np.inf
    assert found.warning
    with pytest.raises(
        ValueError, match=r"posteriors\['a'\]: elpd is -inf, as \d of 8 observations have no finite score"
    ):
        bs.compare_models({"a": found, "b": found})


def test_an_error_says_which_fold_was_left_out() -> None:
    model = bs.SoftmaxRegression(np.arange(9.0)[:, None], list("abababacb"), prior=bs.Flat(), intercept_prior=bs.Flat())
    post = changed(bs.SoftmaxRegression(X, Y).laplace(300, **quiet()))
    again = partial(engines.sample_again, model._spec, SamplerSettings(), "nuts", None)
    post = changed(post, refit_cells=again, training=model.map()._fitted.training)
    with pytest.raises(bs.ImproperPosteriorError) as caught:
        post.kfold(9)
    assert "kfold(): this is the fit without fold" in caught.value.__notes__[0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_counts_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit = model_of("labels").map()
    fit.kfold(3, progressbar=False)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
    fit.kfold(3)
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "kfold()" in text
    assert "3 of 3 folds" in text
    assert "rows" not in text


def test_an_interrupted_refit_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    post = model_of("labels").laplace(300, **quiet())
    with pytest.raises(KeyboardInterrupt):
        complete(replace(post._fitted, notes=(f"{INTERRUPTED}: 5 of 300 draws were finished",)))

    def stop(cells: Cells, seed: int) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        changed(post, refit_cells=stop).kfold(3)
    assert progress._LINE.get() is None


def test_models_are_compared_on_the_same_folds() -> None:
    small, large = (bs.SoftmaxRegression(x, Y, **FIXED) for x in (X[:, :1], X))
    a, b = small.map().kfold(5), large.laplace(300, **quiet()).kfold(5)
    ours, theirs = bs.compare_models({"small": a, "large": b}), az.compare({"small": a, "large": b}, round_to="none")
    assert ours.index[0] == "large"
    assert_allclose(ours["elpd"], [b.elpd, a.elpd])
    assert_allclose(ours[["elpd_diff", "dse", "weight"]], theirs[["elpd_diff", "dse", "weight"]].astype(float))
    renamed = bs.SoftmaxRegression(X, np.array(list("abc"))[Y], **FIXED).map()
    fewer = bs.SoftmaxRegression(X[:-1], Y[:-1], **FIXED).map()
    post = large.laplace(300, **quiet())
    for other, told in (
        (post, r"posteriors\['b'\] is of type Posterior, and 'a' is a result of kfold\(\)"),
        (post.loo(), r"posteriors\['b'\] is of type ELPDDataLOO, and 'a' is a result of kfold\(\)"),
        (large.map().kfold(4), "different folds: row . is in fold . of one and in fold . of the other"),
        (large.map().kfold(5, random_seed=7), "have different folds"),
        (large.map().kfold(5, by="row"), "differ in by=, 'observation' and 'row'"),
        (fewer.kfold(5), "scores of 59 and 60 observations: fit to the same rows"),
        (renamed.kfold(5), "are of different observations: row 0 is '.' in one and . in the other"),
        (replace(a, elpd_i=None), "does not say which rows were in which fold"),
    ):
        with pytest.raises((TypeError, ValueError), match=told):
            bs.compare_models({"a": a, "b": other})
    with pytest.raises(ValueError, match="by, groups, refit and unit are of leave-one-out"):
        bs.compare_models({"a": a, "b": b}, by="row")
