"""One file per fit, read back whole; foreign and damaged files are named."""

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.data.schema import schema_from_json
from tests.conftest import simulate
from tests.inside import changed


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
    assert again.classes == fit.classes
    assert [type(c) for c in again.classes] == [type(c) for c in fit.classes]
    pd.testing.assert_series_equal(again.predict(X), fit.predict(X))


def test_transforms_and_levels_survive(penguins: pd.DataFrame, tmp_path: Path) -> None:
    formula = "species ~ scale(bill_length_mm) * sex + bs(body_mass_g, df=4) + C(year) + np.log(flipper_length_mm)"
    fit = bs.SoftmaxRegression.from_formula(formula, penguins).map()
    fit.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.predict_proba(penguins.iloc[:5]), fit.predict_proba(penguins.iloc[:5]))


def test_a_formula_in_a_file_cannot_execute_code(overlapping: bs.SoftmaxRegression) -> None:
    """Version 3 holds terms as data, older files the text: both meet the same table of functions."""
    text = overlapping._spec.schema.to_json()
    terms = text.replace('["column", "sex", false]', '["call", "eval", [["column", "sex", false]], []]')
    assert terms != text
    with pytest.raises(ValueError, match="function 'eval' is not known"):
        schema_from_json(terms)
    older = json.loads(text)
    encoder = next(value for key, value in older["items"] if key == "encoder")
    encoder["items"] = [item for item in encoder["items"] if item[0] not in ("terms", "edition")]
    assert schema_from_json(json.dumps(older)).feature_names == overlapping.feature_names
    with pytest.raises(ValueError, match="function 'eval' is not known"):
        schema_from_json(json.dumps(older).replace("bill_length_mm + sex", "eval('print(1)')"))


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


def test_a_failed_save_leaves_the_old_folder(
    overlapping: bs.SoftmaxRegression, penguins: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = overlapping.map()
    fit.save(tmp_path / "fit.zarr")
    fit.save(tmp_path / "fit.zarr")  # a second time: the folder is replaced
    expected = fit.predict_proba(penguins)
    for fail in ("replace", "mkdtemp"):
        with monkeypatch.context() as patched:
            module = os if fail == "replace" else tempfile

            def broken(*_: object, **__: object) -> None:
                raise OSError("disk full")

            patched.setattr(module, fail, broken)
            with pytest.raises(OSError, match="disk full"):
                overlapping.mle().save(tmp_path / "fit.zarr")
        assert [p.name for p in tmp_path.iterdir()] == ["fit.zarr"]
        pd.testing.assert_frame_equal(bs.load(tmp_path / "fit.zarr").predict_proba(penguins), expected)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("form", ["labels", "weights", "counts", "offset", "collapsed"])
def test_data_survive(form: str, suffix: str, tmp_path: Path) -> None:
    """What is computed from the data is the same to the last digits after loading, whatever form they had."""
    rng = np.random.default_rng(0)
    X, y = simulate(60, 2, 3)
    options: dict = {"feature_names": ["a/b", "c"]}
    if form == "collapsed":
        X = np.round(X)
    if form == "weights":
        options["weights"] = rng.integers(1, 4, size=60)
    if form == "counts":
        y = rng.multinomial(3, [0.5, 0.3, 0.2], size=60)
    if form == "offset":
        options["offset"] = rng.normal(size=(60, 3))
    model = bs.SoftmaxRegression(X, y, **options)
    assert (model._spec.collapsed is not None) == (form == "collapsed")
    post, point = model.laplace(draws=4000, random_seed=2, progressbar=False), model.map()
    for fit in (post, point):
        fit.save(tmp_path / f"fit{suffix}")
        again = bs.load(tmp_path / f"fit{suffix}")
        pd.testing.assert_frame_equal(again.effects(), fit.effects())
        for loo in (False, True):
            pd.testing.assert_frame_equal(again.evaluate(loo=loo).to_frame(), fit.evaluate(loo=loo).to_frame())
    post.save(tmp_path / "post.nc")
    again = bs.load(tmp_path / "post.nc")
    xr.testing.assert_identical(again.loo().elpd_i, post.loo().elpd_i)
    pd.testing.assert_frame_equal(again.posterior_predictive(random_seed=1), post.posterior_predictive(random_seed=1))


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_groups_that_were_added_survive(suffix: str, tmp_path: Path) -> None:
    """The log prior is a statistic and a group: xarray reads no variable that is named like a group."""
    model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 5, list("abab") * 5)
    fit = model.laplace(draws=100, random_seed=1, progressbar=False)
    fit.add_log_likelihood()
    fit.add_log_prior()
    fit.save(tmp_path / f"fit{suffix}")
    again = bs.load(tmp_path / f"fit{suffix}")
    for group in ("log_likelihood", "log_prior", "sample_stats"):
        xr.testing.assert_equal(again.idata[group].to_dataset(), fit.idata[group].to_dataset())


def test_columns_of_formulas_survive(penguins: pd.DataFrame, tmp_path: Path) -> None:
    data = penguins.assign(heavy=penguins["body_mass_g"] > 4000, size=pd.cut(penguins["flipper_length_mm"], 3))
    formula = "species ~ poly(bill_length_mm, 2) * sex + heavy + size + C(year)"
    for collapse in (True, False):
        fit = bs.SoftmaxRegression.from_formula(formula, data, collapse=collapse).map()
        fit.save(tmp_path / "fit.nc")
        again = bs.load(tmp_path / "fit.nc")
        pd.testing.assert_frame_equal(again.effects(), fit.effects(), rtol=1e-9)
        pd.testing.assert_frame_equal(again.effects(at="means"), fit.effects(at="means"), rtol=1e-9)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("rounded", [True, False])
