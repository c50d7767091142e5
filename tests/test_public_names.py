"""The names that users see by completion and ``help()``: a contract.  Whatever can be called has an example."""

import contextlib
import copy
import inspect
import io
import pickle
import sys
from types import ModuleType
from typing import Any

import pytest

import bayes_softmax as bs
from bayes_softmax.core import progress

QUESTIONS = """
    contrast decide effects evaluate group_covariance group_effects kfold odds_ratios poststratify predict
    predict_proba save summary uncertainty""".split()
PUBLIC: dict[str, list[str]] = {
    "SoftmaxRegression": """
        check_separation choose_prior_scale chosen_scale classes describe_prior ensemble feature_names forecast
        from_formula laplace log_density map map_path mle pymc_model sample sample_prior""".split(),
    "PointEstimate": [
        *QUESTIONS,
        *"""classes converged covariance cross_entropy feature_names gradient_norm history intercept log_likelihood
        log_posterior log_prior n_iterations n_obs newton_decrement notes parameters prior_dominated status
        std_error weights""".split(),
    ],
    "Posterior": [
        *QUESTIONS,
        *"""add_log_likelihood add_log_prior classes diagnostics engine ess feature_names idata log_evidence loo notes
        pareto_k posterior_predictive predict_draws prior_dominated prior_sensitivity refit stacking_weights
        timings""".split(),
    ],
    "Normal": ["scale"],
    "StudentT": ["df", "scale"],
    "Laplace": ["scale"],
    "Flat": [],
    "Jeffreys": [],
    "HalfNormal": ["scale"],
    "HalfStudentT": ["df", "scale"],
    "R2D2": ["concentration", "mean", "precision"],
    "GroupNormal": ["correlation", "covariance", "scale"],
    "LKJ": ["eta"],
    "MLP": ["activation", "common_unit", "hidden", "sizes", "skip"],
    "CustomLogits": ["build", "coords", "dims"],
}
X, Y = [[float(i % 7)] for i in range(40)], ["a", "b"] * 20
MODEL = bs.SoftmaxRegression(X, Y)
FIT, DRAWS = MODEL.map(), MODEL.laplace(1000, random_seed=1, progressbar=False)
CLASSIFIER = bs.SoftmaxClassifier().fit(X, Y)
OBJECTS = {
    "SoftmaxRegression": MODEL,
    "PointEstimate": FIT,
    "Posterior": DRAWS,
    "Normal": bs.Normal(1.0),
    "StudentT": bs.StudentT(4, 1.0),
    "Laplace": bs.Laplace(1.0),
    "Flat": bs.Flat(),
    "Jeffreys": bs.Jeffreys(),
    "HalfNormal": bs.HalfNormal(1.0),
    "HalfStudentT": bs.HalfStudentT(3, 1.0),
    "R2D2": bs.R2D2(),
    "GroupNormal": bs.GroupNormal(),
    "LKJ": bs.LKJ(),
    "MLP": bs.MLP(),
    "CustomLogits": bs.CustomLogits(len),
}


def shown(thing: object) -> list[str]:
    return sorted(name for name in dir(thing) if not name.startswith("_"))


@pytest.mark.parametrize("name", PUBLIC)
def test_completion_offers_the_names_of_users(name: str) -> None:
    assert shown(OBJECTS[name]) == sorted(PUBLIC[name])


def test_completion_of_modules() -> None:
    assert shown(bs) == sorted(bs.__all__)
    for module in (bs.plots, bs.datasets):
        assert shown(module) == sorted(module.__all__)


@pytest.mark.parametrize("name", ["SoftmaxRegression", "PointEstimate", "Posterior", "Normal"])
def test_help_shows_no_protocol_of_answers(name: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        help(getattr(bs, name))
    told = text.getvalue()
    for inside in (
        "relative_ess",
        "delta_covariance",
        "log_normaliser",
        "Specification",
        "fitted: ",
        "(fit:",
        "(fit,",
        " model: ",
    ):
        assert inside not in told.replace("(_fitted: ", "").replace("(self, _fitted: ", ""), inside


def callables() -> dict[str, Any]:
    """Whatever users may call, by name: functions, classes that they make, and methods."""
    found: dict[str, Any] = {}
    for name in bs.__all__:
        thing = getattr(bs, name)
        if isinstance(thing, ModuleType):
            found |= {f"{name}.{own}": getattr(thing, own) for own in thing.__all__}
        elif not (inspect.isclass(thing) and issubclass(thing, Exception)):
            found[name] = thing
            for own in PUBLIC.get(name, ()):
                if callable(getattr(thing, own, None)):
                    found[f"{name}.{own}"] = getattr(thing, own)
    return found


@pytest.mark.parametrize("name", callables())
def test_whatever_can_be_called_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(callables()[name]) or "")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_property_has_documentation(name: str) -> None:
    own = [
        member
        for member in PUBLIC[name]
        if isinstance(inspect.getattr_static(getattr(bs, name), member, None), property)
    ]
    assert all(inspect.getdoc(getattr(getattr(bs, name), member)) for member in own)


