"""What is not asked of a user's function, since only PyMC knows it."""

from bayes_softmax.core.protocols import Logits
from bayes_softmax.spec.custom.calling import WHAT
from bayes_softmax.spec.custom.logits import CUSTOM

ENGINES = ("auto", "pymc")


def refuse_custom(logits: Logits, what: str) -> None:
    """Raise where the package's own density of the model is needed."""
    if logits.kind == CUSTOM:
        raise ValueError(
            f"{what} is not possible with {WHAT}: it needs the package's own density of the model, and only PyMC knows "
            "your function; model.sample() draws from the posterior"
        )


def refuse_engine(engine: str) -> None:
    """Raise for the engines that need the package's own density."""
    if engine not in ENGINES:
        raise ValueError(
            f"engine={engine!r} is not possible with {WHAT}: it needs the package's own density of the model, and only "
            "PyMC knows your function; use engine='pymc', which 'auto' is here"
        )
