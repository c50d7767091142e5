"""Calls under watch: what they raise, warn of and touch must be what is documented."""

import dis
import os
import pickle
import random
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl

import bayes_softmax

ROOT = str(Path(bayes_softmax.__file__).parent) + os.sep
SHORTEST = 15  # letters of a message that says anything
OURS = (UserWarning,)  # the package's categories are its subclasses; ArviZ warns of LOO with it too
RAISES = ("RAISE_VARARGS", "RERAISE")
THEIR_FILTERS = ("decode_timedelta", "crc32c")  # that xarray and zarr add for messages of their own, once


class Finding(NamedTuple):
    """Something that must not be: what kind, where, and in which words."""

    kind: str
    place: str
    words: str


class Refused(NamedTuple):
    """Stands for the result of a call that was refused in words."""

    words: str


class Watch:
    """Makes calls and collects findings; ``log`` says what was called, and ``warned`` whether anything warned."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self.findings: list[Finding] = []
        self.log: list[str] = []
        self.calls = self.refusals = 0
        self.warned = False
        self._inputs = list(inputs)
        self._before = [_fingerprint(value) for value in inputs]

    def fault(self, kind: str, place: str, words: str) -> None:
        """Note a finding, once for each kind and place."""
        if any(found[:2] == (kind, place) for found in self.findings):
            return
        self.findings.append(Finding(kind, place, words))
        self.log.append(f"  !! {kind}: {words}"[:400])

    def call(self, what: str, function: Callable[[], Any]) -> Any:
        """Result of the function, or ``Refused``."""
        self.calls += 1
        state = _global_state()
        result: Any
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            filters = _filters()
            try:
                result = function()
                self.log.append(f"  {what}")
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                result = self._judge(what, error)
            if _filters() != filters:
                self.fault("global state", what, "warning filters were changed")
        self.warned |= bool(caught)
        for warning in caught:
            self._judge_warning(what, warning)
        for name, before, after in zip(
            ("NumPy's", "random's", "errstate", "folder"), state, _global_state(), strict=True
        ):
            if before != after:
                self.fault("global state", what, f"{name} state was changed")
        return result

    def _judge(self, what: str, error: BaseException) -> Refused:
        words = str(error)
        self.log.append(f"  {what}: {type(error).__name__}: {words}"[:300])
        self.refusals += 1
        kind = type(error).__name__
        place = where(error.__traceback__)
        if not isinstance(error, ValueError | TypeError):
            self.fault(f"bare {kind}", place, words)
        elif not _raised_by_us(error.__traceback__):
            self.fault(f"foreign {kind}", place, words)
        elif len(words) < SHORTEST:
            self.fault(f"short {kind}", place, words)
        return Refused(words)

    def _judge_warning(self, what: str, warning: warnings.WarningMessage) -> None:
        if issubclass(warning.category, OURS) and len(str(warning.message)) >= SHORTEST:
            return
        place = f"{Path(warning.filename).name}:{warning.lineno}"
        self.fault(f"warning {warning.category.__name__}", place, f"{what}: {warning.message}")

    def inputs_unchanged(self) -> None:
        """Note every input that is not as it was."""
        for value, before in zip(self._inputs, self._before, strict=True):
            if _fingerprint(value) != before:
                self.fault("mutated", type(value).__name__, "an input was changed")


def where(trace: TracebackType | None) -> str:
    """The last frame inside the package."""
    frames = [f for f in traceback.extract_tb(trace) if f.filename.startswith(ROOT)]
    if not frames:
        return "outside"
    return f"{frames[-1].filename.removeprefix(ROOT)}:{frames[-1].lineno} {frames[-1].name}"


def _raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is ours and executed a ``raise``; one of NumPy's in C has no frame of its own."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not trace.tb_frame.f_code.co_filename.startswith(ROOT):
        return False
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] in RAISES


def _global_state() -> tuple[Any, ...]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return (kind, keys.tobytes(), *rest), random.getstate(), tuple(sorted(np.geterr().items())), os.getcwd()


def _filters() -> list[Any]:
    return [f for f in warnings.filters if not any(theirs in str(f[1]) for theirs in THEIR_FILTERS)]


def _fingerprint(value: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        return _fingerprint(value.data), np.ma.getmaskarray(value).tobytes()
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()) if value.dtype == object else value.tobytes()
        return content, value.shape, str(value.dtype), value.flags.writeable
    if isinstance(value, pd.DataFrame):
        return (
            repr(value.to_numpy().tolist()),
            repr(value.index.tolist()),
            repr(list(value.columns)),
            repr(value.dtypes),
        )
    if isinstance(value, pd.Series | pl.Series):
        return repr(value.to_list() if isinstance(value, pl.Series) else value.tolist()), str(value.dtype)
    if isinstance(value, pl.DataFrame):
        return repr(value.to_dict(as_series=False))
    try:
        return pickle.dumps(value)
    except (TypeError, AttributeError, pickle.PicklingError):
        return None
