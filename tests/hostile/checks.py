"""What must hold of every answer, whatever the model."""

from typing import Any

import numpy as np
import pandas as pd

import bayes_softmax as bs
from tests.hostile import objective
from tests.hostile.models import Case
from tests.hostile.watch import Refused, Watch


def probabilities(watch: Watch, what: str, table: Any) -> None:
    """Finite and rows that sum to one, or NaN after a warning; interval ends in order, within 0 and 1."""
    if isinstance(table, Refused):
        return
    if isinstance(table.columns, pd.MultiIndex):
        classes = table.columns.get_level_values(0)
        parts = [table.iloc[:, np.flatnonzero([c == k for c in classes])].to_numpy() for k in dict.fromkeys(classes)]
        P = np.column_stack([part[:, 0] for part in parts])
        for part in parts:
            low, high = part[:, -2], part[:, -1]
            if (low > high).any() or (low < -1e-12).any() or (high > 1 + 1e-12).any():
                watch.fault("interval", what, f"ends {low.min()}, {high.max()} or out of order")
            if np.isnan(part[:, -2:]).any() and not watch.warned:
                watch.fault("silent NaN", what, "an interval is NaN without a warning")
    else:
        P = table.to_numpy(dtype=float)
    if np.isnan(P).any():
        if not watch.warned:
            watch.fault("silent NaN", what, "a probability is NaN without a warning")
        P = P[~np.isnan(P).any(axis=1)]
    if (P < 0).any() or (P > 1 + 1e-12).any() or not np.allclose(P.sum(axis=1), 1.0, rtol=0, atol=1e-9):
        watch.fault("probabilities", what, f"from {P.min()} to {P.max()}, sums {P.sum(axis=1).min()}")


def labels(watch: Watch, case: Case, model: bs.SoftmaxRegression) -> None:
    """The classes are the labels that were given, and none is lost or merged."""
    if case.y.counts is not None or case.bad == "classes" or "missing" in case.options:
        return
    if "floats in a categorical" in case.y.kind:  # called what they look like, where one is not whole
        return
    seen = {_plain(case.y.labels[k]) for k in set(case.y.codes.tolist())}
    known = {_plain(c) for c in model.classes}
    if not seen <= known:
        watch.fault("labels", "classes", f"{sorted(map(repr, seen - known))} became {model.classes!r}")
    if case.options.get("weights") is None and "available" not in case.options:
        counted = dict(zip(map(_plain, model.classes), model._spec.design.class_counts(), strict=True))
        for k in set(case.y.codes.tolist()):
            if counted.get(_plain(case.y.labels[k])) != (case.y.codes == k).sum():
                watch.fault("labels", "class_counts", f"{case.y.labels[k]!r} counted {counted}")


def _plain(label: Any) -> Any:
    label = label.item() if isinstance(label, np.generic) else label
    return str(pd.Timestamp(label)) if hasattr(label, "year") else label


def masked(watch: Watch, case: Case, model: Any) -> None:
    """A masked value is a missing one: an error, or dropped on request; never the number behind the mask."""
    X = case.X
    if not isinstance(X, np.ma.MaskedArray) or not np.ma.getmaskarray(X).any() or isinstance(model, Refused):
        return
    kept = int((~np.ma.getmaskarray(X).any(axis=1)).sum())
    if case.options.get("missing") != "drop" or model._spec.design.n_obs != kept:
        watch.fault("mask ignored", "X", f"{model._spec.design.n_obs} rows fitted, {kept} without a masked value")


def optimum(watch: Watch, model: bs.SoftmaxRegression, fit: Any) -> None:
    """The log-likelihood is the textbook's; what is called converged cannot be improved by 1e-8 relative."""
    problem = objective.problem_of(model, fit._fitted.kind)
    b, W = fit.intercept.values, fit.weights.values
    if problem is None or not (np.isfinite(b).all() and np.isfinite(W).all()):
        return
    likelihood_only = objective.problem_of(model, "mle")
    assert likelihood_only is not None
    with np.errstate(all="ignore"):
        here = objective.value_gradient(likelihood_only, objective.coordinates(likelihood_only, b, W))[0]
        allowed = objective.tolerance(likelihood_only, here, b, W)
    if not np.isfinite(here):
        return
    if fit.log_likelihood > allowed:
        watch.fault("log-likelihood", fit._fitted.kind, f"{fit.log_likelihood} is above zero")
    if not abs(fit.log_likelihood + here) <= allowed:
        watch.fault("log-likelihood", fit._fitted.kind, f"reported {fit.log_likelihood!r}, by the textbook {-here!r}")
    if not fit.converged:
        return
    with np.errstate(all="ignore"):
        here, best = objective.better(problem, b, W)
    allowed = objective.tolerance(problem, here, b, W)
    if np.isfinite(here) and here - best > allowed:
        watch.fault(
            "not the optimum",
            f"{fit._fitted.kind} {model._spec.schema.coding}",
            f"{here!r} can be {best!r}: {fit.status}",
        )


