"""A checksum of every value, label, dimension and attribute, independent of the file format."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

CHECKSUM = "checksum"  # attribute of the root that holds it
BLOCK_BYTES = 1 << 24  # read and hashed at once


def checksum(tree: xr.DataTree) -> str:
    """SHA-256 of a tree's contents; the root's own checksum is left out.

    Equal before writing and after reading, although file formats change types: integers are hashed as 64 bits, a
    one-element list as its element, and all NaN alike.
    """
    digest = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda node: node.path):
        dataset = node.to_dataset(inherit=False)
        attrs = {k: v for k, v in dataset.attrs.items() if not (node.path == "/" and k == CHECKSUM)}
        digest.update(_text([node.path, _plain(attrs)]))
        for name in sorted(dataset.variables, key=str):
            variable = dataset.variables[name]
            described = [str(name), list(map(str, variable.dims)), list(variable.shape), _plain(variable.attrs)]
            digest.update(_text(described))
            for block in _blocks(variable):
                digest.update(_canonical(block))
    return f"sha256:{digest.hexdigest()}"


def _blocks(variable: xr.Variable) -> Iterator[np.ndarray[Any, Any]]:
    """Values in blocks of rows, so that a large variable is not copied at once."""
    if variable.ndim == 0:
        yield variable.values
        return
    rows = max(1, BLOCK_BYTES * variable.shape[0] // max(variable.nbytes, 1))
    for start in range(0, variable.shape[0], rows):
        yield variable[start : start + rows].values


def _canonical(values: Any) -> bytes:
    """Name of the kind, then the values as bytes in a type independent of the file format."""
    kind = values.dtype.kind
    if kind == "f":
        numbers = np.ascontiguousarray(values, dtype="<f8")
        missing = np.isnan(numbers)
        numbers = np.where(missing, np.nan, numbers) if missing.any() else numbers
    elif kind in "iub":
        numbers = np.ascontiguousarray(values, dtype="<u8" if kind == "u" else "<i8")
    elif kind in "mM":
        numbers = values.astype(f"{kind}8[ns]").astype("<i8")
    else:
        return b"O" + _text(values.tolist())
    data: bytes = kind.encode() + numbers.tobytes()
    return data


def _plain(attrs: Any) -> Any:
    """Attributes as lists of plain values, by name."""
    return {str(name): np.atleast_1d(np.asarray(value)).tolist() for name, value in attrs.items()}


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode() + b"\n"
