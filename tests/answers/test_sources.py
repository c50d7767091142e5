"""Every answer of a fit to rows that are read in passes is that of the same rows in memory, or a refusal in words."""

import dataclasses
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.answers import answer_files, new_sources, source_loo
from bayes_softmax.answers.fitted import alone
from bayes_softmax.answers.prediction import Probabilities
from bayes_softmax.answers.source_loo import Sums, estimated
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.data.sources import gathering, samples, scan
from bayes_softmax.data.sources.passes import LocalPasses
from bayes_softmax.data.sources.recognise import source_of
from bayes_softmax.plots.observed import observed_rows

ATOL = 1e-9
OPTIMA = 1e-6  # relative, of what follows from optima that two searches found
N, CLASSES = 900, ["u", "v", "w"]
FORMULA = "y ~ a + b + C(k) + g + flag"


def data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "a": rng.normal(5.0, 2.0, N),
            "b": rng.normal(size=N),
            "g": rng.choice(list("xyz"), N),
            "k": rng.integers(0, 3, N),
            "flag": rng.random(N) < 0.1,
            "weight": rng.integers(0, 4, N).astype(float),
        }
    )
    scores = np.column_stack([0.2 * frame.a, 0.8 * frame.b, frame.k - 1.0]) + rng.gumbel(size=(N, 3))
    frame["y"] = np.array(CLASSES)[scores.argmax(axis=1)]
    for k, label in enumerate(CLASSES):
        frame[f"on_{label}"] = (rng.random(N) < 0.8) | (frame.y == label)
        frame[f"off_{label}"] = rng.normal(size=N)
        frame[f"n_{label}"] = rng.integers(0, 3, N) + (scores.argmax(axis=1) == k)
    return frame


