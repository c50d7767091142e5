"""``--levels`` of the commands that answer: whose effects rows have in a model with groups."""

import argparse
from collections.abc import Sequence
from typing import Any

from bayes_softmax.core.checks import shown

CHOICES = "known, new, known-or-new, average"


def add_levels(command: argparse.ArgumentParser, default: str) -> None:
    """Add the option, and the seed of effects that are drawn."""
    group = command.add_argument_group("levels of groups")
    group.add_argument(
        "--levels",
        nargs="+",
        metavar="[GROUP=]CHOICE",
        help=f"effects of the rows' levels: their own (known), drawn from the population (new), or averaged over it; "
        f"{CHOICES}, for all groupings or for each (default {default})",
    )
    group.add_argument("--seed", type=int, default=1, help="random seed of effects that are drawn (default 1)")


def levels_of(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments ``levels`` and ``random_seed`` of an answer; none where the option is not given."""
    texts: Sequence[str] | None = options.levels
    if texts is None:
        return {}
    seed = {"random_seed": options.seed}
    if len(texts) == 1 and "=" not in texts[0]:
        return {"levels": _choice(texts[0]), **seed}
    found: dict[str, str] = {}
    for text in texts:
        name, sign, choice = text.rpartition("=")
        if not (name and sign):
            raise ValueError(
                f"--levels {shown(text)} must be GROUP=CHOICE, or one choice ({CHOICES}) for all groupings"
            )
        if name in found:
            raise ValueError(f"--levels: {shown(name)} appears twice")
        found[name] = _choice(choice)
    return {"levels": found, **seed}


def _choice(text: str) -> str:
    """``known-or-new`` is the choice of that name with spaces."""
    return text.replace("-", " ")
