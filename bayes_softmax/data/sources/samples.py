"""A uniform sample of rows, mergeable: those with the smallest of random keys."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray

SAMPLE_ROWS = 100_000  # from which a fit starts
SLACK = 2  # times as many are held before the rest is let go: each cut looks at all that are held


@dataclass(frozen=True, eq=False)
class Sample:
    """Pieces of frames with the random key of each row; at least the ``SAMPLE_ROWS`` rows of the smallest keys."""

    pieces: tuple[tuple[pd.DataFrame, FloatArray], ...] = ()
    limit: float = np.inf  # rows with larger keys are not in the sample

    def added(self, frame: pd.DataFrame, keys: FloatArray) -> "Sample":
        """The sample of these rows and more."""
        at = np.flatnonzero(keys <= self.limit)
        return self if not len(at) else self.merged(Sample(((frame.iloc[at], keys[at]),)))

    def merged(self, other: "Sample") -> "Sample":
        """The sample of the rows of both."""
        both = Sample(self.pieces + other.pieces, min(self.limit, other.limit))
        return both._cut() if sum(len(keys) for _, keys in both.pieces) > SLACK * SAMPLE_ROWS else both

    def _cut(self) -> "Sample":
        """The rows of the smallest keys alone."""
        keys = np.concatenate([keys for _, keys in self.pieces])
        limit = min(self.limit, float(np.partition(keys, SAMPLE_ROWS - 1)[SAMPLE_ROWS - 1]))
        kept = [(frame.iloc[keys <= limit], keys[keys <= limit]) for frame, keys in self.pieces]
        return Sample(tuple(piece for piece in kept if len(piece[1])), limit)

    def frame(self) -> pd.DataFrame:
        """The rows, in the order of their keys."""
        if not self.pieces:
            return pd.DataFrame()
        keys = np.concatenate([keys for _, keys in self.pieces])
        rows = pd.concat([frame for frame, _ in self.pieces], ignore_index=True)
        return rows.iloc[np.argsort(keys, kind="stable")[:SAMPLE_ROWS]].reset_index(drop=True)
