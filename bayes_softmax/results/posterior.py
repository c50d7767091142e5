"""Posterior draws with labels: an ArviZ-compatible tree, and the same questions a point estimate answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.core.records import FloatArray
from bayes_softmax.results.contrasts import View, build_view
from bayes_softmax.results.diagnostics import (
    Diagnostics,
    convergence_table,
    diagnose,
    diagnose_weighted,
    weighted_table,
)
from bayes_softmax.results.estimate import INTERCEPT
from bayes_softmax.results.intervals import draws_interval, resolve_interval
from bayes_softmax.results.prediction import (
    Coefficients,
    draw_intervals,
    encode_rows,
    interval_frame,
    label_series,
    mean_probabilities,
    probability_blocks,
    probability_frame,
)
from bayes_softmax.spec.design import Design, Label
from bayes_softmax.spec.schema import Schema


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Draws from the posterior of a softmax regression.

    Made by ``SoftmaxRegression.sample()`` and ``.laplace()``.

    Attributes
    ----------
    idata
        ``xarray.DataTree`` with groups ``posterior`` (``intercept`` and ``weights``, always with all K
        categories), ``sample_stats``, ``observed_data`` and ``constant_data``; ``az.summary(post.idata)`` works.
    schema
        Names and encodings.
    engine
        What drew the sample, and why that engine.
    tune
        Tuning steps of each chain.
    notes
        What happened on the way that a reader should know.
    timings
        Seconds of each stage.
    pareto_k, ess, log_evidence
        For ``laplace()``: tail index and effective sample size of the importance weights, and the log of the
        normalising constant; None for Markov chains.
    """

    idata: xr.DataTree
    schema: Schema
    engine: str
    tune: int
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    pareto_k: float | None = None
    ess: float | None = None
    log_evidence: float | None = None

    @cached_property
    def draws(self) -> FloatArray:
        """Raw coefficients (chain, draw, q, K), intercept (zero if there is none) first."""
        posterior = self.idata["posterior"].dataset
        weights = posterior["weights"].transpose("chain", "draw", "feature", "category").values
        if "intercept" not in posterior:
            return np.concatenate([np.zeros_like(weights[:, :, :1]), weights], axis=2)
        intercept = posterior["intercept"].transpose("chain", "draw", "category").values
        return np.concatenate([intercept[:, :, None], weights], axis=2)

    @cached_property
    def coefficients(self) -> Coefficients:
        """All draws in one axis: intercept (S, K), weights (S, p, K)."""
        flat = self.draws.reshape(-1, *self.draws.shape[2:])
        return Coefficients(np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1:]))

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Worst R-hat and effective sizes over coefficients, in their own coding, and hyperparameters; divergences."""
        stats = {str(name): values.values for name, values in self.idata["sample_stats"].data_vars.items()}
        first = 0 if self.schema.has_intercept else 1
        if self.pareto_k is not None and self.ess is not None:
            return diagnose_weighted(self.draws, self.ess, self.pareto_k)
        coefficients = self.draws[:, :, first:].reshape(*self.draws.shape[:2], -1)
        return diagnose(np.concatenate([coefficients, self._hyper_draws], axis=2), stats, self.tune)

    @property
    def _hyper_draws(self) -> FloatArray:
        """Hyperparameters (chain, draw, m), where scales were learned."""
        posterior = self.idata["posterior"].dataset
        names = [str(name) for name in np.atleast_1d(posterior.attrs.get("hyperparameters", []))]
        shape = (posterior.sizes["chain"], posterior.sizes["draw"], -1)
        parts = [posterior[name].values.reshape(shape) for name in names]
        return np.concatenate(parts, axis=2) if parts else np.empty((*shape[:2], 0))

    def contrast_draws(self, view: View) -> FloatArray:
        """Draws (chain, draw, q, m) of contrasts of the class columns, intercept first."""
        contrasts: FloatArray = self.draws @ view.matrix
        return contrasts

    def summary(
        self,
        vs: Label | Sequence[Label] | None = None,
        ci_prob: float | None = None,
        ci_kind: str | None = None,
    ) -> pd.DataFrame:
        """Table of coefficients: mean, sd, interval, effective sample sizes and R-hat.

        Parameters
        ----------
        vs
            What each class is contrasted with: a class, a pair ``("a", "b")``, or ``"average"``.  Default: the
            average of all classes, or the first class under reference coding.  Never refits.
        ci_prob, ci_kind
            Probability and kind (``"eti"``, ``"hdi"``) of the interval; defaults are ArviZ's.

        Returns
        -------
        DataFrame
            Rows ``(feature, contrast)``, in logits per unit of the feature.
        """
        interval = resolve_interval(ci_prob, ci_kind)
        view = build_view(self.schema, vs)
        first = 0 if self.schema.has_intercept else 1
        draws = self.contrast_draws(view)[:, :, first:]
        flat = draws.reshape(-1, draws.shape[2] * draws.shape[3])
        low, high = draws_interval(flat, interval)
        names = interval.columns()
        features = [INTERCEPT, *self.schema.feature_names][first:]
        index = pd.MultiIndex.from_product([features, view.names], names=["feature", "contrast"])
        columns = {"mean": flat.mean(axis=0), "sd": flat.std(axis=0, ddof=1), names[0]: low, names[1]: high}
        quality = convergence_table(draws) if self.ess is None else weighted_table(draws, self.ess)
        return pd.DataFrame(columns, index=index).join(quality.set_axis(index))

    def predict_proba(self, data: Any, ci_prob: float | None = None, *, offset: Any = None) -> pd.DataFrame:
        """Posterior-predictive class probabilities of new data.

        Parameters
        ----------
        data
            Data frame with the model's columns, or array (N, p).
        ci_prob
            If given, an equal-tailed interval of this probability stands beside each mean.
        offset
            (N, K), if the model has an offset that is not a column of the data.

        Returns
        -------
        DataFrame
            Rows as in ``data``; columns are the classes, or ``(class, statistic)`` with intervals.
        """
        rows = encode_rows(self.schema, data, offset)
        if ci_prob is None:
            return probability_frame(self.schema, rows, mean_probabilities(self.coefficients, rows))
        interval = resolve_interval(ci_prob, "eti")
        values = draw_intervals(self.coefficients, rows, interval)
        return interval_frame(self.schema, rows, values, "mean", interval.columns())

    def predict(self, data: Any, *, offset: Any = None) -> pd.Series:
        """Most probable class of each row of ``data``, by the mean probability."""
        rows = encode_rows(self.schema, data, offset)
        return label_series(self.schema, rows, mean_probabilities(self.coefficients, rows))

    def predict_draws(self, data: Any, *, offset: Any = None) -> xr.DataArray:
        """Class probabilities of every draw (chain, draw, obs, category): N x K x draws numbers."""
        rows = encode_rows(self.schema, data, offset)
        shape = (*self.draws.shape[:2], len(rows.X), len(self.schema.classes))
        values = np.empty((shape[0] * shape[1], *shape[2:]))
        for block, probabilities in probability_blocks(self.coefficients, rows):
            values[:, block] = probabilities
        return xr.DataArray(
            values.reshape(shape),
            dims=("chain", "draw", "obs", "category"),
            coords={"obs": observation_coordinate(rows.index), "category": self.schema.category_coordinate},
            name="probability",
        )

    def save(self, path: Any) -> None:
        """Write the draws to one netCDF file; :func:`bayes_softmax.load` reads it back."""
        from bayes_softmax.results.storage import save_posterior

        save_posterior(self, path)

    def __repr__(self) -> str:
        """Return a few lines that say what was drawn, how, and how far to trust it."""
        chains, draws = self.draws.shape[:2]
        notes = "".join(f"\n  note: {note}" for note in self.notes)
        return (
            f"Posterior: {chains} chains x {draws} draws, {len(self.schema.classes)} classes, "
            f"{len(self.schema.feature_names)} features\n  engine: {self.engine}\n  {self.diagnostics}{notes}"
        )


def observation_coordinate(index: Any) -> Any:
    """Row labels as a coordinate: the data's own if they are plain, else 0..N-1."""
    plain = isinstance(index, pd.Index) and not isinstance(index, pd.MultiIndex) and index.is_unique
    if plain and (pd.api.types.is_integer_dtype(index) or pd.api.types.is_string_dtype(index)):
        return index.to_numpy() if pd.api.types.is_integer_dtype(index) else index.to_numpy(dtype=str)
    return np.arange(len(index))


