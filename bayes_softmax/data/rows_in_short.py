"""What is known of the rows of a model, in memory or elsewhere, without looking at them."""

from typing import Protocol

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Response, Standardisation


class RowsInShort(Protocol):
    """What a design in memory and a summary of rows elsewhere both say."""

    @property
    def response(self) -> Response:
        """Name and classes; whether it holds observations is another matter."""
        ...

    @property
    def n_obs(self) -> int:
        """Rows of the data."""
        ...

    @property
    def n_dropped(self) -> int:
        """Rows with missing values that were left out."""
        ...

    @property
    def n_features(self) -> int:
        """Features without the intercept."""
        ...

    @property
    def n_classes(self) -> int:
        """Classes."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features."""
        ...

    @property
    def has_intercept(self) -> bool:
        """Whether the model has an intercept."""
        ...

    @property
    def standardisation(self) -> Standardisation:
        """Centre and scale of the internal features."""
        ...

    @property
    def total_weight(self) -> float:
        """Observations in all."""
        ...

    @property
    def n_forced(self) -> int:
        """Rows with a single class on offer."""
        ...

    def class_counts(self) -> FloatArray:
        """(K,) observations of each class."""
        ...
