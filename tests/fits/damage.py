"""Damaged saved fits by the hundred, and a process of its own that loads them and says what came of it.

``python -m tests.fits.damage FOLDER`` loads everything in a folder of :func:`write_damaged` and prints one line of
JSON for each: what was done to it, and whether it answered as before, answered otherwise, or was refused in words.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr

import bayes_softmax as bs
from bayes_softmax.fits.storage.containers import from_netcdf, from_zarr, to_netcdf, to_zarr
from bayes_softmax.fits.storage.digest import CHECKSUM, checksum
from tests.benchmarks.workers.common import peak_mb

FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "pickle.find")
Files = dict[str, bytes]


def sources() -> dict[str, bs.PointEstimate | bs.Posterior]:
    """Small fits: formula and array, estimate and draws, labels and counts."""
    data = frame()
    formula = bs.SoftmaxRegression.from_formula("y ~ x + g", data, collapse=True)
    counts = np.stack([(data["y"] == c).to_numpy(float) * 2 for c in "abc"], axis=1)
    offset = np.linspace(-1, 1, 3 * len(data)).reshape(-1, 3)
    array = bs.SoftmaxRegression(data[["x"]].to_numpy(), counts, offset=offset)
    made: dict[str, bs.PointEstimate | bs.Posterior] = {}
    for name, model in (("formula", formula), ("array", array)):
        made[f"{name}-estimate"] = model.map()
        made[f"{name}-posterior"] = model.laplace(draws=100, random_seed=1, progressbar=False)
    return made


def frame() -> pd.DataFrame:
    """Rows of which many are equal."""
    rng = np.random.default_rng(3)
    x = rng.integers(-2, 3, size=40) / 2
    return pd.DataFrame({"x": x, "g": rng.choice(["u", "v"], 40), "y": rng.choice(["a", "b", "c"], 40)})


def answers(fit: bs.PointEstimate | bs.Posterior, name: str) -> list[Any]:
    """Every digit of what a fit says."""
    data, options = frame().head(6), {}
    if name.startswith("array"):
        data, options = data[["x"]].to_numpy(), {"offset": np.zeros((6, 3))}
    found = [fit.predict_proba(data, **options), fit.predict(data, **options), fit.evaluate().to_frame(), fit.summary()]
    labels = [repr(fit._fitted.schema), repr(fit.notes), repr(fit)]
    # As texts, in which every number is there to its last digit and NaN equals NaN.
    return [repr([t.to_numpy().tolist(), list(map(str, t.index))]) for t in found] + labels


# What can happen to bytes --------------------------------------------------------------------------------------------


def flip(files: Files, rng: np.random.Generator) -> None:
    """One to three bits, each in a file chosen by its size."""
    for _ in range(rng.integers(1, 4)):
        sizes = np.array([len(content) for content in files.values()])
        name = list(files)[rng.choice(len(sizes), p=sizes / sizes.sum())]
        changed = bytearray(files[name])
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
        files[name] = bytes(changed)


def cut(files: Files, rng: np.random.Generator) -> None:
    """The end of a file."""
    name = _any(files, rng)
    files[name] = files[name][: int(rng.integers(len(files[name])))]


def swap(files: Files, rng: np.random.Generator) -> None:
    """Two chunks, or two blocks of one file."""
    chunks = [name for name in files if "/c/" in name]
    if len(chunks) > 1:
        a, b = rng.choice(chunks, 2, replace=False)
        files[a], files[b] = files[b], files[a]
        return
    name = _any(files, rng)
    content, size = bytearray(files[name]), int(rng.choice([8, 64, 512]))
    i, j = (int(k) * size for k in rng.choice(max(len(content) // size, 2), 2, replace=False))
    content[i : i + size], content[j : j + size] = content[j : j + size], content[i : i + size]
    files[name] = bytes(content)


def lose(files: Files, rng: np.random.Generator) -> None:
    """A file of a folder, or a block of one file that reads as zeros."""
    if len(files) > 1:
        del files[_any(files, rng)]
        return
    name, start = _any(files, rng), int(rng.integers(len(next(iter(files.values())))))
    content = bytearray(files[name])
    size = min(int(rng.choice([16, 512, 4096])), len(content) - start)
    content[start : start + size] = bytes(size)
    files[name] = bytes(content)


def _any(files: Files, rng: np.random.Generator) -> str:
    return list(files)[int(rng.integers(len(files)))]


DAMAGES: dict[str, Callable[[Files, np.random.Generator], None]] = {
    "flip": flip,
    "cut": cut,
    "swap": swap,
    "lose": lose,
}


# What somebody can write, with a checksum that agrees ----------------------------------------------------------------

JUNK = (None, True, -1, 0, 2.5, "", "junk", [], {}, {"tuple": []}, {"tuple": ["a", "a"]}, {"items": [[1, 2]]}, [[1], 2],
        {"array": [[1], [1, 2]]}, {"tuple": "a"}, {"other": 1}, float("nan"), 10**400,
        {"tuple": [None, None, None]})  # fmt: skip


def edit_json(tree: xr.DataTree, rng: np.random.Generator) -> str:
    """A value of the schema outside a formula's encoder becomes junk, is renamed, or is buried deeply."""
    schema = json.loads(tree.attrs["schema"])
    pairs = schema["items"]
    chosen = pairs[int(rng.integers(len(pairs)))]
    way = int(rng.integers(8))
    if way == 0:
        tree.attrs["schema"] = "[" * 100_000 + "]" * 100_000
        return "deep"
    if way == 1:
        tree.attrs["schema"] = tree.attrs["schema"][: int(rng.integers(len(tree.attrs["schema"])))]
        return "JSON cut"
    if way == 2:
        chosen[0] = "other"
        tree.attrs["schema"] = json.dumps(schema)
        return "field renamed"
    name, junk = chosen[0], JUNK[int(rng.integers(len(JUNK)))]
    chosen[1] = junk
    tree.attrs["schema"] = json.dumps(schema)
    return f"{name} = {junk!r:.40}"


