"""Fits of rows that are read in passes: few of them, the same results as in memory, and checkpoints.

Statistical tests state their error rates; their seeds are fixed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering, samples
from bayes_softmax.data.sources.passes import LocalPasses
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.density import streamed as module
from bayes_softmax.fitting import streamed_mode
from bayes_softmax.inference import certificate
from tests.data.sources.real_data import parquet_files

N, N_PARTS, SAMPLE = 12_000, 4, 3000
FORMULA = "y ~ a + b + C(g) + flag"


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "a": rng.normal(5.0, 2.0, N),
            "b": rng.normal(0.0, 1e-3, N),
            "g": rng.choice(list("xyz"), N),
            "flag": (rng.random(N) < 0.01).astype(float),
            "w": rng.integers(0, 4, N).astype(float),
            "s": rng.normal(size=N),
            "t": 0.0,
        }
    )
    logits = np.column_stack([0.2 * data.a, 300.0 * data.b, 2.0 * data.flag])
    data["y"] = np.array(["u", "v", "w"])[(logits + rng.gumbel(size=(N, 3))).argmax(axis=1)]
    return data


DATA = frame()


@pytest.fixture(scope="module", autouse=True)
def streaming() -> Iterator[None]:
    """Small data are read in passes, with a sample of a part of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "IN_MEMORY", 0)
        patch.setattr(samples, "SAMPLE_ROWS", SAMPLE)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parquet_files(DATA, tmp_path_factory.mktemp("rows"), N_PARTS)


def streamed(folder: Path, **options: Any) -> bs.SoftmaxRegression:
    model = bs.SoftmaxRegression.from_formula(FORMULA, folder, **options)
    assert isinstance(model._spec.rows, StreamedRows)
    return model


def titles(model: bs.SoftmaxRegression) -> list[str]:
    assert model._spec.streamed is not None
    return model._spec.streamed.log


CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "reference": {"coding": "reference"},
    "full coding": {"coding": "full", "prior": bs.Normal(1.0)},
    "Student t": {"prior": bs.StudentT(4, 0.5)},
    "Laplace": {"prior": bs.Laplace(0.1)},
    "weights": {"weights": "w"},
    "offset": {"offset": ["s", "t", "t"]},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["mle", "map"])
def test_estimates_are_those_of_memory_in_few_passes(folder: Path, case: str, kind: str) -> None:
    model, same = streamed(folder, **CASES[case]), bs.SoftmaxRegression.from_formula(FORMULA, DATA, **CASES[case])
    found, expected = getattr(model, kind)(), getattr(same, kind)()
    n = len(titles(model))
    assert n <= (5 if case == "Laplace" and kind == "map" else 4)  # steps of proximal Newton are not refined
    assert found.converged
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-6, atol=1e-7 * float(abs(found.weights).max()))
    np.testing.assert_allclose(found.std_error["weights"], expected.std_error["weights"], rtol=1e-6)
    assert len(titles(model)) == n  # the covariance is that of the last pass
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-11)
    assert any(f"{n} passes over {N:,} rows" in note for note in found.notes)


@pytest.mark.parametrize(("prior", "size"), [(None, 15.0), (bs.Laplace(0.1), 4.0)])
def test_a_poor_start_costs_passes_and_not_the_optimum(
    folder: Path, monkeypatch: pytest.MonkeyPatch, prior: Any, size: float
) -> None:
    expected = streamed(folder, prior=prior).map()
    far = size * np.random.default_rng(1).normal(size=2 * 6)
    monkeypatch.setattr(streamed_mode, "start_of", lambda *_: far)
    model = streamed(folder, prior=prior)
    found = model.map()
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-6)
    assert "log-likelihood at 24 points" in titles(model)  # shorter steps are one pass together


def test_many_coefficients_take_a_pass_for_each_product(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = streamed(folder).map()
    monkeypatch.setattr(certificate, "DENSE_DIMENSION", 5)
    model = streamed(folder)
    model.map()
    assert "product with the Hessian" not in titles(model)  # which comes with the gradient
    monkeypatch.setattr(module, "MANY_PAIRS", 0)
    model = streamed(folder)
    found = model.map()
    assert found.converged
    assert 0 < titles(model).count("product with the Hessian") < 20
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-6)


@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs", "gradient-descent"])
def test_other_solvers_start_at_the_sample_too(folder: Path, solver: str) -> None:
    expected, model = streamed(folder).map(), streamed(folder)
    found = model.map(solver=solver)
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-4)


