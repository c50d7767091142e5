"""Group-level effects: what neither labels, references nor the form of the data change."""

import itertools

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose
from pymc.model.transform.conditioning import remove_value_transforms
from scipy.special import softmax

import bayes_softmax as bs
from bayes_softmax.core.records import FloatArray
from bayes_softmax.fitting.groups import grouped_density
from bayes_softmax.spec.groups.log_prior import hyperparameters
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.parameter_draws import random_variables_of_draws
from tests.density.test_groups_realisations import (
    COVARIANCES,
    POINTS,
    Points,
    build,
    compiled_values,
    of_factors,
    points,
    to_compiled_coordinates,
)

TERMS = ("(1 | s) + (1 + x | g)", "(x || g)")


def natural_values(model: bs.SoftmaxRegression, at: Points) -> FloatArray:
    """Log joint density of weights, effects, standard deviations and correlations."""
    grouped = grouped_density(model._spec)
    of_effects = sum(
        0.5 * own.grouping.n_levels * np.linalg.slogdet(own.free_covariance(at.h[own.name]))[1]
        for own in grouped.effects
    )
    to_h = to_compiled_coordinates(grouped, at) + of_effects
    return compiled_values(grouped, at) - to_h - of_factors(at, grouped)


def hyperparameters_of(own: GroupEffects, sds: FloatArray, R: FloatArray) -> FloatArray:
    """Hyperparameters (S, H) of standard deviations (S, n_sds) and correlations (S, n, n)."""
    h, factor = np.empty((len(sds), own.n_hyper)), np.linalg.cholesky(R)
    h[:, : own.n_sds] = np.log(sds)
    for i, j in np.argwhere(own.pair >= 0):
        left = 1 - np.square(factor[:, i, :j]).sum(axis=1)
        h[:, own.n_sds + own.pair[i, j]] = np.arctanh(factor[:, i, j] / np.sqrt(left))
    return h


def relabelled(model: bs.SoftmaxRegression, at: Points, order: list[int]) -> Points:
    """The same points of the model whose class k is class ``order[k]`` of the one that they were made for."""
    spec, S = model._spec, POINTS
    weights, intercept = at.parameters["weights"][..., order], at.parameters["intercept"][..., order]
    thetas = np.array([spec.coordinates.from_raw(b, W) for b, W in zip(intercept, weights, strict=True)])
    free, hs, hyper = {}, {}, {}
    for own in spec.groups:
        u = at.parameters[own.name][..., order] @ np.linalg.pinv(own.to_classes).T
        free[own.name] = u.reshape(S, -1, own.n_free)
        kept = order if own.n_columns == len(order) else [k - 1 for k in order[1:]]
        columns = (np.arange(own.n_terms)[:, None] * own.n_columns + kept).ravel()
        sds, R = at.hyper[f"{own.name}_sd"], at.hyper[f"{own.name}_correlation"]
        sds = sds if own.prior.covariance == "exchangeable" else sds[:, columns]
        hs[own.name] = hyperparameters_of(own, sds, R[:, columns][:, :, columns])
        hyper |= hyperparameters(own, hs[own.name])
    return Points(thetas, free, hs, at.parameters, hyper)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("terms", TERMS)
def test_the_order_of_classes_changes_no_density(covariance: str, terms: str) -> None:
    """All orders under zero-sum and full coding, all orders of the others under reference coding, to 1e-10."""
    for coding in ("zero-sum", "full", "reference"):
        model = build(coding, covariance, terms)
        at = points(model, grouped_density(model._spec))
        expected = np.diff(natural_values(model, at))
        orders = itertools.permutations(range(3)) if coding != "reference" else [(0, 2, 1)]
        for order in orders:
            other = build(coding, covariance, terms, order="".join("abc"[k] for k in order))
            found = natural_values(other, relabelled(other, at, list(order)))
            assert_allclose(np.diff(found), expected, rtol=1e-10)


