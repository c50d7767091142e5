"""Damaged files answer as before or are refused in words: no other exception, no crash, no hang, nothing run."""

import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numcodecs
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.schema_checks import CHECKS
from bayes_softmax.fits.storage.containers import from_netcdf, from_zarr, to_netcdf, to_zarr
from bayes_softmax.fits.storage.digest import CHECKSUM, checksum
from tests.fits.damage import failures, outcomes, write_damaged
from tests.nets import near_modes

SAVED = Path(__file__).parent / "saved"


def test_sixty_four_damaged_files(tmp_path: Path) -> None:
    write_damaged(tmp_path, 64, seed=11)
    found = outcomes(tmp_path, timeout=300)
    assert len(found) == 64
    assert not failures(found)
    assert sum(f["came"] == "refused" for f in found) > 40


# Files of the versions before -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["v1_map", "v1_posterior", "v2_map", "v2_posterior"])
def test_fits_of_the_versions_before_answer_as_they_did(name: str, tmp_path: Path) -> None:
    path = SAVED / f"{name}.nc"
    if name == "v2_map":
        shutil.unpack_archive(SAVED / "v2_map.zarr.zip", tmp_path)
        path = tmp_path / "map.zarr"
    fit, data = bs.load(path), pd.read_csv(SAVED / "data.csv")
    told = pd.read_csv(SAVED / f"{name}.csv", index_col=0)
    pd.testing.assert_frame_equal(fit.predict_proba(data.head(5)), told, check_names=False, rtol=1e-12)
    assert np.isfinite(fit.evaluate(data).log_loss)
    if name.startswith("v2"):
        assert fit.evaluate().log_loss == pytest.approx(fit.evaluate(data).log_loss, rel=1e-12)
        assert len(fit.effects())
    else:
        with pytest.raises(ValueError, match="needs the data of the fit, which was saved without them"):
            fit.evaluate()
    fit.save(tmp_path / "again.nc")
    again = bs.load(tmp_path / "again.nc")
    pd.testing.assert_frame_equal(again.predict_proba(data.head(5)), fit.predict_proba(data.head(5)))


def test_arrays_of_the_versions_before_and_now(tmp_path: Path) -> None:
    data = pd.read_csv(SAVED / "data.csv")
    X, weights = data[["x"]].to_numpy(), np.arange(30) % 3 + 1.0
    first = bs.load(SAVED / "v1_array.nc")
    assert first.evaluate().log_loss == pytest.approx(first.evaluate(X, data["y"], weights=weights).log_loss, rel=1e-12)
    assert first._fitted.schema.class_totals == tuple(
        np.bincount(data["y"].map({"a": 0, "b": 1, "c": 2}), weights=weights)
    )
    now = bs.SoftmaxRegression(X, data["y"].to_numpy()).map()
    for name in ("v2_array.nc", "v3_array.nc"):
        fit = bs.load(SAVED / name)
        np.testing.assert_allclose(fit.weights, now.weights, rtol=1e-8)
        np.testing.assert_allclose(fit.covariance, now.covariance, rtol=1e-8)
        assert fit.evaluate().log_loss == pytest.approx(now.evaluate().log_loss, rel=1e-9)
        copy = tmp_path / name
        shutil.copy(SAVED / name, copy)
        now.save(copy)  # a fit of any version may be replaced


def test_the_first_fits_do_not_know_base_rates() -> None:
    fit, data = bs.load(SAVED / "v1_map.nc"), pd.read_csv(SAVED / "data.csv")
    assert np.isnan(fit.evaluate(data).mcfadden_r2)
    with pytest.raises(ValueError, match="did not keep the base rates"):
        fit.predict_proba(data, class_prior={"a": 0.2, "b": 0.3, "c": 0.5})


# Files that somebody wrote on purpose, with a checksum that agrees ---------------------------------------------------

Change = Callable[[xr.DataTree], None]


GROUPED = "y ~ (1 + x | g) + (1 | g:h)"
SHORT: dict[str, Any] = {"draws": 10, "tune": 20, "chains": 1, "random_seed": 1, "progressbar": False}


def grouped(data: pd.DataFrame) -> pd.DataFrame:
    """With a second column of levels."""
    return data.assign(h=np.arange(len(data)) % 3)


