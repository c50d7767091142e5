"""Run as a program: the logistic family is put into the registry, before the kernel is compiled, and used.

Prints a JSON object that says of each check what went wrong, ``null`` where nothing did.  No code of the package is
changed, and the test cases get one row: what they say of every prior is then checked of this one.
"""

import json
import math
import sys
import traceback
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_softmax.spec.families import registry
from tests.density.logistic import Logistic, LogisticFamily

registry.FAMILIES.append(LogisticFamily)

import bayes_softmax as bs  # noqa: E402
from tests import cases, oracle  # noqa: E402
from tests.density import test_kernel, test_realisations  # noqa: E402
from tests.spec import test_log_prior, test_pymc_model  # noqa: E402

cases.PRIORS["logistic"] = Logistic(0.7)
MODELS = [
    ("logistic", "normal", "zero-sum", "labels"),
    ("logistic", "flat", "reference", "uncentred"),
    ("logistic", "default", "full", "labels"),
]
N = 4000


def density_by_quadrature(family: object, g: np.ndarray, *, spherical: bool) -> float:
    """The oracle's row, with SciPy's distribution and a normaliser by quadrature."""
    if not isinstance(family, Logistic):
        return known_rows(family, g, spherical=spherical)
    if not spherical:
        return float(stats.logistic.logpdf(g, scale=family.scale).sum())
    k, s = len(g), family.scale
    area = 2 * np.pi ** (k / 2) / np.exp(math.lgamma(k / 2))
    total = area * integrate.quad(lambda x: x ** (k - 1) / np.cosh(x / 2) ** 2, 0, 100, epsabs=1e-13)[0]
    return float(-2 * np.log(np.cosh(np.linalg.norm(g) / (2 * s))) - np.log(total) - k * np.log(s))


known_rows, oracle._row = oracle._row, density_by_quadrature


def of_every_coding(check: Callable[[tuple[str, str, str, str]], None]) -> Callable[[], None]:
    def run() -> None:
        for case in MODELS:
            check(case)

    return run


def estimates() -> None:
    for case in MODELS:
        model = cases.build(*case)
        found = model.map()
        assert found.converged, found.status
        density = model.log_density
        theta = density.coordinates.from_raw(found.intercept.to_numpy(), found.weights.to_numpy())
        assert np.abs(density.value_gradient(theta)[1]).max() < 1e-6 * density.total_weight
        np.testing.assert_allclose(found.log_posterior, density.value(theta), rtol=1e-9)
        np.testing.assert_allclose(
            found.log_posterior, oracle.log_posterior(model, found.intercept.to_numpy(), found.weights.to_numpy())
        )
        assert np.isfinite(found.std_error).all()
    assert cases.build(*MODELS[0]).mle().converged


def draws_from_the_prior() -> None:
    """Kolmogorov-Smirnov at 1e-4; seed 0."""
    reference = cases.build("logistic", "flat", "reference")
    row = LogisticFamily.draw(N, 1, 0.0, np.random.default_rng(0))[:, 0]
    assert stats.kstest(row, stats.logistic.cdf).pvalue > 1e-4
    for k in (1, 2, 5):
        drawn = LogisticFamily.draw(200_000, k, 0.0, np.random.default_rng(1))
        np.testing.assert_allclose(drawn.var(axis=0), LogisticFamily.variance(k, 0.0), rtol=0.03)
    model = cases.build("logistic", "normal", "zero-sum")
    prior = model.sample_prior(N, random_seed=2).idata["prior"]["weights"].to_numpy()[0]
    np.testing.assert_allclose(
        prior.std(axis=0), 0.7 * np.sqrt(LogisticFamily.variance(2, 0.0) * 2 / 3) * np.ones((3, 3)), rtol=0.06
    )
    assert reference._spec.schema.prior_sd[1] == 0.7 * LogisticFamily.variance(1, 0.0) ** 0.5
    import pymc as pm

    with model.pymc_model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pm.sample_prior_predictive(N, var_names=["weights"], random_seed=3)["prior"]["weights"].to_numpy()[0]
    for j in range(3):
        assert stats.ks_2samp(prior[:, j, 0], theirs[:, j, 0]).pvalue > 1e-4


def posteriors() -> None:
    """NUTS and the importance-corrected Laplace approximation agree, in means to a tenth of an sd; seeds 0."""
    for case in MODELS:
        model = cases.build(*case)
        sampled, corrected = model.sample(random_seed=0, progressbar=False), model.laplace(random_seed=0)
        a, b = (fit.idata["posterior"]["weights"] for fit in (sampled, corrected))
        spread = a.std(("chain", "draw"))
        assert float((np.abs(a.mean(("chain", "draw")) - b.mean(("chain", "draw"))) / spread).max()) < 0.15
        assert sampled.diagnostics.n_divergences == 0


def words() -> None:
    table = cases.build(*MODELS[0]).describe_prior()
    assert table.loc["x0", "prior"] == "Logistic(0.7)"
    assert np.isfinite(table.attrs["total_logit_sd"])
    mixed = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"], prior={"x0": Logistic(2.0)})
    assert mixed._spec.priors.weights == (Logistic(2.0),)
    with pytest.raises(TypeError, match="must be Normal, StudentT, Laplace, Flat, Logistic, Jeffreys"):
        bs.SoftmaxRegression([[0.0], [1.0]], ["a", "b"], prior="logistic")


CHECKS: dict[str, Callable[[], None]] = {
    "derivatives": of_every_coding(test_kernel.test_gradient_hessian_and_products),
    "many points": of_every_coding(test_kernel.test_many_points_at_once_equal_one_at_a_time),
    "realisations": of_every_coding(test_realisations.test_compiled_density_equals_pymc_model_and_oracle),
    "log prior": of_every_coding(test_log_prior.test_it_is_the_oracle_of_each_draw),
    "random variables": of_every_coding(test_pymc_model.test_posteriors_carry_every_random_variable),
    "estimates": estimates,
    "draws from the prior": draws_from_the_prior,
    "posteriors": posteriors,
    "words": words,
}


def what_went_wrong(check: Callable[[], None]) -> str | None:
    try:
        check()
    except Exception:
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    warnings.simplefilter("error")
    json.dump({name: what_went_wrong(check) for name, check in CHECKS.items()}, sys.stdout)
