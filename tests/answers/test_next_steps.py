"""What a comparison and a sensitivity say to do next."""

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.answers.compare import _remarks
from tests.conftest import simulate


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_comparison_of_few_observations_says_by_what_to_judge() -> None:
    X, codes = simulate(90, 2, 3)
    posts = {
        name: bs.SoftmaxRegression(X[:, :p], codes, prior=bs.Normal(0.3)).laplace(random_seed=1, progressbar=False)
        for name, p in (("both", 2), ("one", 1))
    }
    table = bs.compare_models(posts)
    assert table.columns[:8].tolist() == ["rank", "elpd", "se", "elpd_diff", "dse", "p_worse", "weight", "p"]
    assert (table["diag_diff"] == "N < 100").any()
    assert "p_worse is rough (see diag_diff)" in table.attrs["note"]
    assert max(map(len, repr(table).splitlines())) <= 80
    for name in table.columns:
        assert f"``{name}``" in (bs.compare_models.__doc__ or "")


def test_remarks_are_made_only_where_there_is_something_to_say() -> None:
    table = pd.DataFrame({"diag_diff": ["", ""], "diag_elpd": ["", ""]})
    assert _remarks(table) is None
    note = _remarks(table.assign(diag_elpd=["", "3 k_hat > 0.7"]))
    assert note == "elpd is not reliable where diag_elpd says so: pass refit=True"


def test_sensitivity_to_the_prior_says_what_to_do() -> None:
    X, codes = simulate(60, 2, 3)
    tight = bs.SoftmaxRegression(X, codes, prior=bs.Normal(0.1)).laplace(random_seed=1, progressbar=False)
    table = tight.prior_sensitivity()
    assert table["diagnosis"].str.contains("conflict").any()
    note = table.attrs["note"]
    assert "A conflict: the data lie where the prior finds them implausible" in note
    assert "Compare effects() with those of a fit with priors of twice the scale" in note
    assert len(repr(table).split("note: ")[1].splitlines()) <= 4
    X, codes = simulate(4000, 2, 3)
    wide = bs.SoftmaxRegression(X, codes).laplace(random_seed=1, progressbar=False).prior_sensitivity()
    assert "note" not in wide.attrs
    assert np.all(wide["diagnosis"] == "✓")