@pytest.fixture(scope="module")
def bytes_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    data = pd.read_csv(SAVED / "data.csv")
    model = bs.SoftmaxRegression(
        data[["x"]].to_numpy(), pd.get_dummies(data["y"]).astype(float), offset=np.zeros((30, 3)), weights=np.ones(30)
    )
    folder, made = tmp_path_factory.mktemp("whole"), {}
    for name, fit in (
        ("estimate", model.map()),
        ("posterior", model.laplace(draws=100, random_seed=1, progressbar=False)),
        ("formula", bs.SoftmaxRegression.from_formula("y ~ x + g", data).map()),
        ("groups", bs.SoftmaxRegression.from_formula(GROUPED, grouped(data)).sample(**SHORT)),
        ("network", near_modes(bs.SoftmaxRegression(data[["x"]].to_numpy(), data["y"], logits=bs.MLP(hidden=(4,))))),
    ):
        fit.save(folder / f"{name}.nc")
        made[name] = (folder / f"{name}.nc").read_bytes()
    return made


def field(name: str, value: Any) -> Change:
    def change(tree: xr.DataTree) -> None:
        schema = json.loads(tree.attrs["schema"])
        schema["items"] = [[k, value if k == name else v] for k, v in schema["items"]]
        tree.attrs["schema"] = json.dumps(schema)

    return change


def of_logits(name: str, value: Any) -> Change:
    def change(tree: xr.DataTree) -> None:
        logits = json.loads(tree.attrs["logits"])
        logits["data"][name] = value
        tree.attrs["logits"] = json.dumps(logits)

    return change


def attribute(name: str, value: Any) -> Change:
    return lambda tree: tree.attrs.update({name: value})


def entry(group: str, name: str, value: Any) -> Change:
    def change(tree: xr.DataTree) -> None:
        dataset = tree[group].to_dataset()
        values = dataset[name].values.astype(type(value)) if isinstance(value, int) else dataset[name].values.copy()
        values.flat[0] = value
        tree[group] = xr.DataTree(dataset.assign({name: (dataset[name].dims, values)}))

    return change


def shorter(group: str, name: str) -> Change:
    def change(tree: xr.DataTree) -> None:
        dataset = tree[group].to_dataset()
        variable = dataset[name].variable
        dims = [f"{d}_other" for d in variable.dims]
        tree[group] = xr.DataTree(dataset.drop_vars(name).assign({name: (dims, variable.values[1:])}))

    return change


def of_grouping(at: int, name: str, value: Any) -> Change:
    def change(tree: xr.DataTree) -> None:
        schema = json.loads(tree.attrs["schema"])
        (groups,) = (item[1] for item in schema["items"] if item[0] == "groups")
        fields = groups["tuple"][at]
        fields["items"] = [[k, value if k == name else v] for k, v in fields["items"]]
        tree.attrs["schema"] = json.dumps(schema)

    return change


def in_first_draw(name: str, place: tuple[int, ...] | None, value: float) -> Change:
    def change(tree: xr.DataTree) -> None:
        dataset = tree["posterior"].to_dataset()
        values = dataset[name].values.copy()
        values[(0, 0, *(place or ()))] = value
        tree["posterior"] = xr.DataTree(dataset.assign({name: (dataset[name].dims, values)}))

    return change


def relabelled(dim: str) -> Change:
    def change(tree: xr.DataTree) -> None:
        dataset = tree["posterior"].to_dataset()
        tree["posterior"] = xr.DataTree(dataset.assign_coords({dim: dataset[dim].values[::-1]}))

    return change


def without(group: str, name: str) -> Change:
    return lambda tree: tree.__setitem__(group, xr.DataTree(tree[group].to_dataset().drop_vars(name)))