DATA = data()
COSTS = pd.DataFrame(1.0 - np.eye(3), CLASSES, CLASSES)
ON, OFF, COUNTS = ([f"{prefix}_{label}" for label in CLASSES] for prefix in ("on", "off", "n"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of unequal lengths, one of them without rows, with several row groups."""
    path = tmp_path_factory.mktemp("rows")
    for i, (start, end) in enumerate([(0, 500), (500, 500), (500, 507), (507, N)]):
        DATA.iloc[start:end].to_parquet(path / f"part-{i}.parquet", index=False, row_group_size=130)
    return path


def streamed(formula: str, source: Any, **options: Any) -> bs.SoftmaxRegression:
    """The model of rows that are read in passes, however few they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "IN_MEMORY", 0)
        return bs.SoftmaxRegression.from_formula(formula, source, **options)


def on_source(fit: bs.Posterior, model: bs.SoftmaxRegression) -> bs.Posterior:
    """The same draws, with the data of a streamed model."""
    assert model._spec.streamed is not None
    training = RowsOfSource(model._spec.streamed)
    return bs.Posterior(dataclasses.replace(fit._fitted, training=training, refit=None, refit_cells=None))


@pytest.fixture(scope="module")
def fits(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Fits in memory, and the same of rows that are read in passes."""
    here, there = bs.SoftmaxRegression.from_formula(FORMULA, DATA), streamed(FORMULA, folder)
    post = here.laplace(draws=200, random_seed=1, progressbar=False)
    return {
        "map": (here.map(), there.map()),
        "mle": (here.mle(), there.mle()),
        "posterior": (post, on_source(post, there)),
    }


def same(a: Any, b: Any, rtol: float = 1e-9) -> None:
    """Raise unless two answers are equal."""
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(pd.DataFrame(a), pd.DataFrame(b), rtol=rtol, atol=ATOL)
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, rtol=rtol, atol=ATOL)
    elif isinstance(a, xr.DataArray | xr.Dataset):
        xr.testing.assert_allclose(a, b, rtol=rtol, atol=ATOL)
    elif isinstance(a, np.ndarray | float):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=ATOL)
    elif dataclasses.is_dataclass(a) and not isinstance(a, type):
        for field in dataclasses.fields(a):
            same(getattr(a, field.name), getattr(b, field.name), rtol)
    elif isinstance(a, dict):
        same(list(a.values()), list(b.values()), rtol)
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y, rtol)
    else:
        assert a == b


# Arguments of the methods that have some; what is refused for rows in passes, with words of the refusal; what depends
# on the way to the optimum, or is no answer.
ARGUMENTS: dict[str, Any] = {
    "contrast": lambda f: f.contrast({"a": 1.0, "g": "x"}, {"a": 2.0, "g": "y"}),
    "decide": lambda f: f.decide(DATA.head(9), COSTS),
    "predict": lambda f: f.predict(DATA.head(9)),
    "predict_proba": lambda f: f.predict_proba(DATA.head(9), 0.9),
    "predict_draws": lambda f: f.predict_draws(DATA.head(9)),
    "uncertainty": lambda f: f.uncertainty(DATA.head(9)),
    "poststratify": lambda f: f.poststratify(DATA.head(9).assign(n=1.0), by="g"),
    "loo": lambda f: [f.loo().elpd, f.loo().se, f.loo().p, f.loo().n_data_points],
}
REFUSED = dict.fromkeys(["kfold", "add_log_likelihood", "posterior_predictive", "stacking_weights"], "read in passes")
OTHER = {
    "history",
    "gradient_norm",
    "newton_decrement",
    "n_iterations",
    "idata",
    "refit",
    "timings",
    "engine",
    "save",
    "notes",
}
NAMES = {
    kind: sorted(name for name in dir(cls) if not name.startswith("_"))
    for kind, cls in (("map", bs.PointEstimate), ("mle", bs.PointEstimate), ("posterior", bs.Posterior))
}


def asked(fit: Any, name: str) -> Any:
    if name in ARGUMENTS:
        return ARGUMENTS[name](fit)
    found = getattr(fit, name)
    return found() if callable(found) and not dataclasses.is_dataclass(found) else found


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_every_public_name_answers_as_in_memory_or_refuses(
    fits: dict[str, tuple[Any, Any]], kind: str, name: str
) -> None:
    here, there = fits[kind]
    if name in OTHER:
        assert hasattr(there, name)
        return
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]) as refused:
            asked(there, name)
        assert len(str(refused.value)) < 300
        return
    try:
        expected = asked(here, name)
    except ValueError as error:  # of a model with groups, say
        with pytest.raises(ValueError, match=re.escape(str(error))):
            asked(there, name)
        return
    same(expected, asked(there, name), rtol=1e-9 if kind == "posterior" else OPTIMA)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        (FORMULA, {"weights": "weight"}),
        (FORMULA, {"available": ON}),
        (FORMULA, {"offset": OFF, "weights": "weight"}),
        (" + ".join(COUNTS) + " ~ a + g", {}),
        ("flag ~ a + g", {}),
    ],
    ids=["weights", "choice sets", "offset", "counts", "two classes"],
)
def test_scores_and_effects_of_all_kinds_of_rows(folder: Path, formula: str, options: Any) -> None:
    here = bs.SoftmaxRegression.from_formula(formula, DATA, **options)
    there = streamed(formula, folder, **options)
    a, b = here.map(), there.map()
    for question in (
        lambda f: f.evaluate(),
        lambda f: f.effects(),
        lambda f: f.effects(at="means"),
        lambda f: f.contrast({"a": 1.0}, {"a": 2.0}, at={"g": "y"}),
    ):
        same(question(a), question(b), OPTIMA)
    post = here.laplace(draws=100, random_seed=1, progressbar=False)
    other = on_source(post, there)
    same(post.evaluate(), other.evaluate())
    same(post.effects(), other.effects())


def test_bounds_of_bins_are_from_a_sample_of_many_rows_which_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "SAMPLE_ROWS", 200)
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 200)
    there = streamed(FORMULA, folder).map().evaluate()
    here = bs.SoftmaxRegression.from_formula(FORMULA, DATA).map().evaluate()
    assert "the bounds of the calibration's bins are from a uniform sample of 200 rows of 900" in there.notes
    assert there.calibration["n_observations"].sum() == here.calibration["n_observations"].sum() == 3 * N
    same(*(one.to_frame().drop(index="calibration_error") for one in (here, there)), rtol=OPTIMA)
    assert abs(here.calibration_error - there.calibration_error) < 0.03


# ---------------------------------------------------------------------------------------------- answers in files


def back(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.iterdir())])


@pytest.mark.parametrize("kind", ["map", "posterior"])
@pytest.mark.parametrize("ci_prob", [None, 0.9])
def test_probabilities_of_a_source_are_written_for_each_partition(
    fits: dict[str, tuple[Any, Any]], folder: Path, tmp_path: Path, kind: str, ci_prob: float | None
) -> None:
    fit = fits[kind][1]
    table = fit.predict_proba(folder, ci_prob, out=tmp_path / "answers")
    found, expected = back(tmp_path / "answers"), fit.predict_proba(DATA, ci_prob)
    names = ["_".join(c) if isinstance(c, tuple) else c for c in expected.columns]
    assert found.columns.tolist() == names
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-12)
    assert table["rows"].sum() == N
    assert all(Path(file).is_file() for file in table.index)
    assert [name.split(",")[0] for name in table["partition"]] == ["part-0.parquet"] * 4 + ["part-2.parquet"] + [
        "part-3.parquet"
    ] * 4


def test_classes_of_a_source_are_written_in_one_type(folder: Path, tmp_path: Path) -> None:
    for label, kind in (("k", "Int64"), ("flag", "boolean"), ("y", "string")):
        fit = bs.SoftmaxRegression.from_formula(f"{label} ~ a + b", DATA).map()
        frames = [DATA.head(3).assign(a=np.nan), DATA]
        rows = fit.predict(lambda frames=frames: frames, missing="nan", out=tmp_path / label)
        found = back(tmp_path / label)[label]
        assert rows.sum() == N + 3
        assert found.dtype == kind
        assert found.isna().sum() == 3
        assert found.iloc[3:].tolist() == fit.predict(DATA).tolist()


def test_rows_in_memory_are_written_with_their_labels(fits: dict[str, tuple[Any, Any]], tmp_path: Path) -> None:
    rows = DATA.head(5).set_index(pd.Index(list("abcde"), name="person"))
    rows.loc["b", "a"] = np.nan
    fit = fits["map"][0]
    table = fit.predict_proba(rows, missing="nan", out=tmp_path / "answers")
    found = pd.read_parquet(table.index[0])
    assert found.index.name == "person"
    np.testing.assert_allclose(found, fit.predict_proba(rows, missing="nan"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_nothing_is_left_of_answers_that_were_cut(
    fits: dict[str, tuple[Any, Any]], tmp_path: Path, error: type[BaseException]
) -> None:
    def frames() -> Iterator[pd.DataFrame]:
        yield DATA.head(300)
        raise error("stopped")

    with pytest.raises((error, ValueError), match="stopped"):
        fits["map"][0].predict_proba(frames, out=tmp_path / "answers")
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_when_the_disk_is_full(
    fits: dict[str, tuple[Any, Any]], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(
        ValueError, match=r"part-0.parquet, row group 0: the answers cannot be written: No space left on device"
    ):
        fits["map"][0].predict_proba(folder, out=tmp_path / "answers")
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_used_are_named(fits: dict[str, tuple[Any, Any]], folder: Path, tmp_path: Path) -> None:
    fit = fits["map"][0]
    with pytest.raises(ValueError, match=r"data: .* is read in passes, .* name a folder for them, out='answers'"):
        fit.predict_proba(folder)
    with pytest.raises(FileExistsError, match=r"out=.* is not empty; name a new folder for the answers"):
        fit.predict(folder, out=folder)
    with pytest.raises(FileExistsError, match=r"out=.* is a file; name a folder"):
        fit.predict(folder, out=folder / "part-0.parquet")
    with pytest.raises(FileNotFoundError, match=r"out=.*there is no folder '/nowhere'"):
        fit.predict(folder, out="/nowhere/answers")
    with pytest.raises(TypeError, match="out=5 must be the name of a folder"):
        fit.predict(folder, out=5)
    with pytest.raises(TypeError, match="offset: data is read in passes, so name columns of it"):
        fit.predict(folder, offset=np.zeros((N, 3)), out=tmp_path / "answers")
    for question in (fit.uncertainty, lambda rows: fit.decide(rows, COSTS)):
        with pytest.raises(ValueError, match=r"data: .* this answer has a row for each of its rows; give a data frame"):
            question(folder)
    (tmp_path / "empty").mkdir()
    assert fit.predict(folder, out=tmp_path / "empty").sum() == N


def test_an_unknown_level_is_named_with_its_partition(fits: dict[str, tuple[Any, Any]], tmp_path: Path) -> None:
    source = tmp_path / "rows"
    source.mkdir()
    DATA.head(10).to_parquet(source / "a.parquet")
    DATA.head(10).assign(g="new").to_parquet(source / "b.parquet")
    with pytest.raises(ValueError, match=r"b.parquet: column 'g' has level 'new' in rows 0, 1"):
        fits["map"][0].predict_proba(source, out=tmp_path / "answers")
    assert not (tmp_path / "answers").exists()


def test_what_is_sent_to_a_cluster_is_small(fits: dict[str, tuple[Any, Any]]) -> None:
    for fit in (fits["map"][1], fits["posterior"][1]):
        question = Probabilities(alone(fit._fitted), fit._fitted.logits and answer_files.Asked({}), "error", None)
        own = sum(values.nbytes for values in fit._fitted.parameters.arrays.values())
        sent = pickle.dumps(question)
        assert len(sent) < own + 20_000
        same(pickle.loads(sent).of(DATA.head(3)).table, fit.predict_proba(DATA.head(3)))


# -------------------------------------------------------------------------------------------- new data as sources


def test_new_data_may_be_a_source(fits: dict[str, tuple[Any, Any]], folder: Path) -> None:
    for kind in ("map", "posterior"):
        fit = fits[kind][1]
        same(fit.evaluate(DATA), fit.evaluate(folder))
        same(fit.effects(data=DATA), fit.effects(data=folder))
    fit = fits["map"][0]
    rates = {"u": 0.2, "v": 0.3, "w": 0.5}
    same(fit.evaluate(DATA, class_prior=rates), fit.evaluate(folder, class_prior=rates))
    same(fit.evaluate(DATA, weights="weight"), fit.evaluate(folder, weights="weight"))
    same(fit.effects(data=DATA, at="means", weights="weight"), fit.effects(data=folder, at="means", weights="weight"))
    gaps = DATA.assign(a=DATA.a.where((np.arange(N) >= 300) & (np.arange(N) % 7 > 0)))
    cut = [gaps.iloc[:300], gaps.iloc[300:301], gaps.iloc[301:]]
    same(fit.evaluate(gaps, missing="drop"), fit.evaluate(lambda: cut, missing="drop"))


def test_new_sources_are_refused_with_their_reasons(fits: dict[str, tuple[Any, Any]], folder: Path) -> None:
    fit = fits["map"][0]
    with pytest.raises(TypeError, match="y, groups: data is read in passes"):
        fit.evaluate(folder, DATA.y)
    with pytest.raises(TypeError, match="weights: data is read in passes, so name columns of it"):
        fit.effects(data=folder, weights=np.ones(N))
    with pytest.raises(ValueError, match="weights: data has no column 'wait'"):
        fit.evaluate(folder, weights="wait")
    with pytest.raises(ValueError, match=r"column 'a' has a missing value in rows 0, 1, 2.*pass missing='drop'"):
        fit.evaluate(lambda: [DATA.assign(a=np.nan)])
    with pytest.raises(ValueError, match="data has no rows left"):
        fit.evaluate(lambda: [DATA.assign(a=np.nan)], missing="drop")


def test_samples_of_new_rows_are_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of 4000 rows in 40 frames 1000 are drawn; their mean is within 4 standard errors, passed wrongly once in 16 000.
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 1000)
    frames = [pd.DataFrame({"x": np.arange(100.0 * i, 100.0 * (i + 1))}) for i in range(40)]
    source = source_of(lambda: frames)
    assert source is not None
    drawn = new_sources.sample_of(LocalPasses(source), ["x"])["x"]
    assert len(set(drawn)) == 1000
    error = np.sqrt(4000**2 / 12 / 1000 * 0.75)
    assert abs(drawn.mean() - 1999.5) < 4 * error


# ------------------------------------------------------------------------------------------------- leave-one-out


def test_a_sample_estimates_leave_one_out_within_its_stated_error(
    fits: dict[str, tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = fits["posterior"]
    exact = here.loo()
    monkeypatch.setattr(source_loo, "LOO_ROWS", 200)
    found = there.loo()
    assert found.subsample_size == 200
    # Wrong once in 16 000, if the error is what is stated; the seed is fixed.
    assert abs(found.elpd - exact.elpd) < 4 * found.subsampling_se
    assert 0 < found.subsampling_se < 0.1 * exact.se
    assert abs(found.se / exact.se - 1) < 0.02


def test_the_difference_estimator_is_unbiased_and_states_its_error() -> None:
    rng = np.random.default_rng(0)
    near = rng.normal(-1.0, 1.0, 2000)
    own = near + 0.1 * rng.gumbel(size=2000)
    over_all = Sums(2000, float(near.sum()), float((near**2).sum()))
    drawn = [rng.choice(2000, 100, replace=False) for _ in range(400)]
    found = [estimated(own[at], near[at], over_all) for at in drawn]
    z = np.array([(one.total - own.sum()) / one.subsampling_se for one in found])
    # Mean of 400 within 4 standard errors of 0, and sd within 20 % of 1: wrong less than once in 10 000.
    assert abs(z.mean()) < 4 / np.sqrt(400)
    assert abs(z.std() - 1) < 0.2
    np.testing.assert_allclose([one.se for one in found], np.sqrt(2000) * own.std(ddof=1), rtol=0.05)
    # A pass that forgot a tenth of the rows is found.
    part = Sums(2000, float(near[200:].sum()), float((near[200:] ** 2).sum()))
    wrong = np.array([(estimated(own[at], near[at], part).total - own.sum()) / found[0].subsampling_se for at in drawn])
    assert abs(wrong.mean()) > 6


def test_models_are_compared_on_a_sample(
    fits: dict[str, tuple[Any, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_here = bs.SoftmaxRegression.from_formula("y ~ a + g", DATA)
    small = small_here.laplace(draws=200, random_seed=1, progressbar=False)
    here = {"big": fits["posterior"][0], "small": small}
    small_there = streamed("y ~ a + g", folder)
    there = {"big": fits["posterior"][1], "small": on_source(small, small_there)}
    exact, found = bs.compare_models(here), bs.compare_models(there)
    assert found["subsampling_dse"].max() == 0.0
    same(pd.DataFrame(exact), pd.DataFrame(found)[exact.columns])
    monkeypatch.setattr(source_loo, "LOO_ROWS", 300)
    part = bs.compare_models(there)
    apart = abs(part.loc["small", "elpd_diff"] - exact.loc["small", "elpd_diff"])
    assert apart < 4 * part.loc["small", "subsampling_dse"]  # wrong once in 16 000
    with pytest.raises(ValueError, match="the rows of one are read in passes, and those of the other are in memory"):
        bs.compare_models({"big": here["big"], "small": there["small"]})
    with pytest.raises(ValueError, match="groups, refit"):
        bs.compare_models(there, refit=True)
    with pytest.raises(ValueError, match="groups, refit"):
        there["big"].loo(groups="g")


def test_leave_one_out_of_weights_is_refused(folder: Path) -> None:
    model = streamed(FORMULA, folder, weights="weight")
    post = bs.SoftmaxRegression.from_formula(FORMULA, DATA).laplace(draws=100, random_seed=1, progressbar=False)
    with pytest.raises(ValueError, match="needs rows of one observation each, without weights or counts"):
        on_source(post, model).loo()


# ------------------------------------------------------------------------------------------------------- saving


@pytest.mark.parametrize("kind", ["map", "posterior"])
def test_a_saved_fit_has_no_rows_says_so_and_predicts(
    fits: dict[str, tuple[Any, Any]], tmp_path: Path, kind: str
) -> None:
    fit = fits[kind][1]
    fit.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    assert "were read in passes, and none of them are stored with the fit" in again.notes[-1]
    same(fit.predict_proba(DATA.head(9)), again.predict_proba(DATA.head(9)))
    same(fit.evaluate(DATA), again.evaluate(DATA))
    with pytest.raises(ValueError, match=r"pass data="):
        again.evaluate()


@pytest.mark.parametrize("kind", ["map", "posterior"])
def test_a_pickled_fit_reads_its_source_again(fits: dict[str, tuple[Any, Any]], kind: str) -> None:
    fit = fits[kind][1]
    again = pickle.loads(pickle.dumps(fit))
    same(fit.evaluate(), again.evaluate())
    same(fit.effects("a"), again.effects("a"))


def test_pictures_of_data_show_rows_of_the_sample(fits: dict[str, tuple[Any, Any]]) -> None:
    here, there = (observed_rows(fit._fitted, limit=100) for fit in fits["map"])
    assert there.n_all == here.n_all == N
    assert there.remark == here.remark == "100 of 900 rows"
    assert there.labels[0].endswith(" of the sample")
    assert there.counts is not None
    assert there.counts.sum() == 100
