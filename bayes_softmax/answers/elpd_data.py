"""ArviZ's record of leave-one-out scores."""

from typing import Any

import xarray as xr

from bayes_softmax.core.records import FloatArray


def elpd_data(
    elpd_i: xr.DataArray,
    lppd_i: FloatArray,
    pareto_k: FloatArray,
    n_draws: int,
    good_k: float,
    *,
    doubtful: bool = False,
) -> Any:
    """The scores of observations (n,) as ``az.compare`` takes them; ``doubtful`` where the draws themselves are."""
    from arviz_stats.base import array_stats
    from arviz_stats.utils import ELPDDataLOO

    own = elpd_i.values
    elpd, se, p, _ = array_stats.loo_summary(own, lppd_i - own)
    return ELPDDataLOO(
        elpd=float(elpd),
        se=float(se),
        p=float(p),
        n_samples=n_draws,
        n_data_points=len(own),
        scale="log",
        warning=bool((~(pareto_k <= good_k)).any()) or doubtful,
        good_k=good_k,
        elpd_i=elpd_i,
        pareto_k=xr.DataArray(pareto_k, dims=elpd_i.dims, coords=elpd_i.coords, name="pareto_k"),
    )