NOT_THOSE = "its logits are not those of its features and classes"
SIZES = {"name": "g", "n_slopes": 0, "has_intercept": True}
CATEGORICAL = {"items": [["kind", "categorical"], ["levels", {"tuple": ["u", "v"]}]]}
OTHER_ENCODER = {"items": [["feature_names", {"tuple": ["z"]}], ["has_intercept", True]]}
CRAFTED: list[tuple[str, Change, str]] = [
    ("estimate", field("classes", {"tuple": ["a", "a", "b"]}), "the schema's classes cannot be ('a', 'a', 'b')"),
    ("estimate", field("classes", {"tuple": [1.5, "a", "b"]}), "the schema's classes cannot be"),
    ("estimate", field("classes", {"tuple": ["a", "b", "d", "c"]}), "the schema's class_totals cannot be"),
    ("estimate", field("classes", {"tuple": ["a", "b", "d"]}), "the labels of 'category' are not those of the model"),
    ("estimate", field("coding", "none"), "the schema's coding cannot be 'none'"),
    ("estimate", field("class_totals", {"tuple": [-1, 0, 1]}), "the schema's class_totals cannot be"),
    ("estimate", field("prior_sd", {"tuple": [None]}), "the schema's prior_sd cannot be"),
    ("estimate", field("encoder", OTHER_ENCODER), "does not have the feature 'x0'"),
    ("estimate", field("encoder", 3), "is damaged"),
    ("estimate", attribute("schema", "[" * 100_000), "RecursionError"),
    ("estimate", attribute("schema", "{}"), "is damaged: "),
    ("estimate", attribute("kind", "guess"), "kind 'guess' is not known; expected mle, map, posterior"),
    ("estimate", attribute("format_version", 0), "format version 0 does not exist"),
    ("estimate", entry("estimate", "weights", np.nan), "'weights' is NaN or infinite in position (0, 0)"),
    ("estimate", entry("estimate", "covariance", -1e9), "'covariance' has a negative variance"),
    ("estimate", entry("constant_data", "frequency_weights", -1.0), "'frequency_weights' is out of range"),
    ("estimate", entry("observed_data", "y", -1.0), "'y' is out of range in position (0, 0)"),
    ("estimate", entry("constant_data", "X", np.inf), "'X' is NaN or infinite in position (0, 0)"),
    ("estimate", shorter("constant_data", "X"), "'X' has 29 rows for 30 responses"),
    ("estimate", shorter("constant_data", "offset"), "'offset' has shape (29, 3), expected (30, 3)"),
    ("estimate", entry("constant_data", "X", 7), "'X' has dtype int64, expected real numbers"),
    ("formula", entry("observed_data", "y", 3), "'y' is out of range in position 0"),
    ("formula", entry("observed_data", "y", -1), "'y' is out of range in position 0"),
    ("formula", entry("variables", "column_0", 2), "'column_0' is out of range in position 0"),
    ("formula", shorter("variables", "column_1"), "'column_1' has shape (29,), expected (30,)"),
    ("posterior", entry("posterior", "weights", np.inf), "'weights' is NaN or infinite in position (0, 0, 0, 0)"),
    ("posterior", shorter("posterior", "weights"), "expected"),
    ("posterior", attribute("ess", -3.0), "effective sample size"),
    ("network", of_logits("hidden", [0]), "hidden=(0,) must be whole numbers, none negative"),
    ("network", of_logits("hidden", []), "hidden=() is a linear function"),
    ("network", of_logits("hidden", [4.0]), "hidden=(4.0,) must be whole numbers"),
    ("network", of_logits("hidden", "4"), "hidden='4' must be a list of numbers"),
    ("network", of_logits("hidden", [5]), "'hidden_1' has shape (2, 50, 1, 4), expected (any, any, 1, 5)"),
    ("network", of_logits("hidden", [10**12]), "'hidden_1' has shape (2, 50, 1, 4), expected"),
    ("network", of_logits("hidden", [4, 4]), "'hidden_2' is missing"),
    ("network", of_logits("activation", "__import__('os').system('true')"), "activation="),
    ("network", of_logits("activation", ["tanh"]), "activation=['tanh'] must be one of"),
    ("network", of_logits("skip", "yes"), "skip='yes' must be True or False"),
    ("network", of_logits("skip", True), "'skip' is missing"),
    ("network", of_logits("centre", [0.0, 0.0]), "centre=(0.0, 0.0) must be 1 finite numbers"),
    ("network", of_logits("scale", [0.0]), "scale=(0.0,) must be 1 finite numbers, scales positive"),
    ("network", of_logits("scale", [float("nan")]), "scale=(nan,) must be 1 finite numbers"),
    ("network", of_logits("n_classes", 2), "its logits are not those of its features and classes"),
    ("network", of_logits("n_features", 2), "must be 2 finite numbers"),
    ("network", of_logits("code", "print()"), "the description of its logits is damaged"),
    ("network", attribute("logits", "[" * 100_000), "the description of its logits is damaged: RecursionError"),
    ("network", attribute("logits", "{}"), "the description of its logits is damaged: KeyError"),
    ("network", entry("posterior", "hidden_1", np.nan), "'hidden_1' is NaN or infinite in position (0, 0, 0, 0)"),
    ("network", shorter("posterior", "hidden_1_bias"), "expected"),
    ("groups", of_grouping(0, "columns", {"items": []}), "the description of a grouping is damaged"),
    ("groups", of_grouping(0, "columns", {"items": [["w/g", CATEGORICAL]]}), "'w/g' cannot be a grouping"),
    ("groups", of_grouping(0, "columns", {"items": [["weights", CATEGORICAL]]}), "the name of something else"),
    ("groups", of_grouping(1, "columns", {"items": [["g", CATEGORICAL]]}), "the levels of the grouping 'g' are"),
    ("groups", of_grouping(1, "seen", {"tuple": [{"tuple": [0, 9]}]}), "the levels of the grouping 'g:h' are damaged"),
    ("groups", of_grouping(1, "seen", {"tuple": [{"tuple": [0, 0]}]}), NOT_THOSE),
    ("groups", of_grouping(0, "has_intercept", 1), "the description of a grouping is damaged"),
    ("groups", of_grouping(0, "has_intercept", False), NOT_THOSE),
    ("groups", of_grouping(0, "slopes", None), NOT_THOSE),
    ("groups", of_grouping(0, "slopes", {"items": [["formula", "__import__('os')"]]}), "is damaged"),
    ("groups", field("groups", {"tuple": []}), NOT_THOSE),
    ("groups", field("groups", 5), "the description of the groupings is damaged"),
    ("groups", of_logits("groups", [{**SIZES, "n_levels": 10**12}]), NOT_THOSE),
    ("groups", of_logits("groups", [{**SIZES, "n_levels": -1}]), "impossible"),
    ("groups", of_logits("groups", [{"name": "g"}]), "the description of its logits is damaged"),
    ("groups", of_logits("groups", 5), "damaged"),
    ("groups", entry("posterior", "g", np.nan), "'g' is NaN or infinite in position (0, 0, 0, 0, 0)"),
    ("groups", shorter("posterior", "g"), "expected"),
    ("groups", entry("posterior", "g_covariance", -5.0), "'g_covariance' is no covariance: it has a negative"),
    ("groups", in_first_draw("g_covariance", (0, 0, 0, 1), 9.0), "is no covariance: it is not symmetric"),
    ("groups", in_first_draw("g_covariance", None, -1e3), "is no covariance: it has a negative"),
    ("groups", relabelled("g_level"), "the labels of 'g_level' are not those of the model"),
    ("groups", relabelled("g_term"), "the labels of 'g_term' are not those of the model"),
    ("groups", entry("constant_data", "group_columns", 0.5), "the levels of 'g' are not those of the model"),
    ("groups", entry("constant_data", "group_columns", 99.0), "the levels of 'g' are not those of the model"),
    ("groups", shorter("constant_data", "group_columns"), "'group_columns' has shape (29, 3), expected (30, 3)"),
    ("groups", without("constant_data", "group_columns"), "'group_columns' is missing"),
    ("groups", without("posterior", "g_covariance"), "'g_covariance' is missing"),
    ("groups", entry("variables", "column_0", 77), "'column_0' is out of range"),
    ("posterior", attribute("timing_seconds", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change", "told", "suffix"),
    [
        (*case, suffix)
        for case in CRAFTED
        for suffix in (".nc", ".zarr")
        if suffix == ".nc" or case[0] not in ("network", "groups")
    ],
)
def test_contents_that_contradict_each_other_are_named(
    kind: str, change: Change, told: str, suffix: str, bytes_of: dict[str, bytes], tmp_path: Path
) -> None:
    tree = from_netcdf(bytes_of[kind])
    change(tree)
    tree.attrs[CHECKSUM] = checksum(tree)
    path = tmp_path / f"crafted{suffix}"
    if suffix == ".nc":
        path.write_bytes(b"".join(to_netcdf(tree)))
    else:
        for name, content in to_zarr(tree).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"crafted\.(nc|zarr)' is damaged") as raised:
        bs.load(path)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_field_of_a_schema_is_checked() -> None:
    assert set(Schema.__dataclass_fields__) - {"encoder", "groups"} <= set(CHECKS)


# What would make a library do more than read --------------------------------------------------------------------------


def zarr_files(bytes_of: dict[str, bytes]) -> dict[str, bytes]:
    return to_zarr(from_netcdf(bytes_of["estimate"]))


def edited(content: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(content), **changes}).encode()


