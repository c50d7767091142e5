"""Posteriors from a sample of the rows: the same as from all of them, and what is said of the difference."""

from typing import Any

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.density.subsample import posterior as module
from bayes_softmax.fitting import sampling, subsampled

N = 60_000


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2))
    y = (X @ np.array([[0.5, -0.5, 0.0], [0.0, 1.0, -1.0]]) + rng.gumbel(size=(N, 3))).argmax(axis=1)
    return bs.SoftmaxRegression(X, y)


def moments(post: bs.Posterior) -> tuple[np.ndarray[Any, Any], ...]:
    draws = post.idata["posterior"]["weights"].values.reshape(-1, 6)
    return draws.mean(axis=0), draws.std(axis=0), np.quantile(draws, [0.05, 0.95], axis=0)


def test_draws_are_those_of_all_rows(model: bs.SoftmaxRegression) -> None:
    # The same proposals with weights that differ by less than .01: means and quantiles move by less than .02 sds.
    few = model.sample(engine="subsampled", random_seed=1, progressbar=False)
    all_rows = model.sample(engine="independence", random_seed=1, progressbar=False)
    (mean, sd, ends), (mean_all, sd_all, ends_all) = moments(few), moments(all_rows)
    assert "remainders from 10,000 of 60,000 rows" in few.engine
    assert (np.abs(mean - mean_all) < 0.02 * sd_all).all()
    assert (np.abs(sd / sd_all - 1) < 0.02).all()
    assert (np.abs(ends - ends_all) < 0.08 * sd_all).all()


def test_laplace_estimates_weights_and_evidence(model: bs.SoftmaxRegression) -> None:
    few = model.laplace(rows=8000, max_error=0.02, random_seed=1, progressbar=False)
    all_rows = model.laplace(random_seed=1, progressbar=False)
    assert few.ess is not None
    assert all_rows.ess is not None
    assert "remainders from 8,000 of 60,000 rows" in few.engine
    assert few.log_evidence == pytest.approx(all_rows.log_evidence, abs=0.05)
    assert few.ess == pytest.approx(all_rows.ess, rel=0.02)


def test_a_smaller_error_takes_more_rows_up_to_all_of_them(model: bs.SoftmaxRegression) -> None:
    more = model.laplace(draws=200, rows=500, max_error=0.0008, random_seed=1, progressbar=False).engine
    n = int(more.split("remainders from ")[1].split(" of")[0].replace(",", ""))
    assert 500 < n < N / 4
    everything = model.laplace(draws=200, rows=500, max_error=1e-6, random_seed=1, progressbar=False).engine
    assert f"all {N:,} rows" in everything


def test_it_repeats_under_a_seed_whatever_the_number_of_cores(model: bs.SoftmaxRegression) -> None:
    runs = [
        model.sample(draws=50, engine="subsampled", cores=cores, random_seed=3, progressbar=False) for cores in (1, 2)
    ]
    assert runs[0].idata["posterior"].dataset.identical(runs[1].idata["posterior"].dataset)


def test_many_rows_are_sampled_by_default(model: bs.SoftmaxRegression, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MANY_ROWS", 50_000)
    assert "subsampled" in model.sample(draws=50, random_seed=1, progressbar=False).engine
    named = model.sample(draws=50, engine="independence", random_seed=1, progressbar=False)
    assert "subsampled" not in named.engine


def test_a_sample_that_misses_what_matters_is_found_out(
    model: bs.SoftmaxRegression, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.sample_of

    def half(rows: Any, drawn: Any) -> Any:  # rows of one class are dropped
        return original(rows, drawn[rows.design.response.codes[drawn] != 0])

    monkeypatch.setattr(module, "sample_of", half)
    monkeypatch.setattr(subsampled, "LARGEST_SHARE", 1.0)
    engine = model.laplace(draws=200, rows=5000, max_error=0.002, random_seed=1, progressbar=False).engine
    assert "remainders from 5,000 of" not in engine


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior": bs.Laplace(1.0)}, "a Laplace prior has a kink"),
        ({"prior": bs.Normal(scale=bs.HalfNormal(1.0))}, "fixed scales"),
        ({"logits": bs.MLP(hidden=2)}, "engine='subsampled'"),
    ],
)
def test_what_it_is_not_for_is_refused(options: dict[str, Any], words: str) -> None:
    rng = np.random.default_rng(1)
    small = bs.SoftmaxRegression(rng.normal(size=(60, 2)), rng.integers(3, size=60), **options)
    layers = {"layers": "all"} if "logits" in options else {}
    with pytest.raises(ValueError, match=words):
        small.sample(engine="subsampled", progressbar=False, **layers)
    with pytest.raises(ValueError, match=r"kink|scales|linear logits"):
        small.laplace(rows=100, progressbar=False)


def test_an_error_without_a_sample_is_refused(model: bs.SoftmaxRegression) -> None:
    with pytest.raises(ValueError, match="pass rows too"):
        model.laplace(max_error=0.1)
    for bad in ({"rows": 0}, {"rows": 1.5}, {"rows": 100, "max_error": 0.0}):
        with pytest.raises((ValueError, TypeError), match=r"rows|max_error"):
            model.laplace(**bad)  # type: ignore[arg-type]
