"""One file per fit: netCDF or zarr with our own JSON for names and encodings.  No pickle, nothing that executes code.

The root holds a header in its attributes; groups hold what ``idata`` holds, so that ArviZ reads the files of
posteriors too.  Version 2 adds the data: distinct rows once, with the columns that a formula reads.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.labels import label_coefficients
from bayes_softmax.results.limits import Limits, limits_of_rays, no_rays
from bayes_softmax.results.posterior import Posterior
from bayes_softmax.results.stored_data import data_groups_of, read_training
from bayes_softmax.spec.schema import Schema, schema_from_json

FORMAT = "bayes_softmax"
FORMAT_VERSION = 2
SUFFIXES = (".nc", ".zarr")
SCALARS = ("log_likelihood", "log_prior", "total_weight", "gradient_norm", "newton_decrement")
COUNTS = ("n_obs", "n_iterations")
WEIGHTED = ("pareto_k", "ess", "log_evidence")
DATA_GROUPS = ("observed_data", "constant_data", "variables")


def save_estimate(estimate: PointEstimate, path: Any, *, data: bool) -> None:
    """Write a point estimate with its covariance."""
    q, K = estimate.limiting_covariance.shape[:2]
    arrays = xr.Dataset(
        {
            "intercept": ("category_position", estimate.intercept.values),
            "weights": (("feature_position", "category_position"), estimate.weights.values),
            "covariance": (("row", "column"), estimate.limiting_covariance.reshape(q * K, q * K)),
            "history": ("iteration", estimate.history),
        },
        attrs={
            **{name: float(getattr(estimate, name)) for name in SCALARS},
            **{name: int(getattr(estimate, name)) for name in COUNTS},
            "converged": int(estimate.converged),
            "status": estimate.status,
            "notes": list(estimate.notes) or [""],
        },
    )
    if len(estimate.recession):
        arrays["recession"] = ("ray", "coefficient_row", "category_position"), estimate.recession
    if estimate.limits is not None and len(estimate.limits.rows):
        _, rows, lines, centre, scale = estimate.limits
        arrays["row_recession"] = ("row_ray", "category_position", "coefficient_row"), rows
        if len(lines):
            arrays["unseen"] = ("line", "category_position", "coefficient_row"), lines
        arrays["centre"], arrays["scale"] = ("feature_position", centre), ("feature_position", scale)
    groups = data_groups_of(estimate.training, estimate.schema) if data else {}
    _write({"estimate": arrays, **groups}, path, estimate.kind, estimate.schema, {})


def save_posterior(posterior: Posterior, path: Any, *, data: bool) -> None:
    """Write the draws with their data and statistics."""
    groups = {str(n): posterior.idata[n].to_dataset() for n in posterior.idata.children if n not in DATA_GROUPS}
    if data:
        groups |= data_groups_of(posterior.training, posterior.schema)
    extra = {
        "engine": posterior.engine,
        "tune": posterior.tune,
        "notes": list(posterior.notes) or [""],
        "timing_names": list(posterior.timings) or [""],
        "timing_seconds": [float(v) for v in posterior.timings.values()] or [0.0],
        **{name: value for name in WEIGHTED if (value := getattr(posterior, name)) is not None},
    }
    _write(groups, path, "posterior", posterior.schema, extra)


def load(path: Any) -> PointEstimate | Posterior:
    """Read a fit that ``save`` wrote; it answers without PyMC, nutpie or any compilation.

    Parameters
    ----------
    path
        What ``PointEstimate.save`` or ``Posterior.save`` wrote: a ``.nc`` file or a ``.zarr`` folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one of ours, is damaged, or was written by a newer version.
    """
    source = Path(path).expanduser()
    if not source.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    tree = _opened(source)
    if tree.attrs.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} was not written by bayes_softmax")
    try:
        version = int(tree.attrs["format_version"])
        if version <= FORMAT_VERSION:
            return _read(tree)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {type(error).__name__} {error}") from error
    raise ValueError(
        f"{str(path)!r} has format version {version}, this bayes_softmax reads up to {FORMAT_VERSION}: upgrade it"
    )


def _opened(source: Path) -> xr.DataTree:
    """The tree in memory; whatever a library says of a file that is none becomes one sentence."""
    options: dict[str, Any] = {"engine": "zarr", "consolidated": False} if source.is_dir() else {"engine": "h5netcdf"}
    try:
        with xr.open_datatree(source, **options) as opened:
            return opened.load()
    except Exception as error:
        kind = "zarr folder" if source.is_dir() else "netCDF file"
        raise ValueError(f"{str(source)!r} is not a {kind}, or is damaged: {error}") from error


def _read(tree: xr.DataTree) -> PointEstimate | Posterior:
    schema = schema_from_json(tree.attrs["schema"])
    groups = {str(name): tree[name].to_dataset() for name in tree.children}
    training = read_training(groups, schema) if "observed_data" in groups else None
    if tree.attrs["kind"] == "posterior":
        return _read_posterior(tree.attrs, groups, schema, training)
    return _read_estimate(groups["estimate"], str(tree.attrs["kind"]), schema, training)


def _write(groups: Mapping[str, xr.Dataset], path: Any, kind: str, schema: Schema, extra: dict[str, Any]) -> None:
    """Write aside, then rename: a failed save leaves an old file as it was."""
    target = Path(path).expanduser()
    if target.suffix not in SUFFIXES:
        raise ValueError(f"path={str(path)!r} must end in '.nc' (netCDF) or '.zarr'")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} to save in")
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "schema": schema.to_json(),
        **extra,
    }
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=header), **groups})
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    aside = folder / target.name
    try:
        if target.suffix == ".nc":
            tree.to_netcdf(aside, engine="h5netcdf")
        else:
            tree.to_zarr(aside, consolidated=False)
        if target.is_dir():  # a folder cannot be replaced by a rename: the old one steps aside first
            target.rename(folder / "old")
        os.replace(aside, target)
    finally:
        old = folder / "old"
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(folder, ignore_errors=True)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(text) for text in np.atleast_1d(values) if text)


def _read_posterior(
    attrs: Mapping[Any, Any], groups: Mapping[str, xr.Dataset], schema: Schema, training: Any
) -> Posterior:
    names, seconds = np.atleast_1d(attrs["timing_names"]), np.atleast_1d(attrs["timing_seconds"])
    timings = {str(n): float(s) for n, s in zip(names, seconds, strict=True) if n}
    weighted = {name: float(attrs[name]) for name in WEIGHTED if name in attrs}
    tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if name != "variables"})
    posterior = Posterior(
        tree,
        schema,
        str(attrs["engine"]),
        int(attrs["tune"]),
        _texts(attrs["notes"]),
        timings,
        training=training,
        **weighted,  # type: ignore[arg-type]
    )
    posterior.draws  # noqa: B018 (a file without them is damaged: found out now)
    return posterior


def _read_limits(data: xr.Dataset, schema: Schema) -> Limits | None:
    """What an estimate leaves open; older versions wrote the rays of contrasts only."""
    rays = data["recession"].values if "recession" in data else no_rays(schema)
    if "row_recession" in data:
        rows = data["row_recession"].values
        lines = data["unseen"].values if "unseen" in data else rows[:0]
        return Limits(rays, rows, lines, data["centre"].values, data["scale"].values)
    return limits_of_rays(rays) if len(rays) else None


def _read_estimate(data: xr.Dataset, kind: str, schema: Schema, training: Any) -> PointEstimate:
    intercept, weights = label_coefficients(data["intercept"].values, data["weights"].values, schema)
    covariance = data["covariance"].values
    limits = _read_limits(data, schema)
    return PointEstimate(
        kind=kind,
        intercept=intercept,
        weights=weights,
        converged=bool(data.attrs["converged"]),
        status=str(data.attrs["status"]),
        history=data["history"].values,
        schema=schema,
        covariance_of=lambda: covariance,
        limits_of=None if limits is None else lambda: limits,
        notes=_texts(data.attrs["notes"]),
        training=training,
        **{name: float(data.attrs[name]) for name in SCALARS},  # type: ignore[arg-type]
        **{name: int(data.attrs[name]) for name in COUNTS},
    )
