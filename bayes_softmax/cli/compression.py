"""Compressed files, told apart by their first bytes, and those that hold no table."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

TAR = slice(257, 262)  # where an archive of tar is marked


class Compression(NamedTuple):
    """A way to compress a file: its first bytes and both directions."""

    start: bytes
    unpack: Callable[[bytes], bytes]
    pack: Callable[[bytes], bytes]


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())


def _to_zstd(data: bytes) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


# By the ending of the names of such files.
COMPRESSIONS = {
    ".gz": Compression(b"\x1f\x8b", gzip.decompress, gzip.compress),
    ".bz2": Compression(b"BZh", bz2.decompress, bz2.compress),
    ".xz": Compression(b"\xfd7zXZ\x00", lzma.decompress, lzma.compress),
    ".zst": Compression(b"\x28\xb5\x2f\xfd", _zstd, _to_zstd),
}
NO_TABLES = {
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"\x89HDF": "HDF5, as a saved fit is; name the file of the data",
    b"\x93NUMPY": "a NumPy array; save the columns with their names as CSV or Parquet",
    b"RDX": "an R workspace; save the data frame with write.csv(d, file, row.names = FALSE)",
    b"SQLite": "a database; save the table as CSV",
}


def unpacked(name: str, data: bytes) -> tuple[bytes, Path]:
    """Contents of a file that may be compressed, and its name without the ending of the compression.

    Raises
    ------
    ValueError
        If it is damaged, an archive of several files, or known to hold no table.
    """
    inner = Path(name.strip("'\""))
    for ending, compression in COMPRESSIONS.items():
        if data.startswith(compression.start):
            data = _undone(name, ending, compression, data)
            inner = inner.with_suffix("") if inner.suffix == ending else inner
    if data.startswith(b"PK\x03\x04"):
        data, inner = _only_member(name, data)
    if data[TAR] == b"ustar":
        raise ValueError(f"{name} is an archive of files; unpack it and name one of them")
    for start, what in NO_TABLES.items():
        if data.startswith(start):
            raise ValueError(f"{name} is {what}")
    return data, inner


def _undone(name: str, ending: str, compression: Compression, data: bytes) -> bytes:
    try:
        return compression.unpack(data)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{name} is compressed ({ending}) and damaged: {' '.join(str(error).split())}") from error


def _only_member(name: str, data: bytes) -> tuple[bytes, Path]:
    """The file in a zip archive that holds one."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = [member for member in archive.namelist() if not member.endswith("/")]
            if "[Content_Types].xml" in names:
                raise ValueError(f"{name} is an Excel workbook; save the sheet as CSV")
            if len(names) != 1:
                raise ValueError(f"{name} is an archive of {len(names)} files; unpack it and name one of them")
            return archive.read(names[0]), Path(names[0])
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{name} is a zip archive that cannot be read: {error}") from error
