"""One file per fit: netCDF with our own JSON for names and encodings.  No pickle, nothing that executes code."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.posterior import Posterior
from bayes_softmax.spec.schema import Schema, schema_from_json

FORMAT = "bayes_softmax"
FORMAT_VERSION = 1
SCALARS = ("log_likelihood", "log_prior", "total_weight", "gradient_norm", "newton_decrement")
COUNTS = ("n_obs", "n_iterations")
WEIGHTED = ("pareto_k", "ess", "log_evidence")


def save_estimate(estimate: PointEstimate, path: Any) -> None:
    """Write a point estimate with its covariance."""
    q, K = estimate.raw_covariance.shape[:2]
    arrays = xr.Dataset(
        {
            "intercept": ("category_position", estimate.intercept.values),
            "weights": (("feature_position", "category_position"), estimate.weights.values),
            "covariance": (("row", "column"), estimate.raw_covariance.reshape(q * K, q * K)),
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
    _write({"estimate": arrays}, path, estimate.kind, estimate.schema, {})


def save_posterior(posterior: Posterior, path: Any) -> None:
    """Write the draws with their data and statistics."""
    groups = {name: posterior.idata[name].to_dataset() for name in posterior.idata.children}
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
    """Read a fit that ``save`` wrote; it predicts without PyMC, nutpie or any compilation.

    Parameters
    ----------
    path
        File written by ``PointEstimate.save`` or ``Posterior.save``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one of ours, is damaged, or was written by a newer version.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        with xr.open_datatree(source, engine="h5netcdf") as opened:
            tree = opened.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{str(path)!r} is not a netCDF file, or is damaged: {error}") from error
    attrs = tree.attrs
    if attrs.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} was not written by bayes_softmax")
    if int(attrs["format_version"]) > FORMAT_VERSION:
        raise ValueError(
            f"{str(path)!r} has format version {attrs['format_version']}, this bayes_softmax reads up to "
            f"{FORMAT_VERSION}: upgrade it"
        )
    schema = schema_from_json(attrs["schema"])
    if attrs["kind"] == "posterior":
        return _read_posterior(tree, schema)
    return _read_estimate(tree["estimate"].to_dataset(), str(attrs["kind"]), schema)


def _write(groups: dict[str, xr.Dataset], path: Any, kind: str, schema: Schema, extra: dict[str, Any]) -> None:
    """Write aside, then rename: a failed save leaves an old file as it was."""
    target = Path(path)
    if target.suffix != ".nc":
        raise ValueError(f"path={str(path)!r} must end in '.nc' (netCDF)")
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
    handle, aside = tempfile.mkstemp(suffix=".nc", dir=target.parent)
    os.close(handle)
    try:
        tree.to_netcdf(aside, engine="h5netcdf")
        os.replace(aside, target)
    finally:
        Path(aside).unlink(missing_ok=True)


def _read_posterior(tree: xr.DataTree, schema: Schema) -> Posterior:
    attrs = tree.attrs
    groups = {name: tree[name].to_dataset() for name in tree.children}
    names, seconds = np.atleast_1d(attrs["timing_names"]), np.atleast_1d(attrs["timing_seconds"])
    timings = {str(n): float(s) for n, s in zip(names, seconds, strict=True) if n}
    notes = tuple(str(note) for note in np.atleast_1d(attrs["notes"]) if note)
    weighted = {name: float(attrs[name]) for name in WEIGHTED if name in attrs}
    tree = xr.DataTree.from_dict(groups)
    return Posterior(tree, schema, str(attrs["engine"]), int(attrs["tune"]), notes, timings, **weighted)


def _read_estimate(data: xr.Dataset, kind: str, schema: Schema) -> PointEstimate:
    intercept, weights = label_coefficients(data["intercept"].values, data["weights"].values, schema)
    covariance = data["covariance"].values
    return PointEstimate(
        kind=kind,
        intercept=intercept,
        weights=weights,
        converged=bool(data.attrs["converged"]),
        status=str(data.attrs["status"]),
        history=data["history"].values,
        schema=schema,
        covariance_of=lambda: covariance,
        notes=tuple(str(note) for note in np.atleast_1d(data.attrs["notes"]) if note),
        log_likelihood=float(data.attrs["log_likelihood"]),
        log_prior=float(data.attrs["log_prior"]),
        total_weight=float(data.attrs["total_weight"]),
        gradient_norm=float(data.attrs["gradient_norm"]),
        newton_decrement=float(data.attrs["newton_decrement"]),
        n_obs=int(data.attrs["n_obs"]),
        n_iterations=int(data.attrs["n_iterations"]),
    )


def label_coefficients(intercept: Any, weights: Any, schema: Schema) -> tuple[xr.DataArray, xr.DataArray]:
    """Intercept (K,) and weights (p, K) as labelled arrays."""
    category = {"category": schema.category_coordinate}
    feature = {"feature": np.array(schema.feature_names, dtype=str)}
    return (
        xr.DataArray(intercept, dims="category", coords=category, name="intercept"),
        xr.DataArray(weights, dims=("feature", "category"), coords={**feature, **category}, name="weights"),
    )