def test_classes_on_offer_survive(rounded: bool, suffix: str, tmp_path: Path) -> None:
    X, y = simulate(60, 2, 3)
    X = np.round(X) if rounded else X
    available = np.array([[True, True, row > 0] for row in X[:, 0]]) | np.eye(3, dtype=bool)[y]
    model = bs.SoftmaxRegression(X, y, available=available)
    assert (model._spec.collapsed is not None) == rounded
    fit = model.map()
    assert fit._fitted.training is not None
    offered = fit._fitted.training.distinct.available.copy()
    fit.save(tmp_path / f"fit{suffix}")
    again = bs.load(tmp_path / f"fit{suffix}")._fitted.training
    assert again is not None
    assert again.distinct.available is not None
    assert again.distinct.available.dtype == bool
    np.testing.assert_array_equal(again.distinct.available, offered)
    offered[fit._fitted.training.row_map[7], y[7]] = False
    distinct = replace(fit._fitted.training.distinct, available=offered)
    fit = changed(fit, training=replace(fit._fitted.training, distinct=distinct))
    with pytest.raises(ValueError, match=r"could not be loaded again: .* (not|no class is) on offer"):
        fit.save(tmp_path / f"wrong{suffix}")


def test_the_prior_survives(overlapping: bs.SoftmaxRegression, tmp_path: Path) -> None:
    prior = overlapping.sample_prior(draws=50, random_seed=1)
    prior.save(tmp_path / "prior.nc")
    again = bs.load(tmp_path / "prior.nc")
    assert repr(again) == repr(prior)
    pd.testing.assert_frame_equal(again.posterior_predictive(random_seed=1), prior.posterior_predictive(random_seed=1))


def test_data_can_be_left_out(posterior: bs.Posterior, penguins: pd.DataFrame, tmp_path: Path) -> None:
    posterior.save(tmp_path / "bare.nc", data=False)
    again = bs.load(tmp_path / "bare.nc")
    assert "constant_data" not in again.idata
    pd.testing.assert_frame_equal(again.evaluate(penguins).to_frame(), posterior.evaluate(penguins).to_frame())
    for call, name in ((again.effects, "an average over the data"), (again.evaluate, r"evaluate\(\)")):
        with pytest.raises(ValueError, match=f"{name} needs the data of the fit, which was saved without them"):
            call()


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_files_cut_short_are_damaged(posterior: bs.Posterior, share: float, tmp_path: Path) -> None:
    posterior.save(tmp_path / "cut.nc")
    whole = (tmp_path / "cut.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="damaged"):
        bs.load(tmp_path / "cut.nc")


@pytest.mark.parametrize("missing", ["schema", "kind", "format_version", "engine", "posterior", "X", "y", "column_0"])
def test_files_with_parts_missing_are_damaged(posterior: bs.Posterior, missing: str, tmp_path: Path) -> None:
    posterior.save(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as opened:
        tree = opened.load()
    groups = {name: tree[name].to_dataset() for name in tree.children}
    groups = {name: g.drop_vars(missing, errors="ignore") for name, g in groups.items() if name != missing}
    header = xr.Dataset(attrs={k: v for k, v in tree.attrs.items() if k != missing})
    xr.DataTree.from_dict({"/": header, **groups}).to_netcdf(tmp_path / "part.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"part\.nc' is damaged"):
        bs.load(tmp_path / "part.nc")


def test_newer_versions_are_named(posterior: bs.Posterior, tmp_path: Path) -> None:
    posterior.save(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as opened:
        tree = opened.load()
    tree.attrs["format_version"] = 99
    tree.to_netcdf(tmp_path / "new.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="has format version 99, this bayes_softmax reads up to 4: upgrade it"):
        bs.load(tmp_path / "new.nc")


def test_arviz_reads_the_file(posterior: bs.Posterior, tmp_path: Path) -> None:
    posterior.save(tmp_path / "fit.nc")
    theirs = az.summary(az.from_netcdf(tmp_path / "fit.nc", engine="h5netcdf"), var_names=["weights"])
    pd.testing.assert_frame_equal(theirs, az.summary(posterior.idata, var_names=["weights"]))


def test_bad_paths(overlapping: bs.SoftmaxRegression, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in '.nc' \(netCDF\) or '.zarr'"):
        overlapping.map().save(tmp_path / "fit.pkl")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        overlapping.map().save(tmp_path / "no" / "fit.nc")


@pytest.mark.parametrize("name", ["customers.csv", "customers.csv.gz", "Data.TSV", "d.parquet"])
def test_a_table_is_no_fit(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x,y\n1,a\n")
    with pytest.raises(ValueError, match=r"is a table, not a saved fit; a fit is a \.nc file or a \.zarr folder"):
        bs.load(tmp_path / name)


def test_a_fit_is_read_whatever_its_file_is_called(tmp_path: Path) -> None:
    fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    fit.save(tmp_path / "fit.nc")
    (tmp_path / "fit.nc").rename(tmp_path / "fit.csv")
    assert bs.load(tmp_path / "fit.csv").predict([[9.0]]).tolist() == ["b"]
