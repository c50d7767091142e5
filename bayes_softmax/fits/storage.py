"""One file per fit: netCDF or zarr with our own JSON for names and encodings.  No pickle, nothing that executes code.

The root holds a header in its attributes; groups hold what ``idata`` holds, so that ArviZ reads the files of
posteriors too.  Version 2 adds the data: distinct rows once, with the columns that a formula reads.  Version 3 adds
a checksum over all of it.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.schema import Schema, schema_from_json
from bayes_softmax.fits.containers import from_netcdf, from_zarr, is_sealed, to_netcdf, to_zarr
from bayes_softmax.fits.digest import CHECKSUM, checksum
from bayes_softmax.fits.estimate import PointEstimate
from bayes_softmax.fits.files import found_at, read_folder, replace_file, replace_folder
from bayes_softmax.fits.ownership import FORMAT, refuse_strange_file, refuse_strange_folder
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fits.stored_checks import KINDS, check_draws, check_estimate
from bayes_softmax.fits.stored_data import data_groups_of, read_training
from bayes_softmax.separation.limits import Limits, limits_of_rays, no_rays
from bayes_softmax.spec.linear import LinearLogits
from bayes_softmax.spec.logits import UnknownLogitsError, logits_from_json, logits_to_json

FORMAT_VERSION = 3
FIRST_WITH_CHECKSUM = 3
SUFFIXES = (".nc", ".zarr")
SCALARS = ("log_likelihood", "log_prior", "total_weight", "gradient_norm", "newton_decrement")
COUNTS = ("n_obs", "n_iterations")
WEIGHTED = ("pareto_k", "ess", "log_evidence")
DATA_GROUPS = ("observed_data", "constant_data", "variables")
LOGITS = "logits"
LONGEST_REASON = 300  # characters of what a library says of a file


def save_estimate(estimate: PointEstimate, path: Any, *, data: bool) -> None:
    """Write a point estimate with its covariance."""
    large = estimate.variance_of is not None
    arrays = xr.Dataset(
        {
            **{
                name: ([f"{dim}_position" for dim in dims], estimate.values[name].values)
                for name, dims in estimate.logits.dims.items()
            },
            **({} if large else {"covariance": (("row", "column"), estimate.parameter_covariance)}),
            **({"variances": (("coefficient_row", "class_row", "class_column"), estimate.variances)} if large else {}),
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
    _write({"estimate": arrays, **groups}, path, estimate.kind, estimate.schema, estimate.logits, {})


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
    _write(groups, path, "posterior", posterior.schema, posterior.logits, extra)


def load(path: Any, *, logits: Logits | None = None) -> PointEstimate | Posterior:
    """Read a fit that ``save`` wrote; it answers without PyMC, nutpie or any compilation.

    Parameters
    ----------
    path
        What ``PointEstimate.save`` or ``Posterior.save`` wrote: a ``.nc`` file or a ``.zarr`` folder.
    logits
        The function that logits are computed by, where it is not one of the package: a file holds no code.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one of ours, is damaged, or was written by a newer version; if its logits are of a kind that
        is not known and not given.
    """
    source = Path(path).expanduser()
    place = found_at(source)
    if place is None:
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    tree, sealed = _opened(source, place.is_dir())
    if tree.attrs.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} was not written by bayes_softmax")
    try:
        version = int(tree.attrs["format_version"])
        if version <= FORMAT_VERSION:
            _verify(tree, version, sealed=sealed)
            return _read(tree, version, logits)
    except UnknownLogitsError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    except Exception as error:  # contents can be wrong in any way, and libraries say so in any way
        raise ValueError(f"{str(path)!r} is damaged: {_said(error)}") from error
    raise ValueError(
        f"{str(path)!r} has format version {version}, this bayes_softmax reads up to {FORMAT_VERSION}: upgrade it"
    )


def _opened(source: Path, folder: bool) -> tuple[xr.DataTree, bool]:
    """The tree in memory, and whether its bytes were sealed; what a library says of a file that is none is one line."""
    if not folder and not source.is_file():
        raise ValueError(f"{str(source)!r} is neither a file nor a folder")
    kind = "zarr folder" if folder else "netCDF file"
    try:
        files = read_folder(source) if folder else {}
        data = b"" if folder else source.read_bytes()
        try:
            return (from_zarr(files), True) if folder else (from_netcdf(data), is_sealed(data))
        except Exception as error:  # of many kinds, an OSError among them
            raise ValueError(_said(error)) from error
    except ValueError as error:
        raise ValueError(f"{str(source)!r} is not a {kind}, or is damaged: {error}") from error


def _said(error: BaseException) -> str:
    """What an error says, on one line that can be printed, with the name of its type where that is needed."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST_REASON])
    return text if isinstance(error, ValueError | OSError) else f"{type(error).__name__} {text}"


def _verify(tree: xr.DataTree, version: int, *, sealed: bool = True) -> None:
    """Raise unless a file holds what was written to it; files of the versions before had no checksum."""
    if version < 1:
        raise ValueError(f"format version {version} does not exist")
    if CHECKSUM not in tree.attrs and version < FIRST_WITH_CHECKSUM:
        return
    if CHECKSUM not in tree.attrs or not sealed:
        raise ValueError("its checksum is missing")
    if str(tree.attrs[CHECKSUM]) != checksum(tree):
        raise ValueError("its contents do not agree with its checksum, so no answer from it could be trusted")


