"""What a fit stores to read new data and to name its answers: small, and saved as plain JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.available import Mask, read_available
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.design import Label
from bayes_softmax.data.formula.columns import ColumnType
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.formula.stored import encoder_from_data
from bayes_softmax.data.formula_data import formula_frame
from bayes_softmax.data.frames import is_frame, to_pandas
from bayes_softmax.data.groups.choices import columns_for, frame_for
from bayes_softmax.data.groups.fitting import group_variables
from bayes_softmax.data.groups.grouping import KNOWN, Grouping, encode_groups, groupings_from_data
from bayes_softmax.data.offset import read_offset
from bayes_softmax.data.plain_labels import plain_label
from bayes_softmax.data.schema_checks import check_array_encoder, check_fields

Encoder = FormulaEncoder | ArrayEncoder


@dataclass(frozen=True)
class Schema:
    """Names and encodings of a fitted model.

    Attributes
    ----------
    classes, response_name, unused_classes
        Labels in order, what the response is called, declared classes without data.
    feature_names
        The p features in the model (constant columns dropped on request are not among them).
    encoder
        Turns new data into features.
    coding
        ``"zero-sum"``, ``"reference"`` or ``"full"``.
    has_intercept
        Whether the model has an intercept.
    offset_columns
        K columns that hold the offset in a data frame, if it was given by name.
    has_offset
        Whether the model has an offset; predictions then need one.
    available_columns
        K columns that say in a data frame which classes are on offer, if they were given by name.
    has_available
        Whether the model has choice sets; predictions then need them.
    class_totals
        Observations of each class: the base rates that ``class_prior`` shifts from.
    prior_sd
        Prior standard deviation of the free coordinates of each raw coefficient row, intercept first; None where it is
        infinite.  Empty for a maximum-likelihood fit.
    layer_sd
        The same of each parameter of a network, by name, in place of ``prior_sd``.
    weights_column
        Column of a data frame that holds the weights, if they were given by name.
    dropped_values
        The value of each column that was dropped because it did not vary.
    dropped_flat
        Whether their coefficients, had they been in the model, would have flat priors.
    chosen_scale
        Whether the scale of the weights' priors was chosen from the data.
    groups
        The groupings of the rows, whose levels have effects of their own.
    """

    classes: tuple[Label, ...]
    response_name: str
    unused_classes: tuple[Label, ...]
    feature_names: tuple[str, ...]
    encoder: Encoder
    coding: str
    has_intercept: bool
    offset_columns: tuple[str, ...] = ()
    has_offset: bool = False
    class_totals: tuple[float, ...] = ()
    prior_sd: tuple[float | None, ...] = ()
    layer_sd: tuple[tuple[str, float | None], ...] = ()
    weights_column: str | None = None
    available_columns: tuple[str, ...] = ()
    has_available: bool = False
    dropped_values: tuple[float, ...] = ()
    dropped_flat: bool = False
    chosen_scale: bool = False
    groups: tuple[Grouping, ...] = ()

    @property
    def input_columns(self) -> tuple[str, ...]:
        """Columns of a data frame that :meth:`encode` reads."""
        return tuple(dict.fromkeys((*self.feature_columns, *group_variables(self.groups))))

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """Columns from which the features are made."""
        if isinstance(self.encoder, FormulaEncoder):
            return tuple(self.encoder.variables)
        return tuple(self.encoder.feature_names)

    @property
    def variables(self) -> dict[str, ColumnType]:
        """Types of the columns that are kept with the rows of a formula, or of a model with groups."""
        of_features: Mapping[str, ColumnType] = dict.fromkeys(self.feature_names, ColumnType("numeric"))
        if isinstance(self.encoder, FormulaEncoder):
            of_features = self.encoder.variables
        return {**group_variables(self.groups), **of_features}

    def to_pandas_or_numpy(self, data: Any) -> Any:
        """New data as a pandas frame, or as a NumPy array where the model has no formula."""
        if isinstance(self.encoder, FormulaEncoder):
            return formula_frame(data, self.input_columns)
        return to_pandas_or_numpy(data, "data")

    def encode(self, data: Any) -> tuple[FloatArray, Any]:
        """Features (N, p) and row index of new data."""
        X, index, _ = self.encode_marked(data)
        return X, index

    def encode_marked(
        self, data: Any, *, if_missing: str | None = None, levels: str | Mapping[str, str] = KNOWN
    ) -> tuple[FloatArray, Any, NDArray[np.bool_] | None]:
        """As :meth:`encode`, and which rows (N,) have a value that a dropped column never had, or None.

        The columns of groups follow the features: by their ``levels``, as :meth:`Grouping.encode` has them.
        ``if_missing`` is the advice on missing values.
        """
        X, index = self.encoder.encode(data, if_missing=if_missing)
        X, beyond = self._without_dropped(X)
        if self.groups:
            frame = frame_for(self.groups, self.to_pandas_or_numpy(data), levels, advice=if_missing)
            X = np.hstack([X, encode_groups(self.groups, frame, levels)])
        return X, index, beyond

    def group_columns(self, frame: pd.DataFrame, levels: str | Mapping[str, str]) -> tuple[str, ...]:
        """Columns of a frame that the groupings read for ``levels``."""
        return columns_for(self.groups, frame, levels)

    def _without_dropped(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.bool_] | None]:
        """The features in the model, and which rows have a value that a dropped column never had."""
        names = tuple(self.encoder.feature_names)
        if self.feature_names == names:
            return X, None
        kept = np.isin(names, self.feature_names)
        dropped = X[:, ~kept]
        beyond = None
        if self.dropped_values:  # files of older versions do not have them
            beyond = ~np.isclose(dropped, self.dropped_values, rtol=1e-9, atol=0.0).all(axis=1)
        return np.ascontiguousarray(X[:, kept]), beyond

    @property
    def dropped_names(self) -> tuple[str, ...]:
        """Columns that were dropped because they did not vary."""
        kept = set(self.feature_names)
        return tuple(name for name in self.encoder.feature_names if name not in kept)

    def weights_of(self, data: Any, weights: Any) -> Any:
        """Weights of new data: as given, else the column that held those of the fit, if the data have it."""
        if weights is None and is_frame(data) and self.weights_column in to_pandas(data).columns:
            return self.weights_column
        return weights

    def encode_offset(self, data: Any, offset: Any, n_obs: int) -> FloatArray | None:
        """Offset (N, K) of new data, from its columns or from the ``offset`` argument."""
        if not self.has_offset:
            if offset is not None:
                raise ValueError("offset was given, but the model was fitted without one")
            return None
        if offset is None and not (self.offset_columns and is_frame(data)):
            raise ValueError(
                f"the model was fitted with an offset; pass offset with shape ({n_obs}, {len(self.classes)})"
            )
        return read_offset(self.offset_columns if offset is None else offset, data, n_obs, self.classes)

    def encode_available(self, data: Any, available: Any, index: Any) -> Mask | None:
        """Classes on offer (N, K) in new data, from their columns or from the ``available`` argument."""
        if not self.has_available:
            if available is not None:
                raise ValueError("available was given, but the model was fitted without it: all classes are on offer")
            return None
        if available is None and not (self.available_columns and is_frame(data)):
            raise ValueError(
                "the model was fitted with classes on offer row by row; pass available with shape "
                f"({len(index)}, {len(self.classes)})"
            )
        columns = self.available_columns if available is None else available
        return read_available(columns, data, len(index), self.classes, index)

    def class_position(self, label: Label, argument: str = "vs") -> int:
        """Position of a class; an unknown label, or one of another type, is an error with the nearest class.

        In the message ``vs`` is written with the label as its value, other arguments as holding it.
        """
        plain = plain_label(label)
        for k, known in enumerate(self.classes):
            # False == 0 in Python; as labels they differ.
            if type(known) is type(plain) and known == plain:
                return k
        alike = [c for c in self.classes if c == plain or str(c) == str(plain)]
        hint = did_you_mean(plain, self.classes)
        if alike:
            hint = f": class {shown(alike[0])} is of type {type(alike[0]).__name__}, not {type(plain).__name__}"
        given = f"vs={shown(label)}" if argument == "vs" else f"{argument}: {shown(label)}"
        average = "; or 'average'" if argument == "vs" else ""
        raise ValueError(f"{given} is not a class{hint} (classes: {listed(self.classes)}{average})")

    @property
    def category_coordinate(self) -> Any:
        """Labels as the ``category`` coordinate of labelled arrays."""
        if any(isinstance(label, int) and label >= 2**63 for label in self.classes):
            return np.array(self.classes, dtype=np.uint64)  # NumPy would turn a mix of small and large ones into floats
        return list(self.classes)

    def to_json(self) -> str:
        """Plain JSON, read back by :func:`schema_from_json`."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("encoder", "groups")}
        if isinstance(self.encoder, FormulaEncoder):
            encoder: dict[str, Any] = self.encoder.to_data()
        else:
            encoder = asdict(self.encoder)
        groups = {"groups": tuple(g.to_data() for g in self.groups)} if self.groups else {}
        return json.dumps(_tagged({**fields, "encoder": encoder, **groups}))


