"""What saw the rows that leave-one-out leaves out: parts of a model that its draws do not vary."""

from bayes_softmax.answers.fitted import Fitted, Sampled
from bayes_softmax.core.errors import NotReliableWarning, warn_caller

CHOSEN_SCALE = "the scale of the prior was chosen from all rows"
KFOLD = "kfold() fits everything again without them"


def what_saw(fit: Fitted) -> str | None:
    """The note on leave-one-out of a fit that importance weights cannot make forget a row; None if they can."""
    held = [fit.seen] if isinstance(fit, Sampled) and fit.seen else []
    if fit.schema.chosen_scale:
        held.append(CHOSEN_SCALE)
    if not held:
        return None
    return f"{', and '.join(held)}, those that are left out among them: leave-one-out is optimistic; {KFOLD}"


def warn_of_what_saw(fit: Fitted) -> None:
    """Warn where :func:`what_saw` has something to say."""
    optimistic = what_saw(fit)
    if optimistic is not None:
        warn_caller(optimistic, NotReliableWarning)
