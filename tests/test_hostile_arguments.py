"""Every argument of every public callable refuses what it cannot use, and says which argument it was."""

import functools
import inspect
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest

import bayes_softmax as bs
from bayes_softmax.core.checks import is_real
from tests.conftest import simulate

mpl.use("Agg")

X, CODES = simulate(40, 2, 3)
LABELS = np.array(list("abc"))[CODES]
DATA = pd.DataFrame(X, columns=["x0", "x1"]).assign(y=LABELS, g=np.where(X[:, 0] > 0, "p", "q"))
OFFSET, ON = np.zeros((40, 3)), np.ones((40, 3), dtype=bool)
COST = pd.DataFrame(1.0 - np.eye(3), columns=list("abc"), index=list("abc"))
NAN = float("nan")
LONGEST = 600  # a message must be readable

# ---------------------------------------------------------------------- values that no argument of a kind can use

FLAG = ["no", None, 2, 0.0, []]
COUNT = [0, -1, 1.5, "a", True, [3], NAN, -(10**400)]
SHARE = [0, 1, -0.1, 1.5, "a", True, NAN, 1j, [0.5], 10**400]
SCALE = [0, -1, NAN, np.inf, 10**400, "a", True, None, 1j, [1.0], np.ones(2), Decimal("NaN"), Decimal(-1)]
SEED = [-1, 2**64, 1.5, "a", True, [1]]
RNG = [-1, 1.5, "a", True, [], [1.5], [1, -1], [True], {1: 2}, np.ones((2, 2), int), np.random, b"a", object()]
CHOICE = ["nonsense", "", 5, ["error"], True]
TABLE = ["text", 5, None, {"x0": [1.0]}, X + 1j, X.astype(str), X[:, :1], X[0], np.zeros((2, 2, 2)), object()]
TABLE += [pl.DataFrame(X, schema=["x0", "x1"]).lazy(), np.where(X[0, 0] == X, NAN, X), [[1.0, 2.0], [3.0]]]
TABLE += [DATA[["x0"]], DATA.assign(x1="text"), DATA.assign(x1=1j), DATA.assign(x1=pd.NaT), [["a", None]]]
TABLE += [pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("x0", 1), ("x1", 1)]))]
NEW_DATA = [value for value in TABLE if value is not None]
ROWS = ["nonsense", 5, np.ones(3), np.ones(40) + 0j, ["a"] * 40, [None] * 40, {"a": 1}, np.full(40, np.inf), object()]
ROWS += [-np.ones(40), np.ones((40, 2)), np.datetime64("2020-01-01") + np.arange(40), np.ma.masked_less(X[:, 0], 9)]
LOGITS = ["x0", 5, np.zeros(40), np.zeros((40, 2)), OFFSET + 1j, OFFSET.astype(str), np.full((40, 3), NAN), object()]
LOGITS += [["x0", "x1"], ["p", "q", "r"], {"a": "x0"}, {"a": "x0", "b": "x1", "z": "x0"}, [[None] * 3] * 40]
LOGITS += [pd.DataFrame(OFFSET, columns=["a", "b", "z"]), pd.DataFrame(OFFSET, columns=["a", "a", "b"])]
OFFERED = ["x0", 5, ON[:, 0], ON[:, :2], OFFSET, ON + 1j, ON.astype(str), np.full((40, 3), NAN), object(), ON * 2]
OFFERED += [["x0", "x1"], ["p", "q", "r"], {"a": "x0"}, {"a": "x0", "b": "x1", "z": "x0"}, [[None] * 3] * 40]
OFFERED += [pd.DataFrame(ON, columns=["a", "b", "z"]), np.ma.masked_array(ON, mask=np.eye(40, 3)), [[1, 1, 1], [1]]]
CLASS = ["nonsense", "A", 9, 1.5, ("a", "a"), ["a"], ("a", "z"), object(), NAN, b"a", {"a": 1}]
RATES = [5, "a", {}, {"a": 1.0}, {"a": 0.5, "b": 0.5, "z": 0.0}, {"a": 2.0, "b": 0.0, "c": 0.0}, [0.3, 0.3, 0.4]]
RATES += [{"a": "x", "b": 0.5, "c": 0.5}, {"a": NAN, "b": 0.5, "c": 0.5}, {"a": 1j, "b": 0.5, "c": 0.5}]
NAMES = ["nonsense", ["x0", "X1"], [], 99, -1, 1.5, [None], [["x0"]], {"z": 1}, True, b"x0", object()]
PER: list[Any] = [5, "x0", {"z": 1}, {"x0": 0}, {"x0": NAN}, {"x0": "a"}, {"x0": 1j}, {"x0": True}, {1.5: 2}]
SETTING = [5, {"nonsense": 1}, {"x0": "a"}, {"x0": NAN}, {"x0": 1j}, {"x0": None}, {"x0": [1.0]}, {"x0": 10**400}]
PRIOR = [
    5,
    "normal",
    bs.Normal,
    [bs.Normal(1)],
    {"z": bs.Normal(1)},
    {"x0": 5},
    {"x0": "normal"},
    {"x9": None},
    {1: bs.Normal(1)},
]
RESPONSE = ["text", 5, object(), {"y": [1]}, X[:, 0], CODES + 1j, np.zeros(40), np.zeros((40, 3, 2)), LABELS[:3]]
RESPONSE += [[None] * 40, np.zeros((40, 1)), np.eye(3)[CODES] * -1, np.full((40, 3), NAN), [b"a", b"b"] * 20]
RESPONSE += [["a", 1] * 20, np.eye(3)[CODES] + 1j, np.eye(3)[CODES].astype(str), [2**70, 1] * 20, [["a"], ["b", "c"]]]
CLASSES = [5, "abc", {"a", "b", "c"}, ["a", "b"], ["a", "a", "b", "c"], ["a", "b", 3], ["a", "b", None], [0, 1, 2], []]
COSTS = [5, None, COST.to_numpy(), COST[["a", "b"]], COST.rename(columns={"a": "z"}), COST.astype(str), COST + 1j]
COSTS += [COST * NAN, COST.iloc[:0], COST.set_axis(["a", "a", "b"]), COST.set_axis(["a", "a", "b"], axis=1)]
GROUPINGS = ["nonsense", "", 5, ["x0"], [], [None], {"g": 1}, True, b"g", object()]
GROUPS = ["nonsense", 5, np.zeros(3), np.zeros((40, 2)), [None] * 40, {"a": 1}, object()]
OUT = [5, True, ["answers"], b"answers", "", " ", object()]
INTERVAL = {"ci_prob": SHARE, "ci_kind": CHOICE}
LOOK: dict[str, list[Any]] = {
    "classes": [["a", "a"], ["a", "z"], [], {"a"}, "nonsense", 5, object(), b"a"],
    "colors": ["red", ["red"], {"z": "red"}, {"a": "no colour"}, 5, [1.0, 2.0, 3.0], object()],
    "title": [5, ["a"], object(), b"a"],
    "figsize": [5, "ab", (1,), (1, -1), (NAN, 1), (1, np.inf), ("a", 1), (1, 2, 3)],
    "ax": [5, "ax", object(), [], [1]],
    "figure": [5, "figure", object(), True],
}
NEW = {"data": NEW_DATA, "offset": LOGITS, "available": OFFERED}
AT_LEVELS: dict[str, list[Any]] = {
    "levels": [*CHOICE, None, "new", {"z": "new"}],
    "groups": [5, "nonsense", {"z": CODES}, {}, [CODES], CODES, object()],
    "random_seed": SEED,
    "rng": RNG,
}
PRIORS: dict[str, list[Any]] = {"prior": PRIOR, "intercept_prior": [*PRIOR[:4], bs.Laplace(1), bs.Jeffreys()]}
MODEL = {
    **PRIORS,
    "coding": [*CHOICE, None],
    "classes": CLASSES,
    "weights": ROWS,
    "offset": LOGITS,
    "available": OFFERED,
}
MODEL |= {"missing": [*CHOICE, None], "constant": [*CHOICE, None], "collapse": FLAG}
MODEL |= {
    "logits": ["mlp", 5, (50,), bs.MLP, {"hidden": 5}, object(), len, bs.CustomLogits, bs.CustomLogits(lambda x: None)],
    "groups": [
        5,
        "nonsense",
        ["z"],
        {5: CODES},
        {"h": 5},
        {"h": CODES[:3]},
        {"h": [None] * 40},
        {"h": CODES + 0.5},
        {"h": CODES * 0},
    ],
    "group_prior": [5, "normal", bs.Normal(1), bs.GroupNormal, {"h": bs.GroupNormal()}, bs.GroupNormal()],
}
MODEL |= {"client": [5, "tcp://nowhere", True, object()], "scratch": [5, "a", -1, True], "checkpoint": [5, "a.json"]}
CODES_ = [CODES + 0.5, CODES + 1j, CODES - 1, LABELS, CODES[:3], np.zeros((40, 2)), 5, "text", [None] * 40]
LOGIT_ARRAYS = ["text", 5, OFFSET + 1j, OFFSET.astype(str), [[1.0], [1.0, 2.0]], object(), None]
WEIGHT_ARRAYS = ["text", 5, np.ones(3), np.ones(40) + 0j, ["a"] * 40, object()]
LEARNING = [0, -1, NAN, np.inf, "x", True, [1.0], 1j]
SOLVER = {
    "solver": [*CHOICE, None],
    **dict.fromkeys(("max_iterations", "restarts"), COUNT),
    "random_seed": SEED,
    "rng": RNG,
}
RUN = {"draws": [*COUNT, None], "tune": COUNT, "chains": [*COUNT, None], "cores": COUNT}
ODD_COLUMNS: list[dict[str, Any]] = [{"g": "new"}, {"g": None}, {"x0": "text"}, {"x0": 1j}, {"x0": NAN}]
FIT = [5, None, "fit", object()]

