"""What was found when the scale of a prior was chosen from the data."""

from dataclasses import dataclass

from bayes_softmax.display.brief import Brief, as_markup, as_text


@dataclass(frozen=True, repr=False)
class ScaleChoice:
    """The scale that ``choose_prior_scale()`` chose, and the evidence for it.

    Attributes
    ----------
    factor
        What the scales of the weights' priors, as they were given, are multiplied by.
    log_evidence
        Log evidence (log marginal likelihood) there, by Laplace's approximation; under flat priors up to a constant.
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

    factor: float
    log_evidence: float
    log_evidence_as_given: float
    at_end: bool
    n_fits: int

    def __str__(self) -> str:
        """Return a sentence for the notes of models and fits."""
        end = ", the end of the range where their evidence is highest" if self.at_end else ""
        return f"the scales of the weights' priors were chosen from these data: {self.factor:.4g} times as given{end}"

    def _brief(self) -> Brief:
        """The factor, and its evidence."""
        return Brief(
            f"scales of the weights' priors: {self.factor:.4g} times as given, chosen from the data",
            (
                f"log evidence {self.log_evidence:.2f}, as given {self.log_evidence_as_given:.2f} "
                "(Laplace's approximation)",
            ),
            ("the evidence is highest at an end of the range: no maximum was found",) if self.at_end else (),
        )

    __repr__ = as_text
    _repr_html_ = as_markup
