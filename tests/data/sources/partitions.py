"""Sources for tests: partitions of a frame that say what they do, given where a model takes its data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources.partitions import Source, in_frames
from bayes_softmax.spec import specify


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a frame in pieces; ``before`` is called before each piece is given, ``reads`` counts the passes."""

    frame: pd.DataFrame
    name: str
    piece: int = 10**9
    before: Callable[[], Any] | None = None
    reads: list[int] = field(default_factory=list)

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        self.reads.append(1)
        frame = self.frame if columns is None else self.frame[[name for name in columns if name in self.frame]]
        whole = next(iter(in_frames(frame)))
        for start in range(0, max(len(whole), 1), self.piece):
            if self.before is not None:
                self.before()
            yield whole.iloc[start : start + self.piece]


def source_of_parts(frames: list[pd.DataFrame], **options: Any) -> Source:
    """A source with a partition for each frame."""
    parts = tuple(Part(frame, f"part {i}", **options) for i, frame in enumerate(frames))
    return Source("the parts", parts, tuple(frames[0].columns))


def model_of(formula: str, source: Source, **options: Any) -> bs.SoftmaxRegression:
    """The model of a formula over a source that is given as such."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(specify, "source_of", lambda data: data)
        return bs.SoftmaxRegression.from_formula(formula, source, **options)
