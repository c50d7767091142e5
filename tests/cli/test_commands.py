"""The commands, in process: what they print, what they write, and their exit status."""

import io
import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.cli import answers, help_text, main
from bayes_softmax.cli.folder import fit_in
from bayes_softmax.cli.parser import parse
from bayes_softmax.cli.prior_text import priors_of
from bayes_softmax.core.logger import LOGGER
from bayes_softmax.fitting import weighted


def test_demo_writes_everything_and_again_over_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "penguins"
    for _ in range(2):
        assert main(["demo", "--out", str(out), "--draws", "300"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "342 rows",
        "Maximum-likelihood estimate",
        "Maximum a posteriori (MAP) estimate",
        "R-hat",
        "0 divergences",
        "Chinstrap vs average",
    ):
        assert text in printed
    assert {p.name for p in out.iterdir()} == {"posterior.nc", "summary.csv", "compare.png", "forest.png"}
    assert bs.load(out / "posterior.nc")._fitted.draws.shape[:2] == (4, 300)
    assert list(pd.read_csv(out / "summary.csv").columns[:4]) == ["feature", "contrast", "mle", "mle_se"]


def test_fit_and_predict(tmp_path: Path, penguins: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    penguins.to_csv(tmp_path / "data.csv", index=False)
    formula = "species ~ bill_length_mm + sex"
    options = ["--formula", formula, "--out", str(tmp_path / "fit"), "--draws", "200", "--quiet"]
    assert main(["fit", str(tmp_path / "data.csv"), *options]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "fit"), str(tmp_path / "data.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "row,predicted,Adelie,Chinstrap,Gentoo"
    assert len(lines) == 1 + len(penguins)


def test_missing_values_name_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bs.datasets.load_penguins().to_csv(tmp_path / "data.csv", index=False)
    options = ["--formula", "species ~ bill_length_mm", "--out", str(tmp_path / "fit")]
    assert main(["fit", str(tmp_path / "data.csv"), *options]) == 2
    message = capsys.readouterr().err
    assert "pass --drop-missing to leave out such rows" in message
    assert "missing=" not in message


@pytest.mark.parametrize("name", ["summary.csv", "posterior.nc", "compare.png"])
def test_strange_files_in_the_folder_of_results_stay(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found out before anything is sampled; whatever else is in the folder does not matter."""
    (tmp_path / name).write_text("mine")
    (tmp_path / "diary.txt").write_text("mine")
    assert main(["demo", "--out", str(tmp_path), "--draws", "100"]) == 2
    assert f"{name}' exists and " in capsys.readouterr().err
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {name: "mine", "diary.txt": "mine"}


def test_classes_on_offer(tmp_path: Path, penguins: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns by class, whose labels may be numbers; ``predict`` reads the same columns."""
    data = penguins[["bill_length_mm"]].assign(kind=pd.factorize(penguins["species"])[0] + 1)
    for k in (1, 2, 3):
        data[f"on{k}"] = ((data["kind"] == k) | (np.arange(len(data)) % 4 != k)).astype(int)
    data.to_csv(tmp_path / "data.csv", index=False)
    out, options = str(tmp_path / "fit"), ["--draws", "100", "--chains", "2", "--quiet"]
    command = ["fit", str(tmp_path / "data.csv"), "--formula", "kind ~ bill_length_mm", "--out", out, *options]
    assert main([*command, "--available", "1=on1", "2=on2", "3=on3"]) == 0
    capsys.readouterr()
    assert main(["predict", out, str(tmp_path / "data.csv")]) == 0
    predicted = pd.read_csv(io.StringIO(capsys.readouterr().out))[["1", "2", "3"]].to_numpy()
    on = data[["on1", "on2", "on3"]].to_numpy() == 1
    assert (predicted[~on] == 0).all()
    assert (predicted[on] > 0).all()
    for given, told in ((["1=on1"], "--available has no column for class 2"), (["on1"], "must be CLASS=COLUMN")):
        assert main([*command, "--force", "--available", *given]) == 2
        assert told in capsys.readouterr().err


def test_a_folder_of_zarr_is_a_fit_and_a_closed_pipe_is_no_error(tmp_path: Path, penguins: pd.DataFrame) -> None:
    fit = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm", penguins).map()
    fit.save(tmp_path / "fit.zarr")
    pd.concat([penguins] * 30).to_csv(tmp_path / "data.csv", index=False)
    command = f"{sys.executable} -m bayes_softmax predict {tmp_path / 'fit.zarr'} {tmp_path / 'data.csv'}"
    done = subprocess.run(f"{command} | head -n 2", shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("row,predicted,")
    assert done.stderr == ""


# ------------------------------------------------------------------------------------------------ help and usage

COMMANDS = ("fit", "predict", "effects", "evaluate", "demo")


def stopped(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_examples_and_exit_statuses_in_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert stopped(*([command] if command else []), "--help") == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert f"examples:\n  bayes-softmax {command}" in printed
    for status in (0, 1, 2, 130, 141):
        assert re.search(rf"^  {status} +\w", printed.partition("exit status:")[2], re.M)


def test_examples_of_the_help_pages_are_understood() -> None:
    for command, text in help_text.COMMANDS.items():
        lines = text.examples.replace("\\\n", " ").splitlines()[1:]
        assert len(lines) >= 2
        for line in lines:
            words = shlex.split(re.split(r" [|<] ", re.sub(r"^.* \| (?=bayes-softmax)", "", line.strip()))[0])
            assert words[:2] == ["bayes-softmax", command]
            options = parse(words[1:])
            if command == "fit" and options.prior:
                assert priors_of(options.prior, "--prior")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped("--version") == 0
    assert capsys.readouterr().out == f"bayes-softmax {bs.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name a command: fit, predict, effects, evaluate, demo (bayes-softmax --help has examples)"),
        (["effects"], "the following arguments are required: FIT\n"),
        (["effects", "o", "--features", "x"], "variables come after the fit, bayes-softmax effects FIT income region"),
        (["evaluate", "o", "--data", "d.csv"], "the file comes after the fit, bayes-softmax evaluate FIT DATA"),
        (["predict", "o", "--data=d.csv"], "the following arguments are required: DATA"),
        (["predict", "o", "d.csv", "--drop-missing"], "predict has --allow-missing"),
        (["fitt", "d.csv"], "'fitt' is not a command; did you mean 'fit'? (fit, predict, effects, evaluate, demo)"),
        (["fit", "d.csv", "--formula", "y ~ x", "--out", "o", "--drop-mising"], "did you mean '--drop-missing'?"),
        (["fit", "d.csv", "--formula", "y ~ x", "--out", "o", "--drop"], "'--drop' is not an argument of fit"),
        (["fit", "d.csv", "--formula", "y ~ x", "--out", "o", "--method", "mcmc"], "invalid choice: 'mcmc'"),
        (["fit", "d.csv", "--formula", "y ~ x", "--out", "o", "--draws", "x"], "argument --draws: invalid int"),
        (["predict", "o"], "the following arguments are required: DATA"),
        (["predict", "o", "d.csv", "e.csv"], "'e.csv' is not an argument of predict"),
    ],
)
def test_usage_errors(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped(*arguments) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


def test_help_loads_no_heavy_library() -> None:
    code = "import sys\nfrom bayes_softmax.cli import main\ntry: main(['fit', '--help'])\nexcept SystemExit: pass\n"
    code += "print('LOADED', *[m for m in ('pandas', 'xarray', 'scipy', 'numba', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


# ------------------------------------------------------------------------------------------------- methods and priors

FORMULA = "species ~ bill_length_mm + sex"
QUICK = ["--draws", "100", "--chains", "2", "--tune", "100"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.csv"
    bs.datasets.load_penguins().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def results(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fitted") / "results"
    assert main(fit_words(data, out, "--method", "map")) == 0
    return out


def fit_words(data: Path, out: Path, *more: str) -> list[str]:
    return ["fit", str(data), "--formula", FORMULA, "--out", str(out), "--drop-missing", "--quiet", *more]


def model(**arguments) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula(FORMULA, bs.datasets.load_penguins(), missing="drop", **arguments)


@pytest.mark.parametrize(
    ("method", "more", "name"),
    [
        ("sample", QUICK, "posterior.nc"),
        ("laplace", ["--draws", "400"], "posterior.nc"),
        ("map", [], "estimate.nc"),
        ("mle", [], "estimate.nc"),
    ],
)
def test_methods_are_those_of_the_package(
    method: str, more: list[str], name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fit_words(data, tmp_path / "out", "--method", method, "--seed", "3", *more)) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "bill_length_mm" in shown.out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {name, "summary.csv"}
    calls = {
        "sample": lambda m: m.sample(100, 100, 2, random_seed=3, progressbar=False),
        "laplace": lambda m: m.laplace(400, random_seed=3, progressbar=False),
        "map": lambda m: m.map(),
        "mle": lambda m: m.mle(),
    }
    ours, theirs = bs.load(tmp_path / "out" / name), calls[method](model())
    for parameter, values in theirs._fitted.parameters.arrays.items():
        np.testing.assert_array_equal(ours._fitted.parameters.arrays[parameter], values)
    table = pd.read_csv(tmp_path / "out" / "summary.csv", index_col=["feature", "contrast"])
    np.testing.assert_allclose(table.iloc[:, :2], pd.DataFrame(theirs.summary()).iloc[:, :2], rtol=1e-12)


def test_model_options_are_those_of_the_package(data: Path, tmp_path: Path) -> None:
    penguins = bs.datasets.load_penguins().assign(w=1.5, o=0.25, zero=0.0)
    penguins.to_parquet(tmp_path / "d.parquet")
    words = [
        "--prior",
        "bill_length_mm=StudentT(4, 0.5)",
        "--prior",
        "sex[T.male]=Normal(3)",
        "--intercept-prior",
        "Flat",
    ]
    words += ["--coding", "reference", "--classes", "Gentoo", "Adelie", "Chinstrap", "--weights", "w"]
    words += ["--offset", "Gentoo=o", "Adelie=zero", "Chinstrap=zero", "--vs", "Gentoo", "--intervals", "0.5"]
    assert main(fit_words(tmp_path / "d.parquet", tmp_path / "out", "--method", "map", *words)) == 0
    expected = bs.SoftmaxRegression.from_formula(
        FORMULA,
        penguins,
        missing="drop",
        prior={"bill_length_mm": bs.StudentT(4, 0.5), "sex[T.male]": bs.Normal(3)},
        intercept_prior=bs.Flat(),
        coding="reference",
        classes=["Gentoo", "Adelie", "Chinstrap"],
        weights="w",
        offset={"Gentoo": "o", "Adelie": "zero", "Chinstrap": "zero"},
    ).map()
    np.testing.assert_allclose(bs.load(tmp_path / "out" / "estimate.nc").weights, expected.weights, atol=1e-10)
    table = pd.read_csv(tmp_path / "out" / "summary.csv", index_col=["feature", "contrast"])
    theirs = pd.DataFrame(expected.summary(vs="Gentoo", ci_prob=0.5))
    assert table.index.tolist() == theirs.index.tolist()
    np.testing.assert_allclose(table["wald50_lb"], theirs["wald50_lb"], atol=1e-9)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--method", "mle", "--prior", "Normal(1)"], "--prior has no meaning for --method mle"),
        (["--method", "map", "--draws", "5"], "--draws has no meaning for --method map"),
        (["--method", "laplace", "--chains", "5"], "--chains has no meaning for --method laplace"),
        (["--draws", "0"], "--draws 0 must be at least 1"),
        (["--seed", "-1"], "--seed -1 must not be negative"),
        (["--method", "laplace", "--draws", "5"], "--draws 5 must be at least 100"),
        (["--prior", "nrmal(1)"], "--prior 'nrmal(1)' is not a prior"),
        (["--prior", "sexx=Normal(1)", "--method", "map"], "'sexx'"),
        (["--prior", "Jeffreys"], "--prior Jeffreys() is for --method map"),
        (["--prior", "Flat", "--coding", "full", "--method", "map"], "--coding full needs a proper prior"),
        (["--classes", "Adelie", "Chinstrap", "Gento"], "--classes lacks 'Gentoo' of the data; did you mean 'Gento'"),
        (["--weights", "wight"], "--weights"),
        (["--offset", "Adelie"], "--offset 'Adelie' must be CLASS=COLUMN"),
        (["--available", "Adelie=year", "Adelie=year"], "--available: class 'Adelie' appears twice"),
        (["--method", "map", "--vs", "Adele"], "--vs"),
        (["--method", "map", "--intervals", "90"], "--intervals 90"),
    ],
)
def test_errors_name_the_options(
    more: list[str], told: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fit_words(data, tmp_path / "out", *more)) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("bayes-softmax: ")
    assert told in shown.err
    assert shown.err.count("\n") == 1
    assert not re.search(r"\b(missing|prior|coding|draws|random_seed|ci_prob|vs|classes|weights)=['\d\[]", shown.err)
    assert not (tmp_path / "out").exists()


def test_separation_is_a_warning_in_one_line_and_not_an_error(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "fit",
        str(data),
        "--formula",
        "species ~ bill_length_mm + bill_depth_mm + flipper_length_mm + body_mass_g",
    ]
    assert main([*command, "--out", str(tmp_path / "out"), "--drop-missing", "--quiet", "--method", "mle"]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("bayes-softmax: warning: ")
    assert ".py" not in shown.err
    assert "inf" in shown.out


def test_texts_among_numbers_and_whole_labels_beside_missing_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({"x": [*map(str, range(39)), "?"], "y": [1, 2, 3, None] * 10})
    frame.to_csv(tmp_path / "d.csv", index=False)
    command = ["fit", str(tmp_path / "d.csv"), "--formula", "y ~ x", "--out", str(tmp_path / "out"), "--method", "map"]
    assert main([*command, "--drop-missing", "--quiet"]) == 0
    assert "column 'x' is text, so a factor, because of 1 value such as '?' in row 40" in capsys.readouterr().err
    assert main([*command, "--drop-missing", "--quiet", "--force", "--na-values", "?"]) == 0
    assert capsys.readouterr().err == ""
    fitted = bs.load(tmp_path / "out" / "estimate.nc")
    assert fitted.classes == (1, 2, 3)
    assert fitted.feature_names == ("x",)


# ------------------------------------------------------------------------------------------------------ overwriting


def test_results_are_replaced_only_with_force(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = fit_words(data, out, "--method", "map")
    assert main(words) == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    capsys.readouterr()
    assert main(words) == 2
    assert re.search(r"^bayes-softmax: --out: '.*estimate\.nc' exists; pass --force", capsys.readouterr().err)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    (out / "notes.txt").write_text("mine")
    assert main([*fit_words(data, out, "--method", "laplace", "--draws", "200"), "--force"]) == 0
    assert {p.name for p in out.iterdir()} == {"posterior.nc", "summary.csv", "notes.txt"}
    (out / "summary.csv").write_text("mine")
    assert main([*words, "--force"]) == 2
    assert "is no result of bayes-softmax" in capsys.readouterr().err
    assert (out / "summary.csv").read_text() == "mine"


def test_a_demo_replaces_only_a_demo(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(fit_words(data, tmp_path, "--method", "map")) == 0
    assert main(["demo", "--out", str(tmp_path), "--draws", "100", "--quiet"]) == 2
    assert "pass --force" in capsys.readouterr().err


def test_folders_of_results(results: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(path: Path) -> str:
        assert main(["predict", str(path), str(data)]) == 2
        return capsys.readouterr().err

    assert "holds no fit (posterior.nc or estimate.nc); 'bayes-softmax fit' makes one" in told(tmp_path)
    assert re.search(
        "there is no file or folder '.*resluts'; did you mean '.*results'", told(results.parent / "resluts")
    )
    assert "there is no folder" in told(tmp_path / "a" / "b")
    assert "data.csv' is a table, not a saved fit; a fit is a .nc file or a .zarr folder" in told(data)
    for name in ("posterior.nc", "estimate.nc"):
        (tmp_path / name).write_bytes((results / "estimate.nc").read_bytes())
    assert "holds two fits" in told(tmp_path)


# ----------------------------------------------------------------------------------------------- questions to a fit


def test_predict_writes_intervals(
    results: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.parquet"
    words = ["predict", str(results), str(data), "--allow-missing", "--intervals", "0.9", "--out", str(out)]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"written: {out}\n"
    penguins = bs.datasets.load_penguins()
    expected = pd.DataFrame(bs.load(results / "estimate.nc").predict_proba(penguins, 0.9, missing="nan"))
    found = pd.read_parquet(out)
    assert found.columns[:4].tolist() == ["row", "predicted", "Adelie_estimate", "Adelie_wald90_lb"]
    np.testing.assert_allclose(found.iloc[:, 2:], expected, rtol=1e-9)
    assert found["row"].tolist() == list(range(1, 345))
    assert found["predicted"].isna().sum() == expected.isna().any(axis=1).sum() == 11
    assert main(words) == 2
    assert "exists; pass --force to replace it" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    """New rows with identifiers that begin with zeros, an observed class, and one more column called ``row``."""
    frame = bs.datasets.load_penguins().iloc[[0, 3, 150]]
    path = tmp_path / "customers.csv"
    frame.assign(**{"customer id": ["007", "0010", "1"], "row": [5, 6, 7]}).to_csv(path, index=False)
    return path


def test_predict_keeps_columns_as_they_are(results: Path, customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", str(results), str(customers), "--allow-missing", "--keep", "customer id"]
    assert main([*words, "--keep", "species", "--keep", "bill_length_mm", "--digits", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "row,customer id,species,bill_length_mm,predicted,Adelie,Chinstrap,Gentoo"
    first, second, third = (line.split(",") for line in lines[1:])
    assert first[:5] == ["1", "007", "Adelie", "39.1", "Adelie"]
    assert second == ["2", "0010", "Adelie", "", "", "", "", ""]
    assert third[1] == "1"
    assert all(re.fullmatch(r"\d\.\d{1,3}", share) for share in first[5:])
    whole = bs.load(results / "estimate.nc").predict_proba(bs.datasets.load_penguins().iloc[[0]])
    np.testing.assert_allclose([float(p) for p in first[5:]], whole.iloc[0].round(3), atol=1e-12)
    assert main([*words, "--keep", "row", "--keep", "row"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "row number,customer id,row,predicted,Adelie,Chinstrap,Gentoo"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--keep", "customer_id"], "has no column 'customer_id'; did you mean 'customer id'?"),
        (["--digits", "0"], "--digits 0 must be from 1 to 17"),
        (["--keep", "Gentoo"], "has no column 'Gentoo'"),
    ],
)
def test_columns_that_cannot_be_kept(
    more: list[str], told: str, results: Path, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(results), str(customers), "--allow-missing", *more]) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


def test_a_kept_column_called_like_a_class_is_refused(
    results: Path, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(customers).assign(Gentoo=1)
    frame.to_csv(customers, index=False)
    assert main(["predict", str(results), str(customers), "--allow-missing", "--keep", "Gentoo"]) == 2
    assert "the probabilities have a column 'Gentoo' too; rename that of the data" in capsys.readouterr().err


def test_messages_on_data_name_the_file(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.csv"
    path.write_text("bill,sex\n39,male\n")
    assert main(["predict", str(results), str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"bayes-softmax: {str(path)!r} has no column 'bill_length_mm'")


def test_predict_advises_its_own_option(results: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(results), str(data)]) == 2
    message = capsys.readouterr().err
    assert "missing value in rows 4, 272" in message
    assert "--allow-missing" in message


def test_effects(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted = bs.load(results / "estimate.nc")
    words = ["effects", str(results), "sex", "--at", "bill_length_mm=45", "--intervals", "0.5"]
    assert main(words) == 0
    assert "male vs female" in capsys.readouterr().out
    assert main([*words, "--out", "-"]) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out), index_col=["feature", "change", "class"])
    expected = pd.DataFrame(fitted.effects("sex", at={"bill_length_mm": 45}, ci_prob=0.5))
    assert found.index.tolist() == expected.index.tolist()
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert main(["effects", str(results), "--at", "sex=male", "--out", str(tmp_path / "e.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "e.csv")) == 6
    assert main(["effects", str(results), "--at", "means"]) == 0
    capsys.readouterr()
    assert main(["effects", str(results), "bill_length_mm", "--per", "bill_length_mm=10", "--out", "-"]) == 0
    per_step = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert set(per_step["change"]) == {"per 10"}
    ten = fitted.effects("bill_length_mm", per={"bill_length_mm": 10})
    np.testing.assert_allclose(per_step["estimate"], ten["estimate"], rtol=1e-9)
    table = tmp_path / "new.csv"
    table.write_text("x\n1\n")
    for more, told in (
        (["--at", "sex=mal"], "did you mean 'male'?"),
        (["--at", "sex"], "--at 'sex' must be NAME=VALUE"),
        (["--at", "sex=male", "sex=male"], "--at: 'sex' appears twice"),
        (["--at", "bill_length_mm=long"], "'bill_length_mm' is 'long'; expected one finite number"),
        (["--at", "bill=3"], "'bill' is not a variable"),
        (["--per", "bill_length_mm"], "--per 'bill_length_mm' must be NAME=SIZE, for example income=10000"),
        (["--per", "sex=2"], "--per: 'sex' is a factor; its levels are compared"),
        (["--per", "bill_length_mm=wide"], "--per: 'bill_length_mm' has 'wide'; expected a finite number other than 0"),
        (["--per", "bill_length_mm=1", "bill_length_mm=2"], "--per: 'bill_length_mm' appears twice"),
        ([str(table)], f"{str(table)!r} is a file, not a variable of the model; pass it as --data {table}"),
        (["sexx"], "'sexx' is not a variable of the model; did you mean 'sex'?"),
    ):
        capsys.readouterr()
        assert main(["effects", str(results), *more]) == 2
        assert told in capsys.readouterr().err


def test_evaluate(results: Path, penguins: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    penguins[:100].to_csv(tmp_path / "test.csv.gz", index=False)
    fitted = bs.load(results / "estimate.nc")
    for more, scores in (
        ([], fitted.evaluate()),
        (["--loo"], fitted.evaluate(loo=True)),
        ([str(tmp_path / "test.csv.gz")], fitted.evaluate(penguins[:100])),
    ):
        assert main(["evaluate", str(results), *more]) == 0
        assert capsys.readouterr().out.startswith(repr(scores))
        assert main(["evaluate", str(results), *more, "--out", "-"]) == 0
        found = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("score")
        np.testing.assert_allclose(found.iloc[:, 0], pd.DataFrame(scores.to_frame()).iloc[:, 0], rtol=1e-9)
    penguins[:100].drop(columns="species").to_csv(tmp_path / "x.csv", index=False)
    assert main(["evaluate", str(results), str(tmp_path / "x.csv")]) == 2
    assert "the table needs the column of the observed classes" in capsys.readouterr().err
    assert main(["evaluate", str(results), str(tmp_path / "test.csv.gz"), "--loo"]) == 2
    assert "--loo leaves out observations of the data of the fit" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------ pipes, signals, surprises


def test_pipes_carry_no_escapes_and_no_progress(results: Path, data: Path, tmp_path: Path) -> None:
    run = partial(subprocess.run, shell=True, capture_output=True, text=True, check=False)
    command = f"{sys.executable} -m bayes_softmax"
    done = run(f"cat {data} | {command} predict {results} - --allow-missing")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 345
    done = run(f"{command} fit {data} --formula '{FORMULA}' --drop-missing --out {tmp_path / 'out'} --method map")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "read " in done.stderr
    assert "read " not in done.stdout
    done = run(f"{command} predict {results} {data} --allow-missing > /dev/full")
    assert (done.returncode, done.stderr) == (2, "bayes-softmax: No space left on device\n")


def test_ctrl_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(answers, "fit_in", pressed)
    assert main(["predict", "a", "b"]) == 130
    assert capsys.readouterr().err == "bayes-softmax: interrupted\n"


def test_ctrl_c_while_libraries_load_is_one_line(tmp_path: Path) -> None:
    """Nothing but Python itself is loaded before the command line listens."""
    (tmp_path / "numpy.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path(bs.__file__).parents[1])))}
    command = [sys.executable, "-m", "bayes_softmax", "predict", "a", "b"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (130, "bayes-softmax: interrupted\n")


def test_odd_names_of_classes(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Names that the table of predictions has too, that a separator cuts, or that would colour a terminal."""
    classes = ["row", "predicted", "a=b", "\x1b[31mred", "ü"]
    x = np.arange(50.0)
    frame = pd.DataFrame({"y": np.array(classes)[(x % 5).astype(int)], "x": np.sin(x), "on": 1})
    frame.to_csv(tmp_path / "d.csv", index=False)
    command = ["fit", str(tmp_path / "d.csv"), "--formula", "y ~ x", "--out", str(tmp_path / "out"), "--method", "map"]
    assert main([*command, "--available", *(f"{name}=on" for name in classes), "--quiet"]) == 0
    assert b"\x1b" not in capsysbinary.readouterr().out
    assert main(["predict", str(tmp_path / "out"), str(tmp_path / "d.csv")]) == 0
    found = pd.read_csv(io.BytesIO(capsysbinary.readouterr().out))
    assert found.columns[:2].tolist() == ["row number", "predicted class"]
    assert sorted(found.columns[2:]) == sorted(classes)
    assert main(["predict", str(tmp_path / "out"), str(tmp_path / "d.csv"), "--intervals", "0.5"]) == 0
    found = pd.read_csv(io.BytesIO(capsysbinary.readouterr().out))
    assert found.columns[:2].tolist() == ["row", "predicted"]
    assert found.columns.is_unique


def test_folders_that_cannot_be_made(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is read."""
    (tmp_path / "file").write_text("")
    assert main(fit_words(tmp_path / "none.csv", tmp_path / "file" / "out")) == 2
    assert re.search(r"--out '.*out': '.*file' is a file, not a folder", capsys.readouterr().err)
    with pytest.raises(SystemExit):
        main([*fit_words(data, tmp_path), "--out", ""])
    assert "the name of the folder is empty" in capsys.readouterr().err
    assert main(["predict", "x", str(data), "--out", str(tmp_path / "none" / "p.csv")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_whole_labels_that_the_data_do_not_have(tmp_path: Path) -> None:
    pd.DataFrame({"y": [3, 1] * 20, "x": np.sin(np.arange(40))}).to_csv(tmp_path / "d.csv", index=False)
    command = ["fit", str(tmp_path / "d.csv"), "--formula", "y ~ x", "--out", str(tmp_path / "out"), "--method", "map"]
    assert main([*command, "--classes", "3", "1", "2", "--prior", "Normal(1)", "--vs", "3"]) == 0
    assert bs.load(tmp_path / "out" / "estimate.nc").classes == (3, 1, 2)


def test_draws_before_ctrl_c_are_kept(
    monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = weighted.propose

    def cut(*arguments: object, **options: object) -> object:
        return whole(*arguments, **options)._replace(finished=500, interrupted=True)

    monkeypatch.setattr(weighted, "propose", cut)
    assert main(fit_words(data, tmp_path / "out", "--method", "laplace", "--draws", "1000")) == 130
    assert "interrupted: 500 of 1000 draws were finished" in capsys.readouterr().err
    assert bs.load(tmp_path / "out" / "posterior.nc")._fitted.shape == (1, 500)


@pytest.mark.parametrize("surprise", [ZeroDivisionError("x"), TypeError("x"), ValueError("x")])
def test_what_should_not_happen_is_not_hidden(surprise: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that no ``raise`` of the package made keep their traceback."""

    def fail(*_: object) -> None:
        raise surprise

    monkeypatch.setattr(answers, "fit_in", fail)
    with pytest.raises(type(surprise)) as caught:
        main(["predict", "a", "b"])
    assert isinstance(surprise, ZeroDivisionError) or "should not happen" in caught.value.__notes__[0]


def test_errors_of_the_system_name_the_file(
    results: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> bytes:
        raise PermissionError(13, "Permission denied", "data.csv")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert main(["predict", str(results / "estimate.nc"), str(data)]) == 2
    assert "ermission" in capsys.readouterr().err


def test_quiet_silences_remarks_and_restores_them(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    monkeypatch.setattr(answers, "fit_in", lambda path: levels.append(LOGGER.level) or fit_in(path))
    before = LOGGER.level
    assert main(["evaluate", str(results), "--quiet"]) == 0
    assert levels[0] > before
    assert LOGGER.level == before


def test_separation_speaks_in_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The warning and the printed estimate name the level first, and options in place of Python."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"plan": rng.choice(["a", "b", "c"], 60), "region": ["Islands"] * 4 + ["N", "S"] * 28})
    table.loc[:3, "plan"] = "a"
    table.to_csv(tmp_path / "plans.csv", index=False)
    for method, options in (("mle", []), ("map", ["--prior", "Flat"])):
        call = ["fit", str(tmp_path / "plans.csv"), "--formula", "plan ~ region", "--method", method]
        assert main([*call, "--out", str(tmp_path / method), "--quiet", *options]) == 0
        said = capsys.readouterr()
        for text in (said.err, " ".join(said.out.split())):
            assert "level 'Islands' of 'region' (4 rows) was never observed with 'b', 'c'" in text
            assert not any(python in text for python in ("summary()", "map()", "check_separation", "prior=", "solver"))


def test_evaluate_can_drop_rows_with_missing_values(
    results: Path, penguins: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holed = penguins[:100].copy()
    holed.loc[holed.index[:3], "bill_length_mm"] = np.nan
    holed.to_csv(tmp_path / "holed.csv", index=False)
    call = ["evaluate", str(results), str(tmp_path / "holed.csv")]
    assert main(call) == 2
    assert "pass --drop-missing to leave out such rows" in capsys.readouterr().err
    assert main([*call, "--drop-missing"]) == 0
    shown = capsys.readouterr().out
    assert "97 observations" in shown
    assert "note: 3 rows with missing values were dropped" in shown
