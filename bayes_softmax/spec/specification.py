"""The model: rows, names, coding and priors, put together once by the front door and never changed."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

from bayes_softmax.core.protocols import Logits
from bayes_softmax.data.collapse import Collapsed
from bayes_softmax.data.design import Design
from bayes_softmax.data.observations import Observations
from bayes_softmax.data.rows_in_short import RowsInShort
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.spec.coding import Coordinates, build_coordinates, contrast_matrix
from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.linear import INTERCEPT
from bayes_softmax.spec.network.hidden import HiddenLayers, NetworkCoordinates
from bayes_softmax.spec.priors import PriorTable, flat_table
from bayes_softmax.spec.scales.hyperpriors import ShrinkagePrior


@dataclass(frozen=True, eq=False)
class Specification:
    """A model, from which its log density and its ``pm.Model`` are made.

    Attributes
    ----------
    rows
        The observations, in memory or streamed.
    schema
        Names and encodings.
    priors
        One family per coefficient row; of a network, per row of its last layer; none of a user's function, which names
        its priors itself.
    logits
        The logits of rows as a function of parameters.
    hidden
        Hidden layers of a network, None for linear logits.
    groups
        Effects of the levels of each grouping, with their priors.
    """

    rows: Observations | StreamedRows
    schema: Schema
    priors: PriorTable
    logits: Logits
    hidden: HiddenLayers | None = None
    groups: tuple[GroupEffects, ...] = ()

    @property
    def summary(self) -> RowsInShort:
        """What is known of the rows without looking at them."""
        return self.rows.summary

    @property
    def streamed(self) -> StreamedRows | None:
        """The rows if they are not in memory, but read in passes."""
        return self.rows if isinstance(self.rows, StreamedRows) else None

    @property
    def observations(self) -> Observations:
        """The rows in memory; raises where they are not."""
        if isinstance(self.rows, StreamedRows):
            raise ValueError(
                f"this needs the rows in memory, and those of {self.rows.source_name} are read in passes, since they "
                "are too many; fit a sample of them, as a data frame"
            )
        return self.rows

    @property
    def design(self) -> Design:
        """The rows as given."""
        return self.observations.design

    @property
    def collapsed(self) -> Collapsed | None:
        """The rows with equal ones collapsed, where that helps."""
        return self.observations.collapsed

    @property
    def distinct(self) -> Design:
        """The rows that are fitted."""
        return self.observations.distinct

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the model has: the intercept of one without it is zero, and is not kept."""
        kept = self.schema.has_intercept or self.logits.kind == CUSTOM
        return tuple(name for name in self.logits.shapes if name != INTERCEPT or kept)

    @property
    def learns_scales(self) -> bool:
        """Whether some prior has a scale that is learned."""
        return self.priors.learns_scales or bool(self.hidden is not None and self.hidden.learned)

    @property
    def learned_priors(self) -> tuple[ShrinkagePrior, ...]:
        """The priors whose scales are learned."""
        layers = () if self.hidden is None else tuple(layer.prior for layer in self.hidden.learned)
        return (*(scale.prior for scale in self.priors.learned), *layers)

    @cached_property
    def coordinates(self) -> Coordinates:
        """Linear maps between free, engine and raw coordinates; of a network, of its last layer."""
        features = self.summary.standardisation
        return build_coordinates(
            self.schema.coding,
            self.summary.n_classes,
            *(features if self.hidden is None else self.hidden.of_last_layer(features)),
            has_intercept=self.summary.has_intercept,
            flat_intercept=self.priors.flat_intercept,
        )

    @cached_property
    def network_coordinates(self) -> NetworkCoordinates:
        """Maps between free vectors and parameters of a network."""
        assert self.hidden is not None
        return NetworkCoordinates(self.hidden, self.coordinates)

    def without_priors(self) -> "Specification":
        """The same rows under flat priors; full coding, not identified then, becomes zero-sum."""
        coding = "zero-sum" if self.schema.coding == "full" else self.schema.coding
        schema = replace(self.schema, coding=coding, prior_sd=(), layer_sd=(), dropped_flat=True, chosen_scale=False)
        hidden = None if self.hidden is None else self.hidden.with_flat_priors()
        contrast = contrast_matrix(coding, self.summary.n_classes)
        groups = tuple(replace(effects, coding=coding, contrast=contrast) for effects in self.groups)
        return replace(self, schema=schema, priors=flat_table(self.priors), hidden=hidden, groups=groups)


@runtime_checkable
class HasSpecification(Protocol):
    """An object with a specification: the front door, for functions that are methods of it."""

    @property
    def _spec(self) -> Specification:
        """The model's specification."""
        ...