@pytest.mark.parametrize("fit", [FIT, DRAWS], ids=["estimate", "draws"])
def test_copies_and_pickles_are_the_same_fit(fit: Any) -> None:
    for again in (pickle.loads(pickle.dumps(fit)), copy.copy(fit), copy.deepcopy(fit)):
        assert repr(again) == repr(fit)
        assert again.predict_proba(X).equals(fit.predict_proba(X))
    with pytest.raises(AttributeError, match="cannot assign"):
        fit.notes = ()


@pytest.mark.parametrize(
    ("holder", "name", "told"),
    [
        (MODEL, "fit", r"\.map\(\), \.mle\(\), .* fit it; bayes_softmax\.SoftmaxClassifier has scikit-learn's fit"),
        (MODEL, "predict", r"fit first, as in model\.map\(\)\.predict$"),
        (MODEL, "loo", r"fit first, as in model\.sample\(\)\.loo$"),
        (MODEL, "coef_", r"fit first, as in model\.map\(\)\.summary\(\)"),
        (FIT, "coef_", r"the coefficients are \.weights; summary\(\) is the table"),
        (FIT, "params", r"summary\(\) is the table of coefficients"),
        (FIT, "conf_int", r"summary\(\) is the table of coefficients"),
        (FIT, "loo", r"asked of draws, model\.laplace\(\)\.loo\(\)"),
        (DRAWS, "weights", r"the draws are \.idata\['posterior'\]"),
        (DRAWS, "nothing", r"'Posterior' object has no attribute 'nothing'$"),
        (DRAWS, "waic", r"loo\(\) is its better successor"),
        (DRAWS, "plot_trace", r"bayes_softmax\.plots\.traces\(post\)"),
        (FIT, "sample", r"draws are made from the model, as in model\.sample\(\)"),
        (MODEL, "load", r"bayes_softmax\.load\(path\) reads one"),
        (
            CLASSIFIER,
            "effects",
            r"no attribute 'effects': that is of the fit, clf\.result_\.ef",
        ),
        (CLASSIFIER, "loo", r"clf\.result_\.loo$"),
        (CLASSIFIER, "save", r"clf\.result_\.save\(path\), and bayes_softmax\.load\(path\) reads it"),
        (bs.SoftmaxClassifier(), "coef_", r"call fit\(X, y\) first"),
        (bs, "Softmaxclassifier", r"did you mean 'SoftmaxClassifier'\?"),
    ],
)
def test_names_known_from_elsewhere_point_to_what_there_is(holder: object, name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=told):
        getattr(holder, name)
    assert not hasattr(holder, name)


def test_diagnostics_are_short_and_say_that_they_are_not_called() -> None:
    assert len(repr(DRAWS.diagnostics)) < 130
    assert repr(DRAWS.diagnostics).startswith("Diagnostics(min_ess_bulk=")
    assert "nan" not in repr(DRAWS.diagnostics)
    assert "n_draws=1000," in repr(DRAWS.diagnostics)
    with pytest.raises(TypeError, match=r"diagnostics is read, not called: write post\.diagnostics"):
        DRAWS.diagnostics()


def test_the_error_of_a_property_is_its_own() -> None:
    """An AttributeError inside is not taken for the absence of the property."""

    class Broken:
        @property
        def part(self) -> int:
            raise AttributeError("the reason")

        def __getattr__(self, name: str) -> Any:
            from bayes_softmax.core.attributes import get_missing

            return get_missing(self, name, {})

    with pytest.raises(AttributeError, match="the reason"):
        Broken().part  # noqa: B018


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_only_and_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {}
    for name, stream, delay, quiet in (
        ("terminal", Terminal(), 0.0, False),
        ("file", io.StringIO(), 0.0, False),
        ("quick", Terminal(), 1e9, False),
        ("silenced", Terminal(), 0.0, True),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(progress, "DELAY", delay)
        DRAWS.loo(progressbar=not quiet)
        told[name] = stream.getvalue()
    assert "loo()" in told["terminal"]
    assert told["file"] == told["quick"] == told["silenced"] == ""


def test_an_interrupted_answer_takes_its_progress_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "DELAY", 0.0)

    def answer() -> None:
        with progress.showing("answer()"):
            progress.counter()(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer()
    assert progress._LINE.get() is None
