"""Group-level effects: one specification, two realisations (PyMC model, compiled density), equal to each other."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pymc.model.transform.conditioning import remove_value_transforms
from scipy.special import softmax

import bayes_softmax as bs
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import add_log_hyperprior, correlation_factor, covariance_root
from bayes_softmax.density.groups.layout import ModelPoint
from bayes_softmax.fitting.groups import GroupedDensity, covariance_data, grouped_density
from bayes_softmax.spec.groups.log_prior import hyperparameters, log_hyperprior_draws
from bayes_softmax.spec.groups.pymc_variables import correlated_blocks
from bayes_softmax.spec.parameter_draws import random_variables_of_draws

CODINGS, COVARIANCES = ("zero-sum", "reference", "full"), ("unstructured", "independent", "exchangeable")
TERMS = ("(1 | g)", "(0 + x | g)", "(x || g)", "(1 | s) + (1 + x | g)", "(1 | g/s)", "(1 | g:s) + (0 + x | s)")
SCALES = (bs.HalfStudentT(3, 0.8), bs.HalfNormal(0.6), None)
FORMS = ("two classes", "counts", "weights", "offset", "available", "no intercept")
N, POINTS = 60, 3


def cases() -> list[tuple[str, str, str, str]]:
    """Coding x covariance, then coding x terms and the forms, with the others in turn."""
    crossed = [(c, v, "(1 + x | g)", "labels") for c in CODINGS for v in COVARIANCES]
    formulas = [(c, v, t, "labels") for t, (c, v) in zip(TERMS, itertools.product(CODINGS, COVARIANCES), strict=False)]
    nested = [("reference", "unstructured", t, "labels") for t in (TERMS[2], *TERMS[4:])]
    forms = [(c, "unstructured", "(1 + x | g)", f) for f, c in zip(FORMS, itertools.cycle(CODINGS), strict=False)]
    return [*crossed, *formulas, *nested, *forms]


def build(coding: str, covariance: str, terms: str, form: str = "labels", order: str = "abc") -> bs.SoftmaxRegression:
    """A model of 60 rows, 5 and 4 levels and 3 classes, varied by ``form``."""
    rng = np.random.default_rng(3)
    K = 2 if form == "two classes" else 3
    data = pd.DataFrame({"x": rng.normal(size=N), "g": rng.integers(0, 5, N), "s": rng.choice(list("uvwz"), N)})
    eta = rng.normal(size=(5, 3))[data.g] + np.outer(data.x, [0.0, 0.5, -1.0])
    codes = np.array([rng.choice(K, p=softmax(row[:K])) for row in eta])
    data["y"] = np.array(list("abc"))[codes]
    scale = SCALES[len(terms + form) % 3]
    options: dict[str, object] = {"coding": coding, "classes": list(order[:K]), "prior": bs.Normal(1.5)}
    options["group_prior"] = bs.GroupNormal(scale, bs.LKJ(1.7), covariance)
    response = "y"
    if form == "counts":
        response = "n_a + n_b + n_c"
        for name in "abc":
            data[f"n_{name}"] = rng.integers(0, 4, N)
        options["classes"] = None
    elif form == "weights":
        options["weights"] = rng.uniform(0.2, 3.0, N)
    elif form == "offset":
        options["offset"] = rng.normal(size=(N, K))
    elif form == "available":
        options["available"] = rng.random((N, K)) < 0.6
        options["available"][np.arange(N), codes] = True  # type: ignore[index]
    fixed = "0 + x" if form == "no intercept" else "x"
    return bs.SoftmaxRegression.from_formula(f"{response} ~ {fixed} + {terms}", data, **options)


class Points(NamedTuple):
    """Points of a model, as the compiled density takes them, and the values of the pm.Model's random variables."""

    thetas: FloatArray
    free: dict[str, FloatArray]
    h: dict[str, FloatArray]
    parameters: dict[str, FloatArray]
    hyper: dict[str, FloatArray]


def points(model: bs.SoftmaxRegression, grouped: GroupedDensity) -> Points:
    """Random ones; with full coding effects sum to zero, as the random variables of draws do."""
    spec, rng = model._spec, np.random.default_rng(1)
    thetas = rng.normal(size=(POINTS, spec.coordinates.dimension))
    parameters, free, hs, hyper = dict(spec.coordinates.to_parameters(thetas)), {}, {}, {}
    for own in grouped.effects:
        h = 0.5 * rng.normal(size=(POINTS, own.n_hyper))
        u = rng.normal(size=(POINTS, own.grouping.n_levels, own.n_terms, own.contrast.shape[1]))
        if own.coding == "full":
            u -= u.mean(axis=-1, keepdims=True)
        free[own.name], hs[own.name] = u.reshape(POINTS, -1, own.n_free), h
        parameters[own.name] = own.effects(free[own.name])
        parameters[own.covariance_name] = own.covariance(h)
        hyper |= hyperparameters(own, h)
    return Points(thetas, free, hs, parameters, hyper)


