"""Containers of data at the border: any of them in, a pandas object or a plain NumPy array out.

Every argument that holds data passes :func:`to_pandas_or_numpy` once.  Three things would otherwise be lost
silently: the mask of a masked array, the imaginary part of complex numbers, and the null of a library that has one.
"""

import sys
from collections.abc import Iterator
from os import PathLike
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from bayes_softmax.core.records import AnyArray
from bayes_softmax.data.frames import check_columns, is_frame, is_series, to_pandas, to_pandas_series
from bayes_softmax.data.no_data import no_data

DENSE_BYTES = 2**31  # largest dense copy of a sparse matrix; beyond, the user decides


def to_pandas_or_numpy(data: Any, argument: str) -> Any:
    """Data as a pandas frame, a pandas series or a NumPy array.

    A masked value is a missing value: NaN among numbers, else None.

    Raises
    ------
    TypeError
        Not data, or not computed yet (a lazy frame); the message says what to call.
    ValueError
        A frame with columns of several levels, rows of different lengths, a sparse matrix too large to write out.
    """
    if type(data) is np.ndarray:
        return data
    if isinstance(data, np.ma.MaskedArray):
        return _unmasked(data)
    if isinstance(data, np.ndarray):
        return np.asarray(data)
    if isinstance(data, list | tuple):
        return _from_list(data, argument)
    if not isinstance(data, pd.DataFrame | pd.Series):
        data = _from_library(data, argument)
    if is_frame(data):
        frame = to_pandas(data)
        check_columns(frame, argument)
        return frame
    if is_series(data):
        return to_pandas_series(data)
    return _as_array(data, argument)


def _unmasked(data: Any) -> AnyArray:
    """A masked array with its masked values missing; whole numbers in one dimension may be labels and stay whole."""
    if not np.ma.is_masked(data):
        return np.asarray(data.data)
    kind = data.dtype.kind
    if kind == "f" or (kind in "biu" and data.ndim > 1):
        return np.ma.filled(data.astype(np.float64), np.nan)
    if kind == "c":
        return np.ma.filled(data, np.nan)
    filled = data.data.astype(object)  # a copy
    filled[np.ma.getmaskarray(data)] = None
    return np.asarray(filled)


def _from_list(data: Any, argument: str) -> AnyArray:
    """A list as an array; a missing value among strings or whole numbers stays missing, not the string 'nan'."""
    if any(isinstance(item, np.ma.MaskedArray) for item in data):  # np.ma.masked is one too
        return _unmasked(np.ma.array(list(data)))
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError(f"{argument}: its rows have different lengths; expected one length for all") from None
    except OverflowError:
        array = np.asarray(data, dtype=object)
    if array.dtype.kind in "USO" or array.ndim == 1:
        array = np.asarray(data, dtype=object)
    return array


def _from_library(data: Any, argument: str) -> Any:
    """Containers of optional libraries: none can be given unless its library is loaded."""
    xarray, pyarrow, sparse = (sys.modules.get(name) for name in ("xarray", "pyarrow", "scipy.sparse"))
    if xarray is not None and isinstance(data, xarray.DataArray):
        return data.to_numpy()
    if xarray is not None and isinstance(data, xarray.Dataset):
        raise TypeError(f"{argument} is an xarray Dataset; pass one of its arrays, or {argument}.to_dataframe()")
    if pyarrow is not None and isinstance(data, pyarrow.Array):
        return pyarrow.chunked_array([data])
    if sparse is not None and sparse.issparse(data):
        size = 8 * int(np.prod(data.shape))
        if size > DENSE_BYTES:
            raise ValueError(
                f"{argument} is a sparse matrix of shape {data.shape}; the engine is dense, and written out it takes "
                f"{size / 2**30:.1f} GiB: choose columns first, or pass {argument}.toarray() if that is intended"
            )
        return data.toarray()
    if isinstance(data, nw.LazyFrame) or isinstance(nw.from_native(data, pass_through=True), nw.LazyFrame):
        call = "compute" if type(data).__module__.startswith("dask") else "collect"
        raise TypeError(f"{argument} is a {type(data).__name__}, which is not computed yet; pass {argument}.{call}()")
    return data


def _as_array(data: Any, argument: str) -> AnyArray:
    """Anything else that NumPy can read (tensors of other libraries), else a TypeError that names the type."""
    if isinstance(data, str | PathLike | dict | set | frozenset | Iterator):
        raise TypeError(no_data(data, argument))
    try:
        array = np.asarray(data)
    except (TypeError, ValueError):
        array = np.empty(())
    if array.ndim == 0:
        raise TypeError(no_data(data, argument))
    return array