def _read(tree: xr.DataTree, version: int, given: Logits | None) -> PointEstimate | Posterior:
    kind = str(tree.attrs["kind"])
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not known; expected {', '.join(KINDS)}")
    schema = schema_from_json(tree.attrs["schema"])
    logits = _logits(tree.attrs, schema, given)
    groups = {str(name): tree[name].to_dataset() for name in tree.children}
    # Version 1 kept encoded features but not the columns of a formula: such a fit answers as one saved without data.
    whole = version > 1 or not isinstance(schema.encoder, FormulaEncoder)
    training = read_training(groups, schema) if whole and any(name in groups for name in DATA_GROUPS) else None
    if training is not None and not schema.class_totals:  # not kept by version 1
        schema = replace(schema, class_totals=tuple(training.distinct.class_counts().tolist()))
    if kind == "posterior":
        return _read_posterior(tree.attrs, groups, schema, logits, training)
    return _read_estimate(groups["estimate"], kind, schema, logits, training)


def _logits(attrs: Mapping[Any, Any], schema: Schema, given: Logits | None) -> Logits:
    """The function of the logits, which older versions did not name: it was linear."""
    linear = LinearLogits(len(schema.feature_names), len(schema.classes))
    logits = logits_from_json(attrs.get(LOGITS) or logits_to_json(linear), given)
    if logits.n_classes != linear.n_classes or (logits.kind == linear.kind and logits != linear):
        raise ValueError("its logits are not those of its features and classes")
    return logits


def _write(
    groups: Mapping[str, xr.Dataset], path: Any, kind: str, schema: Schema, logits: Logits, extra: dict[str, Any]
) -> None:
    """Write aside, then rename: a failed save leaves an old fit as it was, and what is no fit is never replaced."""
    given = Path(path).expanduser()
    if given.suffix not in SUFFIXES:
        raise ValueError(f"path={str(path)!r} must end in '.nc' (netCDF) or '.zarr'")
    target = Path(os.path.realpath(given))  # a link stays, and what it points to is replaced
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} to save in")
    check = refuse_strange_file if given.suffix == ".nc" else refuse_strange_folder
    check(target)
    said = {"schema": schema.to_json(), LOGITS: logits_to_json(logits)}
    header = {"format": FORMAT, "format_version": FORMAT_VERSION, "kind": kind, **said, **extra}
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=header), **groups})
    tree.attrs[CHECKSUM] = checksum(tree)
    data = to_netcdf(tree) if given.suffix == ".nc" else []
    files = to_zarr(tree) if given.suffix == ".zarr" else {}
    _try_out(from_zarr(files) if files else from_netcdf(b"".join(data)), path, logits)
    try:
        if data:
            replace_file(target, *data)
        else:
            replace_folder(target, files, check)
    except OSError as error:
        told = f"{str(path)!r} was not saved: {error.strerror or error}; what was there before is untouched"
        raise (OSError(told) if error.errno is None else OSError(error.errno, told)) from error


def _try_out(tree: xr.DataTree, path: Any, logits: Logits) -> None:
    """Raise if what is about to be written would not be read again as it is."""
    try:
        _verify(tree, FORMAT_VERSION)
        _read(tree, FORMAT_VERSION, logits)
    except Exception as error:
        raise ValueError(f"{str(path)!r} was not saved, since it could not be loaded again: {_said(error)}") from error


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(text) for text in np.atleast_1d(values) if text)


def _read_posterior(
    attrs: Mapping[Any, Any], groups: Mapping[str, xr.Dataset], schema: Schema, logits: Logits, training: Any
) -> Posterior:
    check_draws(groups, schema, logits)
    names, seconds = np.atleast_1d(attrs["timing_names"]), np.atleast_1d(attrs["timing_seconds"])
    timings = {str(n): float(s) for n, s in zip(names, seconds, strict=True) if n}
    weighted = {name: float(attrs[name]) for name in WEIGHTED if name in attrs}
    tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if name != "variables"})
    if ("ess" in weighted) != ("pareto_k" in weighted) or not weighted.get("ess", 1.0) > 0 or int(attrs["tune"]) < 0:
        raise ValueError("its effective sample size, Pareto k or tuning steps are impossible")
    return Posterior(
        tree,
        schema,
        str(attrs["engine"]),
        int(attrs["tune"]),
        _texts(attrs["notes"]),
        timings,
        training=training,
        function=logits,
        **weighted,  # type: ignore[arg-type]
    )


def _read_limits(data: xr.Dataset, schema: Schema) -> Limits | None:
    """What an estimate leaves open; older versions wrote the rays of contrasts only."""
    rays = data["recession"].values if "recession" in data else no_rays(schema)
    if "row_recession" in data:
        rows = data["row_recession"].values
        lines = data["unseen"].values if "unseen" in data else rows[:0]
        return Limits(rays, rows, lines, data["centre"].values, data["scale"].values)
    return limits_of_rays(rays) if len(rays) else None


def _read_estimate(data: xr.Dataset, kind: str, schema: Schema, logits: Logits, training: Any) -> PointEstimate:
    check_estimate(data, schema, logits)
    values = {name: data[name].values for name in logits.shapes}
    variances = data["variances"].values if "variances" in data else None
    covariance = data["covariance"].values if variances is None else np.empty(0)
    limits = _read_limits(data, schema)
    return PointEstimate(
        kind=kind,
        values=label_parameters(logits, values, schema),
        converged=bool(data.attrs["converged"]),
        status=str(data.attrs["status"]),
        history=data["history"].values,
        schema=schema,
        logits=logits,
        covariance_of=lambda: covariance,
        variance_of=None if variances is None else lambda: variances,
        limits_of=None if limits is None else lambda: limits,
        notes=_texts(data.attrs["notes"]),
        training=training,
        **{name: float(data.attrs[name]) for name in SCALARS},  # type: ignore[arg-type]
        **{name: int(data.attrs[name]) for name in COUNTS},
    )