def compiled_values(grouped: GroupedDensity, at: Points) -> FloatArray:
    """Log joint density of weights, effects and hyperparameters ``h``."""
    values = np.empty(POINTS)
    for i in range(POINTS):
        others = [at.free[own.name][i].ravel() for own in grouped.effects[1:]]
        common = np.concatenate([at.thetas[i], *others])
        h = np.concatenate([at.h[own.name][i] for own in grouped.effects])
        values[i] = grouped.density.log_conditional(ModelPoint(common, at.free[grouped.effects[0].name][i], h))
        for own in grouped.effects:
            values[i] += add_log_hyperprior(covariance_data(own), at.h[own.name][i], np.zeros(own.n_hyper))
    return values


def to_compiled_coordinates(grouped: GroupedDensity, at: Points) -> FloatArray:
    """What the log density of z, standard deviations and Cholesky factors gains by the change to u and h."""
    gain = np.zeros(POINTS)
    for own in grouped.effects:
        h = at.h[own.name]
        gain -= own.grouping.n_levels * 0.5 * np.linalg.slogdet(own.free_covariance(h))[1]
        gain += h[:, : own.n_sds].sum(axis=1)
        for i in range(len(own.pair)):  # an entry of the factor is c sqrt(left), and depends on entries before it
            left = np.ones(POINTS)
            for place in own.pair[i][own.pair[i] >= 0]:
                rest = 1 - np.tanh(h[:, own.n_sds + place]) ** 2
                gain += 0.5 * np.log(left) + np.log(rest)
                left = left * rest
    return gain


@pytest.mark.parametrize("case", cases(), ids=" / ".join)
def test_log_densities_are_equal(case: tuple[str, str, str, str]) -> None:
    """Differences between points, to 1e-9 relative; effects and covariances too; and the normalised hyperprior."""
    model = build(*case)
    grouped = grouped_density(model._spec)
    at = points(model, grouped)
    one_chain = ({name: v[None] for name, v in given.items()} for given in (at.parameters, at.hyper))
    values = random_variables_of_draws(model._spec, *one_chain) | {n: v[None] for n, v in at.parameters.items()}
    plain = remove_value_transforms(model.pymc_model)
    names = {plain.rvs_to_values[rv].name: rv.name for rv in plain.free_RVs}
    derived = [name for name in at.parameters if name in plain.named_vars]
    log_hyper = plain.logp([rv for rv in plain.free_RVs if rv.name.endswith(("_sd", *"0123456789", "_factor"))])
    outputs = [plain.logp(), log_hyper, *plain.replace_rvs_by_values([plain[name] for name in derived])]
    compute = plain.compile_fn(outputs, inputs=plain.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    found = [compute({value: values[name][0, i] for value, name in names.items()}) for i in range(POINTS)]
    pymc = np.array([float(own[0]) for own in found]) + to_compiled_coordinates(grouped, at)
    ours = compiled_values(grouped, at)
    assert_allclose(np.diff(pymc), np.diff(ours), rtol=1e-9, atol=1e-9)
    for place, name in enumerate(derived):
        assert_allclose([own[2 + place] for own in found], at.parameters[name], atol=1e-9)
    normalised = log_hyperprior_draws(grouped.effects, at.hyper) + of_factors(at, grouped)
    assert_allclose([own[1] for own in found], normalised)


def of_factors(at: Points, grouped: GroupedDensity) -> FloatArray:
    """What the log density of correlations gains by the change to their Cholesky factors."""
    gain = np.zeros(POINTS)
    for own in grouped.effects:
        for members in correlated_blocks(own).values():
            R = at.hyper[f"{own.name}_correlation"][:, members[:, None], members]
            diagonal = np.diagonal(np.linalg.cholesky(R), axis1=1, axis2=2)
            gain += np.log(diagonal) @ np.arange(len(members) - 1, -1, -1)
    return gain


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("terms", ["(1 + x | g)", "(x || g)"])
def test_covariances_in_numpy_equal_the_compiled_ones(coding: str, terms: str) -> None:
    for covariance in COVARIANCES:
        (own,) = build(coding, covariance, terms)._spec.groups
        cov, h = covariance_data(own), 0.7 * np.random.default_rng(0).normal(size=own.n_hyper)
        n, m = own.mapping.shape
        R, root = np.empty((n, n)), np.empty((m, n))
        covariance_root(cov, h, R, root)
        assert_allclose(root @ root.T, own.free_covariance(h), rtol=1e-13, atol=1e-14)
        correlation_factor(cov, h, R)
        assert_allclose(R, own.correlation_factor(h), rtol=1e-14, atol=1e-15)
