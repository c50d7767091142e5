"""The scale chosen by the evidence: against quadrature, importance sampling, a dense grid, NUTS and the truth."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import dblquad, quad
from scipy.special import log_softmax
from scipy.stats import norm

import bayes_softmax as bs
from bayes_softmax.answers.seen import CHOSEN_SCALE
from bayes_softmax.answers.training import Cells
from bayes_softmax.fitting import evidence
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.evidence import EvidenceCurve
from bayes_softmax.fitting.problem import density_of, problem_of
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.spec.rescaled import with_chosen_scale
from bayes_softmax.spec.scale_choice import ScaleChoice
from tests.cases import CODINGS, FORMS, build
from tests.conftest import simulate


def scaled(model: bs.SoftmaxRegression, factor: float) -> bs.SoftmaxRegression:
    """The model with the scales of its weights multiplied."""
    other = type(model).__new__(type(model))
    other._spec = with_chosen_scale(model._spec, ScaleChoice({"weights": factor}, 0.0, 0.0, False, 1))
    return other


def curve_of(model: bs.SoftmaxRegression) -> Any:
    curve = EvidenceCurve(problem_of(model._spec).density)
    return lambda factor: curve(float(np.log(factor)))


def textbook_evidence(model: bs.SoftmaxRegression, factor: float) -> float:
    """The formula of the docstring, in all free coordinates of a density built anew."""
    density = density_of(scaled(model, factor)._spec)
    mode = solve(density, SolverOptions())
    sign, log_determinant = np.linalg.slogdet(density.hessian(mode.theta))
    assert mode.converged
    assert sign == 1
    at_mode = mode.value + 0.5 * density.dimension * np.log(2 * np.pi) - 0.5 * log_determinant
    return float(at_mode + density.coordinates.log_jacobian)


def known(n: int = 1500, p: int = 60, n_classes: int = 3, sd: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Data of weights drawn with a known sd."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, p))
    logits = X @ rng.normal(scale=sd, size=(p, n_classes))
    return X, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


# -------------------- the evidence itself


@pytest.mark.parametrize("factor", [0.1, 1.0, 5.0])
def test_evidence_of_one_weight_is_that_of_quadrature(factor: float) -> None:
    X, y = simulate(80, 1, 2)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(0.7), intercept=False)

    def likelihood(g: float) -> float:
        logits = X * g * np.array([1.0, -1.0]) / np.sqrt(2.0)  # either sign will do: the prior is symmetric
        found = max(log_softmax(logits, axis=1)[np.arange(80), y].sum(), -700.0)
        return float(np.exp(found + 40.0) * norm.pdf(g, scale=0.7 * factor))

    exact = np.log(quad(likelihood, -12, 12, points=[0], limit=200)[0]) - 40.0
    assert curve_of(model)(factor) == pytest.approx(exact, abs=0.02)  # the error of Laplace's approximation, O(1 / 80)


def test_evidence_of_intercept_and_weight_is_that_of_quadrature() -> None:
    X, y = simulate(80, 1, 2)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0), coding="reference")
    at = X[:, 0] - X[:, 0].mean()

    def integrand(b: float, w: float) -> float:
        logits = np.stack([np.zeros(80), b + at * w], axis=1)
        found = log_softmax(logits, axis=1)[np.arange(80), y].sum()
        return float(np.exp(found + 40.0) * norm.pdf(b, scale=1.5) * norm.pdf(w, scale=2.0))

    exact = np.log(dblquad(integrand, -4, 4, -4, 4, epsabs=1e-9)[0]) - 40.0
    assert curve_of(model)(2.0) == pytest.approx(exact, abs=0.04)


@pytest.mark.parametrize("prior", [bs.Normal(1.0), bs.StudentT(4, 1.0)], ids=str)
def test_evidence_is_that_of_importance_sampling(prior: Any) -> None:
    model = bs.SoftmaxRegression(*simulate(3000, 2, 3), prior=prior)
    curve = curve_of(model)
    for factor in (0.3, 1.0, 4.0):
        sampled = scaled(model, factor).laplace(4000, random_seed=1, progressbar=False)
        assert sampled.pareto_k < 0.5
        error = 4 / np.sqrt(sampled.ess) * 0.5  # of the log of a mean of weights whose sd is below one half
        assert curve(factor) == pytest.approx(sampled.log_evidence, abs=error + 0.02)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "intercept only"])
@pytest.mark.parametrize("coding", CODINGS)
def test_evidence_is_the_formula_in_every_form_and_coding(form: str, coding: str) -> None:
    intercepts = ("default",) if form == "no intercept" else ("default", "normal", "flat")
    for prior, intercept in zip(("default", "mixed", "normal"), intercepts, strict=False):
        model = build(prior, intercept, coding, form)
        curve = curve_of(model)
        for factor in (0.2, 1.0, 3.0):
            # Under full coding only the prior bends a constant added to all columns; on a feature of sd 1e6 by 1e-11
            # where rounding is 1e-15, so that the determinant has four digits.
            digits = 1e-4 if (form, coding) == ("tiny and huge", "full") else 1e-9
            assert curve(factor) == pytest.approx(textbook_evidence(model, factor), rel=digits)


def test_evidence_of_more_features_than_rows_is_that_in_all_coordinates() -> None:
    X, y = simulate(30, 50, 3)
    model = bs.SoftmaxRegression(X * np.logspace(-3, 3, 50), y)
    assert problem_of(model._spec).reduced is not None
    curve = curve_of(model)
    for factor in (0.1, 1.0, 10.0):
        assert curve(factor) == pytest.approx(textbook_evidence(model, factor), rel=1e-9)


# -------------------- its maximum


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prior": bs.StudentT(4, 0.1)},
        {"prior": {"x0": bs.Normal(0.1), "x1": bs.StudentT(3, 9.0)}},
        {"coding": "full"},
    ],
    ids=str,
)
def test_maximum_is_that_of_a_dense_grid(options: dict[str, Any]) -> None:
    model = bs.SoftmaxRegression(*simulate(200, 4, 3), **options)
    found = model.choose_prior_scale().chosen_scale
    assert found is not None
    factors = np.geomspace(0.01, 100, 161)
    values = [textbook_evidence(model, factor) for factor in factors]
    assert found.log_evidence >= max(values) - 1e-6
    assert found.factor == pytest.approx(factors[int(np.argmax(values))], rel=0.03)  # the spacing is 6 %
    assert found.log_evidence == pytest.approx(textbook_evidence(model, found.factor), abs=1e-6)
    assert found.log_evidence_as_given == pytest.approx(textbook_evidence(model, 1.0), abs=1e-6)
    slope = textbook_evidence(model, found.factor * 1.01) - textbook_evidence(model, found.factor / 1.01)
    assert abs(slope / (2 * np.log(1.01))) < 0.01


def test_exact_gradient_of_the_evidence_vanishes_by_nuts() -> None:
    """Fisher's identity: d log p(y | f) / d log f is the posterior mean of sum |g|^2 / (f s)^2, minus their number."""
    chosen = bs.SoftmaxRegression(*simulate(600, 5, 3), prior=bs.Normal(1.0)).choose_prior_scale()
    post = chosen.sample(draws=1000, chains=2, random_seed=1, progressbar=False)
    weights = post.idata["posterior"]["weights"].values.reshape(2000, -1)  # zero-sum: their norm is that of g
    terms = np.square(weights).sum(axis=1) / chosen._spec.priors.features.scale[0] ** 2 - 10
    # Its curvature is -2 per determined coordinate, about 20: 0.5 is 3 % of the scale; the Monte Carlo error is 0.05.
    assert abs(terms.mean()) < 0.5


