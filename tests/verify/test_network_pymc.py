"""The posterior of all weights of a network by our NUTS and by PyMC's, from the same starting points.

Class probabilities at some fifty points, of all four chains together and of each chain, against their Monte Carlo
errors.  Of the k differences the largest is above its limit, the normal quantile of 0.0005 / k, in one of a thousand
runs.
"""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons

import bayes_softmax as bs
from bayes_softmax.answers.diagnostics import convergence_table

pytestmark = pytest.mark.verify


def penguins() -> tuple[bs.SoftmaxRegression, np.ndarray]:
    """Two features, two hidden units, three species."""
    data = bs.datasets.load_penguins().dropna()
    names = ["bill_length_mm", "bill_depth_mm"]
    model = bs.SoftmaxRegression(data[names], data["species"], logits=bs.MLP(hidden=2))
    return model, data[names].to_numpy()[::7][:50]


def moons() -> tuple[bs.SoftmaxRegression, np.ndarray]:
    """Ten hidden units, and rows that were not fitted."""
    X, y = make_moons(400, noise=0.3, random_state=0)
    return bs.SoftmaxRegression(X[::2], y[::2], logits=bs.MLP(hidden=10)), X[1:101:2]


def deviations(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Differences of means over their standard errors, of draws (chain, draw, m)."""
    errors = [convergence_table(draws)["mcse_mean"].to_numpy() for draws in (ours, theirs)]
    found: np.ndarray = np.abs(ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))) / np.hypot(*errors)
    return found


@pytest.mark.parametrize("case", [penguins, moons], ids=["penguins", "moons"])
def test_both_samplers_draw_one_posterior(case) -> None:
    model, X = case()
    settings = {"chains": 4, "layers": "all", "random_seed": 1, "progressbar": False}
    ours = model.sample(2000, **settings).predict_draws(X).values[..., 1:].reshape(4, 2000, -1)
    theirs = model.sample(1000, engine="pymc", **settings).predict_draws(X).values[..., 1:].reshape(4, 1000, -1)
    together = deviations(ours, theirs)
    assert together.max() < stats.norm.isf(0.0005 / together.size)
    by_chain = np.array([deviations(ours[[chain]], theirs[[chain]]) for chain in range(4)])
    assert by_chain.max() < stats.norm.isf(0.0005 / by_chain.size)
