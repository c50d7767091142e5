"""What is kept of a fit is its record: what is read is what was handed over, without the fits being known."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.fits.storage.reading import read_record
from bayes_softmax.fits.storage.records import EstimateRecord, PosteriorRecord
from bayes_softmax.fits.storage.writing import save

X = [[0.0], [1.0], [2.0], [3.0]] * 5


class Stranger:
    """Anything that has a record can be saved."""

    def __init__(self, record: EstimateRecord | PosteriorRecord) -> None:
        self.record = record


def same(a: Any, b: Any) -> bool:
    """The same values, whatever holds them."""
    if isinstance(a, xr.DataTree):
        return all(same(a[n].to_dataset(), b[n].to_dataset()) for n in {*a.children, *b.children})
    if isinstance(a, xr.Dataset):
        return bool(a.equals(b))
    if isinstance(a, tuple) and not all(isinstance(part, str) for part in a):
        return all(same(*parts) for parts in zip(a, b, strict=True))
    if isinstance(a, dict):
        return all(same(a[name], b[name]) for name in {*a, *b})
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    return bool(a == b)


@pytest.fixture(scope="module")
def fits() -> dict[str, bs.PointEstimate | bs.Posterior]:
    model = bs.SoftmaxRegression(X, list("abab") * 5)
    separated = bs.SoftmaxRegression(X, list("aabb") * 5)
    with pytest.warns(bs.NotConvergedWarning):
        infinite = separated.mle()
    return {
        "map": model.map(),
        "infinite": infinite,
        "chains": model.sample(draws=20, chains=2, engine="nuts", random_seed=1, progressbar=False),
        "weighted": model.laplace(draws=100, random_seed=1, progressbar=False),
        "prior": model.sample_prior(draws=10, random_seed=1),
    }


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_record_comes_back(suffix: str, fits: dict[str, bs.PointEstimate | bs.Posterior], tmp_path: Path) -> None:
    for name, fit in fits.items():
        path = tmp_path / f"{name}{suffix}"
        save(Stranger(fit._fitted.record), path)
        found = read_record(path)
        assert type(found) is type(fit._fitted.record)
        for field, value in fit._fitted.record._asdict().items():
            if field not in ("schema", "training"):
                assert same(getattr(found, field), value), (name, field)
        assert found.schema.to_json() == fit._fitted.schema.to_json()
        assert found.training is not None
        again = bs.load(path)
        assert repr(again) == repr(fit)
        assert same(again._fitted.record._replace(training=None), found._replace(training=None))
        save(Stranger(fit._fitted.record), path, data=False)
        assert read_record(path).training is None


def test_a_copy_has_the_record_of_its_fit(fits: dict[str, bs.PointEstimate | bs.Posterior]) -> None:
    for name, fit in fits.items():
        record, copied = fit._fitted.record._asdict(), pickle.loads(pickle.dumps(fit._fitted)).record._asdict()
        for field in set(record) - {"schema", "training"}:
            assert same(record[field], copied[field]), (name, field)


def test_keeping_knows_no_kind_of_fit() -> None:
    code = "import sys, bayes_softmax.fits.storage.writing; print([m for m in sys.modules if 'fits' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "storage.writing" in done.stdout
    assert "estimate'" not in done.stdout
    assert "draws'" not in done.stdout.replace("storage.draws'", "")
    assert "posterior'" not in done.stdout
