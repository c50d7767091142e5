"""pyarrow datasets as sources: a partition is a row group, or a fragment of another format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_softmax.core.checks import shown
from bayes_softmax.data.sources.partitions import Source, frame_rows, numbered_frame


@dataclass(frozen=True, eq=False)
class Fragment:
    """A fragment of a pyarrow dataset, or a filtered dataset, which has none."""

    fragment: Any
    schema: Any
    name: str
    filtered: bool = False

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        from pyarrow import ArrowException

        start = 0
        wanted = None if columns is None else [name for name in columns if name in self.schema.names]
        read: dict[str, Any] = {
            "columns": wanted,
            "batch_size": frame_rows(len(self.schema.names if wanted is None else wanted)),
            "use_threads": False,
        }
        if not self.filtered:
            read["schema"] = self.schema
        try:
            for batch in self.fragment.to_batches(**read):
                yield numbered_frame(batch.to_pandas(use_threads=False), start)
                start += batch.num_rows
        except ArrowException as error:
            if not self.filtered:
                self._compare(columns, error)
            raise

    def _compare(self, columns: Sequence[str] | None, error: BaseException) -> None:
        """Raise for the first column whose type in the file is not that of the dataset."""
        physical = self.fragment.physical_schema
        for name in self.schema.names if columns is None else columns:
            if name in physical.names and physical.field(name).type != self.schema.field(name).type:
                raise TypeError(
                    f"column {shown(name)} has type {physical.field(name).type}, and type "
                    f"{self.schema.field(name).type} in the dataset: {error}"
                ) from error


def dataset_source(dataset: Any) -> Source:
    """The source of a pyarrow dataset."""
    names = tuple(dataset.schema.names)
    try:
        whole = list(dataset.get_fragments())
    except ValueError:  # filtered rows are read as one: pyarrow gives no fragments of them
        return Source("the dataset", (Fragment(dataset, dataset.schema, "the dataset", filtered=True),), names)
    pieces = [piece for i, fragment in enumerate(whole) for piece in _pieces(fragment, dataset.schema, i)]
    return Source(f"the dataset of {len(whole)} fragments", tuple(pieces), names)


def _pieces(fragment: Any, schema: Any, number: int) -> list[Fragment]:
    """The row groups of a fragment, where it has such."""
    from pyarrow.dataset import FileFragment, ParquetFileFragment

    name = Path(fragment.path).name if isinstance(fragment, FileFragment) else f"fragment {number}"
    if not isinstance(fragment, ParquetFileFragment):
        return [Fragment(fragment, schema, name)]
    try:
        groups = fragment.split_by_row_group()
    except Exception as error:
        raise ValueError(f"{name}: cannot be read as Parquet: {error}") from error
    return [
        Fragment(group, schema, name if len(groups) == 1 else f"{name}, row group {i}")
        for i, group in enumerate(groups)
    ]
