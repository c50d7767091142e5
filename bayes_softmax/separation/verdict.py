"""The verdict on separation and rank, with names."""

from dataclasses import dataclass

import pandas as pd

from bayes_softmax.core.checks import listed
from bayes_softmax.data.design import Label

MANY_ROWS = 6  # rows in a sentence
SHOWN_PAIRS = 3  # pairs of classes in a sentence; each is two names


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

    @property
    def separated(self) -> bool:
        """Whether the maximum-likelihood estimate is infinite."""
        return self.kind != "none"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences that say why there is no finite, unique optimum; none if there is one."""
        sentences = [*self._choices]
        if self.separated and self.empty_classes:
            one = len(self.empty_classes) == 1
            which, verb, fall = ("class", "was", "its logits") if one else ("classes", "were", "their logits")
            empty = listed(self.empty_classes)
            sentences.append(f"{which} {empty} {verb} declared but never observed, so {fall} can fall without bound")
        if self.collinear:
            sentences.append(f"the columns {listed(self.collinear)} are linear combinations of the others (collinear)")
        if self._pairs_seen:
            along = listed(self.features) if len(self.features) == 1 else f"a combination of {listed(self.features)}"
            examples = ", ".join(map(repr, self.rows[:MANY_ROWS]))
            how_many = "; a class is excluded in" if self._in_part else ", in"
            sentences.append(
                f"{self.kind} separation: {self._who()} by {along}{how_many} "
                f"{self.n_separated} of {self.n_obs} rows ({examples}{', ...' if self._more else ''})"
            )
        return tuple(sentences)

    @property
    def advice(self) -> str | None:
        """The reasons, and how the summary of an estimate shows them; None if there are none."""
        shown = "so many estimates are equally good; summary() shows NaN for contrasts that are not determined"
        if self.separated:
            shown = (
                "so no finite estimate exists; summary() shows inf, -inf, or NaN where not even the sign is determined"
            )
        return f"{'; '.join(self.reasons)}, {shown}" if self.reasons else None

    @property
    def _choices(self) -> list[str]:
        """What the choice sets leave open."""
        sentences = []
        if self.never_offered:
            which, verb = ("class", "is") if len(self.never_offered) == 1 else ("classes", "are")
            sentences.append(
                f"{which} {listed(self.never_offered)} {verb} never on offer beside another, so the data carry no "
                f"information about {'it' if verb == 'is' else 'them'}"
            )
        if self.unconnected:
            groups = [listed(group) for group in self.unconnected[:SHOWN_PAIRS]]
            more = len(self.unconnected) - len(groups)
            sentences.append(
                f"the classes {'; '.join(groups)}{f'; and {more} more groups' if more else ''} are never on offer "
                "together, so differences between these groups are not determined"
            )
        if self.undetermined:
            sentences.append(
                f"the choice sets do not determine {listed(self.undetermined)} for all classes: where two classes are "
                "on offer together, these do not vary"
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

    @property
    def _more(self) -> bool:
        return self.n_separated > len(self.rows[:MANY_ROWS])

    def __repr__(self) -> str:
        """Return one sentence, or a few joined by semicolons."""
        which = "the classes that occur" if self.empty_classes else "the classes"
        overlap = () if self._pairs_seen else (f"{which} overlap: no direction separates them",)
        return "; ".join((*overlap, *self.reasons))

    def _who(self) -> str:
        """Which classes: one from the others if a single class is in every pair, else the pairs."""
        pairs = self._pairs_seen
        for label in pairs[0]:
            if all(label in pair for pair in pairs):
                others = [b if a == label else a for a, b in pairs]
                return f"class {label!r} is separated from {listed(others)}"
        labels = {label for pair in pairs for label in pair}
        if len(pairs) == len(labels) * (len(labels) - 1) // 2:
            who = listed(sorted(labels, key=repr))
            return (
                f"every two of the classes {who} are separated in some rows"
                if self._in_part
                else (f"the classes {who} are all separated")
            )
        shown = ", ".join(f"{a!r} and {b!r}" for a, b in pairs[:SHOWN_PAIRS])
        more = len(pairs) - SHOWN_PAIRS
        if more <= 0:
            return f"{shown} are separated"
        return f"{shown} and {more} more pair{'s'[: more > 1]} (model.check_separation().pairs) are separated"
