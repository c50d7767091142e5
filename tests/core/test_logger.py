"""Lines on standard error are a logger's: they can be silenced and handed on; what an application set up stands."""

import logging
import subprocess
import sys

import pytest

import bayes_softmax as bs
from bayes_softmax.answers import probabilities

ASK = """
import logging
{before}
from bayes_softmax.core.logger import LOGGER
LOGGER.info("compiling")
"""


@pytest.fixture
def logger():
    """The package's logger, as it was before a test."""
    logger = logging.getLogger("bayes_softmax")
    level, propagate = logger.level, logger.propagate
    yield logger
    logger.setLevel(level)
    logger.propagate = propagate


def test_lines_can_be_silenced_and_handed_on(posterior: bs.Posterior, penguins, monkeypatch, capsys, logger) -> None:
    monkeypatch.setattr(probabilities, "ANNOUNCED_BYTES", 1000)
    told: list[str] = []
    root = logging.Handler()
    root.emit = lambda record: told.append(record.getMessage())
    monkeypatch.setattr(logging.getLogger(), "handlers", [root])
    posterior.predict_draws(penguins)
    line = "predict_draws(): 4 x 500 x 333 x 3 numbers, 0.0 GiB"
    assert capsys.readouterr().err == f"bayes_softmax: {line}\n"
    assert told == []
    logger.propagate = True
    posterior.predict_draws(penguins)
    assert told == [line]
    capsys.readouterr()
    logger.setLevel(logging.ERROR)
    posterior.predict_draws(penguins)
    assert capsys.readouterr().err == ""
    assert told == [line]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", "bayes_softmax: compiling\n"),
        ("logging.basicConfig(level=0)", "bayes_softmax: compiling\n"),  # once, though the root has a handler too
        ("logging.getLogger('bayes_softmax').setLevel(40)", ""),
        ("logging.getLogger('bayes_softmax').addHandler(logging.NullHandler())", ""),
        ("import sys; sys.stderr = None", ""),
    ],
)
def test_what_an_application_set_up_first_is_kept(before: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(before=before)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == said