def test_reference_coding_is_the_textbook_model() -> None:
    """PyMC's own model of correlated intercepts and slopes, written out; log densities differ by a constant."""
    model = build("reference", "unstructured", "(1 + x | g)")
    data, spec = model._spec.design, model._spec
    (own,) = spec.groups
    codes, scales = data.group_columns[:, 0].astype(int), [prior.scale for prior in own.scale_of_sd]
    n, G = 4, own.grouping.n_levels
    with pm.Model() as textbook:
        b = pm.Normal("b", 0.0, spec.priors.intercept.scale, shape=2)
        W = pm.Normal("W", 0.0, 1.5, shape=(1, 2))
        sd_dist = pm.HalfStudentT.dist(nu=3, sigma=np.array(scales), shape=n)
        chol, _, _ = pm.LKJCholeskyCov("chol", n=n, eta=1.7, sd_dist=sd_dist)
        z = pm.Normal("z", 0.0, 1.0, shape=(G, n))
        u = z @ chol.T
        x = data.X - spec.coordinates.centre
        eta = b + x @ W + u[codes, :2] + data.X * u[codes, 2:]
        pm.Categorical("y", logit_p=pt.concatenate([pt.zeros((len(x), 1)), eta], axis=1), observed=data.response.codes)
    at = points(model, grouped_density(spec))
    values = random_variables_of_draws(
        spec, *({k: v[None] for k, v in given.items()} for given in (at.parameters, at.hyper))
    )
    ours = remove_value_transforms(model.pymc_model)
    names = {ours.rvs_to_values[rv].name: rv.name for rv in ours.free_RVs}
    logp = ours.compile_fn(ours.logp(), inputs=ours.value_vars, mode="FAST_COMPILE")
    theirs = remove_value_transforms(textbook)
    their_logp = theirs.compile_fn(theirs.logp(), inputs=theirs.value_vars, mode="FAST_COMPILE")
    their_names = {theirs.rvs_to_values[rv].name: rv.name for rv in theirs.free_RVs}
    found, expected = [], []
    for i in range(POINTS):
        mine = {name: (values | {"weights": at.parameters["weights"][None]}).get(name) for name in names.values()}
        found.append(logp({value: mine[name][0, i] for value, name in names.items()}))
        sds, factor = at.hyper["g_sd"][i], values["g_correlation_factor"][0, i]
        own_values = {
            "b": (at.parameters["intercept"] + at.parameters["weights"][:, 0] * spec.coordinates.centre)[i, 1:],
            "W": at.parameters["weights"][i][:, 1:],
            "chol": (sds[:, None] * factor)[np.tril_indices(n)],
            "z": values["g_z"][0, i],
        }
        to_covariance = np.log(np.diagonal(factor)).sum() - np.arange(n) @ np.log(sds)
        expected.append(their_logp({value: own_values[name] for value, name in their_names.items()}) - to_covariance)
    assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9)


def test_weights_and_counts_equal_the_long_format() -> None:
    rng = np.random.default_rng(0)
    cells = pd.DataFrame({"x": rng.integers(0, 3, 40) * 1.0, "g": rng.integers(0, 5, 40)})
    counts = rng.multinomial(6, softmax(rng.normal(size=(40, 3)), axis=1))
    wide = cells.assign(a=counts[:, 0], b=counts[:, 1], c=counts[:, 2])
    long = pd.concat([cells.assign(y=k, n=counts[:, i]) for i, k in enumerate("abc")], ignore_index=True)
    rows = long.loc[long.index.repeat(long.n)].drop(columns="n").reset_index(drop=True)
    options = {
        "prior": bs.Normal(1.0),
        "intercept_prior": bs.Normal(1.0),
        "group_prior": bs.GroupNormal(bs.HalfNormal(1)),
    }
    models = [
        bs.SoftmaxRegression.from_formula("a + b + c ~ x + (1 + x | g)", wide, **options),
        bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | g)", long, weights="n", **options),
        bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | g)", rows, collapse=False, **options),
        bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | g)", rows, **options),
    ]
    at = points(models[0], grouped_density(models[0]._spec))
    values = [np.diff(compiled_values(grouped_density(model._spec), at)) for model in models]
    for other in values[1:]:
        assert_allclose(other, values[0], rtol=1e-11)


def test_nested_groupings_are_the_explicit_interaction() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"x": rng.normal(size=80), "g": rng.integers(0, 4, 80), "s": rng.choice(list("uv"), 80)})
    data["y"], data["both"] = rng.choice(list("abc"), 80), data.g.astype(str) + ":" + data.s
    nested = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g/s)", data)
    explicit = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g) + (1 | both)", data)
    assert nested._spec.groups[1].grouping.levels == explicit._spec.groups[1].grouping.levels
    at = points(nested, grouped_density(nested._spec))
    renamed = at._replace(free={**at.free, "both": at.free["g:s"]}, h={**at.h, "both": at.h["g:s"]})
    found = [compiled_values(grouped_density(m._spec), p) for m, p in ((nested, at), (explicit, renamed))]
    assert_allclose(found[0], found[1], rtol=1e-13)
