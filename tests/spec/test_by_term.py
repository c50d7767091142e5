"""A prior may be given for a term: for all features that it makes, as if each were named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from tests.conftest import simulate

N = 120


def survey(n_classes: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": np.resize(list("uvwst")[:n_classes], N),
            "x": rng.normal(size=N),
            "z": rng.uniform(1, 3, size=N),
            "a b": rng.normal(size=N),
            "g": rng.choice(list("pqr"), N),
            "h": rng.choice(["s", "t"], N),
            "b": rng.random(N) < 0.5,
            "k": rng.choice([1, 2, 4], N),
        }
    )


def fitted(formula: str, prior: object, **options: object) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula(f"y ~ {formula}", survey(), prior=prior, **options)  # type: ignore[arg-type]


PRIOR = bs.Normal(0.3)
# A formula, the name of a term, and the features that are to have its prior.
TERMS = {
    ("x + g", "g"): ["g[T.q]", "g[T.r]"],
    ("0 + g", "g"): ["g[p]", "g[q]", "g[r]"],
    ("x + g", "x"): ["x"],
    ("x*g", "g"): ["g[T.q]", "g[T.r]"],
    ("x*g", "x"): ["x"],
    ("x*g", "x:g"): ["x:g[T.q]", "x:g[T.r]"],
    ("x*g", "g:x"): ["x:g[T.q]", "x:g[T.r]"],
    ("g*h", "h:g"): ["g[T.q]:h[T.t]", "g[T.r]:h[T.t]"],
    ("g:h", "g:h"): ["h[T.t]", "g[T.q]:h[s]", "g[T.r]:h[s]", "g[T.q]:h[t]", "g[T.r]:h[t]"],
    ("b", "b"): ["b[T.True]"],
    ("C(k) + x", "C(k)"): ["C(k)[T.2]", "C(k)[T.4]"],
    ("C(g, contr.sum)", "C(g,contr.sum)"): ["C(g, contr.sum)[S.p]", "C(g, contr.sum)[S.q]"],
    ("bs(x, df=4) + z", "bs( x,df = 4 )"): [f"bs(x, df=4)[{j}]" for j in range(1, 5)],
    ("poly(z, 2)", "poly(z, 2)"): ["poly(z, 2)[1]", "poly(z, 2)[2]"],
    ("np.log(z) + x", "np.log(z)"): ["np.log(z)"],
    ("`a b` + x", "a b"): ["a b"],
    ("`a b`:g", "`a b`:g"): ["a b:g[p]", "a b:g[q]", "a b:g[r]"],
    (". - y", "g"): ["g[T.q]", "g[T.r]"],
    ("x/g", "x:g"): ["x:g[T.q]", "x:g[T.r]"],
    ("x + 2:z", "z"): ["z"],
    ("I(x > 0)", "I(x>0)"): ["I(x > 0)[T.True]"],
}


@pytest.mark.parametrize(("written", "features"), TERMS.items(), ids=[" & ".join(key) for key in TERMS])
def test_a_term_is_all_features_it_makes(written: tuple[str, str], features: list[str]) -> None:
    formula, name = written
    model = fitted(formula, {name: PRIOR})
    having = [f for f, prior in zip(model.feature_names, model._spec.priors.weights, strict=True) if prior == PRIOR]
    assert having == features
    assert model._spec.priors.by_default.sum() == len(model.feature_names) - len(features)
    table = model.describe_prior()
    assert table.index[table["prior"] == "Normal(0.3)"].tolist() == features
    one_by_one = fitted(formula, dict.fromkeys(features, PRIOR))
    assert model._spec.priors.weights == one_by_one._spec.priors.weights
    pd.testing.assert_frame_equal(table, one_by_one.describe_prior())


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("family", [bs.Normal(0.5), bs.StudentT(4, 0.5), bs.Laplace(0.5)], ids=str)
def test_the_posterior_is_that_of_features_named_one_by_one(n_classes: int, coding: str, family: bs.Normal) -> None:
    data = survey(n_classes)
    one, other = (
        bs.SoftmaxRegression.from_formula("y ~ x*g", data, prior=prior, coding=coding)
        for prior in ({"g": family}, {"g[T.q]": family, "g[T.r]": family})
    )
    assert_array_equal(one.map().weights, other.map().weights)
    if coding == "reference" and n_classes == 5:
        assert one.pymc_model.point_logps() == other.pymc_model.point_logps()


def test_a_feature_wins_over_its_term_and_none_is_the_default() -> None:
    default = fitted("x + g", None)._spec.priors.weights
    for prior in (
        {"g": PRIOR, "g[T.q]": bs.Normal(9.0)},
        {"g[T.q]": bs.Normal(9.0), "g": PRIOR},  # in whatever order
    ):
        assert dict(zip(("x", "q", "r"), fitted("x + g", prior)._spec.priors.weights, strict=True)) == {
            "x": bs.Normal(fitted("x + g", prior)._spec.priors.features.scale[0]),
            "q": bs.Normal(9.0),
            "r": PRIOR,
        }
    assert fitted("x + g", {"g": None, "x": None})._spec.priors.weights == default
    assert fitted("x + g", {})._spec.priors.weights == default
    partly = fitted("x + g", {"g": PRIOR, "g[T.q]": None})._spec.priors
    assert partly.by_default.tolist() == [True, True, False]
    assert partly.weights == fitted("x + g", {"g[T.r]": PRIOR})._spec.priors.weights


def test_learned_scales_are_of_the_features_of_a_term() -> None:
    learned = bs.Normal(scale=bs.HalfNormal(1.0))
    model = fitted("x + g + h", {"g": learned, "h": bs.R2D2(), "g[T.r]": bs.Flat()})
    one_by_one = fitted("x + g + h", {"g[T.q]": learned, "h[T.t]": bs.R2D2(), "g[T.r]": bs.Flat()})
    assert [tuple(scale.features) for scale in model._spec.priors.learned] == [(1,), (3,)]
    assert str(model._spec.priors.weights) == str(one_by_one._spec.priors.weights)
    pd.testing.assert_frame_equal(model.describe_prior(), one_by_one.describe_prior())


def test_it_is_kept_with_the_fit(tmp_path: Path) -> None:
    fit = fitted("x*g", {"g": PRIOR, "g:x": bs.Flat()}).laplace(draws=200, random_seed=0, progressbar=False)
    fit.save(tmp_path / "fit.nc")
    again = bs.load(tmp_path / "fit.nc")
    assert again._fitted.schema.prior_sd == fit._fitted.schema.prior_sd
    sds = dict(zip(("intercept", *again._fitted.schema.feature_names), again._fitted.schema.prior_sd, strict=True))
    assert_allclose([sds["g[T.q]"], sds["g[T.r]"]], 0.3)
    assert sds["x:g[T.q]"] is sds["x:g[T.r]"] is None
    pd.testing.assert_frame_equal(again.summary(), fit.summary())


def test_a_term_that_was_dropped_is_said_to_be() -> None:
    data = survey().assign(c="only", one=1.0)
    for name in ("c", "one"):
        with pytest.raises(ValueError, match=f"prior names the term '{name}', which was dropped from the model"):
            bs.SoftmaxRegression.from_formula("y ~ x + c + one", data, constant="drop", prior={name: PRIOR})


MESSAGES = {
    "gg": ("x + g", "prior names 'gg', which is neither a term nor a feature; did you mean 'g'"),
    "g[T.z]": ("x + g", r"did you mean 'g\[T.[qr]\]'\? \(terms: 'x', 'g'; features: 'x', 'g\[T.q\]', 'g\[T.r\]'\)$"),
    "k": ("x + C(k)", r"prior names 'k', .*; did you mean 'C\(k\)'"),
    "z": ("x + bs(z, df=4) + x:bs(z, df=4)", r"did you mean 'bs\(z, df=4\)'\?"),
    "x:z": ("x + z", r"'x:z', which is neither a term nor a feature.* \(terms: 'x', 'z'\)$"),
    "x + z": ("x + z", "'x . z', which is neither"),
    "intercept": ("x", "the prior of the intercept is the argument intercept_prior"),
    "1": ("x", "'1', which is neither"),
    "": ("x", "'', which is neither"),
    "(1 | g)": ("x", "neither a term nor a feature"),
    ".": ("x", "neither a term nor a feature"),
    0: ("x", "prior names 0, which is neither a term nor a feature"),
    None: ("x", "prior names None, which is neither"),
}


@pytest.mark.parametrize(("name", "case"), MESSAGES.items(), ids=map(repr, MESSAGES))
def test_unknown_names_are_refused_with_the_nearest(name: object, case: tuple[str, str]) -> None:
    formula, message = case
    with pytest.raises(ValueError, match=message) as raised:
        fitted(formula, {name: PRIOR})
    assert len(str(raised.value)) < 250


def test_other_messages() -> None:
    with pytest.raises(ValueError, match="prior names the term 'x:g' twice, as 'x:g' and 'g:x'"):
        fitted("x*g", {"x:g": PRIOR, "g:x": PRIOR})
    with pytest.raises(TypeError, match=r"prior\['g'\]=2.0 must be Normal, StudentT, .*, or None for the default"):
        fitted("g", {"g": 2.0})
    with pytest.raises(ValueError, match=r"prior\['g'\]=Jeffreys\(\): it is a prior of all coefficients together"):
        fitted("g", {"g": bs.Jeffreys()})


NO_PRIORS = {
    "a scale": (2.0, r"prior=2.0 must be Normal, .*, or None; with a scale of 2.0 it is Normal\(2.0\)$"),
    "a class": (bs.StudentT, r"; the class is called: StudentT\(4, 1.0\)$"),
    "a class of all": (bs.Jeffreys, r"; the class is called: Jeffreys\(\)$"),
    "a scale for a term": ({"g": 2}, r"prior\['g'\]=2 must be .*; with a scale of 2 it is Normal\(2\)$"),
    "a class for a term": ({"g": bs.R2D2}, r"; the class is called: R2D2\(\)$"),
    "a name": ("normal", "a mapping from term or feature to prior, or None$"),
}


@pytest.mark.parametrize(("given", "message"), NO_PRIORS.values(), ids=NO_PRIORS)
def test_what_is_no_prior_is_refused_with_what_was_meant(given: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        fitted("x + g", given)


def test_an_intercept_prior_without_intercept_is_named() -> None:
    with pytest.raises(ValueError, match=r"intercept_prior=Normal\(scale=2.0\) was given, but the model has no interc"):
        fitted("0 + x", None, intercept_prior=bs.Normal(2))
    with pytest.raises(TypeError, match=r"intercept_prior=1 must be .*; with a scale of 1 it is Normal\(1\)"):
        fitted("x", None, intercept_prior=1)


def test_arrays_have_features_only() -> None:
    X, y = simulate(60, 2, 3)
    named = bs.SoftmaxRegression(pd.DataFrame(X, columns=["one", "a:b"]), y, prior={"a:b": PRIOR, "one": None})
    assert named._spec.priors.weights[1] == PRIOR
    assert named._spec.priors.by_default.tolist() == [True, False]
    with pytest.raises(ValueError, match="prior names unknown feature 'a:bb'; did you mean 'a:b'"):
        bs.SoftmaxRegression(pd.DataFrame(X, columns=["one", "a:b"]), y, prior={"a:bb": PRIOR})
