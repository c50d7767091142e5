"""Conversion of a labelled tree to the bytes of a netCDF file or the files of a zarr folder, and back.

Both are made in memory: HDF5 must not see a write fail, since a file that it cannot close aborts the process later.
A netCDF file ends in a seal, a digest of its bytes: HDF5 can loop for ever over damaged bytes, so it never reads them.
Before anything is read, the structure is inspected: sizes are bounded by the size on disk, and anything that makes a
library open other files, follow cycles or load code (links, external and virtual data, unusual codecs) is refused.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from math import ceil, prod
from typing import Any

import numpy as np
import xarray as xr

SMALL = 1 << 26  # bytes of arrays that a file of any size may declare
INFLATION = 1000  # largest plausible compression ratio
OVERHEAD = 1 << 20
SEAL = b"bayes_softmax sha256 "
SEAL_BYTES = len(SEAL) + 64 + 1
HEAP = b"GCOL\x01\x00\x00\x00"
CODECS = frozenset({"bytes", "zstd", "vlen-utf8"})
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
Bytes = bytes | bytearray | memoryview


def to_netcdf(tree: xr.DataTree) -> list[Bytes]:
    """The bytes of a netCDF file, in parts: HDF5's, and the seal, which HDF5 does not look at."""
    # Where memory is short, this allocation raises before a write of HDF5 fails.
    bytearray(OVERHEAD + 2 * tree.nbytes + tree.nbytes // 4)
    view: memoryview = tree.to_netcdf(None, engine="h5netcdf")
    data = bytes(view)
    view.release()  # its buffer could not be collected while exported
    return [data, _seal(data)]


def from_netcdf(data: bytes) -> xr.DataTree:
    """The tree of a netCDF file's bytes, sealed or not."""
    import h5py

    check_bytes(data)
    with h5py.File(BytesIO(data), "r") as opened:
        claimed = sum(_hdf5_sizes(opened, "", top=True))
    _check_claim(claimed, len(data))
    with xr.open_datatree(BytesIO(data), engine="h5netcdf") as tree:
        return _in_memory(tree)


def _in_memory(tree: xr.DataTree) -> xr.DataTree:
    """The tree with every variable read: ``DataTree.load`` (xarray 2026.9) leaves out those named like a group."""
    for node in tree.subtree:
        for variable in node.variables.values():
            variable.load()
    return tree


def check_bytes(data: bytes) -> None:
    """Raise for bytes that HDF5 must not read: with a damaged seal, or with heaps that it would loop over."""
    if is_sealed(data) and data[-SEAL_BYTES:] != _seal(memoryview(data)[:-SEAL_BYTES]):
        raise ValueError("its bytes do not agree with its checksum")
    _check_heaps(data)


def is_sealed(data: bytes) -> bool:
    """Whether the bytes of a file end in a seal, right or wrong."""
    return data[-SEAL_BYTES:].startswith(SEAL)


def _seal(data: Bytes) -> bytes:
    return SEAL + hashlib.sha256(data).hexdigest().encode() + b"\n"


def _check_heaps(data: bytes) -> None:
    """Raise where HDF5 would loop for ever: free space of size zero in a global heap, where texts are stored.

    A heap is a signature with version, and its size; then objects: index, count of references, and size of each,
    followed by as many bytes, padded to a multiple of 8 (HDF5 File Format Specification 3.0, III.E).
    """
    start = data.find(HEAP)
    while start >= 0:
        end = min(start + int.from_bytes(data[start + 8 : start + 16], "little"), len(data))
        at = start + 16
        while at + 16 <= end:
            index, size = int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 8 : at + 16], "little")
            if index == 0 and size == 0:
                raise ValueError("a heap of texts in it has no end")
            at += size if index == 0 else 16 + -(-size // 8) * 8
        start = data.find(HEAP, start + 1)


def _hdf5_sizes(group: Any, path: str, *, top: bool) -> Iterator[int]:
    """Bytes of each array in a group and, at the top, its groups."""
    import h5py

    for name in group:
        where = f"{path}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{where!r} is a link to another place")
        item = group[name]
        if isinstance(item, h5py.Group):
            if not top:
                raise ValueError(f"{where!r} is a group inside a group")
            yield from _hdf5_sizes(item, where, top=False)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{where!r} stores its data in another file")
            yield item.nbytes
        else:
            raise ValueError(f"{where!r} is neither an array nor a group")


