"""The verdict on separation and rank, with names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from bayes_softmax.core.checks import counted, shown
from bayes_softmax.data.design import Label
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.display.words import few
from bayes_softmax.separation.levels import LevelWithout


class Extent(NamedTuple):
    """How much of a list a sentence names: entries, and characters."""

    most: int
    room: int

    def of(self, labels: Iterable[Label]) -> str:
        """The first labels, and how many follow."""
        return few([shown(label) for label in labels], self.most, self.room)


MANY_ROWS = 6  # rows in a sentence
SHORT = Extent(3, 100)  # in a warning, which says where to see all
LONG = Extent(12, 400)  # in a printed verdict


@dataclass(frozen=True, eq=False, repr=False)
class Separation:
    """Whether the classes are separated: along which direction, and in which rows.

    Attributes
    ----------
    kind
        ``"none"`` (they overlap), ``"quasi-complete"`` or ``"complete"`` (every row is separated from
        every other class).
    features
        Coefficients that together separate the observed classes, ``"intercept"`` (at x = 0) among them where it is
        needed: a set of which none can be left out, certified by linear programs.  There may be a smaller set of
        other features, unless a single one is named; of very many coefficients (more than 100) some that are named
        may not be needed.  Others may go to infinity too: :meth:`PointEstimate.summary` says which.
    pairs
        Pairs of classes that are separated, in some row at least.
    direction
        Frame (feature, category) of a direction in these coefficients, per standard deviation of the features, largest
        entry 1, rows summing to zero; its intercept is at the feature means.  Zero where nothing is separated.  Where
        only empty classes are, a direction in which these fall; else it is one of the observed classes, which the empty
        ones follow on average, or from below.
    per_unit
        The same direction per unit of the features as given; its intercept is at x = 0.
    rows
        Labels of a few rows that are separated from another class: two of each class.
    n_separated, n_obs
        Number of separated rows, and of rows with weight and at least two classes on offer.
    collinear
        Columns that are linear combinations of the others: their coefficients are not determined.
    empty_classes
        Classes without an observation where they were on offer: their logits can fall without bound.
    never_offered
        Classes that are in no choice set beside another: the data carry no information about them.
    unconnected
        Groups of classes that no choice set connects: differences between groups are not determined.
    undetermined
        Coefficients whose differences between connected classes the choice sets do not determine.
    levels
        Levels of factors, and values of columns of 0 and 1, that were never observed with some classes, as
        ``(variable, level, n_rows, classes)``: there these classes are excluded.
    levels_explain
        Whether such levels are all that separates the classes.
    proof
        For rows that are read in passes, from which of them this is known of all; empty for rows in memory.
    """

    kind: str
    features: tuple[str, ...]
    pairs: tuple[tuple[Label, Label], ...]
    direction: pd.DataFrame
    per_unit: pd.DataFrame
    rows: tuple[Label, ...] = ()
    n_separated: int = 0
    n_obs: int = 0
    collinear: tuple[str, ...] = ()
    empty_classes: tuple[Label, ...] = ()
    never_offered: tuple[Label, ...] = ()
    unconnected: tuple[tuple[Label, ...], ...] = ()
    undetermined: tuple[str, ...] = ()
    levels: tuple[LevelWithout, ...] = ()
    levels_explain: bool = False
    proof: str = ""

    @property
    def separated(self) -> bool:
        """Whether the maximum-likelihood estimate is infinite."""
        return self.kind != "none"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences that say why there is no finite, unique optimum; none if there is one.

        They name the first few classes, features and rows; the attributes have all.
        """
        return self._sentences(SHORT)

    @property
    def advice(self) -> str | None:
        """The reasons, and how the summary of an estimate shows them; None if there are none."""
        if not self.reasons:
            return None
        result = "many estimates are equally good"
        shows = "NaN for contrasts that are not determined"
        if self.separated:
            result, shows = "no finite estimate exists", "inf, -inf, or NaN where the sign is open"
        more = "; model.check_separation() names more" if self.reasons != self._sentences(LONG) else ""
        return f"{result}: {'; '.join(self.reasons)}{more}; summary() shows {shows}"

    def _sentences(self, extent: Extent) -> tuple[str, ...]:
        """The reasons, with lists of some extent."""
        sentences = self._choices(extent)
        if self.separated and self.empty_classes:
            one = len(self.empty_classes) == 1
            which, verb, fall = ("class", "was", "its logits") if one else ("classes", "were", "their logits")
            empty = extent.of(self.empty_classes)
            sentences.append(f"{which} {empty} {verb} declared but never observed, so {fall} can fall without bound")
        if self.collinear:
            columns = extent.of(self.collinear)
            sentences.append(f"the columns {columns} are linear combinations of the others (collinear)")
        if self._pairs_seen:
            sentences.append(f"{self.kind} separation: {self._levels(extent) or self._directions(extent)}")
        return tuple(sentences)

    def _levels(self, extent: Extent) -> str:
        """Levels that exclude classes, if these are all that separates; else nothing."""
        if not self.levels_explain:
            return ""
        told = [
            f"level {shown(level)} of {shown(variable)} ({counted(n, 'row')}) was never observed with "
            f"{extent.of(classes)}"
            for variable, level, n, classes in self.levels
        ]
        most = 1 + extent.most // 2
        left = len(told) - most
        return "; ".join(told[:most]) + (f"; and {counted(left, 'more such level')}" if left > 0 else "")

    def _directions(self, extent: Extent) -> str:
        """Which classes are separated, by which features, and in which rows."""
        along = extent.of(self.features)
        if len(self.features) > 1:
            along = f"a combination of {along}"
        how_many = "; a class is excluded in" if self._in_part else ", in"
        rows = [shown(row) for row in self.rows[:MANY_ROWS]] + ["..."] * (self.n_separated > MANY_ROWS)
        return f"{self._who(extent)} by {along}{how_many} {self.n_separated} of {self.n_obs} rows ({', '.join(rows)})"

    def _choices(self, extent: Extent) -> list[str]:
        """What the choice sets leave open."""
        sentences = []
        if self.never_offered:
            which, verb = ("class", "is") if len(self.never_offered) == 1 else ("classes", "are")
            sentences.append(
                f"{which} {extent.of(self.never_offered)} {verb} never on offer beside another, so the data carry no "
                f"information about {'it' if verb == 'is' else 'them'}"
            )
        if self.unconnected:
            groups = [extent.of(group) for group in self.unconnected[: extent.most]]
            more = len(self.unconnected) - len(groups)
            sentences.append(
                f"the classes {'; '.join(groups)}{f'; and {more} more groups' if more else ''} are never on offer "
                "together, so differences between these groups are not determined"
            )
        if self.undetermined:
            sentences.append(
                f"the choice sets do not determine {extent.of(self.undetermined)} for all classes: where two classes "
                "are on offer together, these do not vary"
            )
        return sentences

    @property
    def _pairs_seen(self) -> tuple[tuple[Label, Label], ...]:
        """Pairs of classes that both occur."""
        return tuple(pair for pair in self.pairs if not set(pair) & set(self.empty_classes))

    @property
    def _in_part(self) -> bool:
        """Whether every class is separated from every other, but not in all rows."""
        labels = {label for pair in self._pairs_seen for label in pair}
        every = len(labels) > 2 and len(self._pairs_seen) == len(labels) * (len(labels) - 1) // 2
        return every and self.kind != "complete"

    def _brief(self) -> Brief:
        """Whether the classes overlap, and the reasons."""
        which = "the classes that occur" if self.empty_classes else "the classes"
        overlap = [] if self._pairs_seen else [f"{which} overlap: no direction separates them"]
        first, *others = [*overlap, *self._sentences(LONG)]
        tables = (("direction, per unit of the features", self.per_unit),) if self.separated else ()
        return Brief(first, tuple(others), (self.proof,) if self.proof else (), tables=tables)

    __repr__ = as_text
    _repr_html_ = as_markup

    def _who(self, extent: Extent) -> str:
        """Which classes: one from the others if a single class is in every pair, else the pairs."""
        pairs = self._pairs_seen
        for label in pairs[0]:
            if all(label in pair for pair in pairs):
                others = [b if a == label else a for a, b in pairs]
                return f"class {label!r} is separated from {extent.of(others)}"
        labels = {label for pair in pairs for label in pair}
        if len(pairs) == len(labels) * (len(labels) - 1) // 2:
            who = extent.of(sorted(labels, key=repr))
            return (
                f"every two of the classes {who} are separated in some rows"
                if self._in_part
                else (f"the classes {who} are all separated")
            )
        named = [f"{shown(a)} and {shown(b)}" for a, b in pairs]
        return f"{few(named, extent.most, extent.room, _more_pairs)} are separated"


def _more_pairs(n: int) -> str:
    return f" and {counted(n, 'more pair')} (model.check_separation().pairs)"
