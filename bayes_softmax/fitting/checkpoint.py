"""A file in which a search for a mode keeps the best point of its passes, and from which the same fit goes on."""

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.priors import PriorTable
from bayes_softmax.spec.specification import Specification

FORMAT = "bayes_softmax checkpoint"
VERSION = 1
SAME = 1e-9  # relative difference of sums over the same rows, which may be added in another order


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The file of a fit: points by coding and priors, so that an MLE and a MAP of one model have one each.

    Attributes
    ----------
    path
        The file.
    model
        What the rows are: names, classes, totals and moments.
    fit
        Coding and priors.
    best
        The highest log posterior so far, and the number of passes that were kept.
    """

    path: Path
    model: dict[str, Any]
    fit: dict[str, Any]
    coordinates: Coordinates
    best: dict[str, float] = field(default_factory=lambda: {"value": -np.inf, "passes": 0})

    @property
    def said(self) -> str:
        """What is in the file, for messages."""
        if not self.best["passes"]:
            return f"no pass was complete, and {self.path} has nothing of it"
        return f"{self.path} has its last complete pass, from which the same fit goes on"

    def point(self) -> FloatArray | None:
        """The free vector (d,) from which the fit goes on; None where there is none."""
        for kept in self._read():
            if kept["fit"] == self.fit and len(kept["point"]) == self.coordinates.dimension:
                LOGGER.info(f"goes on from the point of {self.path}, reached after {kept['passes']} passes")
                return np.array(kept["point"], dtype=np.float64)
        return None

    def keep(self, density: SoftmaxPosterior, V: FloatArray, log_likelihood: float) -> None:
        """Write a point (K, q) after a pass, if it is the best so far."""
        theta = self._free(V)
        value = log_likelihood + density.log_prior(theta)
        self.best["passes"] += 1
        if not value > self.best["value"]:
            return
        self.best["value"] = value
        found = {"fit": self.fit, "point": theta.tolist(), "log_posterior": value, "passes": int(self.best["passes"])}
        others = [kept for kept in self._read() if kept["fit"] != self.fit]
        content = {"format": FORMAT, "version": VERSION, "model": self.model, "fits": [*others, found]}
        try:
            _write(self.path, json.dumps(content))
        except OSError as error:
            LOGGER.info(f"checkpoint: {self.path} cannot be written ({error}); the fit goes on without")

    def _free(self, V: FloatArray) -> FloatArray:
        """The free vector of engine coefficients."""
        at, raw = self.coordinates, V.T
        first = int(at.has_intercept)
        weights = raw[first:] / at.scale[:, None]
        return at.from_raw((raw[0] if first else np.zeros(len(V))) - at.centre @ weights, weights)

    def _read(self) -> list[dict[str, Any]]:
        """The points in the file, none where there is no file; raises for one of other rows, or of something else."""
        if not self.path.exists():
            return []
        where = f"checkpoint={shown(str(self.path))}"
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            known = content["format"] == FORMAT and content["version"] == VERSION
            model, fits = content["model"], [dict(kept) for kept in content["fits"]]
            points = [np.array(kept["point"], dtype=np.float64) for kept in fits if kept["fit"] and kept["passes"]]
            known = known and all(point.ndim == 1 and np.isfinite(point).all() for point in points)
        except (OSError, ValueError, KeyError, TypeError, UnicodeDecodeError):
            known = False
        if not known:
            raise ValueError(f"{where} is not a checkpoint of this package: remove the file, or name another")
        for key, value in self.model.items():
            if not _same(model.get(key), value):
                raise ValueError(
                    f"{where} is of another model: {_difference(key, model.get(key), value)}; remove the file, or "
                    "name another"
                )
        return fits


def checkpoint_of(spec: Specification) -> Checkpoint | None:
    """The checkpoint of a specification whose rows are read in passes; None where none was asked for."""
    rows = spec.streamed
    if rows is None or rows.reader.options.checkpoint is None:
        return None
    path = Path(os.fspath(rows.reader.options.checkpoint)).expanduser().absolute()
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"is in a folder that does not exist, {path.parent}"
        raise ValueError(f"checkpoint={shown(str(path))} {what}; expected the name of a file")
    fit = {"coding": spec.schema.coding, **_priors(spec.priors)}
    return Checkpoint(path, _model(rows), fit, spec.coordinates)


def _model(rows: StreamedRows) -> dict[str, Any]:
    """What the rows of a model are, as JSON."""
    known = rows.summary
    return {
        "response": known.response.name,
        "classes": [str(label) for label in known.response.classes],
        "features": list(known.feature_names),
        "intercept": known.has_intercept,
        "rows": known.n_obs,
        "observations of each class": known.class_counts().tolist(),
        "means of the features": known.mean.tolist(),
        "standard deviations of the features": known.sd.tolist(),
    }


def _priors(priors: PriorTable) -> dict[str, Any]:
    """Priors as JSON."""
    return {
        "priors": [[int(code), float(scale), float(df)] for code, scale, df in zip(*priors.features, strict=True)],
        "intercept_prior": [repr(priors.intercept), priors.intercept_at],
    }


def _same(kept: Any, value: Any) -> bool:
    """Whether two entries are equal, sums up to rounding."""
    numbers = isinstance(value, list) and bool(value) and isinstance(value[0], float)
    if not (numbers and isinstance(kept, list)):
        return bool(kept == value)
    return len(kept) == len(value) and bool(np.allclose(kept, value, rtol=SAME, atol=SAME * np.abs(value).max()))


def _difference(key: str, kept: Any, value: Any) -> str:
    """What differs, in words: of lists the first entry that does."""
    if isinstance(kept, list) and isinstance(value, list):
        if len(kept) == len(value):
            at = next(i for i, pair in enumerate(zip(kept, value, strict=True)) if not _same([pair[0]], [pair[1]]))
            return f"the {key} have {shown(kept[at])} where this model has {shown(value[at])}"
        return f"it has {len(kept)} {key}, and this model {len(value)}"
    return f"its {key} is {shown(kept)}, and that of this model {shown(value)}"


def _write(path: Path, text: str) -> None:
    """Write a file in one step: it is never there in part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