def schema_from_json(text: str) -> Schema:
    """The schema :meth:`Schema.to_json` wrote; a formula in it is data, and checked as one that a user wrote.

    Raises
    ------
    ValueError
        The text is not a schema, or is damaged.
    """
    try:
        fields = _untagged(json.loads(text))
        check_fields(fields, Schema.__dataclass_fields__)
        written, groups = fields.pop("encoder"), fields.pop("groups", ())
        if "formula" in written:
            encoder: Encoder = encoder_from_data(written)
        else:
            check_array_encoder(written, fields["feature_names"])
            encoder = ArrayEncoder(**written)
        schema = Schema(encoder=encoder, groups=groupings_from_data(groups), **fields)
        unknown = [name for name in schema.feature_names if name not in set(encoder.feature_names)]
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        raise ValueError(f"the description of the model is damaged: {type(error).__name__} {error}") from error
    if unknown:
        raise ValueError(f"the description of the model is damaged: no feature is called {unknown[0]!r}")
    return schema


def _tagged(value: Any) -> Any:
    """JSON that keeps tuples, arrays, and dictionary keys that are not strings."""
    if isinstance(value, Mapping):
        return {"items": [[_tagged(k), _tagged(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {"tuple": [_tagged(v) for v in value]}
    return [_tagged(v) for v in value] if isinstance(value, list) else value


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "items" in value:
        return {_untagged(k): _untagged(v) for k, v in value["items"]}
    if "array" in value:
        return np.array(value["array"])
    return tuple(_untagged(v) for v in value["tuple"])
