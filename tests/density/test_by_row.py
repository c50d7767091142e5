"""The log-likelihood where the classes are nearly separated: a sum of logarithms of probabilities, at most zero."""

import warnings
from decimal import Decimal, localcontext

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.density.by_row import NEARLY_PERFECT
from tests.cases import build


@pytest.mark.parametrize("form", ["labels", "real weights", "counts", "offset", "available", "no intercept"])
def test_it_is_the_kernels_sum(form: str, monkeypatch) -> None:
    fit = build("normal", "default", "zero-sum", form).map()
    monkeypatch.setattr("bayes_softmax.density.by_row.NEARLY_PERFECT", np.inf)
    assert build("normal", "default", "zero-sum", form).map().log_likelihood == pytest.approx(
        fit.log_likelihood, rel=1e-12
    )


def separated(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes separated by a column of any size, far from zero or not."""
    rng = np.random.default_rng(seed)
    N, p, K = int(rng.integers(5, 200)), int(rng.integers(1, 6)), int(rng.integers(2, 5))
    X = rng.normal(size=(N, p)) * 10.0 ** rng.uniform(-3, 6, p) + 10.0 ** rng.uniform(-3, 6, p) * rng.integers(0, 2, p)
    return X, np.digitize(X[:, 0], np.quantile(X[:, 0], np.linspace(0, 1, K + 1)[1:-1]))


def test_it_is_never_above_zero() -> None:
    """Five of these 135 fits had log-likelihoods of up to 2e-10."""
    for seed in range(45):
        X, y = separated(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bs.NotConvergedWarning)
            fits = [
                bs.SoftmaxRegression(X, y).mle(),
                bs.SoftmaxRegression(X, y, prior=bs.Normal(1e6)).map(),
                bs.SoftmaxRegression(X, y, prior=bs.Normal(1e3), intercept_prior=bs.Flat()).map(),
            ]
        assert all(fit.log_likelihood <= 0 for fit in fits)


def test_near_zero_it_has_its_digits() -> None:
    """A log-likelihood of about -3e-5, in 50 digits from the estimate's own coefficients: 1e-9 relative."""
    x = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    y = (x > 0).astype(int)
    fit = bs.SoftmaxRegression(x[:, None], y, prior=bs.Normal(60.0), intercept_prior=bs.Normal(1.0)).map()
    assert -NEARLY_PERFECT * 6 < fit.log_likelihood < 0
    with localcontext(prec=50):
        b, w = (Decimal(float(a[1])) - Decimal(float(a[0])) for a in (fit.intercept.values, fit.weights.values[0]))
        margins = [(2 * int(k) - 1) * (b + w * Decimal(v)) for v, k in zip(x.tolist(), y, strict=True)]
        exact = -sum((1 + (-margin).exp()).ln() for margin in margins)
    assert fit.log_likelihood == pytest.approx(float(exact), rel=1e-9)
