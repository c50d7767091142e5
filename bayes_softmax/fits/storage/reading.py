"""Reading the record of a fit from a path or a tree in memory; errors take one line."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from bayes_softmax.core.protocols import Logits
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.schema import Schema, schema_from_json
from bayes_softmax.fits.storage.containers import from_netcdf, from_zarr, is_sealed
from bayes_softmax.fits.storage.data_groups import DATA_GROUPS, read_training
from bayes_softmax.fits.storage.digest import CHECKSUM, checksum
from bayes_softmax.fits.storage.draws import read_posterior
from bayes_softmax.fits.storage.estimates import read_estimate
from bayes_softmax.fits.storage.files import found_at, path_of, read_folder, similar_name
from bayes_softmax.fits.storage.ownership import FORMAT
from bayes_softmax.fits.storage.records import Record
from bayes_softmax.spec.groups.logits import GroupLogits, group_shapes
from bayes_softmax.spec.linear import WITH_WEIGHTS, LinearLogits
from bayes_softmax.spec.logits import UnknownLogitsError, logits_from_json, logits_to_json

FORMAT_VERSION = 4
WITHOUT_GROUPS = 3  # the version of fits without groups, which older readers know
FIRST_WITH_CHECKSUM = 3
KINDS = ("mle", "map", "posterior")
LOGITS = "logits"  # header attribute: kind and data of the logit function
TABLES = {".csv", ".tsv", ".txt", ".tab", ".parquet", ".feather", ".arrow", ".xlsx", ".xls"}  # endings of their files
HDF5 = b"\x89HDF"  # first bytes of a netCDF file
LONGEST_REASON = 300  # characters of a library's error message


def read_record(path: Any, logits: Logits | None = None) -> Record:
    """The checked record of a fit saved at ``path``; ``logits`` is needed if they are not of the package.

    Raises ``FileNotFoundError`` if nothing is there, ``ValueError`` for a file that is no fit, damaged, or newer.
    """
    source = path_of(path)
    place = found_at(source)
    if place is None:
        raise FileNotFoundError(f"there is no file {str(path)!r}{similar_name(source)}")
    tree, sealed = _opened(source, place.is_dir())
    if tree.attrs.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} was not written by bayes_softmax")
    try:
        version = int(tree.attrs["format_version"])
        if version <= FORMAT_VERSION:
            return verified(tree, version, logits, sealed=sealed)
    except UnknownLogitsError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    except Exception as error:  # damaged contents make libraries raise errors of any kind
        raise ValueError(f"{str(path)!r} is damaged: {one_line(error)}") from error
    raise ValueError(
        f"{str(path)!r} has format version {version}, this bayes_softmax reads up to {FORMAT_VERSION}: upgrade it"
    )


def verified(tree: xr.DataTree, version: int, given: Logits | None = None, *, sealed: bool = True) -> Record:
    """The record that a tree holds; raise unless it matches its checksum and is a valid record of a fit."""
    _check_digest(tree, version, sealed=sealed)
    kind = str(tree.attrs["kind"])
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not known; expected {', '.join(KINDS)}")
    schema = schema_from_json(tree.attrs["schema"])
    logits = _logits(tree.attrs, schema, given)
    groups = {str(name): tree[name].to_dataset() for name in tree.children}
    # Version 1 stored encoded features but no columns of a formula: such a fit loads as if saved without data.
    whole = version > 1 or not isinstance(schema.encoder, FormulaEncoder)
    training = read_training(groups, schema) if whole and any(name in groups for name in DATA_GROUPS) else None
    if training is not None and not schema.class_totals:  # not stored by version 1
        schema = replace(schema, class_totals=tuple(training.distinct.class_counts().tolist()))
    if kind == "posterior":
        return read_posterior(tree.attrs, groups, schema, logits, training)
    return read_estimate(groups["estimate"], kind, schema, logits, training)


def _logits(attrs: Mapping[Any, Any], schema: Schema, given: Logits | None) -> Logits:
    """The logit function; older versions did not store it, since all were linear."""
    linear = LinearLogits(len(schema.feature_names), len(schema.classes))
    logits = logits_from_json(attrs.get(LOGITS) or logits_to_json(linear), given)
    if schema.groups:
        fits = logits == GroupLogits(linear.n_features, linear.n_classes, group_shapes(schema.groups))
    else:
        fits = logits.n_classes == linear.n_classes and (logits == linear or logits.kind not in WITH_WEIGHTS)
    if not fits:
        raise ValueError("its logits are not those of its features and classes")
    return logits


def one_line(error: BaseException) -> str:
    """The message of an error as one printable line, with the name of its type where that informs."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST_REASON])
    return text if isinstance(error, ValueError | OSError) else f"{type(error).__name__} {text}"


def _opened(source: Path, folder: bool) -> tuple[xr.DataTree, bool]:
    """The tree in memory, and whether its bytes were sealed; library errors become one line."""
    if not folder and not source.is_file():
        raise ValueError(f"{str(source)!r} is neither a file nor a folder")
    kind = "zarr folder" if folder else "netCDF file"
    data = b"" if folder else source.read_bytes()
    if data and not data.startswith(HDF5) and TABLES & {suffix.lower() for suffix in source.suffixes}:
        raise ValueError(f"{str(source)!r} is a table, not a saved fit; a fit is a .nc file or a .zarr folder")
    try:
        files = read_folder(source) if folder else {}
        try:
            return (from_zarr(files), True) if folder else (from_netcdf(data), is_sealed(data))
        except Exception as error:  # of many kinds, including OSError
            raise ValueError(one_line(error)) from error
    except ValueError as error:
        raise ValueError(f"{str(source)!r} is not a {kind}, or is damaged: {error}") from error


def _check_digest(tree: xr.DataTree, version: int, *, sealed: bool) -> None:
    """Raise unless the contents match the checksum, which files of earlier versions do not have."""
    if version < 1:
        raise ValueError(f"format version {version} does not exist")
    if CHECKSUM not in tree.attrs and version < FIRST_WITH_CHECKSUM:
        return
    if CHECKSUM not in tree.attrs or not sealed:
        raise ValueError("its checksum is missing")
    if str(tree.attrs[CHECKSUM]) != checksum(tree):
        raise ValueError("its contents do not agree with its checksum, so no answer from it could be trusted")
