"""Networks from the command line: fitted, asked and saved, and options that do not go together."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.cli import main, network
from bayes_softmax.spec.network import activations

FORMULA = "y ~ a + g"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    a = rng.normal(size=60)
    frame = pd.DataFrame({"a": a, "g": np.where(a > 0, "u", "v"), "y": np.where(np.abs(a) < 0.7, "in", "out")})
    path = tmp_path_factory.mktemp("data") / "data.csv"
    frame.to_csv(path, index=False)
    return path


def fit(table: Path, out: Path, *options: str) -> int:
    return main(["fit", str(table), "--formula", FORMULA, "--out", str(out), "--quiet", *options])


def test_a_network_is_fitted_saved_and_asked(table, tmp_path, capsys) -> None:
    network = ["--hidden", "3", "2", "--activation", "gelu", "--skip", "--prior", "hidden_1=Normal(2)"]
    for _ in range(2):  # the second time over the table of layers
        assert fit(table, tmp_path / "fit", "--method", "map", "--restarts", "2", "--force", *network) == 0
    assert "network: 2 features -> 3 gelu units -> 2 gelu units -> 2 classes, beside" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "fit" / "summary.csv")["parameter"][0] == "hidden_1"
    logits = bs.MLP((3, 2), "gelu", skip=True)
    data = pd.read_csv(table)
    model = bs.SoftmaxRegression.from_formula(FORMULA, data, logits=logits, prior={"hidden_1": bs.Normal(2)})
    assert main(["predict", str(tmp_path / "fit"), str(table)]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = model.map(restarts=2, random_seed=1).predict_proba(data).iloc[0, 0]
    assert float(lines[1].split(",")[2]) == pytest.approx(expected, rel=1e-9)
    for command in (["effects"], ["evaluate"]):
        assert main([command[0], str(tmp_path / "fit")]) == 0
        assert capsys.readouterr().out


def test_draws_of_the_last_layer_and_ensembles(table, tmp_path, capsys) -> None:
    few = ["--draws", "30", "--tune", "30", "--chains", "2"]
    assert fit(table, tmp_path / "last", "--hidden", "2", "--layers", "last", *few) == 0
    assert "hidden layers are held" in " ".join(capsys.readouterr().out.split())
    assert fit(table, tmp_path / "many", "--hidden", "2", "--method", "ensemble", "--members", "2") == 0
    assert main(["predict", str(tmp_path / "many"), str(table)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("60,")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--skip"], "--skip is for a neural network; name its hidden layers too, as --hidden 50"),
        (["--activation", "relu"], "--activation is for a neural network"),
        (["--layers", "all"], "--layers is for a neural network"),
        (["--method", "ensemble"], "--method ensemble is for a neural network, which has many modes; add --hidden 50"),
        (["--hidden", "3", "--layers", "all", "--method", "map"], "--layers has no meaning for --method map"),
        (["--hidden", "3", "--members", "4"], "--members has no meaning for --method sample"),
        (["--hidden", "3", "--restarts", "4", "--method", "laplace"], "--restarts has no meaning for --method laplace"),
        (["--hidden", "3", "--restarts", "0", "--method", "map"], "--restarts 0 must be at least 1"),
        (["--hidden", "3", "--members", "0", "--method", "ensemble"], "--members 0 must be at least 1"),
        (["--hidden", "3", "--vs", "in"], "--vs has no meaning beside --hidden: the table of a network"),
        (["--hidden", "3", "--intervals", "0.9"], "--intervals has no meaning beside --hidden"),
        (["--hidden", "3", "0"], "a layer of 0 units; from 1 to 100000 are possible; without --hidden"),
        (["--hidden", "3", "--prior", "Jeffreys", "--method", "map"], "is for linear logits"),
        (["--hidden", "3", "--prior", "g=Normal(1)", "--method", "map"], "with --skip features have weights"),
        (["--hidden", "3", "--method", "mle", "--prior", "Normal(1)"], "--prior has no meaning for --method mle"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(options, said, table, tmp_path, capsys) -> None:
    assert fit(table, tmp_path / "fit", *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "fit").exists()


def test_the_choices_are_those_of_the_package() -> None:
    assert tuple(activations.ACTIVATIONS) == network.ACTIVATIONS
