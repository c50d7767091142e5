"""Conversion of a posterior to groups and header attributes of a file, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.protocols import Logits
from bayes_softmax.data.schema import Schema
from bayes_softmax.fits.storage.checks import check_draws
from bayes_softmax.fits.storage.data_groups import DATA_GROUPS
from bayes_softmax.fits.storage.estimates import texts
from bayes_softmax.fits.storage.records import PosteriorRecord

WEIGHTED = ("pareto_k", "ess", "log_evidence")


def draws_groups(posterior: PosteriorRecord) -> dict[str, xr.Dataset]:
    """The draws and their statistics, without the data."""
    tree = posterior.idata
    return {str(name): tree[name].to_dataset() for name in tree.children if name not in DATA_GROUPS}


def draws_header(posterior: PosteriorRecord) -> dict[str, Any]:
    """Header attributes: how the draws were made."""
    return {
        "engine": posterior.engine,
        "tune": posterior.tune,
        "notes": list(posterior.notes) or [""],
        "seen": posterior.seen,
        "timing_names": list(posterior.timings) or [""],
        "timing_seconds": [float(v) for v in posterior.timings.values()] or [0.0],
        **{name: value for name in WEIGHTED if (value := getattr(posterior, name)) is not None},
    }


def read_posterior(
    header: Mapping[Any, Any],
    groups: Mapping[str, xr.Dataset],
    schema: Schema,
    logits: Logits,
    training: TrainingData | None,
) -> PosteriorRecord:
    """Read the draws from their groups, checked against the schema."""
    check_draws(groups, schema, logits)
    names, seconds = np.atleast_1d(header["timing_names"]), np.atleast_1d(header["timing_seconds"])
    weighted: dict[str, Any] = {name: float(header[name]) if name in header else None for name in WEIGHTED}
    ess, tune = weighted["ess"], int(header["tune"])
    if (ess is None and weighted["pareto_k"] is not None) or not (ess is None or ess > 0) or tune < 0:
        raise ValueError("its effective sample size, Pareto k or tuning steps are impossible")
    return PosteriorRecord(
        idata=xr.DataTree.from_dict({name: group for name, group in groups.items() if name != "variables"}),
        schema=schema,
        engine=str(header["engine"]),
        tune=tune,
        notes=texts(header["notes"]),
        timings={str(n): float(s) for n, s in zip(names, seconds, strict=True) if n},
        training=training,
        logits=logits,
        seen=str(header.get("seen", "")),
        **weighted,
    )
