"""A call with an argument that does not exist says what takes its place, and costs nothing otherwise."""

import inspect
import timeit
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.core.foreign import INSTEAD, SAME, USAGE
from bayes_softmax.core.keywords import explains

mpl.use("Agg")

FRAME = pd.DataFrame({"dose": [0.0, 1.0, 2.0, 3.0] * 5, "sex": list("fmmf") * 5, "state": list("abab") * 5})
MODEL = bs.SoftmaxRegression.from_formula("state ~ dose + sex", FRAME)
FIT = MODEL.map()
POST = MODEL.laplace(500, random_seed=1, progressbar=False)
MAKE = bs.SoftmaxRegression.from_formula

CALLS: list[tuple[Callable[[], Any], str]] = [
    (lambda: MODEL.sample(seed=1), "sample() got an unexpected keyword argument 'seed'; did you mean 'random_seed'?"),
    (lambda: MODEL.sample(n_samples=1), "did you mean 'draws'?"),
    (lambda: MODEL.sample(n_draws=1), "did you mean 'draws'?"),
    (lambda: MODEL.sample(warmup=1), "did you mean 'tune'?"),
    (lambda: MODEL.sample(1, 2, 3, 4), "at most 3 arguments by position (draws, tune, chains), and 4 were given"),
    (lambda: MODEL.laplace(chains=4), "it takes 'draws', 'structure', 'predictive', 'rows', 'max_error' (and 3 more)"),
    (lambda: MODEL.sample_prior(seed=1), "did you mean 'random_seed'?"),
    (lambda: MODEL.map_path(factor=1), "map_path() got an unexpected keyword argument 'factor'; it takes 'scales'"),
    (lambda: MODEL.map(prior=1), "an argument of the model, as in SoftmaxRegression(X, y, prior=Normal(1))"),
    (lambda: MODEL.map(max_iter=9), "did you mean 'max_iterations'?"),
    (lambda: MODEL.map(C=1), "C is the variance"),
    (lambda: MODEL.mle(tol=1e-9), "there is no tolerance"),
    (lambda: MODEL.describe_prior(1), "describe_prior() takes no arguments, and 1 was given"),
    (lambda: MAKE("state ~ dose", FRAME, na_action=1), "did you mean 'missing'?"),
    (lambda: MAKE("state ~ dose", FRAME, C=1), "did you mean 'prior'? (C is the variance: prior=Normal(sqrt(C))"),
    (lambda: MAKE("state ~ dose", FRAME, intercept=False), "a formula without intercept is 'y ~ 0 + x'"),
    (lambda: MAKE("state ~ dose"), "from_formula() is missing 'data'; give a formula and a data frame"),
    (lambda: bs.SoftmaxRegression(1, 2, 3, 4), "SoftmaxRegression() takes at most 3 arguments by position"),
    (lambda: bs.SoftmaxRegression(1, 2, fit_intercept=False), "did you mean 'intercept'?"),
    (lambda: FIT.predict_proba(FRAME, ci=0.9), "did you mean 'ci_prob'?"),
    (lambda: POST.summary(ci=0.9), "did you mean 'ci_prob'?"),
    (lambda: FIT.summary(alpha=0.1), "did you mean 'ci_prob'? (ci_prob is 1 - alpha)"),
    (lambda: FIT.effects(by="sex"), "for one group give its rows"),
    (lambda: FIT.effects(variables="sex"), "did you mean 'features'?"),
    (lambda: FIT.contrast(sex="m"), "give two settings of variables"),
    (lambda: FIT.contrast({"sex": "m"}), "contrast() is missing 'second'; give two settings"),
    (lambda: FIT.decide(FRAME), "decide() is missing 'cost'; give new rows and a frame of costs"),
    (lambda: FIT.odds_ratios(reference="a"), "did you mean 'vs'?"),
    (lambda: bs.SoftmaxClassifier(C=1), "SoftmaxClassifier() got an unexpected keyword argument 'C'; did you mean 'pr"),
    (lambda: bs.SoftmaxClassifier(class_weight="balanced"), "predict_proba(data, class_prior=...)"),
    (lambda: bs.SoftmaxClassifier(max_iterations=1), "did you mean 'max_iter'?"),
    (lambda: bs.SoftmaxClassifier(penalty="l2"), "l2 is prior=Normal(scale), l1 is prior=Laplace(scale)"),
    (lambda: bs.SoftmaxClassifier(FRAME, FRAME.state), "the data go to fit(X, y)"),
    (lambda: bs.compare_models(POST, POST), "as in compare_models({'a': a, 'b': b})"),
    (lambda: bs.Normal(0, 1), "the mean is 0, so there is the scale alone: Normal(1)"),
    (lambda: bs.Normal(sigma=1), "Normal() got an unexpected keyword argument 'sigma'; did you mean 'scale'?"),
    (lambda: bs.StudentT(3, 0, 1), "StudentT(4, 1)"),
    (lambda: bs.HalfNormal(), "HalfNormal() is missing 'scale'"),
    (lambda: bs.Jeffreys(1), "it has no parameters: Jeffreys()"),
    (lambda: bs.load(), "load() is missing 'path'"),
    (lambda: bs.plots.forest(FIT, colour="red"), "did you mean 'colors'?"),
    (lambda: bs.plots.forest(), "forest() is missing 'fit'"),
]


@pytest.mark.parametrize(("call", "told"), CALLS)
def test_what_takes_the_place_of_a_wrong_argument(call: Callable[[], Any], told: str) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    message = str(caught.value)
    assert told in message
    assert len(message) < 240
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_error_inside_is_left_as_it_is() -> None:
    @explains
    def outer(value: int) -> Any:
        return len(value)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"^object of type 'int' has no len\(\)$"):
        outer(3)


def test_signatures_are_those_of_the_functions() -> None:
    assert list(inspect.signature(MODEL.sample).parameters)[:3] == ["draws", "tune", "chains"]
    assert list(inspect.signature(bs.Normal).parameters) == ["scale"]
    assert "prior" in inspect.signature(bs.SoftmaxRegression).parameters
    assert "prior" in inspect.signature(bs.SoftmaxClassifier).parameters
    assert bs.plots.forest.__name__ == "forest"


def test_a_good_call_costs_less_than_microseconds() -> None:
    def plain(value: int) -> int:
        return value

    explained = explains(plain)
    slower, quick = (min(timeit.repeat(lambda f=f: f(1), number=2000, repeat=20)) for f in (explained, plain))
    assert (slower - quick) / 2000 < 5e-6


def test_a_hint_names_arguments_that_exist() -> None:
    doors = [bs.SoftmaxRegression, MAKE, bs.SoftmaxClassifier, bs.load, bs.Normal, bs.StudentT, bs.plots.forest]
    doors += [bs.plots.probabilities, *(getattr(MODEL, name) for name in ("sample", "map"))]
    doors += [getattr(POST, name) for name in dir(POST) if name in USAGE or name in ("effects", "summary")]
    existing = {name for door in doors for name in inspect.signature(door).parameters}
    assert {own for meant in SAME.values() for own, _ in meant} <= existing
    assert not {name for name, text in INSTEAD.items() if not text}
