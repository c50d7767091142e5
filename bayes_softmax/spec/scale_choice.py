"""What was found when the scale of a prior was chosen from the data."""

from collections.abc import Mapping
from dataclasses import dataclass

from bayes_softmax.core.checks import listed
from bayes_softmax.display.brief import Brief, as_markup, as_text


@dataclass(frozen=True, repr=False)
class ScaleChoice:
    """The scales that ``choose_prior_scale()`` chose, and the evidence for them.

    Attributes
    ----------
    factors
        What the scales of the priors, as they were given, are multiplied by, layer by layer: ``"weights"`` of linear
        logits; of a network ``"hidden_1"``, ... (weights and biases), ``"weights"``, and with skip weights ``"skip"``.
    log_evidence
        Log evidence (log marginal likelihood) there, by Laplace's approximation; under flat priors up to a constant.
        Of a network, that of one mode.
    log_evidence_as_given
        The same at the scales as they were given, NaN if no mode is certified there.
    at_end
        Whether the evidence is highest at an end of the factors that were tried: no maximum was found.
    n_fits
        Number of modes that were found for it.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> model.choose_prior_scale().chosen_scale
    scales of the weights' priors: 3.39 times as given, chosen from the data
      log evidence -150.18, as given -157.39 (Laplace's approximation)
    """

    factors: Mapping[str, float]
    log_evidence: float
    log_evidence_as_given: float
    at_end: bool
    n_fits: int

    @property
    def factor(self) -> float:
        """The only factor, of linear logits; a network has :attr:`factors`, one for each layer."""
        if len(self.factors) > 1:
            raise AttributeError(f"a network has a factor for each layer ({listed(self.factors)}): see factors")
        return next(iter(self.factors.values()))

    def __str__(self) -> str:
        """Return a sentence for the notes of models and fits."""
        end = ", the end of the range where their evidence is highest" if self.at_end else ""
        return f"the scales of the {self._whose} were chosen from these data: {self._times_given}{end}"

    @property
    def _whose(self) -> str:
        return "weights' priors" if len(self.factors) == 1 else "priors"

    @property
    def _times_given(self) -> str:
        """The factors in words."""
        if len(self.factors) == 1:
            return f"{self.factor:.4g} times as given"
        return f"{', '.join(f'{name} {factor:.4g}' for name, factor in self.factors.items())} times as given"

    def _brief(self) -> Brief:
        """The factors, and their evidence."""
        return Brief(
            f"scales of the {self._whose}: {self._times_given}, chosen from the data",
            (
                f"log evidence {self.log_evidence:.2f}, as given {self.log_evidence_as_given:.2f} "
                "(Laplace's approximation)",
            ),
            ("the evidence is highest at an end of the range: no maximum was found",) if self.at_end else (),
        )

    __repr__ = as_text
    _repr_html_ = as_markup
