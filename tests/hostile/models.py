"""Hostile models: everything a model can be made of, drawn from a seed."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import bayes_softmax as bs
from tests.hostile import formulas
from tests.hostile.data import Responses, dressed, features, pick, responses

CANARY = "HOSTILE_CANARY"  # environment variable with the path of a file that no formula may make


class Case(NamedTuple):
    """A call of the front door: what is handed over, and plain facts to hold the answer to."""

    formula: str | None
    X: Any
    y: Responses
    plain: np.ndarray
    options: dict[str, Any]
    made: str
    bad: str | None

    def build(self) -> bs.SoftmaxRegression:
        """The model, or the refusal."""
        if self.formula is not None:
            return bs.SoftmaxRegression.from_formula(self.formula, self.X, **self.options)
        return bs.SoftmaxRegression(self.X, self.y.given, **self.options)

    @property
    def given(self) -> list[Any]:
        """Everything the model must leave as it was."""
        return [self.X, self.y.given, *self.options.values()]


def make_case(rng: np.random.Generator) -> Case:
    """A model of arrays, of a frame, or of a formula, with options good and bad."""
    X, kinds = features(rng)
    y = responses(rng, X)
    options = _options(rng, len(X), y)
    bad = _spoil(rng, options, len(X)) if rng.random() < 0.12 else None
    if bad is None and "constant" not in options and {"constant", "zero", "flag"} & set(kinds) and rng.random() < 0.8:
        options["constant"] = "drop"
    if rng.random() < 0.25:
        formula, frame = formulas.make(rng, X, y)
        for name in ("intercept", "feature_names"):
            options.pop(name, None)
        case = Case(formula, frame, y, X, options, f"formula {formula!r}", bad)
    else:
        given, form = dressed(rng, X)
        if rng.random() < 0.05:
            given, form = _with_missing(given, form)
        names = _names(given, X.shape[1])
        if options.get("prior") == "by feature":
            options["prior"] = {n: _prior(rng) for n in names if rng.random() < 0.6}
        case = Case(None, given, y, X, options, f"X {X.shape} {form}, columns {', '.join(kinds) or 'none'}", bad)
    if isinstance(options.get("prior"), str):
        options["prior"] = None
    return case


def _names(X: Any, p: int) -> list[Any]:
    return [str(c) for c in X.columns] if hasattr(X, "columns") else [f"x{j}" for j in range(p)]


def _with_missing(X: Any, form: str) -> tuple[Any, str]:
    if isinstance(X, np.ndarray) and X.dtype == np.float64 and X.size and X.flags.writeable and form == "plain":
        X[len(X) // 2, 0] = np.nan
        return X, "plain with NaN"
    return X, form


def _number(rng: np.random.Generator) -> Any:
    """A scale, as Python's and NumPy's numbers."""
    value = float(pick(rng, 0.05, 0.5, 1.0, 1.0, 2.0, 3.0, 10.0, 100.0))
    return pick(rng, value, value, max(round(value), 1), np.float64(value), np.float32(value), np.int64(max(value, 1)))


def _prior(rng: np.random.Generator, proper: bool = False) -> Any:
    return pick(
        rng,
        *(lambda: bs.Normal(_number(rng)),) * 4,
        *(lambda: bs.StudentT(pick(rng, 1, 3, 4, 7.0, np.int64(5)), _number(rng)),) * 2,
        *(lambda: bs.Laplace(_number(rng)),) * 2,
        *(() if proper else (bs.Flat,)),
    )()


def _options(rng: np.random.Generator, N: int, y: Responses) -> dict[str, Any]:
    """Keywords of the model, most of them left out."""
    K = len(y.labels)
    options: dict[str, Any] = {}
    chosen = pick(rng, *("default",) * 4, *("one",) * 4, "by feature", "by feature", "learned", "Jeffreys")
    if chosen == "one":
        options["prior"] = _prior(rng)
    elif chosen == "by feature":
        options["prior"] = "by feature"
    elif chosen == "learned":
        scale = pick(rng, bs.HalfNormal(_number(rng)), bs.HalfStudentT(pick(rng, 1, 3), _number(rng)))
        options["prior"] = pick(rng, bs.Normal(scale), bs.R2D2())
    elif chosen == "Jeffreys":
        options |= {"prior": bs.Jeffreys(), "coding": pick(rng, "zero-sum", "reference")}
    if rng.random() < 0.35 and chosen != "Jeffreys":
        options["intercept_prior"] = pick(rng, bs.Normal(_number(rng)), bs.StudentT(3, _number(rng)), bs.Flat())
    elif rng.random() < 0.2:
        options["intercept"] = False
    options.setdefault("coding", pick(rng, "zero-sum", "zero-sum", "reference", "full"))
    if rng.random() < 0.35:
        options["weights"] = _weights(rng, N, y)
    if rng.random() < 0.2:
        options["offset"] = _offset(rng, N, K)
    if rng.random() < 0.3:
        options["constant"] = "drop"
    if rng.random() < 0.15:
        options["missing"] = "drop"
    if rng.random() < 0.2:
        options["collapse"] = False
    if rng.random() < 0.15 and y.counts is None:
        options["classes"] = [*y.labels, *pick(rng, (), ("never",) if isinstance(y.labels[0], str) else (99,))]
    own = np.random.default_rng(rng.integers(2**62))  # so that a case is the same with and without the keyword
    if AVAILABLE and own.random() < 0.15:
        options["available"] = pick(own, *BAD_MASKS) if own.random() < 0.15 else _available(own, N, y)
    return options


def _has_available() -> bool:
    import inspect

    return "available" in inspect.signature(bs.SoftmaxRegression.__init__).parameters


AVAILABLE = _has_available()


def _available(rng: np.random.Generator, N: int, y: Responses) -> np.ndarray:
    """A mask with what was chosen on offer, mostly; or with whole classes missing."""
    mask = rng.random((N, len(y.labels))) < pick(rng, 0.3, 0.7, 0.95)
    if rng.random() < 0.85:
        mask[np.arange(N), y.codes] = True
        if y.counts is not None:
            mask |= y.counts > 0
    return pick(rng, mask, mask.astype(int), np.asfortranarray(mask))


def _weights(rng: np.random.Generator, N: int, y: Responses) -> Any:
    whole = rng.integers(0, 4, size=N)
    return pick(
        rng,
        lambda: whole,
        lambda: whole.astype(float),
        lambda: np.where(y.codes == y.codes[0], 0.0, 1.0),
        lambda: rng.uniform(0.1, 3, size=N),
        lambda: np.full(N, 1e6),
        lambda: np.full(N, 1e-6),
        lambda: 10.0 ** rng.uniform(-8, 8, size=N),
        lambda: (whole + 1).tolist(),
        lambda: pd.Series(whole + 1.0),
        lambda: whole > 0,
        lambda: np.float32(whole + 1),
    )()


def _offset(rng: np.random.Generator, N: int, K: int) -> Any:
    offset = rng.normal(size=(N, K))
    scale = pick(rng, 0.0, 1.0, 1.0, 20.0, 200.0, "-1e8", "-1e30", "1e30")
    if isinstance(scale, float):
        return pick(rng, scale * offset, np.asfortranarray(scale * offset), (scale * offset).tolist())
    column = int(rng.integers(K))
    offset[:, column] = np.where(rng.random(N) < 0.5, float(scale), 0.0)
    return offset


BAD: dict[str, tuple[Any, ...]] = {
    "prior": ("normal", 1.0, bs.Normal, [bs.Normal(1)], {"nowhere": bs.Normal(1)}, {"x0": 1.0}, {1: None}, object()),
    "intercept_prior": ("flat", 2, bs.Laplace(1), bs.Jeffreys(), bs.R2D2(), {"a": bs.Normal(1)}),
    "coding": ("sum", None, 3, ["zero-sum"], b"full", ""),
    "classes": (5, "ab", [], ["a", "a"], [1], [None, 1], {"a": 1}, [[1, 2], [3]], np.zeros((2, 2)), [np.nan, 1]),
    "weights": (-1.0, "nowhere", [], [np.nan], [np.inf], ["a"], {"a": 1}, 1 + 2j, [1 + 2j], object(), None, "x0"),
    "offset": (1.0, "nowhere", [], [[np.nan]], [["a"]], ["a", "b"], {"a": "b"}, {}, 1j, object(), np.zeros((2, 3, 4))),
    "missing": ("ignore", None, True, 0),
    "constant": ("keep", None, True, 0),
    "intercept": ("no", None, 2, np.array([True, False])),
    "collapse": ("no", None, 2, np.array([True, False])),
    "feature_names": ("ab", ["a"], 5, ["intercept"] * 3, [["a"]], [None], [1, 2], {"a"}),
}
BAD_MASKS = ("all", 5, [], [[True]], [["a"]], {"a": "b"}, np.zeros((2, 3)), object())


def _spoil(rng: np.random.Generator, options: dict[str, Any], N: int) -> str:
    """One option that cannot be meant; arrays as long as the data, with one bad value, among them."""
    name = pick(rng, *BAD)
    value = pick(rng, *BAD[name])
    if name in ("weights", "offset") and rng.random() < 0.5:
        value = np.ones(N)
        value[N // 2] = pick(rng, np.nan, np.inf, -1.0)
    options[name] = value
    return name
