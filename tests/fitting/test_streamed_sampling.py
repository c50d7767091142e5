"""Posteriors of rows that are read in passes: those of memory, from a few passes, and what is said of them.

Statistical tests state their error rates; their seeds are fixed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.core.errors import NotReliableWarning
from bayes_softmax.data.sources import gathering, passes, samples
from bayes_softmax.density.parts import rows_of
from bayes_softmax.fitting import subsampled
from tests.data.sources.real_data import parquet_files

N, N_PARTS = 40_000, 3


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N)})
    logits = data.to_numpy() @ np.array([[0.5, -0.5, 0.0], [0.0, 1.0, -1.0]])
    data["w"], data["s"], data["t"] = rng.integers(0, 4, N), rng.normal(size=N), 0.0
    for name in "uvz":
        data[f"has_{name}"] = rng.random(N) < 0.8
    data["has_u"] |= ~(data.has_v | data.has_z)
    offered = data[["has_u", "has_v", "has_z"]].to_numpy()
    code = np.where(offered, logits + rng.gumbel(size=(N, 3)), -np.inf).argmax(axis=1)
    data["y"] = np.array(["u", "v", "z"])[code]
    return data


DATA = rows()


@pytest.fixture(scope="module", autouse=True)
def streaming() -> Iterator[None]:
    """Small data are read in passes; 10 000 rows are not too large a part of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "IN_MEMORY", 0)
        patch.setattr(samples, "SAMPLE_ROWS", 4000)
        patch.setattr(subsampled, "LARGEST_SHARE", 0.5)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parquet_files(DATA, tmp_path_factory.mktemp("rows"), N_PARTS)


@pytest.fixture(scope="module")
def model(folder: Path) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula("y ~ a + b", folder)


def titles(model: bs.SoftmaxRegression) -> list[str]:
    assert model._spec.streamed is not None
    return model._spec.streamed.log


def moments(post: bs.Posterior) -> tuple[np.ndarray[Any, Any], ...]:
    draws = post.idata["posterior"]["weights"].values.reshape(-1, 6)
    return draws.mean(axis=0), draws.std(axis=0), np.quantile(draws, [0.05, 0.95], axis=0)


CASES: dict[str, dict[str, Any]] = {
    "Student t": {"prior": bs.StudentT(4, 0.3)},
    "full coding": {"coding": "full", "prior": bs.Normal(1.0)},
    "weights": {"weights": "w"},
    "offset": {"offset": ["s", "t", "t"]},
    "choice sets": {"available": ["has_u", "has_v", "has_z"]},
}


@pytest.mark.parametrize("case", CASES)
def test_draws_of_laplace_are_those_of_memory(folder: Path, case: str) -> None:
    options: dict[str, Any] = {"draws": 2000, "random_seed": 1, "progressbar": False}
    model = bs.SoftmaxRegression.from_formula("y ~ a + b", folder, **CASES[case])
    few = model.laplace(**options)
    every = bs.SoftmaxRegression.from_formula("y ~ a + b", DATA, **CASES[case]).laplace(**options)
    assert "remainders from" in few.engine
    assert_same_moments(few, every)
    assert len(titles(model)) <= 6


def test_draws_of_sample_are_those_of_memory(model: bs.SoftmaxRegression) -> None:
    few = model.sample(random_seed=1, progressbar=False)
    same = bs.SoftmaxRegression.from_formula("y ~ a + b", DATA)
    every = same.sample(engine="independence", random_seed=1, progressbar=False)
    assert "subsampled" in few.engine
    assert_same_moments(few, every)


def assert_same_moments(few: bs.Posterior, every: bs.Posterior) -> None:
    """The same proposals with weights that differ by less than .015: means and quantiles move by less than .02 sds."""
    (mean, sd, ends), (mean_all, sd_all, ends_all) = moments(few), moments(every)
    assert (np.abs(mean - mean_all) < 0.02 * sd_all).all()
    assert (np.abs(sd / sd_all - 1) < 0.02).all()
    assert (np.abs(ends - ends_all) < 0.08 * sd_all).all()


def test_laplace_knows_the_mode_and_takes_two_passes_more(model: bs.SoftmaxRegression) -> None:
    model.map()
    before = len(titles(model))
    few = model.laplace(random_seed=1, progressbar=False)
    assert [title.split(",")[0] for title in titles(model)[before:]] == ["leverages", "log-likelihood at 32 points"]
    assert any(note.startswith("2 passes over 40,000 rows") for note in few.notes)
    every = bs.SoftmaxRegression.from_formula("y ~ a + b", DATA).laplace(random_seed=1, progressbar=False)
    assert few.log_evidence == pytest.approx(every.log_evidence, abs=0.05)
    assert few.ess == pytest.approx(every.ess, rel=0.02)


def test_the_bound_of_the_error_needs_no_rows(model: bs.SoftmaxRegression) -> None:
    post = model.laplace(draws=200, max_error=0.00001, random_seed=1, progressbar=False)
    assert "all 40,000 rows" in post.engine  # so small an error takes all


def test_draws_repeat_under_a_seed_whatever_the_number_of_threads_and_what_was_fitted_before(folder: Path) -> None:
    found = []
    for n_threads in (1, 3):
        model = bs.SoftmaxRegression.from_formula("y ~ a + b", folder)
        assert model._spec.streamed is not None
        object.__setattr__(model._spec.streamed.passes, "n_threads", n_threads)
        if n_threads == 3:
            model.mle()
            model.map()
        found.append(model.sample(draws=50, random_seed=3, cores=n_threads, progressbar=False))
    assert found[0].idata["posterior"].dataset.identical(found[1].idata["posterior"].dataset)


