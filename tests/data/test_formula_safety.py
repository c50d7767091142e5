"""No string from a formula, a file or the command line reaches an evaluator, and none takes for ever."""

import builtins
import copy
import json
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.cli import main
from bayes_softmax.data.formula.terms import parse_terms
from bayes_softmax.data.schema import schema_from_json

EVIL = "__import__('os').system('touch pwned')"
PAYLOADS = {
    "backticks in a string": f"I('`' + str({EVIL}) + '`')",
    "backticks in two strings": f"I('`', {EVIL}, '`')",
    "backticks, double quotes": f'I("`" + str({EVIL}) + "`")',
    "backtick name with quotes": f"np.log(`x' + {EVIL} + '`)",
    "backtick name that calls": f"`{EVIL}`",
    "backtick within call": f"np.log(`x`) + `{EVIL}`",
    "call of a name": EVIL,
    "braces": "{" + EVIL + "}",
    "eval": "eval('1')",
    "exec": "I(exec('1'))",
    "open": "open('/etc/passwd')",
    "dunder attribute": "I(x.__class__)",
    "dunder chain": "{x.__class__.__mro__[1].__subclasses__()}",
    "attribute of numpy": "np.lib.npyio.os.system('true')",
    "numpy load": "np.load('f.npy')",
    "numpy fromfile": "np.fromfile('/etc/passwd')",
    "method of a column": "x.to_csv('pwned')",
    "method in an expression": "I(x.to_csv('pwned'))",
    "subscript": "x[0]",
    "subscript in an expression": "I(x[0])",
    "f-string": "I(f'{x}')",
    "bytes": "I(b'x')",
    "triple quotes": "I('''`''' + x)",
    "lambda": "I((lambda: 1)())",
    "comprehension": "I([y for y in x])",
    "generator": "I(sum(v for v in x))",
    "walrus": "I((z := 3))",
    "conditional": "I(1 if x else 2)",
    "starred": "np.log(*x)",
    "double starred": "np.log(x, **{})",
    "matrix product": "I(x @ x)",
    "shift": "I(1 << 10**9)",
    "ellipsis": "I(...)",
    "complex": "I(1j * x)",
    "unicode name of a function": "ｅｖａｌ('1')",
    "unicode underscore": "I(x.＿＿class＿＿)",
    "nested quotes": "I('\\'`\\'' + \"`\")",
    "format": "I('{0.__class__}'.format(x))",
    "semicolon": "x; import os",
    "newline": "x\nimport os",
    "comment": "x # + 1",
    "formulaic's context": "I(__FORMULAIC_CONTEXT__)",
    "formulaic's Q": f"Q('x' + {EVIL})",
    "formulaic's hashed": "hashed(x, levels=10)",
    "lag": "lag(x, 10**9)",
    "contrast that calls": f"C(g, {EVIL})",
    "contrast of attributes": "C(g, contr.__class__)",
    "custom contrast": "C(g, contr.custom([[1], [2]]))",
    "keyword that calls": f"bs(x, df={EVIL})",
    "others in a call": f"I(. + {EVIL})",
    "others taken away by a call": f". - {EVIL}",
    "state": "bs(x, df=4, _state=3)",
    "huge power": "I(x*0 + 9**9**9)",
    "huge power of a column": "x ** 1e9",
    "huge power of terms": "(x + g)**1000000000",
    "huge polynomial": "poly(x, 1000000)",
    "huge spline": "bs(x, df=1e8)",
    "huge natural spline": "cs(x, df=1e8)",
    "huge degree": "bs(x, df=20, degree=19)",
    "many knots": f"bs(x, knots=[{', '.join('0' for _ in range(5000))}])",
    "huge number": f"I(x * {'9' * 10_000})",
    "number too large": "I(x * 1e999)",
    "deep parentheses": "(" * 5000 + "x" + ")" * 5000,
    "deep parentheses in an expression": "I(" + "(" * 5000 + "x" + ")" * 5000 + ")",
    "deep calls": "np.log(" * 5000 + "x" + ")" * 5000,
    "deep signs": "I(" + "-" * 5000 + "x)",
    "deep powers": "I(x" + " ** x" * 5000 + ")",
    "long sum": "I(x" + " + x" * 5000 + ")",
    "unbalanced": "I(" * 5000,
    "ten thousand interactions": "(" + " + ".join(f"v{i}" for i in range(10_000)) + ")**20",
    "wide interactions": "(" + " + ".join(f"v{i}" for i in range(12)) + ")**12",
    "products of many": " * ".join(f"v{i}" for i in range(40)),
    "a long interaction": ":".join(f"v{i}" for i in range(10_000)),
    "a formula of a megabyte": "x" + " + x" * 400_000,
    "a name of a megabyte": "x" * 1_000_001,
    "a string of quotes": "'" * 99_999,
    "backslashes": "I(g == '" + "\\" * 99_999 + "')",
    "nothing but operators": "+" * 99_999,
}


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"y": np.resize(list("abc"), 60), "x": rng.uniform(1, 2, 60), "g": np.resize(list("pq"), 60)})