def to_zarr(tree: xr.DataTree) -> dict[str, bytes]:
    """The files of a zarr folder by their relative names."""
    files: dict[str, Any] = {}
    tree.to_zarr(files, consolidated=False, zarr_format=3)
    return {name: content.to_bytes() for name, content in files.items()}


def from_zarr(files: Mapping[str, bytes]) -> xr.DataTree:
    """The tree of a zarr folder's files, in memory."""
    from zarr.core.buffer import default_buffer_prototype

    _check_claim(sum(_zarr_sizes(files)), sum(map(len, files.values())))
    buffer = default_buffer_prototype().buffer
    store = {name: buffer.from_bytes(content) for name, content in files.items()}
    with xr.open_datatree(store, engine="zarr", consolidated=False) as tree:  # type: ignore[arg-type]
        return _in_memory(tree)


def zarr_attributes(content: bytes) -> dict[str, Any]:
    """Attributes in the text of a ``zarr.json``; empty if it is invalid."""
    try:
        found = json.loads(content).get("attributes", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def foreign_name(names: list[str]) -> str | None:
    """The first file name that does not occur in the zarr folder of a fit, or None."""
    for name in sorted(names):
        parts = name.split("/")
        if parts[-1] == "zarr.json" and len(parts) <= 3:
            continue
        if not (len(parts) >= 3 and parts[2] == "c" and all(part.isdecimal() for part in parts[3:])):
            return name
    return None


def _zarr_sizes(files: Mapping[str, bytes]) -> Iterator[int]:
    """Bytes of each array, after a check of its storage."""
    foreign = foreign_name(list(files))
    if foreign is not None:
        raise ValueError(f"{foreign!r} is no part of a fit")
    for name, content in files.items():
        if not name.endswith("zarr.json"):
            continue
        node = json.loads(content)
        if node["zarr_format"] != 3 or node["node_type"] not in ("array", "group"):
            raise ValueError(f"{name!r} is not of zarr format 3")
        if node["node_type"] == "array":
            yield _zarr_size(name.removesuffix("/zarr.json"), node, files)


def _zarr_size(name: str, node: Any, files: Mapping[str, bytes]) -> int:
    shape, chunk = node["shape"], node["chunk_grid"]["configuration"]["chunk_shape"]
    codecs = {codec["name"] for codec in node["codecs"]}
    if not codecs <= CODECS or node.get("storage_transformers"):
        raise ValueError(f"{name!r} is stored by {', '.join(sorted(map(str, codecs - CODECS)))}, which is not known")
    if len(chunk) != len(shape) or not all(type(n) is int and n >= 0 for n in [*shape, *chunk]):
        raise ValueError(f"{name!r} has shape {shape} in chunks of {chunk}")
    if any(c < 1 or c > max(s, 1) for c, s in zip(chunk, shape, strict=True)):
        raise ValueError(f"{name!r} has shape {shape} in chunks of {chunk}")
    if prod(ceil(s / c) for s, c in zip(shape, chunk, strict=True)) > 1000 + 4 * len(files):
        raise ValueError(f"{name!r} declares more chunks than there are files")
    item = _item_size(node["data_type"])
    most = prod(chunk) * item if "vlen-utf8" not in codecs else SMALL + INFLATION * sum(map(len, files.values()))
    for key, content in files.items():
        if "zstd" in codecs and f"{key}/".startswith(f"{name}/c/") and _zstd_size(content) > most:
            raise ValueError(f"{key!r} declares more than a chunk")
    return int(prod(shape)) * item


def _item_size(data_type: Any) -> int:
    if data_type == "string":
        return 16
    if isinstance(data_type, str):
        return int(np.dtype(data_type).itemsize)
    return int(data_type["configuration"]["length_bytes"])


def _zstd_size(frame: bytes) -> float:
    """Content size that a zstd frame declares (RFC 8878, 3.1.1.1); infinite if it declares none."""
    if frame[:4] != ZSTD_MAGIC or len(frame) < 6:
        raise ValueError("a chunk is not compressed by zstd")
    flags = frame[4]
    code, single, dictionary = flags >> 6, flags >> 5 & 1, (0, 1, 2, 4)[flags & 3]
    width = (1 if single else 0, 2, 4, 8)[code]
    start = 5 + (not single) + dictionary
    if width == 0:
        return float("inf")
    return int.from_bytes(frame[start : start + width], "little") + (256 if width == 2 else 0)


def _check_claim(claimed: int, size: int) -> None:
    if claimed > SMALL + INFLATION * size:
        raise ValueError(f"its arrays declare {claimed} bytes, which {size} bytes on disk cannot hold")