NO_COLORS = {name: values for name, values in LOOK.items() if name != "colors"}
NO_CLASSES = {name: values for name, values in NO_COLORS.items() if name != "classes"}
ROWS_NAMED = [-1, 1.5, "a", True, None, [3], NAN, -(10**400)]


def model() -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(X, LABELS)


@functools.wraps(bs.SoftmaxClassifier)
def classify(**parameters: Any) -> bs.SoftmaxClassifier:
    """The parameters of an estimator are checked by ``fit``."""
    return bs.SoftmaxClassifier(**parameters).fit(X, LABELS)


PARAMETERS = bs.SoftmaxClassifier().get_params()
CLASSIFIER = bs.SoftmaxClassifier().fit(X, LABELS)
ESTIMATE = bs.SoftmaxRegression(X, LABELS, offset=OFFSET, available=ON).map()
PLAIN = model().map()
NET = bs.SoftmaxRegression(X, LABELS, logits=bs.MLP(hidden=2))
FORMULA = bs.SoftmaxRegression.from_formula("y ~ x0 + g", DATA).map()
DRAWS = model().laplace(400, random_seed=1, progressbar=False)
GROUPED = bs.SoftmaxRegression.from_formula("y ~ x0 + (1 | g)", DATA).sample(
    50, 50, 2, random_seed=1, progressbar=False
)
GROUPED_ROWS = DATA[["x0"]].head()
CHAINS = model().sample(draws=100, chains=2, random_seed=1, progressbar=False)

