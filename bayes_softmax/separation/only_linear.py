"""Questions about separation are for linear logits: hidden layers may separate what no straight boundary does."""

from bayes_softmax.core.protocols import Logits
from bayes_softmax.spec.linear import WITH_WEIGHTS


def refuse_separation(logits: Logits, question: str) -> None:
    """Raise where logits are not linear in the features, with or without effects of groups beside them."""
    if logits.kind not in WITH_WEIGHTS:
        raise ValueError(
            f"{question} is for linear logits, and those of this model are of kind {logits.kind!r}: with enough "
            "hidden units a network separates any classes whose rows differ. mle() says whether its loss goes to "
            "zero; a model without logits= answers for straight boundaries"
        )
