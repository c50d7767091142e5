"""The tasks of a pass as a graph of Dask: one for each partition, and a tree of merges."""

from collections.abc import Sequence
from typing import Any

from bayes_softmax.data.sources.on_worker import Leaf, apply, kept_rows, merged, sent
from bayes_softmax.data.sources.partitions import Merge, Partition
from bayes_softmax.data.sources.reader import FrameReader
from bayes_softmax.data.sources.tree import FAN_IN


def tasks_of_pass[T](
    leaf: Leaf[T], merge: Merge[T], name: str, rows: Sequence[Any], scratch: Any, on_disks: dict[int, list[str]]
) -> tuple[list[Any], Any]:
    """The task of each partition, and the last merge.

    Parameters
    ----------
    leaf
        What is done with a partition.  With the coefficients that it holds it is sent once, and workers get it from
        each other.
    merge
        Two results as one.
    name
        The pass, as Dask's dashboard shows it: words, and a number of its own.
    rows
        Partitions, or futures of their encoded rows.
    scratch
        Future of the scratch of a worker.
    on_disks
        By number of a partition, the workers that have its encoded rows on their disks, and that it prefers.
    """
    import dask

    def task(function: Any, key: Any, *arguments: Any) -> Any:
        return dask.delayed(function, pure=False)(*arguments, dask_key_name=key)

    # Keys are tuples after the first word, so that Dask takes the tasks of a pass for one kind: how long one will take
    # it knows from the others.
    shared, merging = task(sent, f"send-{name}", leaf), task(sent, f"send-merge-{name}", merge)
    leaves = []
    for number, part in enumerate(rows):
        preferred = {"workers": on_disks[number], "allow_other_workers": True} if number in on_disks else {}
        with dask.annotate(**preferred):
            leaves.append(task(apply, (name, number), shared, name, number, part, scratch))
    level, depth = leaves, 0
    while len(level) > 1:
        depth += 1
        groups = [level[start : start + FAN_IN] for start in range(0, len(level), FAN_IN)]
        level = [
            task(merged, (f"merge-{name}", depth, i), merging, group) if len(group) > 1 else group[0]
            for i, group in enumerate(groups)
        ]
    return leaves, level[0]


def tasks_of_encoding(reader: FrameReader, partitions: Sequence[Partition]) -> list[Any]:
    """Tasks whose results are the encoded rows of each partition."""
    import dask

    shared = dask.delayed(sent, pure=False)(reader)
    return [dask.delayed(kept_rows, pure=False)(shared, partition) for partition in partitions]