def test_codecs_that_are_not_ours_are_refused(bytes_of: dict[str, bytes]) -> None:
    files = zarr_files(bytes_of)
    name = "constant_data/X/zarr.json"
    with pytest.raises(ValueError, match=r"is stored by numcodecs\.pickle, which is not known"):
        from_zarr({**files, name: edited(files[name], codecs=[{"name": "numcodecs.pickle"}])})
    with pytest.raises(ValueError, match=r"'constant_data/\.zarray' is no part of a fit"):
        from_zarr({**files, "constant_data/.zarray": b"{}"})


def test_sizes_that_no_file_can_hold_are_refused(bytes_of: dict[str, bytes]) -> None:
    files = zarr_files(bytes_of)
    name, chunk = "constant_data/X/zarr.json", "constant_data/X/c/0/0"
    for shape, told in (
        ([30_000, 10**9], "bytes on disk cannot hold"),
        ([10**6, 1], "more chunks than there are files"),
    ):
        size = shape if shape[1] > 1 else [30, 1]
        grid = {"name": "regular", "configuration": {"chunk_shape": size}}
        with pytest.raises(ValueError, match=told):
            from_zarr({**files, name: edited(files[name], shape=shape, chunk_grid=grid)})
    bomb = bytes(numcodecs.Zstd().encode(bytes(10**8)))
    assert len(bomb) < 20_000
    with pytest.raises(ValueError, match="declares more than a chunk"):
        from_zarr({**files, chunk: bomb})


