"""Every prior x coding x response form, as models: the cases the two realisations and the oracle are compared on."""

import itertools

import numpy as np

import bayes_softmax as bs
from tests.conftest import simulate

PRIORS = {
    "default": None,
    "normal": bs.Normal(0.7),
    "student": bs.StudentT(4, 0.8),
    "laplace": bs.Laplace(0.6),
    "flat": bs.Flat(),
    "mixed": {"x0": bs.Normal(0.3), "x1": bs.StudentT(3, 2.0)},
    "mixed laplace": {"x0": bs.Laplace(0.5), "x1": bs.Laplace(2.0), "x2": bs.Normal(1.0)},
    "two student": {"x0": bs.StudentT(3, 0.5), "x1": bs.StudentT(7, 2.0), "x2": bs.Flat()},
}
SHRINKAGE = {
    "learned": bs.Normal(bs.HalfNormal(0.8)),
    "learned, half-t": bs.Normal(bs.HalfStudentT(3, 0.5)),
    "two scales": {"x0": bs.Normal(bs.HalfNormal(0.8)), "x2": bs.Normal(bs.HalfStudentT(3, 0.5))},
    "r2d2": bs.R2D2(0.4, 5.0, 0.7),
    "r2d2 and fixed": {"x1": bs.R2D2()},
    "two of each": {
        "x0": bs.R2D2(concentration=1.5),
        "x1": bs.Normal(bs.HalfNormal(0.8)),
        "x2": bs.R2D2(concentration=1.5),
    },
    "learned and fixed": {"x0": bs.StudentT(4, 0.8), "x1": bs.Normal(bs.HalfNormal(0.8)), "x2": bs.Normal(0.5)},
}
INTERCEPTS = {"default": None, "normal": bs.Normal(2.0), "student": bs.StudentT(5, 3.0), "flat": bs.Flat()}
CODINGS = ("zero-sum", "reference", "full")
FORMS = (
    "labels", "whole weights", "real weights", "counts", "weighted counts", "offset", "uncentred", "tiny and huge",
    "no intercept", "two classes", "intercept only", "available",
)  # fmt: skip


def build(prior: str, intercept: str, coding: str, form: str = "labels") -> bs.SoftmaxRegression:
    """A model of 40 rows, 3 features and 3 classes, varied by ``form``."""
    rng = np.random.default_rng(7)
    n_classes = 2 if form == "two classes" else 3
    X, y = simulate(40, 3, n_classes)
    options = {"prior": (PRIORS | SHRINKAGE)[prior], "intercept_prior": INTERCEPTS[intercept], "coding": coding}
    if form == "whole weights":
        options["weights"] = rng.integers(0, 4, size=40)
    elif form == "real weights":
        options["weights"] = rng.uniform(0.2, 3.0, size=40)
    elif form in ("counts", "weighted counts"):
        y = rng.integers(0, 4, size=(40, n_classes))
        options["weights"] = rng.uniform(0.5, 2.0, size=40) if form == "weighted counts" else None
    elif form == "offset":
        options["offset"] = rng.normal(size=(40, n_classes))
    elif form == "available":
        options["available"] = rng.random((40, n_classes)) < 0.6
        options["available"][np.arange(40), y] = True
    elif form == "uncentred":
        X = X + np.array([100.0, -3.0, 20.0])
    elif form == "tiny and huge":
        X = X * np.array([1e-6, 1.0, 1e6]) + np.array([2e-6, 0.5, -3e6])
    elif form == "no intercept":
        options |= {"intercept": False, "intercept_prior": None}
        X = X + 1.0
    elif form == "intercept only":
        X = np.empty((40, 0))
        options["prior"] = None
    return bs.SoftmaxRegression(X, y, **options)


def all_cases() -> list[tuple[str, str, str, str]]:
    """Prior x intercept prior x coding on labels, then every form in every coding with a Normal and a Student-t."""
    crossed = [(p, i, c, "labels") for p in PRIORS for i in INTERCEPTS for c in CODINGS]
    formed = [
        (p, i, c, f)
        for f in FORMS[1:]
        for c in CODINGS
        for p, i in (("default", "default"), ("mixed", "normal"), ("normal", "flat"), ("laplace", "normal"))
        if not (f == "intercept only" and p != "default") and not (f == "no intercept" and i == "flat")
    ]
    flat_and_full = {"flat", "two student"}
    return [case for case in crossed + formed if not (case[2] == "full" and case[0] in flat_and_full)]


def shrinkage_cases() -> list[tuple[str, str, str, str]]:
    """Every learned scale in every coding, then every form, the codings in turn."""
    crossed = [(p, "default", c, "labels") for p in SHRINKAGE for c in CODINGS]
    forms = [f for f in FORMS[1:] if f != "intercept only"]
    formed = [("learned and fixed", "default", c, f) for f, c in zip(forms, itertools.cycle(CODINGS), strict=False)]
    return [*crossed, *formed, ("learned", "normal", "zero-sum", "labels")]
