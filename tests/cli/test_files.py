"""Tables that the command line reads and writes: forms, compression, and errors that name file, line and remedy."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bayes_softmax.cli.compression import COMPRESSIONS
from bayes_softmax.cli.files import read_table
from bayes_softmax.cli.output import check_out_file, csv_bytes, flat_columns, write_table
from bayes_softmax.cli.text_table import TextFormat

FRAME = pd.DataFrame({"kind": ["a", "b", "ü"], "x": [0.1, 2 / 3, 1e-300], "n": [1, 2, 3]})
HEAD = "species,bill_length_mm"


def read(path: Path, **text) -> pd.DataFrame:
    return read_table(str(path), TextFormat(**text))


def as_zip(data: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    return buffer.getvalue()


def as_tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("data.csv")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def feather(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_feather(buffer)
    return buffer.getvalue()


CSV = FRAME.to_csv(index=False).encode()
FORMS = {
    "d.csv": CSV,
    "d": CSV,
    "marked.csv": b"\xef\xbb\xbf" + CSV,
    "d.tsv": FRAME.to_csv(index=False, sep="\t").encode(),
    "d.csv.gz": gzip.compress(CSV),
    "d.tsv.gz": gzip.compress(FRAME.to_csv(index=False, sep="\t").encode()),
    "hidden.csv": gzip.compress(CSV),
    "d.csv.bz2": bz2.compress(CSV),
    "d.csv.xz": lzma.compress(CSV),
    "d.csv.zst": COMPRESSIONS[".zst"].pack(CSV),
    "d.zip": as_zip(CSV, "d.csv"),
    "tsv.zip": as_zip(FRAME.to_csv(index=False, sep="\t").encode(), "d.tsv"),
    "d.parquet": parquet(FRAME),
    "indexed.parquet": parquet(FRAME.set_index("kind")),
    "d.feather": feather(FRAME),
    "crlf.csv": CSV.replace(b"\n", b"\r\n"),
    "blank.csv": b"\n" + CSV + b"\n\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_table_with_rows_from_1(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FORMS[name])
    found = read(tmp_path / name)
    pd.testing.assert_frame_equal(found, FRAME.set_axis([1, 2, 3]), check_index_type=False, check_exact=True)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (CSV, gzip.compress(CSV), parquet(FRAME)):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        assert read_table("-", TextFormat())["x"].tolist() == FRAME["x"].tolist()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    with pytest.raises(ValueError, match=r"^standard input is empty"):
        read_table("-", TextFormat())


def test_other_separators_points_encodings_and_texts_for_missing(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(FRAME.to_csv(index=False, sep=";", decimal=",").encode("cp1252"))
    found = read(path, separator="semicolon", decimal=",", encoding="cp1252")
    assert found.to_numpy().tolist() == FRAME.to_numpy().tolist()
    path.write_bytes(FRAME.to_csv(index=False).encode("utf-16"))
    assert read(path, encoding="utf-16")["kind"].tolist() == ["a", "b", "ü"]
    path.write_text("x|y\nNone|-9\nNA|\n")
    found = read(path, separator="|", na_values=("-9",))
    assert found["x"].tolist() == ["None", "NA"]
    assert found["y"].isna().all()
    path.write_text("x\ty\n1\t2\n")
    assert read(path, separator="\\t").columns.tolist() == read(path, separator="tab").columns.tolist() == ["x", "y"]


BROKEN = [
    (b"", "is empty; its first line must name the columns"),
    (b"\n\n", "is empty"),
    (f"{HEAD}\n".encode(), "has names of columns, but no row"),
    (b"\x89PNG\r\n\x1a\n\0\0", "is a picture"),
    (b"\x93NUMPY\1\0", "is a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "is HDF5, as a saved fit is"),
    (b"a,b\n1,2\n\0\0", "is not text: line 3 contains a zero byte"),
    (
        f"{HEAD}\nAdelie,39\nAd\xe9lie,40\n".encode("latin-1"),
        "line 3: byte 0xe9 is not utf-8 text; .*--encoding cp1252",
    ),
    (FRAME.to_csv().encode("utf-16"), "is text in UTF-16; pass --encoding utf-16"),
    (
        b"species;bill_length_mm\nAdelie;39,1\n",
        "line 1: there is no comma between the names, but 1 semicolon; .* pass --separator semicolon",
    ),
    (b"a\tb\tc\n1\t2\t3\n", "but 2 tabs; .* pass --separator tab"),
    (f"{HEAD}\nAdelie,39\nAdelie,40,41,42\n".encode(), "line 3: it has 4 fields, the lines before 2"),
    (f"{HEAD}\n1,Adelie,39\n2,Adelie,40\n".encode(), "line 2: it has more fields than line 1 has names"),
    (f'{HEAD}\nAdelie,38\n"Adelie,39\n'.encode(), "line 3: a quotation mark is never closed"),
    (b"x,y,x\n1,2,3\n", "line 1: the name 'x' appears twice"),
    (b'x\n"39,1"\n40\n"38,5"\n"37,2"\n', r"column 'x' has numbers with a comma, as '39,1' in row 1; .*--decimal ','"),
    (gzip.compress(CSV)[:-9], r"is compressed \(\.gz\) and damaged"),
    (lzma.compress(CSV)[:-9], r"is compressed \(\.xz\) and damaged"),
    (bz2.compress(CSV)[:-9], r"is compressed \(\.bz2\) and damaged"),
    (COMPRESSIONS[".zst"].pack(CSV)[:9], r"is compressed \(\.zst\) and damaged"),
    (as_zip(CSV, "a.csv", "b.csv"), "is an archive of 2 files"),
    (as_zip(CSV, "[Content_Types].xml", "xl/workbook.xml"), "is an Excel workbook; save the sheet as CSV"),
    (as_zip(CSV, "a.csv")[:30], "is a zip archive that cannot be read"),
    (as_tar(CSV), "is an archive of files; unpack it"),
    (parquet(FRAME)[:-20], "is damaged: "),
]


@pytest.mark.parametrize(("content", "told"), BROKEN, ids=range(len(BROKEN)))
def test_broken_files_are_named(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"data\\.csv'.*{told}") as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(repr(str(path)))
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "trips.csv").write_bytes(CSV)
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*trip\.csv'; did you mean 'trips\.csv'"):
        read(tmp_path / "trip.csv")
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*nowhere'"):
        read(tmp_path / "nowhere" / "trips.csv")
    with pytest.raises(IsADirectoryError, match="is a folder; name a file"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ({"separator": ",,"}, "--separator ',,' must be one character, or one of comma, semicolon, tab"),
        ({"separator": '"'}, "--separator '\"' must be one character"),
        ({"decimal": ","}, "--decimal ',' must be one character, and not the separator"),
        ({"encoding": "utf-9"}, "--encoding 'utf-9' is not known"),
    ],
)
def test_options_that_cannot_be_used(text: dict[str, str], told: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(CSV)
    with pytest.raises(ValueError, match=re.escape(told)):
        read(tmp_path / "d.csv", **text)


@pytest.mark.parametrize("values", [["1,2", "3"], ["1,2", "3,4", "a", "5,6"], ["1", "2", "3", "4"]])
def test_few_or_mixed_texts_with_commas_are_not_numbers(values: list[str], tmp_path: Path) -> None:
    pd.DataFrame({"x": values, "y": 0}).to_csv(tmp_path / "d.csv", index=False)
    assert read(tmp_path / "d.csv")["x"].astype(str).tolist() == values


OUT = ["t.csv", "t.tsv", "t.parquet", "t.csv.gz", "t.tsv.xz", "t.csv.bz2", "t.csv.zst", "T.CSV"]


@pytest.mark.parametrize("name", OUT)
def test_a_table_that_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    path = str(tmp_path / name)
    check_out_file(path, force=False)
    write_table(FRAME, path)
    found = read(Path(path)).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, FRAME, check_exact=True)
    with pytest.raises(FileExistsError, match="exists; pass --force to replace it"):
        check_out_file(path, force=False)
    check_out_file(path, force=True)
    write_table(FRAME[:1], path)
    assert len(read(Path(path))) == 1
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    for name in ("t.xlsx", "t", "t.parquet.gz", "t.gz"):
        with pytest.raises(ValueError, match=r"must end in \.csv, \.tsv, \.parquet, or in"):
            check_out_file(str(tmp_path / name), force=True)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_out_file(str(tmp_path / "none" / "t.csv"), force=True)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder; name a file"):
        check_out_file(str(tmp_path / "folder.csv"), force=True)


def test_columns_in_one_level() -> None:
    columns = pd.MultiIndex.from_product([[1, "b"], ["mean", "eti90_lb"]])
    table = pd.DataFrame(np.zeros((1, 4)), columns=columns, index=pd.Index([7], name="row"))
    assert flat_columns(table).columns.tolist() == ["row", "1_mean", "1_eti90_lb", "b_mean", "b_eti90_lb"]
    assert csv_bytes(flat_columns(table)).splitlines()[1] == b"7,0.0,0.0,0.0,0.0"


def test_zstd_is_that_of_arrow() -> None:
    packed = COMPRESSIONS[".zst"].pack(CSV)
    assert pa.decompress(packed, len(CSV), "zstd", asbytes=True) == CSV
