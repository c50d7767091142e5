"""Models with groups from the command line: their priors, tables and answers, and what cannot be used."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.cli import main
from bayes_softmax.cli.prior_text import OF_GROUPS, priors_of
from tests.answers.test_group_loo import frame

FORMULA = "y ~ x + (1 | g)"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.csv"
    frame().to_csv(path, index=False)
    return path


def fit(table: Path, out: Path, *options: str, formula: str = FORMULA) -> int:
    few = ["--draws", "30", "--tune", "30", "--chains", "2"]
    return main(["fit", str(table), "--formula", formula, "--out", str(out), "--quiet", *few, *options])


def test_groups_are_fitted_and_their_tables_written(table, tmp_path, capsys) -> None:
    out = tmp_path / "fit"
    prior = ["--group-prior", "g=GroupNormal(HalfNormal(0.5), LKJ(eta=3))", "--vs", "a"]
    for _ in range(2):  # the second time over the tables of the first
        assert fit(table, out, *prior, "--force") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "g sd b vs a" in said
    assert "posterior.nc, summary.csv, group_covariance.csv, group_effects.csv" in said
    effects = pd.read_csv(out / "group_effects.csv")
    assert effects.columns.tolist()[:5] == ["group", "term", "level", "contrast", "mean"]
    assert len(effects) == 20 * 2
    given = {"g": bs.GroupNormal(bs.HalfNormal(0.5), bs.LKJ(3))}
    model = bs.SoftmaxRegression.from_formula(FORMULA, frame(), group_prior=given)
    expected = model.sample(30, 30, 2, random_seed=1, progressbar=False).group_covariance(vs="a")
    assert pd.read_csv(out / "group_covariance.csv")["mean"].tolist() == pytest.approx(expected["mean"].tolist())
    for command in (["predict", str(out), str(table)], ["effects", str(out)], ["evaluate", str(out)]):
        assert main(command) == 0
        assert capsys.readouterr().out
    post, others = bs.load(out / "posterior.nc"), frame().assign(g=99)
    others.to_csv(tmp_path / "others.csv", index=False)
    for text, levels in (("known-or-new", "known or new"), ("g=average", {"g": "average"})):
        assert main(["predict", str(out), str(tmp_path / "others.csv"), "--levels", text, "--seed", "3"]) == 0
        told = pd.read_csv(io.StringIO(capsys.readouterr().out))
        expected = post.predict_proba(others, levels=levels, random_seed=3)
        assert np.allclose(told[["a", "b", "c"]], expected)
    for command, other in (("effects", "new"), ("evaluate", "average")):
        assert main([command, str(out), "--levels", other]) == 0
        assert capsys.readouterr().out
    assert main(["predict", str(out), str(tmp_path / "others.csv")]) == 2
    assert "--levels 'known-or-new'" in capsys.readouterr().err
    for words, said in ((["newest"], "--levels 'newest' must be one of"), (["g=new", "known"], "must be GROUP=CHOICE")):
        assert main(["predict", str(out), str(table), "--levels", *words]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert fit(table, out, "--force", formula="y ~ x") == 0
    assert sorted(path.name for path in out.iterdir()) == ["posterior.nc", "summary.csv"]


@pytest.mark.parametrize(
    ("options", "formula", "said"),
    [
        (["--group-prior", "h=GroupNormal"], FORMULA, "--group-prior: there is no grouping 'h'"),
        (["--group-prior", "Normal(1)"], FORMULA, "GroupNormal(HalfNormal(1), LKJ(2))"),
        (["--group-prior", "GroupNorma"], FORMULA, "did you mean GroupNormal?"),
        (["--group-prior", "GroupNormal(covariance='same')"], FORMULA, "covariance='same' is not known"),
        (["--group-prior", "GroupNormal", "--group-prior", "g=GroupNormal"], FORMULA, "a prior of all groupings"),
        (["--group-prior", "GroupNormal"], "y ~ x", "--group-prior was given, but the model has no groups"),
        (["--hidden", "3"], FORMULA, "leave --hidden out, or the groups"),
    ],
)
def test_what_cannot_be_used_is_said(options, formula, said, table, tmp_path, capsys) -> None:
    assert fit(table, tmp_path / "fit", *options, formula=formula) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_priors_of_groups_are_read_not_evaluated() -> None:
    assert priors_of(["GroupNormal(covariance='independent')"], "--group-prior", OF_GROUPS) == bs.GroupNormal(
        covariance="independent"
    )
    for text in ("GroupNormal(__import__('os'))", "GroupNormal(HalfNormal('1'))", "LKJ(2)", "g=LKJ(2)"):
        with pytest.raises(ValueError, match="--group-prior"):
            priors_of([text], "--group-prior", OF_GROUPS)
