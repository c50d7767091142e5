"""The order in which results of partitions are merged: the same in one process and on a cluster."""

from bayes_softmax.data.sources.partitions import Merge

FAN_IN = 8  # results merged into one: few wait at every level, and levels are few


class Tree[T]:
    """Results merged by a tree as they come in: eight in order, then eight of these merges, and so on.

    Sums are those of a cluster, which merges by the same tree, to the last bit.  One result of each level waits.
    """

    def __init__(self, merge: Merge[T]) -> None:
        self._merge = merge
        self._waiting: list[tuple[int, T] | None] = []  # of each level: how many are merged, and their merge

    def add(self, result: T, level: int = 0) -> None:
        """Take the next result of a level; that of partitions is 0."""
        if level == len(self._waiting):
            self._waiting.append(None)
        before = self._waiting[level]
        n, total = (1, result) if before is None else (before[0] + 1, self._merge(before[1], result))
        self._waiting[level] = None if n == FAN_IN else (n, total)
        if n == FAN_IN:
            self.add(total, level + 1)

    def root(self) -> T:
        """All results as one.

        Raises
        ------
        ValueError
            If there is none.
        """
        level = 0
        while level < len(self._waiting):
            waiting = self._waiting[level]
            if waiting is not None and not any(self._waiting[level + 1 :]):
                return waiting[1]
            if waiting is not None:
                self._waiting[level] = None
                self.add(waiting[1], level + 1)
            level += 1
        raise ValueError("there is no result to merge")