Table = dict[str, list[Any]]
# name: (callable, arguments that are right, values that are wrong by argument)
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any], Table]] = {
    "SoftmaxRegression": (
        bs.SoftmaxRegression,
        {"X": X, "y": LABELS},
        {
            "X": [value for value in TABLE if getattr(value, "shape", ())[1:] != (1,)],
            "y": [*RESPONSE, None],
            "feature_names": ["ab", 5, ["a"], ["a", "a"], ["a", "intercept"]],
            "intercept": FLAG,
            **MODEL,
        },
    ),
    "SoftmaxClassifier": (
        classify,
        {"random_state": 1, "draws": 100, "tune": 100, "method": "sample"},
        {
            **PRIORS,
            "coding": [*CHOICE, None],
            "method": [*CHOICE, None],
            "engine": [*CHOICE, None],
            "fit_intercept": FLAG,
            "offset": [5, "x0", OFFSET, ["a", "b", "c"], {"a": "x0"}, [1, 2, 3]],
            "available": [5, "x0", ON, ["a", "b", "c"], {"a": "x0"}, [1, 2, 3]],
            "groups": [5, "x0", ["g"], [], {"g": [1]}],
            "group_prior": MODEL["group_prior"],
            "levels": [*CHOICE, None],
            "logits": MODEL["logits"],
            "layers": [*CHOICE, "last"],
            "restarts": [],
            "draws": COUNT,
            "tune": COUNT,
            "chains": [*COUNT, None],
            "target_accept": SHARE,
            "n_jobs": ["a", 0, 1.5, True, [1]],
            "random_state": SEED,
            "verbose": ["no", 0.5, [], None],
            "solver": [],
            "max_iter": [],
        },
    ),
    "SoftmaxClassifier of an estimate": (
        classify,
        {},
        {**{name: [] for name in PARAMETERS}, "solver": [*CHOICE, None], "max_iter": COUNT, "restarts": COUNT},
    ),
    "SoftmaxClassifier.fit": (
        bs.SoftmaxClassifier().fit,
        {"X": X, "y": LABELS},
        {
            "X": ["text", 5, None, {"x0": [1.0]}, X + 1j, object(), TABLE[10], TABLE[11], [[1.0, 2.0], [3.0]]],
            "y": ["text", 5, object(), {"y": [1]}, CODES + 1j, np.zeros(40), np.zeros((40, 3)), [None] * 40],
            "sample_weight": [row for row in ROWS if not is_real(row)],
        },
    ),
    "SoftmaxClassifier.predict": (
        CLASSIFIER.predict,
        {"X": X},
        {"X": [*NEW_DATA[:1], X + 1j, X[:, :1], np.where(X[0, 0] == X, NAN, X), DATA.assign(x1="text"), [["a", None]]]},
    ),
    "from_formula": (
        bs.SoftmaxRegression.from_formula,
        {"formula": "y ~ x0 + x1", "data": DATA},
        {"formula": [5, None, "", "x0", "y ~"], "data": [X, "text", None, 5, DATA[["y"]], DATA.iloc[:0]], **MODEL},
    ),
    "sample_prior": (model().sample_prior, {}, {"draws": [*COUNT, None], "random_seed": SEED, "rng": RNG}),
    "forecast": (model().forecast, {}, RUN),
    "map_path": (model().map_path, {"scales": [1, 2]}, {"scales": [5, "a", [], [0], [-1], ["a"], [NAN], [True], [1j]]}),
    "mle": (model().mle, {}, {**SOLVER, "learning_rate": [*LEARNING, 1.0]}),
    "map": (model().map, {"solver": "gradient-descent"}, {**SOLVER, "learning_rate": LEARNING}),
    "choose_prior_scale": (
        model().choose_prior_scale,
        {},
        {"restarts": [v for v in COUNT if v is not None], "random_seed": SEED, "rng": RNG, "progressbar": FLAG},
    ),
    "laplace": (
        model().laplace,
        {},
        {
            "draws": [*COUNT, None, 99],
            "structure": [*CHOICE, "kron"],
            "rows": COUNT,
            "max_error": [*SHARE, 0.1],
            "predictive": CHOICE,
            "random_seed": SEED,
            "rng": RNG,
            "progressbar": FLAG,
        },
    ),
    "ensemble": (
        NET.ensemble,
        {"members": 1, "random_seed": 1},
        {
            "members": [*COUNT, None],
            "laplace": FLAG,
            "draws": [*COUNT, 200],
            "random_seed": SEED,
            "rng": RNG,
            "progressbar": FLAG,
        },
    ),
    "sample": (
        model().sample,
        {},
        {
            **RUN,
            "random_seed": SEED,
            "rng": RNG,
            "target_accept": SHARE,
            "engine": [*CHOICE, None],
            "layers": [*CHOICE, "last", "all"],
            "progressbar": FLAG,
        },
    ),
    "predict": (
        ESTIMATE.predict,
        {"data": X, "offset": OFFSET, "available": ON},
        {**NEW, **AT_LEVELS, "class_prior": RATES, "out": OUT, "missing": CHOICE},
    ),
    "predict_proba": (
        ESTIMATE.predict_proba,
        {"data": X, "offset": OFFSET, "available": ON},
        {**NEW, **AT_LEVELS, "class_prior": RATES, "out": OUT, "missing": [*CHOICE, None], "ci_prob": SHARE},
    ),
    "predict_proba of a formula": (
        FORMULA.predict_proba,
        {"data": DATA},
        {
            "data": [
                X,
                "text",
                None,
                5,
                DATA[["x0"]],
                DATA.assign(g="new"),
                DATA.assign(x0="text"),
                DATA.assign(g=None),
            ],
            "ci_prob": SHARE,
            "class_prior": RATES,
            "out": OUT,
            "missing": CHOICE,
            "offset": [OFFSET],
            "available": [ON],
            **AT_LEVELS,
        },
    ),
    "predict_proba with groups": (
        GROUPED.predict_proba,
        {"data": GROUPED_ROWS, "levels": "known or new", "groups": {"g": LABELS[:5]}},
        {
            "data": [X, "text", None, 5, GROUPED_ROWS.rename(columns={"x0": "x9"})],
            "ci_prob": SHARE,
            "class_prior": RATES,
            "out": OUT,
            "missing": CHOICE,
            "offset": [OFFSET],
            "available": [ON],
            "levels": [*CHOICE, None, {"z": "new"}, {"g": "nonsense"}, {"g": None}, {1: "new"}],
            "groups": [5, "nonsense", {"z": CODES}, {}, CODES, object(), {"g": CODES}, {"g": None}],
            "random_seed": SEED,
            "rng": RNG,
        },
    ),
    "uncertainty": (
        ESTIMATE.uncertainty,
        {"data": X, "offset": OFFSET, "available": ON},
        {**NEW, **AT_LEVELS, "class_prior": RATES, "out": OUT, "missing": CHOICE},
    ),
    "decide": (
        ESTIMATE.decide,
        {"data": X, "offset": OFFSET, "available": ON, "cost": COST},
        {**NEW, **AT_LEVELS, "cost": COSTS, "class_prior": RATES, "out": OUT, "missing": CHOICE, "ci_prob": SHARE},
    ),
    "effects": (
        ESTIMATE.effects,
        {"data": X, "offset": OFFSET, "available": ON},
        {
            **NEW,
            **AT_LEVELS,
            **INTERVAL,
            "features": NAMES,
            "at": [*SETTING, "median"],
            "base": [*SETTING, {"x0": 1.0}],
            "per": PER,
            "weights": ROWS,
            "n_draws": COUNT,
            "draws": [*FLAG, True],
        },
    ),
    "contrast": (
        ESTIMATE.contrast,
        {"data": X, "offset": OFFSET, "available": ON, "first": {"x0": 1}, "second": {"x0": 0}},
        {
            **NEW,
            **AT_LEVELS,
            **INTERVAL,
            "first": [*SETTING, None],
            "second": [*SETTING, None],
            "at": [*SETTING, "median"],
            "weights": ROWS,
            "n_draws": COUNT,
            "draws": [*FLAG, True],
        },
    ),
    "poststratify": (
        ESTIMATE.poststratify,
        {"cells": X, "count": np.ones(40), "offset": OFFSET, "available": ON},
        {
            **INTERVAL,
            "cells": [*NEW_DATA, None, X[:0]],
            "count": [*ROWS, np.zeros(40), True, None],
            "by": ["nonsense", 5, 1.5, [], ["y", "y"], [None], {"y": 1}, True, b"y", object(), X[:, 0]],
            "offset": LOGITS,
            "available": OFFERED,
            "n_draws": COUNT,
            "draws": [*FLAG, True],
            **AT_LEVELS,
            "levels": [*CHOICE, "new", {"z": "new"}],
        },
    ),
    "group_effects": (
        GROUPED.group_effects,
        {"group": "g"},
        {**INTERVAL, "group": GROUPINGS, "terms": GROUPINGS, "vs": [*CLASS, [], [("a", "b"), ("a", "z")]]},
    ),
    "group_covariance": (
        GROUPED.group_covariance,
        {"group": "g"},
        {**INTERVAL, "group": GROUPINGS, "vs": [*CLASS, [], [("a", "b"), ("a", "b")]], "draws": FLAG},
    ),
    "odds_ratios": (
        PLAIN.odds_ratios,
        {},
        {**INTERVAL, "vs": CLASS, "per": PER},
    ),
    "evaluate": (
        ESTIMATE.evaluate,
        {"data": X, "y": LABELS, "offset": OFFSET, "available": ON},
        {
            **NEW,
            **AT_LEVELS,
            "missing": CHOICE,
            "y": [v for v in RESPONSE if v is not RESPONSE[6]],
            "weights": ROWS,
            "class_prior": RATES,
            "loo": [*FLAG, True],
            "n_bins": [*COUNT, None],
        },
    ),
    "summary": (PLAIN.summary, {}, {**INTERVAL, "vs": CLASS, "features": NAMES}),
    "summary of draws": (DRAWS.summary, {}, {**INTERVAL, "vs": CLASS, "features": NAMES}),
    "predict_draws": (
        DRAWS.predict_draws,
        {"data": X},
        {**AT_LEVELS, "data": TABLE, "offset": [OFFSET], "available": [ON]},
    ),
    "posterior_predictive": (
        DRAWS.posterior_predictive,
        {},
        {
            "by": GROUPS,
            "ci_prob": SHARE,
            "n_draws": [*COUNT, None],
            "random_seed": SEED,
            "rng": RNG,
            "levels": AT_LEVELS["levels"],
        },
    ),
    "loo": (
        DRAWS.loo,
        {},
        {
            "by": [*CHOICE, None],
            "groups": [value for value in GROUPS if value is not None],
            "unit": CHOICE,
            "refit": ["no", 5, None],
            "order": [5, "abc", ["a"], list("abz")],
            "progressbar": FLAG,
        },
    ),
    "stacking_weights": (CHAINS.stacking_weights, {}, {"progressbar": FLAG}),
    "kfold": (
        PLAIN.kfold,
        {"k": 3},
        {
            "k": [*COUNT, None, 1, 41],
            "by": [*CHOICE, None],
            "groups": [value for value in GROUPS if value is not None],
            "stratify": FLAG,
            "random_seed": SEED,
            "rng": RNG,
            "progressbar": FLAG,
        },
    ),
    "prior_sensitivity": (DRAWS.prior_sensitivity, {}, {"threshold": [0, -1, NAN, "a", None, True, 1j]}),
    "compare": (
        bs.compare,
        {"fit": PLAIN},
        {**INTERVAL, "vs": CLASS, "features": NAMES, "fits": [], "unnamed": [], "fit": FIT},
    ),
    "compare_models": (
        bs.compare_models,
        {"posteriors": {"a": DRAWS, "b": DRAWS}},
        {
            "posteriors": [
                *(5, None, [DRAWS, DRAWS], {"a": DRAWS}, {}, {"a": DRAWS, "b": PLAIN}),
                *({"a": DRAWS, "b": PLAIN.kfold(3)}, {"a": PLAIN.kfold(3), "b": 5}),
            ],
            "method": [*CHOICE, None],
            "by": CHOICE,
            "groups": [value for value in GROUPS if value is not None],
            "unit": CHOICE,
            "refit": ["no", 5, None],
            "progressbar": FLAG,
        },
    ),
    "softmax": (bs.softmax, {"logits": OFFSET}, {"logits": LOGIT_ARRAYS}),
    "log_softmax": (bs.log_softmax, {"logits": OFFSET}, {"logits": LOGIT_ARRAYS}),
    "log_likelihood": (
        bs.log_likelihood,
        {"logits": OFFSET, "y": CODES},
        {"logits": LOGIT_ARRAYS, "y": CODES_, "weights": WEIGHT_ARRAYS},
    ),
    "cross_entropy": (
        bs.cross_entropy,
        {"logits": OFFSET, "y": CODES},
        {"logits": LOGIT_ARRAYS, "y": CODES_, "weights": WEIGHT_ARRAYS},
    ),
    "cross_entropy_gradient": (
        bs.cross_entropy_gradient,
        {"X": X, "W": np.zeros((2, 3)), "y": CODES},
        {
            "X": [X[0], X + 1j, X.astype(str), "text", None],
            "W": [np.zeros((3, 3)), np.zeros((2, 3)) + 1j, "text", None],
            "y": CODES_,
            "weights": WEIGHT_ARRAYS,
        },
    ),
    "Normal": (bs.Normal, {}, {"scale": SCALE}),
    "Laplace": (bs.Laplace, {}, {"scale": SCALE}),
    "HalfNormal": (bs.HalfNormal, {}, {"scale": SCALE}),
    "StudentT": (bs.StudentT, {"df": 4, "scale": 1}, {"df": SCALE, "scale": SCALE}),
    "HalfStudentT": (bs.HalfStudentT, {"df": 4, "scale": 1}, {"df": SCALE, "scale": SCALE}),
    "R2D2": (bs.R2D2, {}, {"mean": [*SCALE, 1], "precision": SCALE, "concentration": SCALE}),
    "LKJ": (bs.LKJ, {}, {"eta": SCALE}),
    "GroupNormal": (
        bs.GroupNormal,
        {},
        {
            "scale": [0, 1.0, "a", bs.Normal(1), bs.HalfNormal, object()],
            "correlation": [None, 2, "lkj", bs.LKJ, object()],
            "covariance": [*CHOICE, None, "Independent"],
        },
    ),
    "MLP": (
        bs.MLP,
        {},
        {
            "hidden": [0, -1, 2.5, "ab", None, (0,), (3, -1), (2.0,), (True,), [[3]], {3}, {3: 1}, 10**9, object()],
            "activation": [*CHOICE, "Tanh", None],
            "skip": FLAG,
            "common_unit": FLAG,
        },
    ),
    "CustomLogits": (
        bs.CustomLogits,
        {"build": len},
        {
            "build": [None, 5, "build", bs.MLP, object(), lambda: 0, lambda x, y: x],
            "dims": [
                *(5, "unit", ["unit"], {5: 3}, {"feature": 3}, {"": 3}),
                *({"unit": wrong} for wrong in (0, 2.5, None, True, [], "ab", ["a", "a"], ["a", 1])),
            ],
        },
    ),
    "plots.calibration": (
        bs.plots.calibration,
        {"evaluated": PLAIN, "data": X, "y": LABELS},
        {
            "evaluated": [*FIT, model()],
            "data": NEW_DATA,
            "y": [v for v in RESPONSE if v is not RESPONSE[6]],
            "loo": [*FLAG, True],
            "n_bins": [*COUNT, None],
            **LOOK,
        },
    ),
    "plots.compare": (
        bs.plots.compare,
        {"fit": PLAIN},
        {**INTERVAL, **LOOK, "vs": CLASS, "features": NAMES, "fits": [], "unnamed": [], "fit": FIT},
    ),
    "plots.forest": (
        bs.plots.forest,
        {"fit": PLAIN},
        {**INTERVAL, **LOOK, "vs": CLASS, "features": NAMES, "fit": [*FIT, model()]},
    ),
    "plots.probabilities": (
        bs.plots.probabilities,
        {"fit": ESTIMATE, "data": X, "offset": OFFSET, "available": ON},
        {**NEW, **LOOK, "features": NAMES, "at": [*SETTING, "median"], "ci_prob": SHARE, "fit": [*FIT, model()]}
        | {**AT_LEVELS, "levels": [*CHOICE, "new"]}
        | {"panels": CHOICE, "by": ["nonsense", 5, "x0", ["x0"], object(), True]},
    ),
    "plots.group_effects": (
        bs.plots.group_effects,
        {"fit": GROUPED},
        {**INTERVAL, **LOOK, "fit": [*FIT, PLAIN, model()], "group": GROUPINGS, "terms": GROUPINGS, "vs": CLASS}
        | {"most": [*COUNT, None]},
    ),
    "plots.effects": (
        bs.plots.effects,
        {"fit": ESTIMATE, "data": X, "offset": OFFSET, "available": ON},
        {**NEW, **AT_LEVELS, **INTERVAL, **LOOK, "features": NAMES, "at": [*SETTING, "median"], "fit": [*FIT, model()]},
    ),
    "plots.posterior_predictive": (
        bs.plots.posterior_predictive,
        {"fit": DRAWS},
        {"fit": [*FIT, model()], "by": GROUPS, "ci_prob": SHARE, "random_seed": SEED, "rng": RNG, **LOOK},
    ),
    "plots.prior": (
        bs.plots.prior,
        {"model": model()},
        {
            "model": [*FIT, PLAIN],
            "draws": [*COUNT, None],
            "against": [5, "a", bs.Flat()],
            "random_seed": SEED,
            "rng": RNG,
            **LOOK,
        },
    ),
    "plots.confusion": (
        bs.plots.confusion,
        {"evaluated": PLAIN, "data": X, "y": LABELS},
        {
            "evaluated": [*FIT, model()],
            "data": NEW_DATA,
            "y": [v for v in RESPONSE if v is not RESPONSE[6]],
            "normalize": CHOICE,
            "loo": [*FLAG, True],
            **NO_COLORS,
        },
    ),
    "plots.interaction": (
        bs.plots.interaction,
        {"fit": ESTIMATE, "along": "x0", "by": "x1", "data": X, "offset": OFFSET, "available": ON},
        {
            **NEW,
            **AT_LEVELS,
            **NO_COLORS,
            "along": ["nonsense", 1.5, ["x0"], None, True],
            "by": ["X2", "x0", 0, ["x0"], None],
            "values": [5, "a", [], ["a"], [NAN], [1j], list(range(7))],
            "at": [*SETTING, {"x0": 1.0}],
            "ci_prob": SHARE,
            "fit": [*FIT, model()],
        },
    ),
    "plots.map_path": (
        bs.plots.map_path,
        {"model": model(), "scales": [0.5, 1]},
        {
            "model": [*FIT, PLAIN],
            "scales": [5, "a", [], [0], [-1], ["a"], [NAN], [True], [1j]],
            "features": NAMES,
            "vs": CLASS,
            "mle": FLAG,
            "loo": FLAG,
            **LOOK,
        },
    ),
    "plots.pareto_k": (
        bs.plots.pareto_k,
        {"evaluated": DRAWS},
        {"evaluated": [*FIT, PLAIN, model()], "label_rows": ROWS_NAMED, **NO_CLASSES},
    ),
    "plots.regions": (
        bs.plots.regions,
        {"fit": ESTIMATE, "features": ["x0", "x1"], "data": X, "offset": OFFSET, "available": ON},
        {
            **NEW,
            **AT_LEVELS,
            **LOOK,
            "features": [*NAMES, ["x0"], ["x0", "x0"], "x0"],
            "y": [v for v in RESPONSE if v is not RESPONSE[6]],
            "at": [*SETTING, "means", {"x1": 0.0}],
            "ci_prob": SHARE,
            "fit": [*FIT, model()],
        },
    ),
    "plots.ternary": (
        bs.plots.ternary,
        {"fit": ESTIMATE, "data": X, "offset": OFFSET, "available": ON},
        {
            **NEW,
            **{**LOOK, "classes": [*LOOK["classes"], ["a", "b"]]},
            "y": [v for v in RESPONSE if v is not RESPONSE[6]],
            "draws": [*FLAG, True],
            "fit": [*FIT, model()],
        },
    ),
    "plots.traces": (
        bs.plots.traces,
        {"post": CHAINS},
        {"post": [*FIT, PLAIN, DRAWS, model()], "features": NAMES, "most": [*COUNT, None], **NO_COLORS},
    ),
    "plots.uncertainty": (
        bs.plots.uncertainty,
        {"fit": ESTIMATE, "data": X, "offset": OFFSET, "available": ON},
        {
            **NEW,
            **LOOK,
            "y": [v for v in RESPONSE if v is not RESPONSE[6]],
            "label_rows": ROWS_NAMED,
            "fit": [*FIT, model()],
        },
    ),
}
CASES = [(name, argument) for name, (_, _, table) in CALLS.items() for argument in table]