def test_a_level_that_the_sample_lacks_or_separates(folder: Path, tmp_path: Path) -> None:
    data = DATA.assign(flag=0.0)
    rng = np.random.default_rng(3)
    data.loc[rng.choice(N, 12, replace=False), "flag"] = 1.0
    data.loc[data.flag == 1, "y"] = ["u"] * 6 + ["v"] * 3 + ["w"] * 3
    data.iloc[: N // 2].to_parquet(tmp_path / "a.parquet")
    data.iloc[N // 2 :].to_parquet(tmp_path / "b.parquet")
    model, same = streamed(tmp_path), bs.SoftmaxRegression.from_formula(FORMULA, data)
    for kind in ("mle", "map"):
        before = len(titles(model))
        found, expected = getattr(model, kind)(), getattr(same, kind)()
        assert found.converged
        assert len(titles(model)) - before <= 5
        np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-6, atol=1e-6)


def test_jeffreys_prior_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"prior=Jeffreys\(\) needs the rows in memory"):
        streamed(folder, prior=bs.Jeffreys()).map()


def test_a_finished_checkpoint_is_one_pass(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    first = streamed(folder, checkpoint=path)
    once = {kind: getattr(first, kind)() for kind in ("mle", "map")}
    for kind in ("map", "mle"):  # which do not clash
        model = streamed(folder, checkpoint=str(path))
        again = getattr(model, kind)()
        assert len(titles(model)) == 1
        np.testing.assert_allclose(again.weights, once[kind].weights, rtol=1e-7)
    assert [name.name for name in tmp_path.iterdir()] == ["fit.json"]


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, error: type[BaseException]) -> None:
    """Raise in pass ``at`` of those after the first two."""
    original, made = LocalPasses.run, []

    def run(self: Any, reader: Any, task: Any, merge: Any, title: str) -> Any:
        made.append(title)
        if title.startswith(f"pass {at + 2},"):
            raise error("on purpose")
        return original(self, reader, task, merge, title)

    monkeypatch.setattr(LocalPasses, "run", run)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_fit_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    path = tmp_path / "fit.json"
    n = len(titles_of_map(folder))
    with monkeypatch.context() as patch:
        interrupted(patch, n, error)
        with pytest.raises(error) as raised:
            streamed(folder, checkpoint=path).map()
    told = str(raised.value) + "".join(getattr(raised.value, "__notes__", []))
    assert f"{path} has its last complete pass" in told
    assert json.loads(path.read_text())["fits"][0]["passes"] == n - 1
    model = streamed(folder, checkpoint=path)
    found = model.map()
    assert found.converged
    assert len(titles(model)) == 2  # that of the point, and the one that was cut


def titles_of_map(folder: Path) -> list[str]:
    model = streamed(folder)
    model.map()
    return titles(model)


def test_without_a_checkpoint_an_interrupt_says_what_would_have_helped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, 2, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt, match=r"interrupted in pass 2 .* with checkpoint='fit.json'"):
        streamed(folder).map()


def test_a_checkpoint_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    streamed(folder, checkpoint=path).map()
    before = path.read_text()
    with pytest.raises(ValueError, match=r"is of another model: it has 5 features, and this model 1"):
        bs.SoftmaxRegression.from_formula("y ~ a", folder, checkpoint=path).map()
    with pytest.raises(ValueError, match=r"another model: the features have 'b' where this model has 's'"):
        bs.SoftmaxRegression.from_formula("y ~ a + s + C(g) + flag", folder, checkpoint=path).map()
    with pytest.raises(ValueError, match=r"the observations of each class"):
        streamed(folder, checkpoint=path, weights="w").map()
    assert path.read_text() == before
    for other in ({"prior": bs.Normal(0.3)}, {"coding": "reference"}):  # fits of the same rows
        assert streamed(folder, checkpoint=path, **other).map().converged
    assert len(json.loads(path.read_text())["fits"]) == 3


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', '{"fits": 1}', "\x00"])
def test_what_is_no_checkpoint_is_not_overwritten(folder: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a checkpoint of this package"):
        streamed(folder, checkpoint=path).map()
    assert path.read_text() == text


def test_a_checkpoint_needs_a_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in a folder that does not exist"):
        streamed(folder, checkpoint=tmp_path / "no" / "fit.json").map()
    with pytest.raises(ValueError, match="is a folder"):
        streamed(folder, checkpoint=tmp_path).map()
