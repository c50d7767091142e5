"""The README is true: its example runs, its files exist, its targets are in the Makefile."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests import readme

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


# Draws differ in the last digits from one processor to another, and after many steps in all: a number is as shown to
# 5 %, or .02, and effective sample sizes to a third.
RELATIVE, ABSOLUTE, ESS = 0.05, 0.02, 0.35


@pytest.fixture(scope="module")
def page() -> list[tuple[readme.Snippet, str]]:
    """Every block of Python of the README with what it prints, run in order as on one page."""
    names: dict[str, object] = {"__name__": "__main__"}
    return [(snippet, readme.run(snippet.code, names)) for snippet in readme.snippets(README)]


def test_the_code_prints_what_is_shown(page: list[tuple[readme.Snippet, str]]) -> None:
    assert len(page) >= 8
    for snippet, printed in page:
        if snippet.shown is not None:
            assert_as_shown(printed, snippet.shown, f"README.md, line {snippet.line}")
            assert max(map(len, printed.splitlines())) <= 80


def assert_as_shown(printed: str, shown: str, where: str) -> None:
    """The same words, and the same numbers but for the error of draws."""
    words = [readme.NUMBER.sub("#", text).replace("<", "").split() for text in (printed, shown)]
    assert words[0] == words[1], where
    for line, expected in zip(printed.splitlines(), shown.splitlines(), strict=True):
        relative = ESS if "ESS" in line or "ess_" in shown else RELATIVE
        numbers = [np.array(readme.NUMBER.findall(text), dtype=float) for text in (line, expected)]
        np.testing.assert_allclose(*numbers, rtol=relative, atol=ABSOLUTE, err_msg=where)


@pytest.mark.parametrize(("old", "new"), [("0.98", "0.88"), ("Adelie", "Gentoo"), ("\n", "\nand more\n")])
def test_another_output_is_noticed(old: str, new: str) -> None:
    shown = "class   mean\nAdelie  0.98\n"
    assert_as_shown(shown, shown, "here")
    with pytest.raises(AssertionError):
        assert_as_shown(shown.replace(old, new, 1), shown, "here")


def test_the_first_example_is_short(page: list[tuple[readme.Snippet, str]]) -> None:
    snippet, printed = page[0]
    assert len(snippet.code.strip().splitlines()) <= 17
    assert "all diagnostics good" in printed


def test_peers_agree(page: list[tuple[readme.Snippet, str]]) -> None:
    """The numbers of other software that the page quotes are those of our fits (exactly: tests/reference)."""
    (hsb2,) = (printed for snippet, printed in page if "deviance" in snippet.code)
    assert "359.96" in hsb2
    for number in ("2.8522", "-0.5333", "-1.1628", "-0.0579", "5.2182", "0.2914", "-0.9827", "-0.1136"):
        assert number in hsb2, number


def test_links_and_named_files_exist() -> None:
    headings = {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)", README, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target[1:] in headings if target.startswith("#") else (ROOT / target).is_file(), target
    rooms = "core|data|spec|separation|density|inference|answers|fits|fitting|plots"
    for name in re.findall(rf"`((?:{rooms})/\w+\.py)", README):
        assert (ROOT / "bayes_softmax" / name).is_file(), name


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
