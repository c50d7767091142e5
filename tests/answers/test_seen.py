"""What is the same in all draws saw the row that is left out: leave-one-out says so, and is not compared."""

import pickle
from pathlib import Path

import pytest

import bayes_softmax as bs
from tests.conftest import simulate
from tests.inside import changed

HELD = "the hidden layers are held at a mode of all rows"


@pytest.fixture(scope="module")
def posterior() -> bs.Posterior:
    model = bs.SoftmaxRegression(*simulate(300, 2, 3))
    return model.laplace(1000, random_seed=1, progressbar=False)


def test_leave_one_out_says_what_saw_the_row_that_is_left_out(posterior, tmp_path) -> None:
    held = changed(posterior, seen=HELD)
    held.save(tmp_path / "held.nc")
    held.save(tmp_path / "held.zarr")
    copies = bs.load(tmp_path / "held.nc"), bs.load(tmp_path / "held.zarr"), pickle.loads(pickle.dumps(held))
    for fit in (held, *copies):
        for ask in (fit.loo, lambda fit=fit: fit.loo(by="row"), lambda fit=fit: fit.evaluate(loo=True)):
            with pytest.warns(bs.NotReliableWarning, match=f"^{HELD}, those that are left out among them"):
                found = ask()
        with pytest.warns(bs.NotReliableWarning):
            found = fit.loo()
        assert found.elpd_i.attrs["note"].endswith("kfold() fits everything again without them")
        assert found.elpd == posterior.loo().elpd


def test_it_is_not_compared_with_what_did_not_see_it(posterior) -> None:
    held = changed(posterior, seen=HELD)
    with pytest.raises(ValueError, match=rf"^'held': {HELD}.*leave-one-out is optimistic.*fit.kfold\(\)"):
        bs.compare_models({"free": posterior, "held": held})
    scores = {"free": posterior.kfold(k=2), "held": held.kfold(k=2)}
    assert bs.compare_models(scores).shape[0] == 2


@pytest.mark.parametrize("name", ["v1_posterior.nc", "v2_posterior.nc"])
def test_a_file_of_an_older_version_saw_nothing(name: str) -> None:
    assert bs.load(Path(__file__).parents[1] / "fits" / "saved" / name)._fitted.record.seen == ""