def relabelled(watch: Watch, case: Case, model: bs.SoftmaxRegression, fit: Any, rng: np.random.Generator) -> None:
    """Under zero-sum coding, other names in another order: the same probabilities."""
    if (
        model._spec.schema.coding != "zero-sum"
        or case.y.counts is not None
        or case.formula
        or case.bad
        or not fit.converged
    ):
        return
    if any(isinstance(f, bs.StudentT) for f in model._spec.priors.weights):
        return  # more than one mode
    if {"classes", "offset", "available", "missing"} & set(case.options) or "categorical" in case.y.kind:
        return
    K = len(case.y.labels)
    names = [f"n{k}" for k in rng.permutation(K)]
    y = np.array([names[k] for k in case.y.codes])
    other = watch.call("relabelled", lambda: bs.SoftmaxRegression(case.X, y, **case.options).map())
    if isinstance(other, Refused) or not other.converged:
        return
    ours, theirs = fit.predict_proba(case.X), other.predict_proba(case.X)
    position = {_plain(label): k for k, label in enumerate(fit.classes)}
    order = [k for k in range(K) if names[k] in other.schema.classes and _plain(case.y.labels[k]) in position]
    ours = ours.to_numpy()[:, [position[_plain(case.y.labels[k])] for k in order]]
    gap = np.abs(theirs[[names[k] for k in order]].to_numpy() - ours).max()
    if not gap < 1e-5:
        watch.fault("relabelling", "map", f"probabilities differ by {gap}")


def repeated(watch: Watch, case: Case, model: bs.SoftmaxRegression, fit: Any) -> None:
    """Whole weights are repetitions."""
    weights = case.options.get("weights")
    if not isinstance(case.X, np.ndarray) or isinstance(case.X, np.ma.MaskedArray) or case.bad or case.formula:
        return
    if not isinstance(weights, np.ndarray) or weights.dtype.kind not in "iu" or not fit.converged:
        return
    if {"offset", "available", "missing"} & set(case.options) or not isinstance(case.y.given, np.ndarray):
        return
    if any(isinstance(f, bs.StudentT) for f in model._spec.priors.weights):
        return
    at = np.repeat(np.arange(len(weights)), weights)
    options = {k: v for k, v in case.options.items() if k != "weights"} | {"classes": list(model.classes)}
    other = watch.call("repeated", lambda: bs.SoftmaxRegression(case.X[at], case.y.given[at], **options).map())
    if isinstance(other, Refused) or not other.converged:
        return
    gap = np.abs(other.predict_proba(case.X).to_numpy() - fit.predict_proba(case.X).to_numpy()).max()
    if not gap < 1e-5:
        watch.fault("repetition", "map", f"probabilities differ by {gap}")


def same_answers(watch: Watch, what: str, fit: Any, loaded: Any, data: Any, keywords: dict[str, Any]) -> None:
    """A loaded fit answers to the last digit as the saved one."""
    pairs = [
        (watch.call("summary()", fit.summary), watch.call("loaded.summary()", loaded.summary)),
        (
            watch.call("predict_proba", lambda: fit.predict_proba(data, **keywords)),
            watch.call("loaded.predict_proba", lambda: loaded.predict_proba(data, **keywords)),
        ),
    ]
    for ours, theirs in pairs:
        if isinstance(ours, Refused) != isinstance(theirs, Refused):
            watch.fault("save/load", what, f"one answers, one does not: {ours!r:.100} {theirs!r:.100}")
        elif not isinstance(ours, Refused) and not np.allclose(
            ours.to_numpy(dtype=float), theirs.to_numpy(dtype=float), rtol=1e-12, atol=1e-300, equal_nan=True
        ):
            watch.fault("save/load", what, "a loaded fit answers otherwise")