def test_hdf5_that_reaches_beyond_itself_is_refused(tmp_path: Path) -> None:
    def made(change: Callable[[h5py.File], Any]) -> bytes:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            change(file)
        return buffer.getvalue()

    for change, told in (
        (lambda f: f.__setitem__("a", h5py.ExternalLink("/etc/hostname", "/")), "is a link to another place"),
        (lambda f: f.__setitem__("a", h5py.SoftLink("/")), "is a link to another place"),
        (lambda f: f.create_group("a").__setitem__("b", f), "is a group inside a group"),
        (
            lambda f: f.create_dataset("a", (10,), "f8", external=[(str(tmp_path / "x"), 0, 80)]),
            "stores its data in another",
        ),
        (lambda f: f.create_dataset("a", (10**7, 10**7), "f8", chunks=(1000, 1000)), "bytes on disk cannot hold"),
    ):
        with pytest.raises(ValueError, match=told):
            from_netcdf(made(change))


def test_texts_without_end_are_refused(bytes_of: dict[str, bytes]) -> None:
    """HDF5 would loop for ever here; it is not asked where a seal says that bytes have changed, nor without a seal."""
    sealed = bytes_of["estimate"]
    start = sealed.index(b"GCOL\x01\0\0\0")
    changed = sealed[: start + 16] + bytes(64) + sealed[start + 80 :]
    with pytest.raises(ValueError, match="its bytes do not agree with its checksum"):
        from_netcdf(changed)
    with pytest.raises(ValueError, match="a heap of texts in it has no end"):
        from_netcdf(changed[:-86])


def test_an_edited_file_has_lost_its_checksum(bytes_of: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "edited.nc"
    path.write_bytes(bytes_of["estimate"])
    with h5py.File(path, "a") as file:
        file.attrs["status"] = "better"
    with pytest.raises(ValueError, match=r"edited\.nc' is .*damaged.*checksum"):
        bs.load(path)


def test_messages_are_one_line_that_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / "packed.nc").write_bytes(gzip.compress(b"\x1b[31m" * 100))
    with pytest.raises(ValueError, match=r"packed\.nc' is not a netCDF file, or is damaged") as raised:
        bs.load(tmp_path / "packed.nc")
    assert str(raised.value).isprintable()
