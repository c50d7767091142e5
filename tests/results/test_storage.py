"""One file per fit, read back whole; foreign and damaged files are named."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.spec.schema import schema_from_json
from tests.conftest import simulate


def test_posterior_round_trip(posterior: bs.Posterior, penguins: pd.DataFrame, tmp_path: Path) -> None:
    posterior.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(
        again.predict_proba(penguins, ci_prob=0.9), posterior.predict_proba(penguins, ci_prob=0.9)
    )
    pd.testing.assert_frame_equal(again.summary(), posterior.summary())
    assert again.engine == posterior.engine
    assert again.notes == posterior.notes
    assert dict(again.timings) == dict(posterior.timings)
    xr.testing.assert_identical(again.idata["posterior"].to_dataset(), posterior.idata["posterior"].to_dataset())


def test_estimate_round_trip(overlapping: bs.SoftmaxRegression, penguins: pd.DataFrame, tmp_path: Path) -> None:
    fit = overlapping.map()
    fit.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.summary(), fit.summary())
    pd.testing.assert_frame_equal(again.predict_proba(penguins, ci_prob=0.9), fit.predict_proba(penguins, ci_prob=0.9))
    assert repr(again) == repr(fit)


@pytest.mark.parametrize("y", [np.array([0, 1, 2]), np.array([True, False]), np.array(["é", "b c"], dtype=object)])
def test_class_types_survive(y: np.ndarray, tmp_path: Path) -> None:
    X, codes = simulate(50, 1, len(y))
    fit = bs.SoftmaxRegression(X, y[codes]).map()
    fit.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    assert again.schema.classes == fit.schema.classes
    assert [type(c) for c in again.schema.classes] == [type(c) for c in fit.schema.classes]
    pd.testing.assert_series_equal(again.predict(X), fit.predict(X))


def test_transforms_and_levels_survive(penguins: pd.DataFrame, tmp_path: Path) -> None:
    formula = "species ~ scale(bill_length_mm) * sex + bs(body_mass_g, df=4) + C(year) + np.log(flipper_length_mm)"
    fit = bs.SoftmaxRegression.from_formula(formula, penguins).map()
    fit.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.predict_proba(penguins.iloc[:5]), fit.predict_proba(penguins.iloc[:5]))


def test_a_formula_in_a_file_cannot_execute_code(overlapping: bs.SoftmaxRegression) -> None:
    fields = json.loads(overlapping.schema.to_json())
    text = json.dumps(fields).replace("bill_length_mm + sex", "eval('print(1)')")
    with pytest.raises(ValueError, match="function 'eval' is not known"):
        schema_from_json(text).encode(pd.DataFrame({"bill_length_mm": [1.0], "sex": ["male"]}))


def test_foreign_damaged_and_missing_files_are_named(posterior: bs.Posterior, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        bs.load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("not a netCDF file")
    with pytest.raises(ValueError, match="is not a netCDF file, or is damaged"):
        bs.load(tmp_path / "text.nc")
    posterior.save(tmp_path / "cut.nc")
    whole = (tmp_path / "cut.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        bs.load(tmp_path / "cut.nc")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="was not written by bayes_softmax"):
        bs.load(tmp_path / "other.nc")


def test_a_failed_save_leaves_the_old_file(
    overlapping: bs.SoftmaxRegression, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = overlapping.map()
    fit.save(tmp_path / "fit.nc")
    before = (tmp_path / "fit.nc").read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    with pytest.raises(OSError, match="disk full"):
        fit.save(tmp_path / "fit.nc")
    assert (tmp_path / "fit.nc").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_bad_paths(overlapping: bs.SoftmaxRegression, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in '.nc'"):
        overlapping.map().save(tmp_path / "fit.pkl")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        overlapping.map().save(tmp_path / "no" / "fit.nc")