def build_idata(
    intercept: FloatArray,
    weights: FloatArray,
    free: Mapping[str, FloatArray],
    stats: Mapping[str, Any],
    design: Design,
    schema: Schema,
    engine: str,
    hyper: Mapping[str, tuple[str, Sequence[str]] | None] | None = None,
) -> xr.DataTree:
    """Labelled tree of draws: intercept (chain, draw, K), weights (chain, draw, p, K), statistics (chain, draw).

    ``free`` are the PyMC model's other random variables, so that PyMC's functions can use the tree.  Those that
    ``hyper`` names are hyperparameters; it gives the dimension and its labels where they have one.
    """
    hyper = hyper or {}
    chains, draws = weights.shape[:2]
    coords = {
        "chain": np.arange(chains),
        "draw": np.arange(draws),
        "feature": np.array(schema.feature_names, dtype=str),
        "category": schema.category_coordinate,
    }
    # ``weights`` stands first on purpose: az.summary (ArviZ 1.3) labels rows wrongly unless the dimensions of a
    # data set first appear in the order in which each variable has them.
    variables: dict[str, Any] = {"weights": (("chain", "draw", "feature", "category"), weights)}
    if schema.has_intercept:
        variables["intercept"] = (("chain", "draw", "category"), intercept)
    for name, values in free.items():
        # Dimensions of their own keep ArviZ's order rule; those of the intercept are the categories.
        dims = [f"{name}_dim_{i}" for i in range(values.ndim - 2)]
        if name == "intercept_at_means":
            dims = ["category"]
        local = hyper.get(name)
        if local is not None:
            dims = [local[0]]
            coords[local[0]] = np.array(local[1], dtype=str)
        variables[name] = (("chain", "draw", *dims), values)
    attrs: dict[str, Any] = {"inference_library": "bayes_softmax", "engine": engine, "sample_dims": ["chain", "draw"]}
    if hyper:
        attrs["hyperparameters"] = list(hyper)
    sampled = {k: coords[k] for k in ("chain", "draw")}
    groups = {
        "posterior": xr.Dataset(variables, coords=coords, attrs=attrs),
        "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in stats.items()}, coords=sampled, attrs=attrs),
        **_data_groups(design, schema),
    }
    return xr.DataTree.from_dict(groups)


def _data_groups(design: Design, schema: Schema) -> dict[str, xr.Dataset]:
    """The data as seen by the model: responses, features, weights and offset."""
    coords = {"obs": observation_coordinate(design.index), "category": schema.category_coordinate}
    response = design.response
    observed: dict[str, Any] = (
        {"y": ("obs", response.codes)} if response.codes is not None else {"y": (("obs", "category"), response.counts)}
    )
    constant: dict[str, Any] = {"X": (("obs", "feature"), design.X)}
    if design.weights is not None:
        constant["frequency_weights"] = ("obs", design.weights)
    if design.offset is not None:
        constant["offset"] = (("obs", "category"), design.offset)
    features = {"feature": np.array(schema.feature_names, dtype=str)}
    return {
        "observed_data": xr.Dataset(observed, coords=coords, attrs={"response": schema.response_name}),
        "constant_data": xr.Dataset(constant, coords={**coords, **features}),
    }