def test_known_scale_is_recovered_and_a_wrong_sign_of_the_determinant_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = known()
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0))
    found = model.choose_prior_scale().chosen_scale
    assert found is not None
    error = 3 / np.sqrt(2 * 120)  # of the log sd of 120 weights, if they were observed
    assert abs(np.log(found.factor / 0.4)) < error
    right = evidence.laplace_log_evidence

    def planted(density: Any, mode: Any) -> float:
        return 2 * mode.value + density.dimension * float(np.log(2 * np.pi)) - right(density, mode)

    monkeypatch.setattr(evidence, "laplace_log_evidence", planted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.NotConvergedWarning)
        wrong = model.choose_prior_scale().chosen_scale
    assert wrong is not None
    assert abs(np.log(wrong.factor / 0.4)) > 10 * error


def test_the_higher_of_two_maxima_is_found() -> None:
    class Curve:
        def __init__(self) -> None:
            self.values: list[float] = []

        def __call__(self, x: float) -> float:
            self.values.append(float(np.exp(-((x - 3.3) ** 2)) + 1.001 * np.exp(-((x + 3.0) ** 2))))
            return self.values[-1]

        @property
        def best(self) -> Any:
            return evidence.Evaluation(0.0, None, max(self.values))  # type: ignore[arg-type]

    curve = Curve()
    values = np.array([curve(x) for x in evidence.GRID.tolist()])
    assert values[evidence.GRID < 0].max() < values[evidence.GRID > 0].max()  # the lower one looks higher there
    assert evidence._refine(curve, values) == 0  # type: ignore[arg-type]
    assert max(curve.values) == pytest.approx(1.001, abs=1e-6)


