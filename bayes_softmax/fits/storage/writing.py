"""Writing a fit to a file, which is read back before it replaces an older one."""

import os
from pathlib import Path
from typing import Any

import xarray as xr

from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.core.protocols import Logits
from bayes_softmax.fits.storage.containers import from_netcdf, from_zarr, to_netcdf, to_zarr
from bayes_softmax.fits.storage.data_groups import training_groups
from bayes_softmax.fits.storage.digest import CHECKSUM, checksum
from bayes_softmax.fits.storage.draws import draws_groups, draws_header
from bayes_softmax.fits.storage.estimates import estimate_group
from bayes_softmax.fits.storage.files import SUFFIXES, path_of, replace_file, replace_folder
from bayes_softmax.fits.storage.ownership import FORMAT, refuse_strange_file, refuse_strange_folder
from bayes_softmax.fits.storage.reading import FORMAT_VERSION, LOGITS, WITHOUT_GROUPS, one_line, verified
from bayes_softmax.fits.storage.records import EstimateRecord, Record, Recorded
from bayes_softmax.spec.logits import logits_to_json


def save(fit: Recorded, path: Any, *, data: bool = True) -> None:
    """Write the fit to one ``.nc`` file or ``.zarr`` folder; :func:`bayes_softmax.load` reads it back.

    Parameters
    ----------
    path
        Ends in ``.nc`` or ``.zarr``; an older fit there is replaced once the new one is complete; anything else there
        is kept and raises an error.
    data
        Whether to store the data too, each distinct row once: ``evaluate()``, ``effects()`` and ``loo()`` need them.
        Rows that are read in passes are never stored, and a note of the loaded fit says so.

    Examples
    --------
    >>> import tempfile
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(f"{folder}/fit.nc")
    ...     again = bs.load(f"{folder}/fit.nc")
    >>> again.predict([[0.0], [9.0]]).tolist()
    ['a', 'b']
    """
    given = path_of(path)
    if given.suffix not in SUFFIXES:
        raise ValueError(f"path={str(path)!r} must end in '.nc' (netCDF) or '.zarr'")
    target = Path(os.path.realpath(given))  # a link is kept, and its target replaced
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} to save in")
    check = refuse_strange_file if given.suffix == ".nc" else refuse_strange_folder
    check(target)
    record = _with_note(fit.record)
    tree = _tree(record, data=data)
    contents = to_netcdf(tree) if given.suffix == ".nc" else []
    files = to_zarr(tree) if given.suffix == ".zarr" else {}
    _try_out(from_zarr(files) if files else from_netcdf(b"".join(contents)), path, record.logits)
    try:
        if contents:
            replace_file(target, *contents)
        else:
            replace_folder(target, files, check)
    except OSError as error:
        told = f"{str(path)!r} was not saved: {error.strerror or error}; the older contents are untouched"
        raise (OSError(told) if error.errno is None else OSError(error.errno, told)) from error


def _tree(record: Record, *, data: bool) -> xr.DataTree:
    """Header with checksum, the fit, and its data if wanted."""
    groups: dict[str, xr.Dataset]
    if isinstance(record, EstimateRecord):
        kind, groups, more = record.kind, {"estimate": estimate_group(record)}, {}
    else:
        kind, groups, more = "posterior", draws_groups(record), draws_header(record)
    if data:
        groups |= training_groups(record.training, record.schema)
    described = {"schema": record.schema.to_json(), LOGITS: logits_to_json(record.logits)}
    version = FORMAT_VERSION if record.schema.groups else WITHOUT_GROUPS
    header = {"format": FORMAT, "format_version": version, "kind": kind, **described, **more}
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=header), **groups})
    tree.attrs[CHECKSUM] = checksum(tree)
    return tree


def _with_note(record: Record) -> Record:
    """The record, with a note that rows which are read in passes are not in the file."""
    if not isinstance(record.training, RowsOfSource):
        return record
    note = f"the rows of {record.training.name} were read in passes, and none of them are stored with the fit"
    return record._replace(notes=(*record.notes, note))


def _try_out(tree: xr.DataTree, path: Any, logits: Logits) -> None:
    """Raise if the tree to write could not be read back."""
    try:
        verified(tree, FORMAT_VERSION, logits)
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} was not saved, since it could not be loaded again: {one_line(error)}"
        ) from error
