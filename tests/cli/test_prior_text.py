"""Priors as text: what is understood, that nothing is evaluated, and errors that name the text."""

import pytest

import bayes_softmax as bs
from bayes_softmax.cli.prior_text import prior_of, priors_of

PRIORS = {
    "Normal(2)": bs.Normal(2.0),
    " Normal( 2.5e-1 ) ": bs.Normal(0.25),
    "Normal(scale=2)": bs.Normal(2.0),
    "StudentT(4, 1)": bs.StudentT(4, 1),
    "StudentT(df=4, scale=1)": bs.StudentT(4, 1),
    "Laplace(1)": bs.Laplace(1),
    "Flat": bs.Flat(),
    "Flat()": bs.Flat(),
    "Jeffreys": bs.Jeffreys(),
    "R2D2": bs.R2D2(),
    "R2D2(mean=0.3)": bs.R2D2(mean=0.3),
    "Normal(HalfNormal(1))": bs.Normal(bs.HalfNormal(1)),
    "Normal(scale=HalfStudentT(3, 1))": bs.Normal(bs.HalfStudentT(3, 1)),
}


@pytest.mark.parametrize("text", PRIORS)
def test_one_prior(text: str) -> None:
    assert prior_of(text, "--prior") == priors_of([text], "--prior") == PRIORS[text]


@pytest.mark.parametrize("name", ["x", "sex[T.male]", "I(x == 1)", "C(g)[T.a=b]", "bs(x, df=4)[1]", "Normal", "a b"])
@pytest.mark.parametrize("text", ["StudentT(df=4, scale=1)", "Flat", "Normal(scale=HalfStudentT(3, 1))"])
def test_priors_of_terms(name: str, text: str) -> None:
    """Names have equality signs of their own, and so do priors."""
    assert priors_of([f"{name}={text}", "other = Normal(1)"], "--prior") == {name: PRIORS[text], "other": bs.Normal(1)}


def test_none_is_the_default() -> None:
    assert priors_of(None, "--prior") is None


WRONG = {
    "Normal(HalfNormal())": "HalfNormal takes scale, for example Normal(HalfNormal(1))",
    "normal(2)": "--prior 'normal(2)' is not a prior; did you mean Normal?",
    "Normel(2)": "did you mean Normal?",
    "Normal": "missing a required argument: 'scale'; Normal takes scale, for example Normal(1)",
    "Normal()": "missing a required argument: 'scale'",
    "Normal(1, 2)": "too many positional arguments; Normal takes scale",
    "StudentT(4)": "missing a required argument: 'scale'; StudentT takes df, scale, for example StudentT(4, 1)",
    "Flat(1)": "too many positional arguments; Flat takes no number, for example Flat",
    "Normal(sd=1)": "Normal takes scale",
    "Normal(-1)": "scale=-1 must be positive",
    "Normal(0)": "must be positive",
    "Normal('1')": "is not a number",
    "Normal(True)": "'True' is not a number",
    "Normal(inf)": "'inf' is not a number",
    "Normal(1e999)": "must be positive and finite",
    "Normal(x)": "'x' is not a number",
    "Normal(*[1])": "is not a number",
    "Normal(**{'scale': 1})": "is not a number",
    "Normal(2": "is not a prior",
    "Normal(2))": "is not a prior",
    "HalfNormal(1)": "is not a prior",
    "Laplace(HalfNormal(1))": "is not a number",
    "Normal(Normal(1))": "(priors are 'HalfNormal', 'HalfStudentT'",
    "__import__('os').system('true')": "is not a prior",
    "Normal(__import__('os').system('true'))": "is not",
    "Normal((lambda: 1)())": "is not",
    "2": "is not a prior",
    "": "is not a prior",
    "=Normal(1)": "is not a prior",
    "x=": "is not a prior",
    "x=normal(2)": "--prior 'normal(2)' is not a prior; did you mean Normal?",
    "Normal(" * 3000 + ")" * 3000: "too long",
    "Normal(1\0)": "is not a prior",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_texts_that_are_no_priors(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--prior") as caught:
        priors_of([text], "--prior")
    message = str(caught.value)
    assert WRONG[text] in message, message
    assert len(message) < 300
    assert "\n" not in message


def test_priors_that_do_not_go_together() -> None:
    with pytest.raises(ValueError, match=r"--prior 'Flat' is a prior of all features and must be the only one"):
        priors_of(["x=Normal(1)", "Flat"], "--prior")
    with pytest.raises(ValueError, match=r"--prior: 'x' has two priors"):
        priors_of(["x=Normal(1)", "x=Normal(2)"], "--prior")