# -------------------- invariances


def test_units_labels_repetitions_and_the_scale_as_given_do_not_matter() -> None:
    X, y = simulate(120, 3, 3)
    w = np.random.default_rng(0).integers(1, 4, size=120)

    def factor(*args: Any, **options: Any) -> float:
        found = bs.SoftmaxRegression(*args, **options).choose_prior_scale().chosen_scale
        assert found is not None
        return found.factor

    usual = factor(X, y)
    assert factor(X * [1e-4, 1.0, 1e4] + 3.0, y) == pytest.approx(usual, rel=1e-3)
    assert factor(X, np.array(["z", "m", "a"])[y]) == pytest.approx(usual, rel=1e-3)
    assert factor(X, np.eye(3)[y]) == pytest.approx(usual, rel=1e-3)
    assert factor(X, y, weights=w) == pytest.approx(factor(np.repeat(X, w, axis=0), np.repeat(y, w)), rel=1e-3)
    assert 7 * factor(X, y, prior=bs.Normal(7.0)) == pytest.approx(factor(X, y, prior=bs.Normal(1.0)), rel=1e-3)


def test_chosen_again_it_stays_and_is_told_from_what_was_given() -> None:
    model = bs.SoftmaxRegression(*simulate(120, 3, 3))
    once = model.choose_prior_scale()
    twice = once.choose_prior_scale()
    assert once.chosen_scale is not None
    assert twice.chosen_scale is not None
    assert twice.chosen_scale.factor == pytest.approx(once.chosen_scale.factor, rel=1e-3)
    assert twice.chosen_scale.log_evidence_as_given == once.chosen_scale.log_evidence_as_given
    assert_allclose(twice._spec.priors.features.scale, once._spec.priors.features.scale, rtol=1e-3)


# -------------------- the model that is returned


def test_the_model_is_the_same_with_another_prior(tmp_path: Path) -> None:
    X, y = simulate(120, 3, 3)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(0.5), intercept_prior=bs.Normal(2.0))
    chosen = model.choose_prior_scale()
    assert model.chosen_scale is None
    assert chosen.chosen_scale is not None
    factor = chosen.chosen_scale.factor
    explicit = bs.SoftmaxRegression(X, y, prior=bs.Normal(0.5 * factor), intercept_prior=bs.Normal(2.0))
    assert type(chosen) is type(model)
    assert_allclose(chosen.map().weights, explicit.map().weights, atol=1e-9)
    assert chosen.map()._fitted.schema.prior_sd == pytest.approx(explicit.map()._fitted.schema.prior_sd)
    point = explicit.pymc_model.initial_point()
    point = {name: value + 0.1 * np.arange(value.size).reshape(value.shape) for name, value in point.items()}
    logps = [m.pymc_model.compile_logp(mode="FAST_COMPILE")(point) for m in (chosen, explicit, model)]
    assert logps[0] == pytest.approx(logps[1], abs=1e-8)
    assert abs(logps[0] - logps[2]) > 0.1
    note = f"the scales of the weights' priors were chosen from these data: {factor:.4g} times as given"
    assert note in str(chosen).replace("\n    ", " ")
    assert note in chosen.map().notes
    assert note not in chosen.mle().notes
    chosen.map().save(tmp_path / "map.nc")
    loaded = bs.load(tmp_path / "map.nc")
    assert note in loaded.notes
    assert loaded._fitted.schema.chosen_scale
    table = chosen.describe_prior()
    assert table["scale_from"].tolist()[1:] == [f"{factor:.4g} * 0.5"] * 3
    assert table.loc["x0", "prior"] == f"Normal({0.5 * factor:.4g})"
    assert f"multiplied by {factor:.4g}: chosen from these data" in table.attrs["formula"]


def test_flat_and_student_features_keep_their_families() -> None:
    X, y = simulate(120, 3, 3)
    chosen = bs.SoftmaxRegression(X, y, prior={"x0": bs.Flat(), "x1": bs.StudentT(4, 3.0)}).choose_prior_scale()
    assert chosen.chosen_scale is not None
    priors, f = chosen._spec.priors, chosen.chosen_scale.factor
    assert priors.weights[0] == bs.Flat()
    assert priors.weights[1] == bs.StudentT(4, 3.0 * f)
    assert chosen.describe_prior()["scale_from"].tolist()[1:3] == ["given", f"{f:.4g} * 3"]