def edit_array(tree: xr.DataTree, rng: np.random.Generator) -> str:
    """An array gets another shape, type or impossible values, or is lost."""
    group = list(tree.children)[int(rng.integers(len(tree.children)))]
    dataset = tree[group].to_dataset()
    name = list(dataset.variables)[int(rng.integers(len(dataset.variables)))]
    way = int(rng.integers(5))
    if way == 0:
        del tree[group]
        return f"{group} lost"
    if way == 1 or dataset[name].ndim == 0:
        tree[group] = xr.DataTree(dataset.drop_vars(name))
        return f"{group}/{name} lost"
    variable = dataset.variables[name]
    values = np.array(variable.values)
    if way == 2:
        changed = xr.Variable([f"{d}_" for d in variable.dims], values[1:])
    elif way == 3:
        changed = xr.Variable(variable.dims, np.array([f"t{i}" for i in range(values.size)]).reshape(values.shape))
    else:
        bad = values.astype(float) if values.dtype.kind in "fiub" else np.full(values.shape, 7.0)
        bad.flat[int(rng.integers(max(bad.size, 1)))] = rng.choice([np.nan, np.inf, -1e6, 1e6])
        changed = xr.Variable(variable.dims, bad.astype(values.dtype) if values.dtype.kind == "f" else bad)
    others = dataset.drop_vars(name)
    tree[group] = xr.DataTree(
        xr.Dataset({**{k: others[k] for k in others.variables}, name: changed}, attrs=dataset.attrs)
    )
    return f"{group}/{name} way {way}"


def edit_header(tree: xr.DataTree, rng: np.random.Generator) -> str:
    """An attribute is lost or becomes junk."""
    owner = tree if rng.random() < 0.6 else tree[list(tree.children)[int(rng.integers(len(tree.children)))]]
    names = [name for name in owner.attrs if name not in ("schema", "format")]
    if not names:
        owner = tree
        names = ["kind", "format_version"]
    name = names[int(rng.integers(len(names)))]
    if rng.random() < 0.3:
        del owner.attrs[name]
        return f"{name} lost"
    junk: Any = ["junk", -1, float("nan"), [1.0, 2.0], "x" * 10_000, ["a", "b", "c"]][int(rng.integers(6))]
    owner.attrs[name] = junk
    return f"{name} = {junk!r:.40}"