@pytest.mark.parametrize(("name", "argument"), CASES, ids=[f"{name}({argument})" for name, argument in CASES])
def test_an_argument_that_cannot_be_used_is_named(name: str, argument: str) -> None:
    call, right, wrong = CALLS[name]
    for value in wrong[argument]:
        with pytest.raises((ValueError, TypeError)) as caught:
            call(**{**right, argument: value})
        message = str(caught.value)
        assert type(caught.value).__module__ in ("builtins", "bayes_softmax.core.errors"), (value, caught.value)
        assert re.search(rf"\b{argument}\b", message), f"{argument}={value!r}: {message}"
        assert len(message) < LONGEST, f"{argument}={value!r}: {message}"


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_tried_and_what_is_right_is_taken(name: str) -> None:
    call, right, wrong = CALLS[name]
    parameters = set(inspect.signature(call).parameters)
    assert parameters <= set(wrong), f"not tried: {parameters - set(wrong)}"
    if name not in ("sample", "forecast", "Normal", "Laplace", "HalfNormal"):  # slow, or without defaults
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bs.NotReliableWarning)
            call(**right)


def test_every_public_callable_is_tried() -> None:
    tried = {getattr(call, "__name__", "") for call, _, _ in CALLS.values()}
    public = {name for name in bs.__all__ if callable(getattr(bs, name))} | set(bs.plots.__all__)
    for owner in (bs.SoftmaxRegression, bs.PointEstimate, bs.Posterior):
        public |= {name for name, _ in inspect.getmembers(owner, callable) if not name.startswith("_")}
    # Files are tried in test_storage; these have no arguments, take a view of contrasts, or are not called by users.
    elsewhere = {"load", "save", "PointEstimate", "Posterior", "contrast_values", "draw_quality"}
    without = {"Flat", "Jeffreys", "check_separation", "describe_prior"}
    without |= {"add_log_likelihood", "add_log_prior"}
    errors = {name for name in public if name.endswith(("Error", "Warning"))}
    assert public - tried - elsewhere - without - errors == set()
