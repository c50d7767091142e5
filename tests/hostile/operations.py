"""A case from its seed: a model, then fits and questions in a random order, everything under watch."""

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import bayes_softmax as bs
from tests.hostile import checks
from tests.hostile.data import pick
from tests.hostile.models import CANARY, Case, make_case
from tests.hostile.watch import Finding, Refused, Watch

CALLS = 7  # questions to each fit


class Outcome(NamedTuple):
    """What came of a case."""

    seed: int
    findings: list[Finding]
    log: list[str]
    calls: int
    refusals: int


def run_case(seed: int) -> Outcome:
    """Build the model of a seed and ask it things."""
    rng = np.random.default_rng([seed, 20])
    case = make_case(rng)
    watch = Watch(case.given)
    watch.log.append(f"{case.made}; y: {case.y.kind}, {len(case.y.labels)} classes; {_shown(case.options)}")
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(os.environ.get(CANARY, folder + "/canary"))
        canary.unlink(missing_ok=True)
        model = watch.call("model", case.build)
        checks.masked(watch, case, model)
        if not isinstance(model, Refused):
            _explore(watch, case, model, rng, Path(folder))
        if canary.exists():
            watch.fault("code was run", "formula", str(case.formula))
    watch.inputs_unchanged()
    return Outcome(seed, watch.findings, watch.log, watch.calls, watch.refusals)


def _shown(options: dict[str, Any]) -> str:
    def short(value: Any) -> str:
        if isinstance(value, np.ndarray | pd.Series | list) and len(value) > 12:
            return f"<{type(value).__name__} of {len(value)} {getattr(value, 'dtype', '')}>"
        return repr(value)

    return ", ".join(f"{name}={short(value)}" for name, value in options.items())


def _explore(watch: Watch, case: Case, model: bs.SoftmaxRegression, rng: np.random.Generator, folder: Path) -> None:
    """Some fits, and some questions to each."""
    checks.labels(watch, case, model)
    if rng.random() < 0.5:
        watch.call("repr(model)", lambda: repr(model))
        watch.call("describe_prior", model.describe_prior)
    if rng.random() < 0.2:
        watch.call("check_separation", model.check_separation)
    fits: dict[str, Any] = {}
    for name in _order(rng, "map", "map", "mle", "laplace", "sample", "prior")[: int(rng.integers(1, 4))]:
        solver = pick(rng, "newton", "newton", "newton-cg", "lbfgs", "gradient-descent", "nonsense")
        watch.warned = False
        if name in ("mle", "map"):
            fit = watch.call(f"{name}({solver!r})", lambda n=name, s=solver: getattr(model, n)(solver=s))
        else:
            fit = watch.call(name, lambda n=name: _draw(model, n, rng))
        if isinstance(fit, Refused):
            continue
        fits[name] = fit
        if name in ("mle", "map"):
            checks.optimum(watch, model, fit)
        if name == "map" and rng.random() < 0.3:
            checks.relabelled(watch, case, model, fit, rng)
            checks.repeated(watch, case, model, fit)
        _ask(watch, case, model, fit, rng, folder)
    if len(fits) > 1:
        watch.call("compare", lambda: bs.compare(**fits))


def _draw(model: bs.SoftmaxRegression, name: str, rng: np.random.Generator) -> Any:
    seed = int(rng.integers(1000))
    if name == "laplace":
        return model.laplace(draws=int(pick(rng, 100, 100, 200, 5)), random_seed=seed, progressbar=False)
    if name == "prior":
        return model.sample_prior(draws=int(pick(rng, 1, 20, 50)), random_seed=seed)
    return model.sample(
        draws=int(pick(rng, 4, 20, 40)),
        tune=int(pick(rng, 30, 60)),
        chains=int(pick(rng, 1, 2, 3)),
        cores=1,
        random_seed=seed,
        engine=pick(rng, "auto", "auto", "nuts", "independence"),
        progressbar=False,
    )


def _order(rng: np.random.Generator, *names: str) -> list[str]:
    return list(dict.fromkeys(str(name) for name in rng.permutation(list(names))))


