"""Whatever happens during a save: the process goes on, a fit is at the path, and nobody else's files are touched."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.fits.storage import files
from bayes_softmax.fits.storage.containers import SEAL_BYTES

SUFFIXES = pytest.mark.parametrize("suffix", [".nc", ".zarr"])


@pytest.fixture(scope="module")
def small() -> bs.PointEstimate:
    return bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], list("abab")).map()


@pytest.fixture(scope="module")
def other() -> bs.PointEstimate:
    return bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], list("abba")).map()


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def same(a: bs.PointEstimate | bs.Posterior, b: bs.PointEstimate) -> bool:
    return bool(np.array_equal(np.asarray(a.weights), np.asarray(b.weights)))  # type: ignore[union-attr]


FULL_DISK = """
import gc, os, resource, sys
import bayes_softmax as bs
path, limit = sys.argv[1], int(sys.argv[2])
rng = __import__("numpy").random.default_rng(0)
X = rng.normal(size=(3000, 3))
fit = bs.SoftmaxRegression(X, rng.integers(0, 3, 3000)).map()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # what a full disk does: a write fails half-way
try:
    fit.save(path)
except OSError as error:
    print(error)
gc.collect()  # a file that HDF5 could not close ended the process here
print("alive")
"""


@SUFFIXES
@pytest.mark.parametrize("limit", [100, 20_000])
def test_a_full_disk_is_an_error_and_no_crash(suffix: str, limit: int, small: bs.PointEstimate, tmp_path: Path) -> None:
    path = tmp_path / f"fit{suffix}"
    small.save(path)
    done = run(FULL_DISK, str(path), str(limit))
    assert done.returncode == 0, done.stderr
    assert "was not saved: File too large; the older contents are untouched" in done.stdout
    assert done.stdout.endswith("alive\n")
    assert same(bs.load(path), small)
    assert names(tmp_path) == [path.name]


def test_a_strangers_folder_stays(small: bs.PointEstimate, tmp_path: Path) -> None:
    for suffix in (".nc", ".zarr"):
        folder = tmp_path / f"mine{suffix}"
        (folder / "thesis").mkdir(parents=True)
        (folder / "thesis" / "chapter1.tex").write_text("years of work")
        with pytest.raises(
            FileExistsError, match="is a folder" if suffix == ".nc" else "is not a fit of bayes_softmax"
        ):
            small.save(folder)
        assert (folder / "thesis" / "chapter1.tex").read_text() == "years of work"
    xr.Dataset({"a": ("x", np.arange(5.0))}).to_zarr(tmp_path / "data.zarr", consolidated=False)
    before = names(tmp_path / "data.zarr")
    with pytest.raises(FileExistsError, match="is not a fit of bayes_softmax"):
        small.save(tmp_path / "data.zarr")
    assert names(tmp_path / "data.zarr") == before


def test_a_fit_with_a_strangers_file_in_it_stays(small: bs.PointEstimate, tmp_path: Path) -> None:
    small.save(tmp_path / "fit.zarr")
    (tmp_path / "fit.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"it holds 'notes\.txt'"):
        small.save(tmp_path / "fit.zarr")
    assert (tmp_path / "fit.zarr" / "notes.txt").read_text() == "mine"


def test_saving_over_a_damaged_file_is_refused_and_ends(small: bs.PointEstimate, tmp_path: Path) -> None:
    """HDF5 loops for ever over a heap whose first object is free space of no size; it is not handed one."""
    path = tmp_path / "fit.nc"
    small.save(path)
    content = bytearray(path.read_bytes())
    at = content.find(b"GCOL") + 16
    content[at : at + 2] = bytes(2)
    content[at + 8 : at + 16] = bytes(8)
    for damaged in (bytes(content), bytes(content[:-SEAL_BYTES])):  # with a seal, and without
        path.write_bytes(damaged)
        with pytest.raises(FileExistsError, match="or is a damaged one"):
            small.save(path)
        assert path.read_bytes() == damaged


def test_a_strangers_file_stays(small: bs.PointEstimate, tmp_path: Path) -> None:
    xr.Dataset({"a": ("x", np.arange(5.0))}).to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    (tmp_path / "text.nc").write_text("mine")
    (tmp_path / "file.zarr").write_text("mine")
    os.mkfifo(tmp_path / "pipe.nc")
    for name, match in (
        ("data.nc", "is not a fit of bayes_softmax"),
        ("text.nc", "is not a fit of bayes_softmax"),
        ("file.zarr", "is a file"),
        ("pipe.nc", "is not a regular file"),
    ):
        with pytest.raises(FileExistsError, match=match):
            small.save(tmp_path / name)
    assert (tmp_path / "text.nc").read_text() == "mine"
    with xr.open_dataset(tmp_path / "data.nc", engine="h5netcdf") as kept:
        assert list(kept) == ["a"]
    with pytest.raises(ValueError, match="is neither a file nor a folder"):
        bs.load(tmp_path / "pipe.nc")  # and does not wait for somebody to write into it


def test_what_is_empty_and_what_is_ours_is_replaced(
    small: bs.PointEstimate, other: bs.PointEstimate, tmp_path: Path
) -> None:
    (tmp_path / "fit.nc").touch()
    (tmp_path / "fit.zarr").mkdir()
    for path in (tmp_path / "fit.nc", tmp_path / "fit.zarr"):
        small.save(path)
        path.chmod(0o750)
        other.save(path)
        assert same(bs.load(path), other)
        assert path.stat().st_mode & 0o777 == 0o750
    assert names(tmp_path) == ["fit.nc", "fit.zarr"]


@SUFFIXES
def test_links_stay_and_relative_paths_are_of_one_moment(
    suffix: str, small: bs.PointEstimate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / f"link{suffix}").symlink_to(Path("real") / f"fit{suffix}")
    monkeypatch.chdir(tmp_path)
    aside = files.tempfile.mkdtemp

    def elsewhere(*args: object, **kwargs: object) -> str:
        os.chdir("/")  # as another thread may
        return aside(*args, **kwargs)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(files.tempfile, "mkdtemp", elsewhere)
    small.save(f"link{suffix}")
    assert (tmp_path / f"link{suffix}").is_symlink()
    assert same(bs.load(tmp_path / "real" / f"fit{suffix}"), small)


def test_a_folder_that_cannot_be_written_is_named(
    small: bs.PointEstimate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr(files.tempfile, "mkdtemp", refuse)
    with pytest.raises(PermissionError, match=r"fit\.nc' was not saved: Permission denied"):
        small.save(tmp_path / "fit.nc")


KILLED = """
import os, signal, sys
from pathlib import Path
import bayes_softmax as bs
root, suffix = Path(sys.argv[1]), sys.argv[2]
old, new = (bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], list(y)).map() for y in ("abab", "abba"))
calls, at = 0, 0

