"""Priors of group-level effects: exact draws from them, and what the table says of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import psi

import bayes_softmax as bs
from bayes_softmax.spec.from_prior import draws_from_prior, logits_from_prior
from bayes_softmax.spec.groups.logits import GroupLogits
from bayes_softmax.spec.groups.prior_draws import at_levels_of
from tests.spec.test_group_pymc import frame

DRAWS, LEVEL = 4000, 1e-4


def spec_of(terms: str, prior: bs.GroupNormal, coding: str = "zero-sum", **options):  # type: ignore[no-untyped-def]
    options |= {"coding": coding, "group_prior": prior}
    return bs.SoftmaxRegression.from_formula(f"y ~ x + {terms}", frame(), **options)._spec


@pytest.mark.parametrize("eta", [0.6, 3.0])
@pytest.mark.parametrize(("terms", "n"), [("(1 + x | g)", 6), ("(x || g)", 3)])
def test_correlations_are_of_the_lkj_distribution(eta: float, terms: str, n: int) -> None:
    """Each is 2 Beta(b, b) - 1, b = eta + n/2 - 1, independent of the others or not (seed 0; level 1e-4)."""
    drawn = draws_from_prior(spec_of(terms, bs.GroupNormal(None, bs.LKJ(eta))), DRAWS, np.random.default_rng(0))
    R, b = drawn["g_correlation"], eta + n / 2 - 1
    pairs = [(i, j) for i in range(6) for j in range(i) if n == 6 or i // 3 == j // 3]
    p = [stats.kstest((R[:, i, j] + 1) / 2, stats.beta(b, b).cdf).pvalue for i, j in pairs]
    assert min(p) > LEVEL / len(pairs)
    if n == 3:
        assert not R[:, :3, 3:].any()
    # E log det is that of independent partial correlations, which marginal moments alone would not show
    log_det = np.linalg.slogdet(R[:, :n, :n])[1]
    from_partial = sum((n - 1 - k) * _mean_log_rest(eta + (n - 2 - k) / 2) for k in range(n - 1))
    assert_allclose(log_det.mean(), from_partial, atol=5 * log_det.std() / np.sqrt(DRAWS))


def _mean_log_rest(b: float) -> float:
    """E log(1 - c^2) of c = 2 B - 1 with B ~ Beta(b, b): log 4 + 2 E log B."""
    return float(np.log(4.0) + 2.0 * (psi(b) - psi(2.0 * b)))


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("covariance", ["unstructured", "independent", "exchangeable"])
def test_effects_have_the_covariance_drawn_beside_them(coding: str, covariance: str) -> None:
    """Squared Mahalanobis distances of a level's contrasts are chi-squared (seed 0; level 1e-4)."""
    spec = spec_of("(1 + x | g)", bs.GroupNormal(bs.HalfNormal(0.7), covariance=covariance), coding)
    drawn = draws_from_prior(spec, DRAWS, np.random.default_rng(0))
    assert drawn["g"].shape == (DRAWS, 6, 2, 3)
    u, V = (drawn["g"][:, 2, :, 1:] - drawn["g"][:, 2, :, :1]).reshape(DRAWS, 4), drawn["g_covariance"]
    to = np.kron(np.eye(2), [[-1, 1, 0], [-1, 0, 1]])
    V = to @ V.reshape(DRAWS, 6, 6) @ to.T
    squared = np.einsum("si,si->s", u, np.linalg.solve(V, u[..., None])[..., 0])
    assert stats.kstest(squared, stats.chi2(4).cdf).pvalue > LEVEL
    p = stats.kstest(drawn["g_sd"][:, -1] / 0.7, stats.halfnorm.cdf).pvalue
    assert p > LEVEL
    assert drawn["g_sd"].shape[1] == {"exchangeable": 2, "unstructured": 6, "independent": 6}[covariance] - 2 * (
        coding == "reference" and covariance != "exchangeable"
    )


def test_the_table_has_rows_of_the_groupings_and_the_sd_of_a_logit() -> None:
    """The total is the root of a variance over draws and rows, known to 2 % (seed 0; over five standard errors)."""
    model = bs.SoftmaxRegression.from_formula(
        "y ~ x + (1 + x | g) + (1 | s)", frame(), group_prior={"g": bs.GroupNormal(bs.HalfNormal(0.5))}
    )
    table = model.describe_prior()
    assert table.loc["g[x]", ["prior", "scale_from"]].tolist() == ["GroupNormal(HalfNormal(0.5), LKJ(2))", "given"]
    assert table.loc["s[intercept]", ["measured", "scale_from"]].tolist() == ["over 4 levels", "default"]
    rms = np.sqrt(np.mean(frame().x ** 2))
    assert table.loc["g[x]", "logit_sd"] == pytest.approx(0.5 * rms)
    expected = 2.5**2 + 0.25 * (1 + rms**2) + 3 * 1.5**2
    assert table.attrs["total_logit_sd"] == pytest.approx(np.sqrt(expected))
    fixed = bs.GroupNormal(bs.HalfNormal(0.5))
    spec = spec_of("(1 + x | g)", fixed)
    X, _, _ = spec.design.encoded(np.arange(400))
    logits = logits_from_prior(spec, X, DRAWS, np.random.default_rng(0))
    total = np.sqrt(np.square(logits @ spec.coordinates.weights_contrast).mean())
    assert_allclose(total, np.sqrt(2.5**2 + 0.25 * (1 + rms**2)), rtol=0.02)


def test_draws_from_the_prior_are_a_posterior_without_data(tmp_path) -> None:
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g) + (x || s)", frame())
    prior = model.sample_prior(draws=50, random_seed=1)
    again = model.sample_prior(draws=50, random_seed=1)
    assert prior.idata["prior"].dataset.identical(again.idata["prior"].dataset)
    assert np.isfinite(prior.idata["sample_stats"]["log_prior"]).all()
    prior.save(tmp_path / "prior.nc")
    assert np.array_equal(bs.load(tmp_path / "prior.nc").predict_proba(frame()), prior.predict_proba(frame()))
    with pytest.raises(ValueError, match="from which nothing can be drawn"):
        bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", frame(), prior=bs.Flat()).sample_prior()


def test_pictures_draw_only_the_levels_of_their_rows() -> None:
    data = frame().assign(person=np.arange(400) // 2)
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | person)", data)
    logits, rows = model._spec.logits, model._spec.design.encoded(np.arange(300, 310))[0]
    assert isinstance(logits, GroupLogits)
    fewer, numbered = at_levels_of(logits, rows)
    assert fewer.shapes["person"] == (5, 2, 3)
    assert numbered[:, 1].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert rows[0, 1] == 150
    picture = bs.plots.prior(model, draws=200)
    texts = [text.get_text() for legend in picture.legends for text in legend.get_texts()]
    assert any("the same groups" in text for text in texts)
