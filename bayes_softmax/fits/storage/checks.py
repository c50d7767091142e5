"""Checks of the arrays in a file against its schema: shapes, types and values.

The checksum detects damage.  These checks are for files without one, and for files changed on purpose.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.core.checks import listed
from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.protocols import Logits
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.groups.grouping import code_columns
from bayes_softmax.data.schema import Schema
from bayes_softmax.fits.storage.group_checks import check_group_parameters
from bayes_softmax.fits.tree import GROUP_COLUMNS, HELD, MEMBER
from bayes_softmax.spec.linear import INTERCEPT, WITH_WEIGHTS
from bayes_softmax.spec.network.logits import NETWORK

NUMBERS, WHOLE, BOOLEAN = "f", "iu", "b"


def check_array(
    group: xr.Dataset,
    name: str,
    shape: tuple[int | None, ...],
    *,
    kind: str = NUMBERS,
    low: float = -np.inf,
    high: float = np.inf,
    missing: bool = False,
) -> np.ndarray[Any, Any]:
    """Values of a variable of this shape (None: any size), type and range; NaN only where ``missing`` allows it."""
    if name not in group.data_vars:
        raise ValueError(f"{name!r} is missing")
    values: np.ndarray[Any, Any] = group[name].values
    if values.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True)):
        expected = tuple("any" if n is None else n for n in shape)
        raise ValueError(f"{name!r} has shape {values.shape}, expected {expected}".replace("'any'", "any"))
    if values.dtype.kind not in kind:
        raise ValueError(f"{name!r} has dtype {values.dtype}, expected {' or '.join(_TYPES[k] for k in kind)}")
    if kind == NUMBERS and not (missing or np.isfinite(values).all()):
        raise ValueError(f"{name!r} is NaN or infinite in {_first(~np.isfinite(values))}")
    if kind != BOOLEAN and ((values < low) | (values > high)).any():
        raise ValueError(f"{name!r} is out of range in {_first((values < low) | (values > high))}")
    return values


_TYPES = {"f": "real numbers", "i": "whole numbers", "u": "whole numbers", "b": "booleans"}


def _first(where: np.ndarray[Any, Any]) -> str:
    place = tuple(int(i) for i in np.argwhere(where)[0])
    return f"position {place[0] if len(place) == 1 else place}"


def check_estimate(data: xr.Dataset, schema: Schema, logits: Logits) -> None:
    """Check the arrays of a point estimate."""
    p, K = len(schema.feature_names), len(schema.classes)
    q = p + 1
    for name, own in logits.shapes.items():
        check_array(data, name, own)
    check_group_parameters(data, schema)
    if logits.kind in WITH_WEIGHTS and not schema.has_intercept and data[INTERCEPT].values.any():
        raise ValueError("'intercept' is not zero, but the model has none")
    if "variances" in data:  # of a fit with too many coefficients for a full covariance
        check_array(data, "variances", (q, K, K), missing=True)
    elif logits.kind != NETWORK or "covariance" in data:
        covariance = check_array(data, "covariance", (size_of(logits.shapes),) * 2, missing=True)
        if (np.diagonal(covariance) < -1e-6 * np.abs(np.nan_to_num(covariance)).max(initial=0.0)).any():
            raise ValueError("'covariance' has a negative variance")
    check_array(data, "history", (None,), missing=True)
    if "search_values" in data:
        check_array(data, "search_values", (None,), missing=True)
    if "effective" in data:
        check_array(data, "effective", (len(logits.shapes) - (not schema.has_intercept),), missing=True)
    if not 0 < data.attrs["total_weight"] < np.inf or data.attrs["converged"] not in (0, 1):
        raise ValueError("the total weight or the convergence flag has an impossible value")
    if "recession" in data:
        check_array(data, "recession", (None, q, K))
    directions = (None, K, p + 1)
    for name, shape in {"row_recession": directions, "unseen": directions, "centre": (p,), "scale": (p,)}.items():
        if name in data or ("row_recession" in data and name in ("centre", "scale")):
            check_array(data, name, shape)


def check_draws(groups: Mapping[str, xr.Dataset], schema: Schema, logits: Logits) -> None:
    """Check the draws, their labels and statistics."""
    names = [name for name in ("posterior", "prior") if name in groups]
    if not names:
        raise ValueError("it holds no draws")
    draws = groups[names[0]]
    without = logits.kind in WITH_WEIGHTS and not schema.has_intercept
    if without and INTERCEPT in draws:
        raise ValueError("'intercept' is present, but the model has none")
    held = _check_held(groups, schema, logits, draws.sizes.get("chain", 0) * draws.sizes.get("draw", 0))
    for name, shape in logits.shapes.items():
        if (without and name == INTERCEPT) or name in held:
            continue
        dims = ("chain", "draw", *logits.dims[name])
        check_array(draws, name, (None, None, *shape))
        if draws[name].dims != dims:
            raise ValueError(f"{name!r} has dimensions {draws[name].dims}, expected {dims}")
    for name in held:
        if name in draws.data_vars:
            raise ValueError(f"{name!r} is held, and is among the draws too")
    size = (draws.sizes["chain"], draws.sizes["draw"])
    if min(size) < 1:
        raise ValueError("it holds no draws")
    _check_labels(draws, "category", schema.classes)
    _check_labels(draws, "feature", schema.feature_names)
    check_group_parameters(draws, schema)
    for name in np.atleast_1d(draws.attrs.get("hyperparameters", [])).tolist():
        if name not in draws.data_vars or draws[name].dims[:2] != ("chain", "draw"):
            raise ValueError(f"hyperparameter {name!r} is missing")
        check_array(draws, name, (None,) * draws[name].ndim)
    if names[0] == "posterior" and "sample_stats" not in groups:
        raise ValueError("'sample_stats' is missing")
    for label, stat in groups.get("sample_stats", xr.Dataset()).data_vars.items():
        if stat.shape != size or stat.dtype.kind not in "fiub":
            raise ValueError(f"statistic {label!r} has shape {stat.shape} of {stat.dtype}, expected {size} numbers")


def _check_held(groups: Mapping[str, xr.Dataset], schema: Schema, logits: Logits, n_draws: int) -> tuple[str, ...]:
    """Check parameters that are the same in all draws; returns their names, which are not those of all parameters."""
    if HELD not in groups:
        return ()
    held, names = groups[HELD], tuple(str(name) for name in groups[HELD].data_vars)
    if not names or not set(names) < set(logits.shapes):
        raise ValueError(f"it holds {listed(names)} for all draws, expected some of {listed(logits.shapes)}")
    for name in names:
        members = (MEMBER,) if MEMBER in held[name].dims else ()
        check_array(held, name, ((None,) if members else ()) + tuple(logits.shapes[name]))
        if held[name].dims != (dims := (*members, *logits.dims[name])):
            raise ValueError(f"{name!r} has dimensions {held[name].dims}, expected {dims}")
    n_members = held.sizes.get(MEMBER, 1)
    if len({MEMBER in held[name].dims for name in names}) > 1 or not n_members or n_draws % n_members:
        raise ValueError(f"the members of {HELD!r} do not divide the draws")
    _check_labels(held, "feature", schema.feature_names)
    return names


def check_data(groups: Mapping[str, xr.Dataset], schema: Schema) -> None:
    """Check the data of a fit: valid rows and classes, non-negative counts and weights."""
    if "constant_data" not in groups or "y" not in groups["observed_data"]:
        raise ValueError("the data are incomplete")
    observed, constant = groups["observed_data"], groups["constant_data"]
    p, K, labels = len(schema.feature_names), len(schema.classes), observed["y"].ndim == 1
    N = len(observed["y"])
    if "obs" in constant.sizes and constant.sizes["obs"] != N:
        raise ValueError(f"the responses have {N} rows, the data {constant.sizes['obs']}")
    n = len(check_array(constant, "X", (None, p)))
    if "pattern_of_obs" in constant:
        check_array(constant, "pattern_of_obs", (N,), kind=WHOLE, low=0, high=n - 1)
    elif n != N:
        raise ValueError(f"'X' has {n} rows for {N} responses, and 'pattern_of_obs' is missing")
    if labels:
        check_array(observed, "y", (N,), kind=WHOLE, low=0, high=K - 1)
    else:
        check_array(observed, "y", (N, K), low=0)
    _check_labels(observed, "category", schema.classes)
    if "frequency_weights" in constant:
        check_array(constant, "frequency_weights", (N,), low=0)
    if _expected(constant, "offset", schema.has_offset):
        check_array(constant, "offset", (n, K))
    if _expected(constant, "available", schema.has_available):
        offered = check_array(constant, "available", (n, K), kind=BOOLEAN)
        if not offered.any(axis=1).all():
            raise ValueError(f"no class is on offer in {_first(~offered.any(axis=1))} of 'available'")
        offered = offered[constant["pattern_of_obs"].values] if "pattern_of_obs" in constant else offered
        y = observed["y"].values
        chosen = offered[np.arange(N), y] if labels else (offered | (y == 0)).all(axis=1)
        if not chosen.all():
            raise ValueError(f"the class in {_first(~chosen)} of 'y' was not on offer there")
    if _expected(constant, GROUP_COLUMNS, bool(schema.groups)):
        check_array(constant, GROUP_COLUMNS, (n, sum(1 + g.n_slopes for g in schema.groups)))
        for grouping, at in zip(schema.groups, code_columns(0, schema.groups), strict=True):
            codes = constant[GROUP_COLUMNS].values[:, at]
            if (codes % 1).any() or codes.min() < 0 or codes.max() >= grouping.n_levels:
                raise ValueError(f"the levels of {grouping.name!r} are not those of the model")
    if "variables" in groups or isinstance(schema.encoder, FormulaEncoder) or schema.groups:
        _check_variables(groups, schema, n)


def _check_variables(groups: Mapping[str, xr.Dataset], schema: Schema, n: int) -> None:
    """Check the columns that a formula reads."""
    if not isinstance(schema.encoder, FormulaEncoder) and not schema.groups:
        raise ValueError("columns of a formula are present, but the model has no formula")
    known = schema.variables
    if "variables" not in groups:
        raise ValueError("the columns of the formula are missing")
    group = groups["variables"]
    names = [str(name) for name in np.atleast_1d(group.attrs.get("columns", [])).tolist() if name or known]
    if sorted(names) != sorted(known):
        raise ValueError(f"it holds the columns {names}, but the formula reads {list(known)}")
    for i, name in enumerate(names):
        levels, categorical = known[name].levels, known[name].kind == "categorical"
        if categorical:
            check_array(group, f"column_{i}", (n,), kind=WHOLE, low=0, high=len(levels) - 1)
        else:
            check_array(group, f"column_{i}", (n,))


def _expected(group: xr.Dataset, name: str, expected: bool) -> bool:
    """Whether a variable is present; raise unless that is as the model expects."""
    if expected != (name in group):
        raise ValueError(f"{name!r} is missing" if expected else f"{name!r} is present, but the model has none")
    return expected


def _check_labels(group: xr.Dataset, dim: str, expected: tuple[Any, ...]) -> None:
    if dim in group.coords and group[dim].values.tolist() != list(expected):
        raise ValueError(f"the labels of {dim!r} are not those of the model")