EDITS: tuple[Callable[[xr.DataTree, np.random.Generator], str], ...] = (edit_json, edit_array, edit_header)


def write_damaged(folder: Path, n: int, seed: int) -> None:
    """``n`` damaged fits, formats and kinds in turn, with the answers of the whole ones."""
    rng = np.random.default_rng(seed)
    whole: dict[str, Files] = {}
    for name, fit in sources().items():
        for suffix in (".nc", ".zarr"):
            path = folder / f"whole-{name}{suffix}"
            fit.save(path)
            assert answers(bs.load(path), name) == answers(fit, name)
            whole[f"{name}{suffix}"] = _read(path)
    kinds = [*DAMAGES, "flip", *("edit" for _ in EDITS)]
    for i in range(n):
        name = list(whole)[i % len(whole)]
        kind = kinds[(i // len(whole)) % len(kinds)]
        files = dict(whole[name])
        if kind == "edit":
            tree = from_netcdf(files[""]) if name.endswith(".nc") else from_zarr(files)
            kind = "edit " + EDITS[int(rng.integers(len(EDITS)))](tree, rng)
            tree.attrs[CHECKSUM] = checksum(tree)
            files = {"": b"".join(to_netcdf(tree))} if name.endswith(".nc") else to_zarr(tree)
        else:
            DAMAGES[kind](files, rng)
        stem, _, suffix = name.partition(".")
        at = folder / f"{i:04d}-{stem}.{suffix}"
        _write(at, files)
        (folder / f"{i:04d}.txt").write_text(kind)


def _read(path: Path) -> Files:
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def _write(path: Path, files: Files) -> None:
    for name, content in files.items():
        at = path / name if name else path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content)
    if not files:
        path.mkdir()


# The process that loads them ----------------------------------------------------------------------------------------


def load_all(folder: Path) -> Iterator[dict[str, Any]]:
    """What came of each damaged fit."""
    run: list[str] = []
    sys.addaudithook(lambda event, _: run.append(event) if event.startswith(FORBIDDEN) else None)
    stems = {path: path.name.removeprefix("whole-") for path in sorted(folder.glob("whole-*"))}
    expected = {stem: answers(bs.load(path), stem) for path, stem in stems.items()}
    run.clear()  # what the first calls import is not what a file does
    for path in sorted(folder.glob("[0-9]*-*")):
        stem = path.name.partition("-")[2]
        what = (folder / f"{path.name[:4]}.txt").read_text()
        print(path.name, what, file=sys.stderr, flush=True)  # the last one named is the one that crashed
        try:
            told = answers(bs.load(path), stem)
            came = "same" if told == expected[stem] else "other"
        except (ValueError, FileNotFoundError) as error:
            came = "refused" if path.name in str(error) and "\n" not in str(error) else f"unnamed: {error!r}"
        except BaseException as error:
            came = f"raised {error!r}"
        yield {"name": path.name, "what": what, "came": came, "run": list(run)}
        run.clear()


def outcomes(folder: Path, timeout: float) -> list[dict[str, Any]]:
    """Load everything in a folder in a process of its own; a crash or a hang is a failure that names the file."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fits.damage", str(folder)],
        capture_output=True, text=True, timeout=timeout, check=False, cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def failures(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that neither answered as before nor were refused in words, or ran anything.

    An edit with its checksum renewed may say something else in a valid way (a note, a time): it may not raise.
    """
    fine = {True: ("same", "refused", "other"), False: ("same", "refused")}
    return [f for f in found if f["came"] not in fine[f["what"].startswith("edit")] or f["run"]]


if __name__ == "__main__":
    assert h5py.version.hdf5_version  # imported, as everything else, before the first file is opened
    for outcome in load_all(Path(sys.argv[1])):
        print(json.dumps(outcome), flush=True)
    assert peak_mb() < 1500, f"{peak_mb():.0f} MiB"