def _ask(
    watch: Watch, case: Case, model: bs.SoftmaxRegression, fit: Any, rng: np.random.Generator, folder: Path
) -> None:
    """A few questions, in any order."""
    rows = rng.integers(len(case.plain), size=int(pick(rng, 1, 3, 7)))
    data, keywords = _new_rows(case, model, rows, rng)
    classes, K = list(model.classes), len(model.classes)
    some = pick(rng, *classes)
    questions: dict[str, Any] = {
        "repr": lambda: repr(fit),
        "summary()": fit.summary,
        "summary(vs=)": lambda: fit.summary(vs=pick(rng, some, "average", (classes[0], classes[-1]), "nobody", 17)),
        "summary(ci)": lambda: fit.summary(
            ci_prob=pick(rng, 0.5, 0.999, 0, 1.5, "a"), ci_kind=pick(rng, "hdi", "eti", "x")
        ),
        "predict": lambda: fit.predict(data, **keywords),
        "uncertainty": lambda: fit.uncertainty(data, **keywords),
        "decide": lambda: fit.decide(data, _costs(rng, classes), **keywords),
        "effects": lambda: fit.effects(),
        "effects(at=)": lambda: fit.effects(at=pick(rng, "means", "mean", {"x": 1.0}, {})),
        "effects(data=)": lambda: fit.effects(data=data, **keywords),
        "contrast": lambda: fit.contrast(*_settings(model, rng)),
        "odds_ratios": lambda: fit.odds_ratios(vs=some),
        "evaluate": lambda: fit.evaluate(),
        "predict_proba(class_prior=)": lambda: fit.predict_proba(
            data, class_prior=dict.fromkeys(classes, 1 / K), **keywords
        ),
    }
    if isinstance(fit, bs.PointEstimate):
        questions["std_error"] = lambda: fit.std_error
        questions["covariance"] = lambda: fit.covariance
    else:
        questions["loo"] = lambda: fit.loo(by=pick(rng, "observation", "row"))
        questions["evaluate(loo)"] = lambda: fit.evaluate(loo=True)
        questions["posterior_predictive"] = lambda: fit.posterior_predictive(random_seed=1)
        questions["predict_draws"] = lambda: fit.predict_draws(data, **keywords)
        questions["prior_sensitivity"] = fit.prior_sensitivity
        questions["diagnostics"] = lambda: repr(fit.diagnostics)
    table = watch.call("predict_proba", lambda: fit.predict_proba(data, **keywords))
    checks.probabilities(watch, "predict_proba", table)
    table = watch.call("predict_proba(ci)", lambda: fit.predict_proba(data, ci_prob=0.9, **keywords))
    checks.probabilities(watch, "predict_proba(ci)", table)
    for name in _order(rng, *questions)[:CALLS]:
        watch.call(name, questions[name])
    if rng.random() < 0.5:
        _save_and_load(watch, fit, (data, keywords), rng, folder)


def _save_and_load(
    watch: Watch, fit: Any, new: tuple[Any, dict[str, Any]], rng: np.random.Generator, folder: Path
) -> None:
    path = folder / f"fit{int(rng.integers(10**9))}.{pick(rng, 'nc', 'nc', 'zarr')}"
    keep = bool(rng.random() < 0.8)
    if isinstance(watch.call(f"save {path.suffix} data={keep}", lambda: fit.save(path, data=keep)), Refused):
        return
    loaded = watch.call("load", lambda: bs.load(path))
    if isinstance(loaded, Refused):
        watch.fault("save/load", path.suffix, f"what was saved does not load: {loaded.words}")
        return
    checks.same_answers(watch, path.suffix, fit, loaded, *new)
    watch.call("repr(loaded)", lambda: repr(loaded))
    for name in ("evaluate", "effects"):
        ours, theirs = watch.call(name, getattr(fit, name)), watch.call(f"loaded.{name}", getattr(loaded, name))
        if keep and isinstance(ours, Refused) != isinstance(theirs, Refused):
            watch.fault(
                "save/load", f"{path.suffix} {name}", f"one answers, one does not: {ours!r:.100} {theirs!r:.100}"
            )


def _new_rows(case: Case, model: bs.SoftmaxRegression, rows: np.ndarray, rng: np.random.Generator) -> tuple[Any, Any]:
    """Rows of the data, now and then spoilt, and the keywords that predictions need."""
    X = case.X
    if hasattr(X, "iloc"):
        data: Any = X.iloc[rows]
    elif isinstance(X, list):
        data = [X[i] for i in rows]
    else:
        data = X[rows]
    how = pick(rng, *("as they are",) * 6, "scaled", "missing", "none", "words", "wide", "alien")
    if how == "scaled" and isinstance(data, np.ndarray) and data.dtype == np.float64:
        data = data * pick(rng, 1e6, 1e100, -1e300)
    elif how == "missing" and isinstance(data, pd.DataFrame) and data.shape[1]:
        data = data.astype(object)
        data.iloc[0, 0] = None
    elif how == "none":
        data = data[:0]
    elif how == "words":
        data = pick(rng, "words", None, 5, [["a"]], {"x": [1]}, [[]])
    elif how == "wide" and isinstance(data, np.ndarray):
        data = np.column_stack([data, data])
    elif how == "alien" and isinstance(data, pd.DataFrame) and data.shape[1]:
        data = data.rename(columns={data.columns[0]: "alien"}) if rng.random() < 0.5 else data.assign(g="alien")
    keywords: dict[str, Any] = {}
    for name in ("offset", "available"):
        value = case.options.get(name)
        if value is not None and case.bad != name and rng.random() < 0.9:
            keywords[name] = np.asarray(value)[rows] if how != "none" else np.asarray(value)[:0]
    return data, keywords


def _costs(rng: np.random.Generator, classes: list[Any]) -> Any:
    columns = pd.Index(classes, tupleize_cols=False)
    good = pd.DataFrame(rng.normal(size=(3, len(classes))), index=["one", "two", "three"], columns=columns)
    return pick(rng, good, good, good, good.iloc[:, :1], good.to_numpy(), good * np.nan, "costly")


def _settings(model: bs.SoftmaxRegression, rng: np.random.Generator) -> tuple[Any, Any]:
    name = pick(rng, *(model.feature_names or ("x",)), "x", "nowhere")
    return pick(
        rng, (({name: 0.0}, {name: 1.0})), ({}, {}), ({name: "a"}, {name: "b"}), (1, 2), ({name: np.nan}, {name: 0})
    )
