"""Formulas over a frame with columns of every type, and formulas that would run code if anything did."""

import os
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from tests.hostile.data import Responses, pick

TERMS = (
    *("x", "z", "g", "h", "f", "i") * 2, "`a b`", "x:z", "g:x", "g*f", "g:h", "f:x", "i*x", "C(i)", "C(g)", "C(f)",
    "C(h)", "I(x**2)", "I(x > 0)", "np.log1p(i)", "np.exp(x)", "np.sqrt(z)", "poly(x, 2)", "bs(x, df=4)",
    "bs(x, df=5, degree=2)", "cr(x, df=3)", "cc(x, df=3)", "center(x)", "scale(z)", "standardize(x)",
    "C(g, contr.sum)", "C(g, contr.treatment('b'))", "one", "lone",
    ". - one - lone", ".:x", "log1p(i)", "sqrt(z)",
)  # fmt: skip
HOSTILE = (
    "__import__('pathlib').Path({canary!r}).touch()",
    "C(g, levels=[`__import__('os').system('touch {canary}')`])",
    "I(x == '`__import__(\"os\").system(\"touch {canary}\")`')",
    "C(g, contr.treatment('`__import__(\"pathlib\").Path(\"{canary}\").touch()`'))",
    "{{__import__('pathlib').Path({canary!r}).touch()}}",
    "x.__class__", "np.load('x')", "I(x*0+9**9**9)", "poly(x, 1000000)", "bs(x, df=1e8)", "bs(x, df=2)", "cs(x, df=2)",
    "I('a'*10**9)", "C(x, 'q')", "C(g, 3)", "(1 | g)", "Q('x')", "x +", "x ~ z", "nowhere", "offset(x)", "y", "x |", "",
    "1", "(x", "x**", "x**2", "x^2", ".", "-1", "0", "x + x", "eval('1')", "lambda: x", "[x]", "x if x else z", "{{x}}",
    "np.log(x)", "I(x/0)", "np.log(z - z)", "C(one)", "g + C(g)", "ns(x)", "I(1)", "log(i)", "poly(x, 0)", "bs(x)",
    "x\n+z", "`", "é",
)  # fmt: skip


def make(rng: np.random.Generator, X: np.ndarray, y: Responses) -> tuple[str, Any]:
    """A formula and the frame it is over."""
    N = len(X)
    first = X[:, 0] if X.shape[1] else rng.normal(size=N)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=N),
            "z": first,
            "g": np.array(list("abc"))[rng.integers(3, size=N)],
            "h": pd.Categorical(
                np.array(list("uvw"))[rng.integers(3, size=N)], list("uvwz")[: int(rng.integers(3, 5))]
            ),
            "f": rng.random(N) < 0.5,
            "i": rng.integers(0, 4, size=N),
            "a b": rng.normal(size=N) * 1e4,
            "one": "only",
            "lone": 1.0,
        }
    )
    if y.counts is not None:
        left = " + ".join(f"`k {k}`" if rng.random() < 0.2 else f"k{k}" for k in range(len(y.labels)))
        for k in range(len(y.labels)):
            frame[f"k {k}"] = frame[f"k{k}"] = y.counts[:, k]
    else:
        left = pick(rng, *("y",) * 12, "`the y`", "`y + y2`")
        frame[left.strip("`")] = list(y.given)
    if rng.random() < 0.05:
        frame.loc[N // 2, "x"] = np.nan
    right = " + ".join(pick(rng, *TERMS) for _ in range(int(rng.integers(1, 4))))
    right = pick(rng, "", "", "0 + ", "-1 + ", "1 + ") + right
    if rng.random() < 0.2:
        right = pick(rng, *HOSTILE).format(canary=os.environ.get("HOSTILE_CANARY", "/nowhere/canary"))
    if rng.random() < 0.1 and y.counts is None and all(isinstance(v, str) for v in y.labels):
        return f"{left} ~ {right}", pl.from_pandas(frame.astype({"h": str}))
    return f"{left} ~ {right}", frame
