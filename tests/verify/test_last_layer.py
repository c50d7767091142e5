"""The posterior of a network's last layer by our engines and by PyMC: the same probabilities, within Monte Carlo error.

Fifty differences are each compared with 4.5 of their standard errors: a false alarm once in three thousand seeds.
"""

import numpy as np
import pytest
from sklearn.datasets import make_moons

import bayes_softmax as bs

pytestmark = pytest.mark.verify

LIMIT = 4.5


def test_engines_agree_on_the_last_layer() -> None:
    X, y = make_moons(200, noise=0.3, random_state=0)
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=6, skip=True))
    at = np.random.default_rng(1).uniform(X.min(axis=0), X.max(axis=0), size=(50, 2))
    means, errors = {}, {}
    for engine in ("nuts", "independence", "pymc"):
        post = model.sample(layers="last", engine=engine, random_seed=1, progressbar=False)
        draws = post.predict_draws(at).values[..., 1]
        means[engine] = draws.mean(axis=(0, 1))
        errors[engine] = post._fitted.draw_quality(draws.reshape(-1, 50))["mcse_mean"].to_numpy()
    for engine in ("independence", "pymc"):
        error = np.hypot(errors["nuts"], errors[engine])
        assert (np.abs(means[engine] - means["nuts"]) < LIMIT * error).all()
        # The test would see an intercept that is off by a tenth of a logit.
        shifted = 1.0 / (1.0 + np.exp(-np.log(means[engine] / (1 - means[engine])) - 0.1))
        assert (np.abs(shifted - means["nuts"]) > LIMIT * error).any()
