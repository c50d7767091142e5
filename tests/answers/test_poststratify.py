"""Poststratification: against sums by hand over draws, differences for standard errors, and identities."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers import rows, shares
from bayes_softmax.answers.strata import Groups
from tests.conftest import simulate
from tests.inside import changed
from tests.nets import near_modes

CLASSES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    """People of two sexes, five ages and three regions, with choice sets and an offset by column."""
    rng = np.random.default_rng(3)
    X, codes = simulate(300, 2, 3, seed=5)
    frame = pd.DataFrame({"x": X[:, 0], "y": np.array(CLASSES)[codes], "sex": np.where(X[:, 1] > 0, "f", "m")})
    frame["age"] = rng.integers(5, size=300) * 10
    frame["region"] = pd.Categorical(rng.choice(["south", "north", "east"], 300), ["south", "east", "north", "west"])
    for k, name in enumerate(CLASSES):
        frame[f"o_{name}"] = rng.normal(size=300) * (k > 0)
        frame[f"on_{name}"] = (frame["y"] == name) | (rng.random(300) < 0.7) | (k == 0)
    return frame


@pytest.fixture(scope="module")
def model(survey) -> bs.SoftmaxRegression:
    options: dict[str, Any] = {"offset": [f"o_{c}" for c in CLASSES], "available": [f"on_{c}" for c in CLASSES]}
    return bs.SoftmaxRegression.from_formula("y ~ x * sex + poly(age, 2)", survey, **options)


@pytest.fixture(scope="module")
def post(model) -> bs.Posterior:
    return model.laplace(draws=300, random_seed=1, progressbar=False)


@pytest.fixture(scope="module")
def cells(survey) -> pd.DataFrame:
    n = np.random.default_rng(1).integers(4, size=300) * 1.5
    return survey.drop(columns="y").assign(n=n)


def by_hand(fit: bs.Posterior, cells: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
    """Shares (S, K) as a sum over cells."""
    P = fit.predict_draws(cells).values
    return np.einsum("n,sdnk->sdk", counts / counts.sum(), P).reshape(-1, P.shape[3])


def test_shares_are_weighted_sums_of_probabilities_in_every_draw(post, cells) -> None:
    """Overall, by a column that the model does not read, and by two columns, of which one is a number."""
    expected = by_hand(post, cells, cells["n"].to_numpy())
    table = post.poststratify(cells, ci_prob=0.8)
    assert list(table.columns) == ["mean", "sd", "eti80_lb", "eti80_ub"]
    assert table.index.equals(pd.Index(CLASSES, name="class"))
    assert_allclose(table["mean"], expected.mean(axis=0), rtol=1e-12)
    assert_allclose(table["sd"], expected.std(axis=0, ddof=1), rtol=1e-10)
    assert_allclose(table["eti80_ub"], np.quantile(expected, 0.9, axis=0), rtol=1e-12)
    regions = post.poststratify(cells, by="region")
    assert regions.index.unique("region").tolist() == ["south", "east", "north"]  # their own order; nobody is west
    both = post.poststratify(cells, by=["age", "sex"], ci_kind="hdi")
    assert both.index.names == ["age", "sex", "class"]
    for (age, sex), part in cells.groupby(["age", "sex"]):
        own = by_hand(post, part, part["n"].to_numpy())
        assert_allclose(both.loc[(age, sex), "mean"], own.mean(axis=0), rtol=1e-12)


def test_draws_of_shares_sum_to_one(post, cells) -> None:
    draws = post.poststratify(cells, by=["region", "sex"], draws=True)
    assert draws.dims == ("chain", "draw", "group", "category")
    assert_allclose(draws.sum("category"), 1.0, rtol=1e-14)
    assert draws["group"].values[0] == "region=south, sex=f"
    assert draws["region"].values.tolist() == ["south", "south", "east", "east", "north", "north"]
    part = cells[(cells["region"] == "east") & (cells["sex"] == "m")]
    found = draws.sel(group="region=east, sex=m").values.reshape(-1, 3)
    assert_allclose(found, by_hand(post, part, part["n"].to_numpy()), rtol=1e-11)
    whole = post.poststratify(cells, draws=True)
    assert whole.dims == ("chain", "draw", "category")
    assert_allclose(whole.values[0], by_hand(post, cells, cells["n"].to_numpy()), rtol=1e-11)


def test_a_population_like_the_sample_has_the_average_prediction(model, survey) -> None:
    """With one person in the cell of each row of the sample: and the maximum likelihood then has the sample's shares.

    An intercept for each class makes the average prediction equal the observed shares (without choice sets).
    """
    plain = bs.SoftmaxRegression.from_formula("y ~ x * sex", survey).mle()
    table = plain.poststratify(survey, count=np.ones(300))
    assert_allclose(table["estimate"], survey["y"].value_counts(normalize=True)[CLASSES], rtol=1e-8)
    fit = model.map()
    expected = fit.predict_proba(survey).to_numpy()
    assert_allclose(fit.poststratify(survey.assign(n=1))["estimate"], expected.mean(axis=0), rtol=1e-12)


def test_standard_errors_are_those_of_the_delta_method_by_differences(model, cells) -> None:
    fit = model.map()
    table = fit.poststratify(cells, by="sex", ci_prob=0.9)
    covariance = fit._fitted.raw_covariance
    q, K = covariance.shape[:2]
    jacobian, h = np.empty((len(table), q, K)), 1e-5
    for i, k in np.ndindex(q, K):
        ends = []
        for sign in (1, -1):
            values = {"intercept": fit.intercept.copy(deep=True), "weights": fit.weights.copy(deep=True)}
            target = values["intercept"] if i == 0 else values["weights"][i - 1]
            target[k] += sign * h
            ends.append(changed(fit, values=values).poststratify(cells, by="sex")["estimate"].to_numpy())
        jacobian[:, i, k] = (ends[0] - ends[1]) / (2 * h)
    J = jacobian.reshape(len(table), -1)
    variance = np.einsum("ij,jk,ik->i", J, covariance.reshape(q * K, -1), J)
    assert_allclose(table["std_error"], np.sqrt(variance), rtol=1e-6)
    p, logit = table["estimate"], np.log(table["estimate"] / (1 - table["estimate"]))
    half = 1.6448536269514722 * table["std_error"] / (p * (1 - p))
    assert_allclose(table["wald90_lb"], 1 / (1 + np.exp(half - logit)), rtol=1e-9)
    assert_allclose(table["wald90_ub"], 1 / (1 + np.exp(-half - logit)), rtol=1e-9)
    assert_allclose(table["estimate"].groupby("sex").sum(), 1.0, rtol=1e-14)


def test_draws_and_the_delta_method_agree(model, post, cells) -> None:
    """Of a posterior of 300 rows, near a normal one: sds within 20 %, of which 4 % is Monte Carlo error.  Seed 1."""
    map_, drawn = model.map().poststratify(cells, by="sex"), post.poststratify(cells, by="sex")
    assert_allclose(drawn["sd"], map_["std_error"], rtol=0.2)
    assert (np.abs(drawn["mean"] - map_["estimate"]) / map_["std_error"]).max() < 0.4


@pytest.mark.parametrize("kind", ["map", "laplace"])
def test_how_a_population_is_written_down_does_not_matter(model, post, cells, kind) -> None:
    """Cells in another order, in two parts, with empty ones beside them, and counts of another unit."""
    fit: Any = post if kind == "laplace" else model.map()
    table = fit.poststratify(cells, by="region")
    half = cells.assign(n=cells["n"] / 2)
    empty = cells.assign(n=0, x=1e3)
    for other in (
        cells.iloc[::-1],
        pd.concat([half, half]),
        pd.concat([cells, empty]),
        cells.assign(n=cells["n"] * 1e6),
    ):
        again = fit.poststratify(other.reset_index(drop=True), by="region")
        assert_allclose(again.to_numpy(), table.to_numpy(), rtol=1e-9)
    assert_allclose(fit.poststratify(cells, cells["n"].tolist(), "region").to_numpy(), table.to_numpy())


def test_blocks_and_parts_change_nothing(post, cells, monkeypatch) -> None:
    """Groups in parts of one to three, and their cells in blocks that end within a group."""
    by = ["region", "age"]
    table, draws = post.poststratify(cells, by=by), post.poststratify(cells, by=by, draws=True)
    for part, block in ((1, 7), (3, 5)):
        monkeypatch.setattr(shares, "PART_BYTES", part * 8 * 300 * 3)
        monkeypatch.setattr(rows, "BLOCK_BYTES", block * 8 * 300 * 3)
        assert_allclose(post.poststratify(cells, by=by).to_numpy(), table.to_numpy(), rtol=1e-11)
        assert_allclose(post.poststratify(cells, by=by, draws=True), draws, rtol=1e-11)


def test_networks_and_saved_fits_are_asked_alike(survey, tmp_path) -> None:
    """A network's draws have intervals, its estimate has none; a loaded fit gives the same shares."""
    X, cells = survey[["x", "age"]] / [1.0, 20.0], survey.assign(age=survey["age"] / 20, n=survey["age"] + 1.0)
    network = bs.SoftmaxRegression(X, survey["y"], logits=bs.MLP((3,)))
    post = near_modes(network, draws=10)
    assert_allclose(
        post.poststratify(cells)["mean"], by_hand(post, cells, cells["n"].to_numpy()).mean(axis=0), rtol=1e-12
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.NotConvergedWarning)
        table = network.map(random_seed=1).poststratify(cells)
    assert table[["std_error", "wald89_lb"]].isna().all(axis=None)
    assert "no intervals" in table.attrs["note"]
    assert_allclose(table["estimate"].sum(), 1.0)
    post.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(
        bs.load(tmp_path / "fit.nc").poststratify(cells, by="sex"), post.poststratify(cells, by="sex")
    )


