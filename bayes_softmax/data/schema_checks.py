"""What a schema read from a file must satisfy, field by field, before anything is built from it."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bayes_softmax.core.checks import shown
from bayes_softmax.data.options import CODINGS

Fields = Mapping[str, Any]


def check_fields(fields: Any, known: Iterable[str]) -> None:
    """Raise a ValueError that names an unknown or absent field, or one with an invalid value."""
    if not isinstance(fields, dict):
        raise ValueError("the schema is not an object with named fields")
    unknown = [name for name in fields if name not in set(known)]
    if unknown:
        raise ValueError(f"the schema has a field {unknown[0]!r}, which is not known (of a newer version?)")
    for name in ("classes", "feature_names", "encoder", "response_name", "unused_classes", "coding", "has_intercept"):
        if name not in fields:
            raise ValueError(f"the schema has no field {name!r}")
    for name, valid in CHECKS.items():
        value = fields.get(name)
        if name in fields and not valid(value, fields):
            raise ValueError(f"the schema's {name} cannot be {shown(value)}")


def check_array_encoder(encoder: Any, feature_names: tuple[str, ...]) -> None:
    """Raise unless the encoder of an array model has the features of the model."""
    if not (isinstance(encoder, dict) and set(encoder) == {"feature_names", "has_intercept"}):
        raise ValueError("the schema's encoder is neither that of a formula nor that of an array")
    names = encoder["feature_names"]
    if not (_names(names, {}) and isinstance(encoder["has_intercept"], bool)):
        raise ValueError("the schema's encoder has no list of distinct features")
    absent = [name for name in feature_names if name not in names]
    if absent:
        raise ValueError(f"the schema's encoder does not have the feature {absent[0]!r}")


def _texts(value: Any, _: Fields) -> bool:
    return isinstance(value, tuple) and all(isinstance(text, str) for text in value)


def _names(value: Any, fields: Fields) -> bool:
    return _texts(value, fields) and len(set(value)) == len(value)


def _columns(value: Any, fields: Fields) -> bool:
    """Nothing, or a column for each class."""
    return _texts(value, fields) and len(value) in (0, len(fields["classes"]))


def _classes(value: Any, _: Fields) -> bool:
    labels = isinstance(value, tuple) and all(isinstance(label, str | int) for label in value)
    return labels and len(value) >= 2 and len(set(value)) == len(value)


def _unused(value: Any, fields: Fields) -> bool:
    return isinstance(value, tuple) and all(label in fields["classes"] for label in value)


def _number(value: Any, low: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= low


def _totals(value: Any, fields: Fields) -> bool:
    sized = isinstance(value, tuple) and len(value) in (0, len(fields["classes"]))
    return sized and all(_number(total, 0.0) for total in value)


def _prior_sd(value: Any, fields: Fields) -> bool:
    sized = isinstance(value, tuple) and len(value) in (0, 1 + len(fields["feature_names"]))
    return sized and all(sd is None or _number(sd, 0.0) for sd in value)


def _layer_sd(value: Any, _: Fields) -> bool:
    pairs = isinstance(value, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)
    return pairs and all(isinstance(name, str) and (sd is None or _number(sd, 0.0)) for name, sd in value)


def _boolean(value: Any, _: Fields) -> bool:
    return isinstance(value, bool)


# In this order: later checks refer to the fields before.
CHECKS: dict[str, Callable[[Any, Fields], bool]] = {
    "classes": _classes,
    "feature_names": _names,
    "response_name": lambda value, _: isinstance(value, str),
    "unused_classes": _unused,
    "coding": lambda value, _: value in CODINGS,
    "has_intercept": _boolean,
    "has_offset": _boolean,
    "has_available": _boolean,
    "offset_columns": _columns,
    "available_columns": _columns,
    "class_totals": _totals,
    "prior_sd": _prior_sd,
    "layer_sd": _layer_sd,
    "dropped_values": lambda value, _: isinstance(value, tuple) and all(_number(v, -math.inf) for v in value),
    "dropped_flat": _boolean,
    "chosen_scale": _boolean,
    "weights_column": lambda value, _: value is None or isinstance(value, str),
}