def test_full_evaluation_takes_few_passes_and_gives_the_draws_of_memory(model: bs.SoftmaxRegression) -> None:
    before = len(titles(model))
    post = model.sample(draws=300, engine="independence", random_seed=1, progressbar=False)
    same = bs.SoftmaxRegression.from_formula("y ~ a + b", DATA)
    expected = same.sample(draws=300, engine="independence", random_seed=1, progressbar=False)
    for found, known in zip(moments(post), moments(expected), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-3, atol=1e-6)
    assert len(titles(model)) - before <= 8


def test_a_biased_sample_is_found_out_and_all_rows_are_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = subsampled.posterior_from

    def planted(sample: Any, *rest: Any) -> Any:
        kept = np.flatnonzero(sample.design.response.codes != 0)  # rows of one class are dropped
        return original(type(sample)(rows_of(sample.design, kept), sample.probabilities[kept]), *rest)

    monkeypatch.setattr(subsampled, "posterior_from", planted)
    model = bs.SoftmaxRegression.from_formula("y ~ a + b", folder)
    post = model.laplace(draws=500, rows=4000, max_error=0.002, random_seed=1, progressbar=False)
    assert f"all {N:,} rows, since a sample would have to be a large part of them (an error of" in post.engine
    assert any("500 points" in title for title in titles(model))
    exact = bs.SoftmaxRegression.from_formula("y ~ a + b", DATA).laplace(draws=500, random_seed=1, progressbar=False)
    assert post.log_evidence == pytest.approx(exact.log_evidence, abs=1e-5)


def test_a_poor_normal_approximation_is_said(folder: Path, tmp_path: Path) -> None:
    few = DATA.iloc[:12].assign(y=["u", "v", "z"] * 4, a=np.arange(12.0))
    few.loc[few.a > 6, "y"] = "u"
    model = bs.SoftmaxRegression.from_formula("y ~ a", lambda: [few])
    with pytest.warns(NotReliableWarning, match="NUTS takes a pass over the rows"):
        post = model.sample(draws=100, chains=2, random_seed=1, progressbar=False)
    assert post.idata["posterior"].sizes["draw"] == 100


@pytest.mark.parametrize(
    ("call", "options", "words"),
    [
        ("sample", {"engine": "nuts"}, "engine='nuts' takes a pass over the rows of .* for each"),
        ("sample", {"engine": "pymc"}, "needs the rows in memory"),
        ("laplace", {"max_error": 0.1, "rows": 0}, "rows"),
    ],
)
def test_what_needs_rows_in_memory_is_refused(
    model: bs.SoftmaxRegression, call: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        getattr(model, call)(progressbar=False, **options)


@pytest.mark.parametrize(
    ("prior", "call", "options", "words"),
    [
        (bs.Laplace(1.0), "laplace", {"rows": 1000}, "a Laplace prior has a kink"),
        (bs.Laplace(1.0), "sample", {"engine": "subsampled"}, "a Laplace prior has a kink"),
        (bs.Normal(scale=bs.HalfNormal(1.0)), "sample", {}, "learns its scale, for which the rows must be in memory"),
        (bs.Normal(scale=bs.HalfNormal(1.0)), "laplace", {}, "fixed scales"),
        (bs.Jeffreys(), "sample", {}, r"Jeffreys\(\) is for map"),
    ],
)
def test_priors_without_a_sample_of_rows_are_refused(
    folder: Path, prior: Any, call: str, options: dict[str, Any], words: str
) -> None:
    model = bs.SoftmaxRegression.from_formula("y ~ a + b", folder, prior=prior)
    with pytest.raises(ValueError, match=words):
        getattr(model, call)(progressbar=False, **options)


def test_laplace_priors_are_drawn_from_all_rows(folder: Path) -> None:
    model = bs.SoftmaxRegression.from_formula("y ~ a + b", folder, prior=bs.Laplace(0.5))
    post = model.sample(draws=200, random_seed=1, progressbar=False)
    same = bs.SoftmaxRegression.from_formula("y ~ a + b", DATA, prior=bs.Laplace(0.5))
    expected = same.sample(draws=200, engine="independence", random_seed=1, progressbar=False)
    for found, known in zip(moments(post), moments(expected), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-2, atol=1e-4)


def test_a_forecast_of_passes(model: bs.SoftmaxRegression) -> None:
    before = len(titles(model))
    forecast = model.forecast()
    assert len(titles(model)) - before == 2
    assert set(forecast.sampling_seconds) == {"subsampled", "laplace", "independence"}
    assert 0 < forecast.sampling_seconds["subsampled"] < 60
    assert 1e6 < forecast.memory_bytes < 1e9
    assert "sample(): " in repr(forecast)


def test_ctrl_c_while_rows_are_sampled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = passes.LocalPasses.run

    def run(self: Any, reader: Any, task: Any, merge: Any, title: str) -> Any:
        if "leverages" in title:
            raise KeyboardInterrupt
        return original(self, reader, task, merge, title)

    monkeypatch.setattr(passes.LocalPasses, "run", run)
    model = bs.SoftmaxRegression.from_formula("y ~ a + b", folder)
    with pytest.raises(KeyboardInterrupt):
        model.sample(random_seed=1, progressbar=False)
    monkeypatch.undo()
    gathered = model.sample(draws=20, random_seed=1, progressbar=False)  # nothing is left half done
    assert gathered.idata["posterior"].sizes["draw"] == 20
