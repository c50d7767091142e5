"""Logit functions by their name in a file: a file holds the name and the numbers, and no code."""

import json
from collections.abc import Callable
from typing import Any

from bayes_softmax.core.checks import listed, shown
from bayes_softmax.core.protocols import Logits
from bayes_softmax.spec.custom.logits import CUSTOM, own_logits
from bayes_softmax.spec.groups.logits import GroupLogits
from bayes_softmax.spec.linear import GROUPS, LINEAR, LinearLogits
from bayes_softmax.spec.network.linearised import LINEARISED, LinearisedNetwork
from bayes_softmax.spec.network.logits import NETWORK, NetworkLogits

LOGIT_KINDS: dict[str, Callable[..., Logits]] = {
    LINEAR: LinearLogits,
    GROUPS: GroupLogits,
    NETWORK: NetworkLogits,
    LINEARISED: LinearisedNetwork,
    CUSTOM: own_logits,
}


class UnknownLogitsError(ValueError):
    """A file needs a logit function that is neither one of the package nor the one that was given."""


def logits_to_json(logits: Logits) -> str:
    """The kind of a function and its data."""
    return json.dumps({"kind": logits.kind, "data": logits.to_data()})


def logits_from_json(text: str, given: Logits | None = None) -> Logits:
    """The function that :func:`logits_to_json` wrote; one of the package, or the one that is given.

    Raises
    ------
    UnknownLogitsError
        The function is neither known nor given, or differs from the one that is given.
    ValueError
        The text does not describe logits.
    """
    kind, data = _read(text)
    if given is None:
        if kind not in LOGIT_KINDS:
            raise UnknownLogitsError(
                f"its logits are of kind {shown(kind)}, which is none of the package's ({listed(LOGIT_KINDS)}): "
                "pass the function, load(path, logits=...)"
            )
        try:
            return LOGIT_KINDS[kind](**data)
        except TypeError as error:
            raise ValueError(f"the description of its logits is damaged: {error}") from error
    written = json.loads(logits_to_json(given))
    if (written["kind"], written["data"]) != (kind, data):
        raise UnknownLogitsError(
            f"logits: the fit was made with {shown(kind)} and {shown(data)}, but the one given is "
            f"{shown(written['kind'])} and {shown(written['data'])}"
        )
    return given


def _read(text: str) -> tuple[str, dict[str, Any]]:
    """Kind and data."""
    try:
        read = json.loads(text)
        kind, data = read["kind"], read["data"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"the description of its logits is damaged: {type(error).__name__} {error}") from error
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise ValueError("the description of its logits is damaged")
    return kind, data