def test_leave_one_out_says_that_the_scale_saw_all_rows(tmp_path: Path) -> None:
    model = bs.SoftmaxRegression(*simulate(400, 2, 3))
    post = model.choose_prior_scale().laplace(2000, random_seed=1, progressbar=False)
    post.save(tmp_path / "post.nc")
    for fit in (post, bs.load(tmp_path / "post.nc")):
        with pytest.warns(bs.NotReliableWarning, match=f"^{CHOSEN_SCALE}, those that are left out among them"):
            found = fit.loo()
        assert found.elpd_i.attrs["note"].startswith(CHOSEN_SCALE)
    untuned = model.laplace(2000, random_seed=1, progressbar=False)
    assert untuned.loo().elpd_i.attrs == {}
    with pytest.raises(ValueError, match=r"'tuned': the scale of the prior was chosen.*fit\.kfold\(\)"):
        bs.compare_models({"untuned": untuned, "tuned": post})


def test_k_fold_chooses_the_scale_again() -> None:
    X, y = simulate(200, 2, 3)
    chosen = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0), intercept=False).choose_prior_scale()
    half = with_cells(chosen._spec, Cells(np.arange(100), y[:100], np.ones(100)))
    alone = bs.SoftmaxRegression(X[:100], y[:100], prior=bs.Normal(1.0), intercept=False).choose_prior_scale()
    assert half.priors.choice is not None
    assert chosen.chosen_scale is not None
    assert alone.chosen_scale is not None
    assert half.priors.choice.factor == pytest.approx(alone.chosen_scale.factor, rel=1e-3)
    assert abs(half.priors.choice.factor / chosen.chosen_scale.factor - 1) > 0.01
    assert_allclose(half.priors.features.scale, half.priors.choice.factor)
    fold = chosen.laplace(400, random_seed=1, progressbar=False).kfold(k=4)
    assert "note" not in fold.elpd_i.attrs


def test_other_scales_along_the_path_were_not_chosen() -> None:
    chosen = bs.SoftmaxRegression(*simulate(120, 3, 3)).choose_prior_scale()
    path = chosen.map_path([0.5, 1])
    assert not any("chosen" in note for note in path[0.5].notes)
    assert any("chosen" in note for note in path[1.0].notes)


# -------------------- ends and refusals


def test_no_maximum_is_said() -> None:
    X = np.random.default_rng(0).normal(size=(120, 2))
    noise = bs.SoftmaxRegression(X, np.random.default_rng(1).integers(0, 3, size=120))
    with pytest.warns(
        bs.NotConvergedWarning, match=r"no maximum: .* smallest scale that was tried, 0.001 times as given"
    ):
        found = noise.choose_prior_scale()
    assert found.chosen_scale is not None
    assert found.chosen_scale.at_end
    assert "no maximum was found" in repr(found.chosen_scale).replace("\n    ", " ")
    X, y = simulate(120, 2, 3)
    with pytest.warns(bs.NotConvergedWarning, match="largest scale .* call it again on the result"):
        narrow = bs.SoftmaxRegression(X, y, prior=bs.Normal(1e-4)).choose_prior_scale()
    again = narrow.choose_prior_scale().chosen_scale
    usual = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0)).choose_prior_scale().chosen_scale
    assert again is not None
    assert usual is not None
    assert again.factor * 1e-4 == pytest.approx(usual.factor, rel=1e-3)
    assert not again.at_end


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (bs.Flat(), "are flat, so there is no scale"),
        (bs.Jeffreys(), r"are Jeffreys\(\), so there is no scale"),
        (bs.R2D2(), "R2D2.* learns its scale already"),
        ({"x0": bs.Normal(bs.HalfNormal(1))}, "HalfNormal.* learns its scale already"),
        ({"x0": bs.Laplace(1.0)}, "the prior of 'x0' has a kink at zero"),
    ],
    ids=str,
)
def test_priors_without_evidence_are_refused(prior: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        bs.SoftmaxRegression(*simulate(40, 2, 3), prior=prior).choose_prior_scale()


def test_models_without_evidence_are_refused() -> None:
    X, y = simulate(40, 2, 3)
    with pytest.raises(ValueError, match="the model has no features"):
        bs.SoftmaxRegression(X[:, :0], y).choose_prior_scale()
    separated = np.where(X[:, 0] > 0, X[:, 0] + 1, X[:, 0] - 1)
    with pytest.raises(bs.ImproperPosteriorError, match="the posterior is improper"):
        bs.SoftmaxRegression(
            np.stack([separated, X[:, 1]], axis=1), (X[:, 0] > 0).astype(int), prior={"x0": bs.Flat()}
        ).choose_prior_scale()
    many = np.random.default_rng(0).normal(size=(600, 520))
    with pytest.raises(ValueError, match=r"of 5731 free coefficients, and forms it up to 5000; choose the scale by"):
        bs.SoftmaxRegression(many, np.arange(600) % 12).choose_prior_scale()
