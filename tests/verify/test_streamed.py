"""A million rows in passes, with a feature that fifty of them have: the posterior is that of all rows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering

pytestmark = pytest.mark.verify
N, N_RARE, FRAME = 1_000_000, 50, 100_000


@pytest.fixture(scope="module", autouse=True)
def streaming() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "IN_MEMORY", 0)
        yield


@pytest.mark.parametrize("prior", [None, bs.StudentT(3, 1.0)])
def test_a_flag_in_fifty_of_a_million_rows(prior: bs.StudentT | None) -> None:
    # The same proposals with weights that differ by less than .015: means and quantiles move by less than .02 sds.
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(N, 3)), columns=list("abc")).assign(flag=0.0)
    data.loc[rng.choice(N, N_RARE, replace=False), "flag"] = 1.0
    effects = rng.normal(size=(4, 4))
    logits = data.to_numpy() @ effects + rng.gumbel(size=(N, 4))
    data["y"] = np.array(list("klmn"))[logits.argmax(axis=1)]
    frames = [data.iloc[start : start + FRAME] for start in range(0, N, FRAME)]
    model = bs.SoftmaxRegression.from_formula("y ~ a + b + c + flag", lambda: frames, prior=prior)
    assert model.map().converged
    assert model._spec.streamed is not None
    assert len(model._spec.streamed.log) <= 5
    few = model.sample(random_seed=1, progressbar=False)
    every = bs.SoftmaxRegression.from_formula("y ~ a + b + c + flag", data, prior=prior).sample(
        engine="independence", random_seed=1, progressbar=False
    )
    found, expected = (post.idata["posterior"]["weights"].values.reshape(4000, -1) for post in (few, every))
    sd = expected.std(axis=0)
    assert "subsampled" in few.engine
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) < 0.02 * sd).all()
    assert (np.abs(found.std(axis=0) / sd - 1) < 0.02).all()
    ends = (np.quantile(draws, [0.025, 0.975], axis=0) for draws in (found, expected))
    assert (np.abs(np.subtract(*ends)) < 0.1 * sd).all()