def test_an_optimum_at_infinity_has_the_shares_of_its_limit(survey) -> None:
    """A level without one class: its share is 0 there without an interval, and part of the regular share elsewhere."""
    frame = survey[["y", "sex"]].assign(z=np.where(survey["y"] == "c", "r", np.where(survey["x"] > 0, "r", "s")))
    with pytest.warns(bs.NotConvergedWarning):
        fit = bs.SoftmaxRegression.from_formula("y ~ sex + z", frame).mle()
    with pytest.warns(bs.NotConvergedWarning, match="without a certified optimum"):
        table = fit.poststratify(frame.assign(n=1), by="z")
    certain = table.loc[("s", "c")]
    assert certain["estimate"] == 0
    assert certain[1:].isna().all()
    assert table.drop(("s", "c")).notna().all(axis=None)
    assert "certified" in table.attrs["note"]


def test_a_class_that_nobody_is_offered_has_the_share_zero(model, cells) -> None:
    table = model.map().poststratify(cells.assign(on_c=False))
    assert (table.loc["c"] == 0).all()
    alone = model.map().poststratify(cells.assign(on_b=False, on_c=False))
    assert alone.loc["a"].tolist() == [1, 0, 1, 1]


def test_what_cannot_be_a_population_is_refused(post, cells) -> None:
    wrong = {
        r"^count is 0 in the cells of age=10; a share needs": cells.assign(n=(cells["age"] != 10) * 1),
        r"^count: column 'n' is missing in row 7; counts are": cells.assign(n=cells["n"].where(cells.index != 7)),
        r"^count: column 'n' is negative \(-3\) in rows 0, 1": cells.assign(n=-3),
        r"^count: column 'n' is infinite in row": cells.assign(n=np.inf),
        r"^count: cells has no column 'n'; did you mean 'N'\?": cells.rename(columns={"n": "N"}),
        r"^cells: column 'sex' has level 'd' in row 0, which": cells.assign(sex=["d", *cells["sex"][1:]]),
        r"^cells has no column 'x'": cells.drop(columns="x"),
        r"^by: cells: column 'age' has a missing value in row 3; fill it, or leave out such cells": None,
    }
    for told, frame in wrong.items():
        by = "age"
        if frame is None:
            frame, by = cells.assign(old=cells["age"]).assign(age=0.0, g=cells["age"].where(cells.index != 3)), "g"
            told = told.replace("'age'", "'g'")
        with pytest.raises(ValueError, match=told):
            post.poststratify(frame, by=by)
    for frame, by, told in (
        (cells, "n", "by: 'n' is the column of counts"),
        (cells.assign(**{"class": 1}), "class", "by: 'class' is what the answer calls the classes; rename"),
        (cells, ["sex", "sex"], "by names 'sex' twice"),
        (cells, "Sex", "by: cells has no column 'Sex'; did you mean 'sex'"),
    ):
        with pytest.raises(ValueError, match=told):
            post.poststratify(frame, by=by)
    with pytest.raises(ValueError, match="count='x' is a variable of the model"):
        post.poststratify(cells, "x")


def test_groups_by_days_truth_values_and_values_without_an_order(post, cells) -> None:
    days = pd.Timestamp("2024-11-05") + pd.to_timedelta(np.arange(len(cells)) % 2, "D")
    table = post.poststratify(cells.assign(day=days, old=cells["age"] > 20), by=["day", "old"])
    assert table.index[0][:2] == (pd.Timestamp("2024-11-05"), False)
    mixed = pd.Series([days[0], "b", (1, 2)] * 100, dtype=object, index=cells.index)
    assert post.poststratify(cells.assign(g=mixed), by="g").index.unique("g").tolist() == [days[0], "b", (1, 2)]
    assert Groups(("old", "z"), [(True, 2.0)], np.zeros(1, dtype=np.int64)).name(0) == "old=True, z=2"
