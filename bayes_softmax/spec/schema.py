"""What a fit must remember to read new data and to name its answers: small, and saved as plain JSON."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.design import Label
from bayes_softmax.spec.formula import FormulaEncoder, Variable
from bayes_softmax.spec.frames import check_finite, is_frame, numeric_values, require_columns, to_pandas


@dataclass(frozen=True)
class ArrayEncoder:
    """Features given as an array or as the columns of a data frame."""

    feature_names: tuple[str, ...]
    has_intercept: bool = True

    def encode(self, data: Any) -> tuple[FloatArray, Any]:
        """Features (N, p) and row index of new data: a frame with these columns, or an array of p columns."""
        if is_frame(data):
            frame = to_pandas(data)
            frame = frame.rename(columns=str)
            require_columns(frame, self.feature_names, "X")
            frame = frame[list(self.feature_names)]
            columns = [numeric_values(frame[name], name, "X") for name in self.feature_names]
            X = np.column_stack(columns) if columns else np.ones((len(frame), 0))
            return np.ascontiguousarray(X), frame.index
        X = np.array(self.check_array(np.asarray(data)), dtype=np.float64, order="C")
        index = pd.RangeIndex(len(X))
        check_finite(X, self.feature_names, index, "X")
        return X, index

    def check_array(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The array, if it has two dimensions, p columns, and numbers."""
        p = len(self.feature_names)
        if array.ndim != 2 or array.shape[1] != p:
            hint = ""
            if array.ndim == 1:
                one_row = array.shape == (p,) or p > 1
                hint = (
                    "; one row is [[...]], or row.to_frame().T of a frame's row"
                    if one_row
                    else "; one column is X.reshape(-1, 1), or column.to_frame() of a frame's column"
                )
            raise ValueError(f"X has shape {array.shape}; expected (N, {p}){hint}")
        if array.dtype.kind not in "biuf":
            raise TypeError(f"X has dtype {array.dtype}; expected real numbers")
        return array


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
    class_totals
        Observed units of each class: the base rates that ``class_prior`` shifts from.
    prior_sd
        Prior standard deviation of the free coordinates of each raw coefficient row, intercept first; None where it is
        infinite.  Empty for a maximum-likelihood fit.
    weights_column
        Column of a data frame that holds the weights, if they were given by name.
    dropped_values
        The one value that each column had which was dropped because it did not vary.
    dropped_flat
        Whether their coefficients, had they been in the model, would have flat priors.
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
    weights_column: str | None = None
    dropped_values: tuple[float, ...] = ()
    dropped_flat: bool = False

    @property
    def input_columns(self) -> tuple[str, ...]:
        """Columns of a data frame that :meth:`encode` reads."""
        if isinstance(self.encoder, FormulaEncoder):
            return tuple(self.encoder.variables)
        return tuple(self.encoder.feature_names)

    def encode(self, data: Any) -> tuple[FloatArray, Any]:
        """Features (N, p) and row index of new data."""
        X, index, _ = self.encode_marked(data)
        return X, index

    def encode_marked(self, data: Any) -> tuple[FloatArray, Any, NDArray[np.bool_] | None]:
        """As :meth:`encode`, and which rows (N,) have a value that a dropped column never had, or None."""
        X, index = self.encoder.encode(data)
        names = tuple(self.encoder.feature_names)
        if self.feature_names == names:
            return X, index, None
        kept = np.isin(names, self.feature_names)
        dropped = X[:, ~kept]
        beyond = None
        if self.dropped_values:  # files of older versions do not have them
            beyond = ~np.isclose(dropped, self.dropped_values, rtol=1e-9, atol=0.0).all(axis=1)
        return np.ascontiguousarray(X[:, kept]), index, beyond

    @property
    def dropped_names(self) -> tuple[str, ...]:
        """Columns that were dropped because they did not vary."""
        return tuple(name for name in self.encoder.feature_names if name not in self.feature_names)

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

    def class_position(self, label: Label, argument: str = "vs") -> int:
        """Position of a class; an unknown label, or one of another type, is an error with the nearest class."""
        plain = label.item() if isinstance(label, np.generic) else label
        for k, known in enumerate(self.classes):
            # False == 0 in Python; as labels they are two.
            if known == plain and isinstance(known, bool) == isinstance(plain, bool):
                return k
        alike = [c for c in self.classes if c == plain or str(c) == str(plain)]
        near = difflib.get_close_matches(str(plain), [str(c) for c in self.classes], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if alike:
            hint = f": class {alike[0]!r} is of type {type(alike[0]).__name__}, not {type(plain).__name__}"
        raise ValueError(f"{argument}={label!r} is not a class{hint} (classes: {', '.join(map(repr, self.classes))})")

    @property
    def category_coordinate(self) -> list[Label]:
        """Labels as the ``category`` coordinate of labelled arrays."""
        return list(self.classes)

    def to_json(self) -> str:
        """Plain JSON, read back by :func:`schema_from_json`."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "encoder"}
        if isinstance(self.encoder, FormulaEncoder):
            encoder: dict[str, Any] = {
                "formula": self.encoder.formula,
                "variables": {name: asdict(v) for name, v in self.encoder.variables.items()},
                "state": self.encoder.state,
            }
        else:
            encoder = asdict(self.encoder)
        return json.dumps(_tagged({**fields, "encoder": encoder}))


def schema_from_json(text: str) -> Schema:
    """The schema :meth:`Schema.to_json` wrote; a formula is checked against the white list again when used."""
    fields = _untagged(json.loads(text))
    encoder = fields.pop("encoder")
    if "formula" in encoder:
        variables = {name: Variable(**v) for name, v in encoder["variables"].items()}
        return Schema(encoder=FormulaEncoder(encoder["formula"], variables, encoder["state"]), **fields)
    return Schema(encoder=ArrayEncoder(**encoder), **fields)


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


def offset_columns(offset: Any, classes: Sequence[Label]) -> tuple[str, ...]:
    """Columns that hold the offset, if it names them: by a list in the order of the classes, or by class."""
    if isinstance(offset, Mapping):
        offset = [offset[c] for c in classes if c in offset]
    if isinstance(offset, list | tuple) and all(isinstance(name, str) for name in offset):
        return tuple(offset)
    return ()


def read_offset(offset: Any, data: Any, n_obs: int, classes: Sequence[Label]) -> FloatArray:
    """Offset (N, K) from an array, a frame, K column names, or a mapping from class to column name."""
    K = len(classes)
    if isinstance(offset, Mapping):
        absent = [c for c in classes if c not in offset]
        if absent:
            raise ValueError(f"offset has no column for class {absent[0]!r}; name one for each of {list(classes)}")
        offset = [offset[c] for c in classes]
    if isinstance(offset, list | tuple) and all(isinstance(name, str) for name in offset):
        if len(offset) != K:
            raise ValueError(f"offset names {len(offset)} columns; it needs one for each of the {K} classes")
        frame = to_pandas(data)
        names = [str(name) for name in offset]
        require_columns(frame, names)
        return np.column_stack([numeric_values(frame[name], name) for name in names])
    if is_frame(offset):
        frame = to_pandas(offset)
        if set(frame.columns) != set(classes):
            raise ValueError(f"offset has columns {list(frame.columns)!r}; name them by class: {list(classes)!r}")
        offset = frame[list(classes)]
    array = np.array(offset, dtype=np.float64)  # a copy: the caller's array may change later
    if array.shape != (n_obs, K):
        raise ValueError(
            f"offset has shape {array.shape}; expected (N, K) = ({n_obs}, {K}): "
            "one number added to all logits of a row would change nothing"
        )
    check_finite(array, [str(c) for c in classes], range(n_obs), "offset")
    return array
