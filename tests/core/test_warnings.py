"""Every warning points at the line of the user that asked: not into the package, and not beyond that line."""

import re
import signal
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

import bayes_softmax as bs
from bayes_softmax.core.errors import warn_caller
from bayes_softmax.fitting import sampling, weighted
from tests.answers.test_loo import stuck, with_draws
from tests.conftest import simulate

SEPARATED = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
COST = pd.DataFrame([[0.0, 1.0], [1.0, 0.0]], columns=["a", "b"])
QUIET = {"random_seed": 1, "progressbar": False}


def blamed(text: str, call: Callable[[], object]) -> None:
    """Raise unless the call, a lambda of one line, warns of the text, and at that line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    told = [(w.filename, w.lineno) for w in caught if text in str(w.message)]
    assert told, [str(w.message) for w in caught]
    assert set(told) == {(call.__code__.co_filename, call.__code__.co_firstlineno)}


def test_of_data() -> None:
    X, y = [[0.0], [1.0], [1.0], [0.0]], pd.Categorical(list("abab"), categories=["a", "b", "spare"])
    frame = pd.DataFrame({"x": np.ravel(X), "y": y})
    blamed("no observation of class 'spare'", lambda: bs.SoftmaxRegression(X, y))
    blamed("no observation of class 'spare'", lambda: bs.SoftmaxRegression.from_formula("y ~ x", frame))


def test_of_an_estimate_and_its_answers() -> None:
    blamed("complete separation", lambda: SEPARATED.mle())
    X, y = simulate(100, 3, 3)
    model = bs.SoftmaxRegression(X, y)
    blamed("raise max_iterations", lambda: model.map(max_iterations=1))
    with pytest.warns(bs.NotConvergedWarning):
        fit = SEPARATED.mle()
    blamed("without a certified optimum", lambda: fit.predict_proba([[1.5]], ci_prob=0.9))
    blamed("without a certified optimum", lambda: fit.uncertainty([[1.5]]))
    blamed("without a certified optimum", lambda: fit.decide([[1.5]], COST))
    with pytest.warns(bs.NotConvergedWarning):
        collinear = bs.SoftmaxRegression(np.column_stack([X[:, 0], -X[:, 0]]), y).mle()
    blamed("are unknown (NaN)", lambda: collinear.predict_proba([[1.0, 1.0]]))
    blamed("are unknown (NaN)", lambda: collinear.uncertainty([[1.0, 1.0]]))


def test_of_draws(posterior: bs.Posterior) -> None:
    bad = with_draws(posterior, stuck("all alike", posterior._fitted.draws))
    blamed("leave-one-out is not reliable here", lambda: bad.loo())
    blamed("leave-one-out is not reliable here", lambda: bad.evaluate(loo=True))
    blamed("leave-one-out is not reliable here", lambda: bs.compare_models({"bad": bad, "good": posterior}))
    wine = bs.SoftmaxRegression(*sklearn.datasets.load_wine(return_X_y=True), prior=bs.Normal(10.0))
    blamed("laplace() is not reliable", lambda: wine.laplace(**QUIET))
    few = bs.SoftmaxRegression(*simulate(30, 6, 4), prior=bs.StudentT(2, 5.0))
    rough = few.sample(100, 20, 2, engine="nuts", **QUIET)
    blamed("prior_sensitivity() is not reliable here", lambda: rough.prior_sensitivity())
    blamed("engine='independence' is not reliable", lambda: few.sample(20, 20, 1, engine="independence", **QUIET))


def test_of_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bs.SoftmaxRegression(*simulate(100, 2, 3))
    whole, together = weighted.propose, sampling.labelled_posterior

    def cut(*arguments, **options):
        return whole(*arguments, **options)._replace(finished=500, interrupted=True)

    def press(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        return together(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(weighted, "propose", cut)
        blamed("interrupted: 500 of 1000 draws were finished", lambda: model.laplace(1000, **QUIET))
    monkeypatch.setattr(sampling, "labelled_posterior", press)
    blamed("interrupted when all draws were finished", lambda: model.laplace(1000, **QUIET))
    blamed("interrupted when all draws were finished", lambda: model.sample(100, 50, 1, **QUIET))


ASKED = """
class Asked:
    @cached_property
    def answer(self):
        warn_caller("here")
"""


def test_the_standard_library_between_two_functions_of_the_package_is_passed_over() -> None:
    """And a file ``bayes_softmax_study.py`` beside the package is its user's."""
    package = Path(bs.__file__).parent
    names = {"cached_property": cached_property, "warn_caller": warn_caller}
    exec(compile(ASKED, package / "asked.py", "exec"), names)
    study = package.with_name(f"{package.name}_study.py")
    with pytest.warns(UserWarning, match="here") as caught:
        exec(compile("\nAsked().answer", study, "exec"), names)
    assert (caught[0].filename, caught[0].lineno) == (str(study), 2)


def test_there_is_one_place_for_warnings_and_one_for_lines_on_standard_error() -> None:
    package = Path(bs.__file__).parent
    sources = {str(path.relative_to(package)): path.read_text() for path in package.rglob("*.py")}
    assert {name for name, text in sources.items() if "warnings.warn(" in text} == {"core/errors.py"}
    assert not {name for name, text in sources.items() if "stacklevel" in text}
    assert {name for name, text in sources.items() if re.search(r"^[^>\n]*(?<![.\w])print\(", text, re.M)} == {
        "cli/output.py",
        "core/progress.py",  # the line of progress of a notebook, which has no terminal
    }