@contextmanager
def guarded() -> Iterator[None]:
    """Evaluators take down who calls them; none may be called, and no file may appear."""
    from formulaic.materializers import base
    from formulaic.utils import stateful_transforms, variables

    bs.SoftmaxRegression.from_formula("y ~ bs(x, df=4) + C(g, contr.sum)", frame())  # imports are done: they do compile
    reached: list[str] = []

    def watched(name: str, real: Any) -> Any:
        def evaluator(*arguments: Any, **options: Any) -> Any:
            reached.append(f"{name}{arguments!r}"[:200])
            return real(*arguments, **options)

        return evaluator

    with pytest.MonkeyPatch.context() as patched:
        for module, name in (
            (builtins, "eval"), (builtins, "exec"), (builtins, "compile"), (stateful_transforms, "stateful_eval"),
            (base, "stateful_eval"), (variables, "get_expression_variables"), (pickle, "loads"),
        ):  # fmt: skip
            patched.setattr(module, name, watched(name, getattr(module, name)))
        yield
    assert not reached
    assert not Path("pwned").exists()


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_no_formula_reaches_an_evaluator(payload: str) -> None:
    """Each is refused by a ValueError within seconds, but for one that is harmless: the same column many times."""
    started, refused = time.perf_counter(), ""
    with guarded():
        try:
            model = bs.SoftmaxRegression.from_formula(f"y ~ {payload}", frame())
        except ValueError as error:
            refused = str(error)
    assert time.perf_counter() - started < 20
    assert len(refused) < 1500
    assert refused or (payload.startswith("x + x") and model.feature_names == ("x",))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_no_response_reaches_an_evaluator(payload: str) -> None:
    with guarded(), pytest.raises(ValueError, match=r"\w"):
        bs.SoftmaxRegression.from_formula(f"{payload} ~ x", frame()[["y", "g"]].assign(w=1.0))


@pytest.fixture(scope="module")
def saved() -> str:
    return bs.SoftmaxRegression.from_formula("y ~ np.log(x) + C(g, contr.sum)", frame())._spec.schema.to_json()


def older(text: str, formula: str) -> str:
    """The file of an earlier version: the formula as text, and no terms."""
    fields = json.loads(text)
    encoder = next(value for key, value in fields["items"] if key == "encoder")
    items = [item for item in encoder["items"] if item[0] not in ("terms", "edition", "formula")]
    encoder["items"] = [["formula", formula], *items]
    return json.dumps(fields)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_no_file_reaches_an_evaluator(payload: str, saved: str) -> None:
    """In an older file, and as the name of a function, a column, a level or a contrast in one of this version."""
    for text in (
        older(saved, payload),
        saved.replace('"np.log"', json.dumps(payload)),
        saved.replace('"contr.sum"', json.dumps(payload)),
        saved.replace('"x"', json.dumps(payload), 1),
    ):
        with guarded(), pytest.raises(ValueError, match=r"\w"):
            schema_from_json(text).encode(frame())
    shown = json.loads(saved)  # the text is for display only: nothing reads it
    next(value for key, value in shown["items"] if key == "encoder")["items"][0][1] = payload
    with guarded():
        X, _ = schema_from_json(json.dumps(shown)).encode(frame())
    np.testing.assert_array_equal(X, schema_from_json(saved).encode(frame())[0])


def test_a_crafted_file_predicts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way of ``load``, and of the command line's ``predict`` and ``fit``."""
    monkeypatch.chdir(tmp_path)
    fit = bs.SoftmaxRegression.from_formula("y ~ np.log(x)", frame()).map()
    fit.save(tmp_path / "fit.nc")
    frame().to_csv(tmp_path / "new.csv")
    evil = older(fit._fitted.schema.to_json(), f"I('`' + str({EVIL}) + '`')")
    monkeypatch.setattr("bayes_softmax.fits.storage.reading.schema_from_json", lambda _: schema_from_json(evil))
    with pytest.raises(ValueError, match=r"cannot read|not a number|not an expression|damaged"):
        bs.load(tmp_path / "fit.nc").predict_proba(frame())
    assert main(["predict", "fit.nc", "new.csv"]) != 0
    assert main(["fit", "new.csv", "--formula", f"y ~ {EVIL}", "--out", "out"]) != 0
    assert not Path("pwned").exists()


def _damaged(value: Any, rng: np.random.Generator) -> Any:
    """The same tree with one part replaced."""
    replacements = [
        None,
        True,
        -1,
        1e308,
        float("nan"),
        2**70,
        "",
        "x" * 50,
        [],
        {},
        [[]],
        "np.load",
        ["column", "x", 1],
    ]
    value = copy.deepcopy(value)
    at = value
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return value
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(at[key], list | dict) and at[key] and rng.random() < 0.85:
            at = at[key]
            continue
        at[key] = replacements[int(rng.integers(len(replacements)))]
        return value


def test_a_damaged_payload_is_a_value_error() -> None:
    """800 files with one part replaced: refused as a ValueError, or features of the right number for these rows."""
    formula = "y ~ poly(x, 2) + bs(x, df=4) + cr(x, df=4, constraints='center') + scale(x):g + C(k) + I(x > 1.5)"
    data = frame().assign(k=np.resize([1, 2, 3], 60))
    schema = bs.SoftmaxRegression.from_formula(formula, data)._spec.schema
    whole = json.loads(schema.to_json())
    encoder = next(value for key, value in whole["items"] if key == "encoder")
    rng, refused = np.random.default_rng(1), 0
    for _ in range(800):
        damaged = _damaged(encoder, rng)
        items = [[key, damaged if key == "encoder" else value] for key, value in whole["items"]]
        try:
            X, _ = schema_from_json(json.dumps({"items": items})).encode(data)
        except ValueError:
            refused += 1
        else:
            assert X.shape == (60, len(schema.feature_names))
    assert refused > 400


def test_deep_json_is_a_value_error(saved: str) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    nested = '["operation", "-", [' * 2000 + '["column", "x", false]' + "]]" * 2000
    for text in (deep, saved.replace('["column", "x", false]', nested), "{", "[]", "1", '{"items": 3}', "null"):
        with pytest.raises(ValueError, match=r"\w"):
            schema_from_json(text)


def test_terms_in_parentheses_within_the_limit_are_read() -> None:
    assert [len(t.factors) for t in parse_terms("(" * 30 + "x" + ")" * 30)] == [0, 1]
