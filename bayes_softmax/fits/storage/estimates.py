"""Conversion of a point estimate to a group of a file, and back."""

from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.protocols import Logits
from bayes_softmax.data.schema import Schema
from bayes_softmax.fits.search import Search
from bayes_softmax.fits.storage.checks import check_estimate
from bayes_softmax.fits.storage.records import EstimateRecord
from bayes_softmax.separation.limits import Limits, limits_of_rays, no_rays

SCALARS = ("log_likelihood", "log_prior", "total_weight", "gradient_norm", "newton_decrement")
COUNTS = ("n_obs", "n_iterations")


def estimate_group(estimate: EstimateRecord) -> xr.Dataset:
    """Parameters with their uncertainty, certificate and limits."""
    uncertainty: dict[str, Any] = {}
    if estimate.covariance is not None:
        uncertainty["covariance"] = ("row", "column"), estimate.covariance
    if estimate.variances is not None:
        uncertainty["variances"] = ("coefficient_row", "class_row", "class_column"), estimate.variances
    arrays = xr.Dataset(
        {
            **{
                name: ([f"{dim}_position" for dim in dims], estimate.values[name])
                for name, dims in estimate.logits.dims.items()
            },
            **uncertainty,
            "history": ("iteration", estimate.history),
        },
        attrs={
            **{name: float(getattr(estimate, name)) for name in SCALARS},
            **{name: int(getattr(estimate, name)) for name in COUNTS},
            "converged": int(estimate.converged),
            "status": estimate.status,
            "notes": list(estimate.notes) or [""],
        },
    )
    if estimate.limits is not None:
        _add_limits(arrays, estimate.limits)
    if estimate.search is not None:
        _add_search(arrays, estimate.search)
    return arrays


def _add_search(arrays: xr.Dataset, search: Search) -> None:
    """Add where the starts of a search ended, and what is known of the best."""
    arrays["search_values"] = "start", search.values
    arrays.attrs["curvature"] = search.curvature
    if search.effective:
        arrays["effective"] = "parameter", np.array(list(search.effective.values()))
        arrays.attrs["effective_of"] = list(search.effective)


def _read_search(data: xr.Dataset) -> Search | None:
    """The search, if there was one."""
    if "search_values" not in data:
        return None
    names = texts(data.attrs["effective_of"]) if "effective" in data else ()
    effective = dict(zip(names, data["effective"].values.tolist(), strict=True)) if names else {}
    return Search(data["search_values"].values, str(data.attrs["curvature"]), effective)


def _add_limits(arrays: xr.Dataset, limits: Limits) -> None:
    """Add the directions of recession, along which the likelihood never falls, if there are any."""
    rays, rows, lines, centre, scale = limits
    if len(rays):
        arrays["recession"] = ("ray", "coefficient_row", "category_position"), rays
    if len(rows):
        arrays["row_recession"] = ("row_ray", "category_position", "coefficient_row"), rows
        if len(lines):
            arrays["unseen"] = ("line", "category_position", "coefficient_row"), lines
        arrays["centre"], arrays["scale"] = ("feature_position", centre), ("feature_position", scale)


def read_estimate(
    data: xr.Dataset, kind: str, schema: Schema, logits: Logits, training: TrainingData | None
) -> EstimateRecord:
    """Read the estimate from its group, checked against the schema."""
    check_estimate(data, schema, logits)
    scalars: dict[str, Any] = {name: float(data.attrs[name]) for name in SCALARS}
    scalars |= {name: int(data.attrs[name]) for name in COUNTS}
    return EstimateRecord(
        kind=kind,
        schema=schema,
        logits=logits,
        values={name: data[name].values for name in logits.shapes},
        converged=bool(data.attrs["converged"]),
        status=str(data.attrs["status"]),
        history=data["history"].values,
        notes=texts(data.attrs["notes"]),
        covariance=data["covariance"].values if "covariance" in data else None,
        variances=data["variances"].values if "variances" in data else None,
        limits=_read_limits(data, schema),
        search=_read_search(data),
        training=training,
        **scalars,
    )


def _read_limits(data: xr.Dataset, schema: Schema) -> Limits | None:
    """Directions that an estimate leaves undetermined; older versions wrote the rays of contrasts only."""
    rays = data["recession"].values if "recession" in data else no_rays(schema)
    if "row_recession" in data:
        rows = data["row_recession"].values
        lines = data["unseen"].values if "unseen" in data else rows[:0]
        return Limits(rays, rows, lines, data["centre"].values, data["scale"].values)
    return limits_of_rays(rays) if len(rays) else None


def texts(values: Any) -> tuple[str, ...]:
    """Texts of an attribute, which is never empty: a single empty text stands for none."""
    return tuple(str(text) for text in np.atleast_1d(values) if text)