def killed(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call

def wrap():
    for name in ("replace", "rename", "chmod", *(("fsync", "mkdir") if suffix == ".nc" else ())):
        setattr(os, name, killed(getattr(os, name)))

status = 0
while status == 0 or os.WIFSIGNALED(status):
    at += 1
    path = root / str(at) / f"fit{suffix}"
    path.parent.mkdir()
    old.save(path)
    if os.fork() == 0:
        wrap()
        new.save(path)
        os._exit(1)  # no call was the one to be killed at: all have been tried
    status = os.wait()[1]
print(at - 1)
"""


@SUFFIXES
def test_killed_at_any_step_a_fit_is_there_and_leftovers_go(
    suffix: str, small: bs.PointEstimate, other: bs.PointEstimate, tmp_path: Path
) -> None:
    """The old fit loads or the new one, after a kill before each call that changes names or synchronises."""
    done = run(KILLED, str(tmp_path), suffix)
    steps = int(done.stdout)
    assert steps >= 5
    came = []
    for folder in sorted(tmp_path.iterdir(), key=lambda p: int(p.name)):
        path = folder / f"fit{suffix}"
        found = bs.load(path)
        came.append(same(found, other))
        assert came[-1] or same(found, small)
        assert len(names(folder)) <= 2
        small.save(folder / f"beside{suffix}")  # sweeps what has nothing of use
        assert same(bs.load(path), other if came[-1] else small)
        small.save(path)
        assert names(folder) == sorted([f"beside{suffix}", path.name])
        assert same(bs.load(path), small)
    assert came == sorted(came)
    assert came[-1]


def test_only_our_own_stale_leftovers_go(small: bs.PointEstimate, tmp_path: Path) -> None:
    """A folder aside of a living process, and what only looks like one, stays."""
    for name in (".fit.nc.abcdefgh.saving", ".fit.nc.notes.saving", ".fit.nc.mineours.saving", ".x.lives___.saving"):
        (tmp_path / name).mkdir()
    (tmp_path / ".fit.nc.mineours.saving" / "diary.txt").write_text("mine")
    (tmp_path / "file.saving").write_text("mine")
    living = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); "
         "print('locked', flush=True); sys.stdin.read()", str(tmp_path / ".x.lives___.saving")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert living.stdout is not None
    assert living.stdout.readline() == "locked\n"
    small.save(tmp_path / "fit.nc")
    stay = [".fit.nc.mineours.saving", ".fit.nc.notes.saving", "file.saving", "fit.nc"]
    assert names(tmp_path) == sorted([*stay, ".x.lives___.saving"])
    living.communicate("")
    small.save(tmp_path / "fit.nc")
    assert names(tmp_path) == stay


MANY = """
import sys
import bayes_softmax as bs
fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], list(sys.argv[2])).map()
for _ in range(8):
    fit.save(sys.argv[1])
    bs.load(sys.argv[1])
print("done")
"""


@SUFFIXES
def test_processes_may_save_to_one_path_while_others_load(suffix: str, tmp_path: Path) -> None:
    path = str(tmp_path / f"fit{suffix}")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, path, y], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for y in ("abab", "abba")
    ]
    ended = [process.communicate(timeout=120) for process in started]  # all, so that a failure leaves none running
    for out, err in ended:
        assert out == "done\n", err
    assert bs.load(path).classes == ("a", "b")
    assert names(tmp_path) == [f"fit{suffix}"]


def test_long_names_have_a_place_aside(small: bs.PointEstimate, tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 240}.zarr"
    for _ in range(2):
        small.save(path)
    assert same(bs.load(path), small)


def test_a_fit_that_could_not_be_loaded_again_is_not_saved(small: bs.PointEstimate, tmp_path: Path) -> None:
    small.save(tmp_path / "fit.nc")
    broken = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], list("abab")).map()
    broken.weights.values[0, 0] = np.nan
    with pytest.raises(
        ValueError, match=re.escape("could not be loaded again: 'weights' is NaN or infinite in position (0, 0)")
    ):
        broken.save(tmp_path / "fit.nc")
    assert same(bs.load(tmp_path / "fit.nc"), small)
