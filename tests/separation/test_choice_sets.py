"""Separation and rank where only some classes are on offer in a row, against plain programs and optimisation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog, minimize
from scipy.special import logsumexp

import bayes_softmax as bs
from bayes_softmax.data.collapse import collapse_rows
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.separation.diagnosis import check_separation, diagnose_separation
from bayes_softmax.separation.directions import open_directions, recession_rays
from bayes_softmax.separation.examination import examine
from bayes_softmax.separation.limits import contrast_limits
from tests.printed import said


def designed(X, y, available, **options):
    """A design with choice sets; ``y`` codes or counts, every class declared."""
    K = available.shape[1]
    labels = {} if np.ndim(y) == 2 else {"classes": list(range(K))}
    design = bs.SoftmaxRegression(X, y, collapse=False, constant="drop", **labels, **options)._spec.design
    return replace(design, available=available)


def random_case(rng):
    """Few rows with small whole features, so that ties, collinearity and loose choice sets are frequent."""
    n, K, p = int(rng.integers(3, 25)), int(rng.integers(2, 5)), int(rng.integers(0, 3))
    X = np.column_stack([rng.integers(-2, 3, size=(n, p)), rng.permutation(n) % 2]).astype(float)
    sets = rng.random((int(rng.integers(1, 6)), K)) < rng.uniform(0.3, 0.9)
    available = sets[rng.integers(len(sets), size=n)]
    y = rng.integers(0, K, size=n)
    available[np.arange(n), y] = True
    return X, y, available


def margins_matrix(X, y, available):
    """One row for each observed class and each other on offer, over ``vec(D)`` (q, K), with a constant first."""
    Z = np.column_stack([np.ones(len(X)), X])
    K = available.shape[1]
    rows = [
        np.outer(Z[n], np.eye(K)[y[n]] - np.eye(K)[l]).ravel()
        for n in range(len(X))
        for l in np.flatnonzero(available[n])
        if l != y[n]
    ]
    return np.array(rows).reshape(len(rows), Z.shape[1] * K)


def unseen_dimension(X, available):
    """Null directions of the information at equal probabilities, less those of a common shift of all classes."""
    Z = np.column_stack([np.ones(len(X)), X])
    K = available.shape[1]
    total = np.zeros((Z.shape[1] * K,) * 2)
    for z, a in zip(Z, available.astype(float), strict=True):
        total += np.kron(np.outer(z, z), np.diag(a / a.sum()) - np.outer(a, a) / a.sum() ** 2)
    return int((np.linalg.eigvalsh(total) < 1e-9).sum()) - Z.shape[1]


@pytest.mark.parametrize("seed", range(6))
def test_verdicts_are_those_of_plain_programs(seed):
    """300 random designs: separation by one linear program, unseen directions by eigenvalues."""
    rng, verdicts = np.random.default_rng(seed), []
    while len(verdicts) < 50:
        X, y, available = random_case(rng)
        if len(set(y)) < 2 or len(X) < 4:
            continue
        design = designed(X, y, available)
        found = examine(design)
        said = diagnose_separation(found)
        A = margins_matrix(design.X, y, available)
        best = 0.0
        if len(A):
            best = -linprog(-A.sum(axis=0), A_ub=-A, b_ub=np.zeros(len(A)), bounds=(-1, 1)).fun
        unseen = unseen_dimension(design.X, available)
        assert said.separated == (best > 1e-7)
        spanned = open_directions(found)[:, int(design.n_features == 0) :]
        if not len(found.cone.directions):
            assert np.linalg.matrix_rank(spanned.reshape(len(spanned), -1)) == unseen if len(spanned) else unseen == 0
        assert found.is_determined == (best <= 1e-7 and unseen == 0)
        assert found.is_determined == (not said.reasons)
        if said.separated:  # the direction is one, on the raw data
            logits = said.per_unit.to_numpy()
            values = A @ logits.ravel()
            assert values.min() > -1e-8
            assert values.max() > 1e-7
        verdicts.append((said.separated, unseen > 0))
    assert len(set(verdicts)) >= 3


def test_a_finite_optimum_exists_iff_nothing_is_open():
    """100 random designs, seed 7: from two starting points BFGS comes to the same place, or runs away."""
    rng, finite = np.random.default_rng(7), []
    while len(finite) < 100:
        X, y, available = random_case(rng)
        if len(X) < 12 or len(set(y)) < 2:
            continue
        design = designed(X, y, available)
        Z = np.column_stack([np.ones(len(X)), design.X])
        K, rows = available.shape[1], np.arange(len(X))

        def loss(flat, Z=Z, K=K, rows=rows, y=y, available=available):
            logits = np.where(available, Z @ np.insert(flat.reshape(-1, K - 1), 0, 0.0, axis=1), -np.inf)
            p = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
            p[rows, y] -= 1
            return logsumexp(logits, axis=1).sum() - logits[rows, y].sum(), (Z.T @ p)[:, 1:].ravel()

        ends = [
            minimize(loss, start, jac=True, options={"gtol": 1e-9, "maxiter": 2000}).x
            for start in (np.zeros(Z.shape[1] * (K - 1)), rng.normal(size=Z.shape[1] * (K - 1)))
        ]
        unique = bool(np.abs(ends[0] - ends[1]).max() < 1e-3 and np.abs(ends[0]).max() < 12)
        finite.append(unique)
        assert examine(design).is_determined == unique
    assert 10 < sum(finite) < 90


def test_contrasts_have_the_signs_of_plain_programs():
    """60 random designs, seed 11: every difference of two classes in every coefficient."""
    rng, n = np.random.default_rng(11), 0
    while n < 60:
        X, y, available = random_case(rng)
        if len(X) < 8 or len(set(y)) < 2:
            continue
        n += 1
        design = designed(X, y, available)
        A, K, q = margins_matrix(design.X, y, available), available.shape[1], design.n_features + 1
        contrasts = np.array([np.eye(K)[k] - np.eye(K)[l] for k in range(K) for l in range(k)])
        rays = recession_rays(examine(design))
        limits = contrast_limits(rays, contrasts.T)
        for j in range(q):
            for c, limit in zip(contrasts, limits[j], strict=True):
                target = np.outer(np.eye(q)[j], c).ravel()
                ends = [
                    linprog(-s * target, A_ub=-A, b_ub=np.zeros(len(A)), bounds=(-1, 1)).fun < -1e-6 for s in (1, -1)
                ]
                expected = {(0, 0): 0.0, (1, 0): np.inf, (0, 1): -np.inf, (1, 1): np.nan}[tuple(map(int, ends))]
                np.testing.assert_equal(limit, expected)


# ---------------------------------------------------------------------- in words


X = np.random.default_rng(3).normal(size=(240, 1))
HALVES = np.where(np.arange(240)[:, None] < 120, [True, True, False, False], [False, False, True, True])
CHOICES = np.where(np.arange(240) < 120, 0, 2) + np.random.default_rng(4).integers(0, 2, 240)


def test_choice_sets_that_do_not_connect_are_named():
    found = check_separation(designed(X, CHOICES, HALVES))
    assert found.unconnected == ((0, 1), (2, 3))
    assert not found.separated
    assert found.undetermined == found.never_offered == found.empty_classes == ()
    assert "the classes 0, 1; 2, 3 are never on offer together" in said(found)
    rays = recession_rays(examine(designed(X, CHOICES, HALVES)))
    limits = contrast_limits(rays, np.array([[1, -1, 0, 0], [0, 0, 1, -1], [1, 0, -1, 0], [0, 1, 0, -1]]).T)
    np.testing.assert_array_equal(limits, [[0, 0, np.nan, np.nan]] * 2)


def test_one_row_that_connects_them_settles_the_intercept_but_no_slope():
    joined = HALVES.copy()
    joined[:8] = True
    assert not check_separation(designed(X, CHOICES, joined)).unconnected
    y = CHOICES.copy()
    y[:8] = np.tile([0, 2, 1, 3], 2)
    same = X.copy()
    same[:8] = 0.5  # x does not vary where the groups meet
    found = check_separation(designed(same, y, joined))
    assert found.unconnected == ()
    assert found.undetermined == ("intercept", "x0")
    assert "the choice sets do not determine 'intercept', 'x0' for all classes" in said(found)
    assert examine(designed(X, y, joined)).is_determined


def test_a_class_never_on_offer_is_not_determined_and_one_never_chosen_falls():
    available = np.column_stack([np.ones((240, 2), dtype=bool), np.zeros(240, dtype=bool)])
    y = np.random.default_rng(5).integers(0, 2, 240)
    found = check_separation(designed(X, y, available))
    assert found.never_offered == (2,)
    assert found.empty_classes == found.unconnected == ()
    assert not found.separated
    assert "class 2 is never on offer beside another" in said(found)
    available[:50, 2] = True
    chosen_never = check_separation(designed(X, y, available))
    assert chosen_never.empty_classes == (2,)
    assert chosen_never.kind == "quasi-complete"
    assert repr(chosen_never).startswith("the classes that occur overlap")


def test_rows_of_one_class_on_offer_say_nothing():
    """They neither pin a class that is separated elsewhere, nor count as observations of it."""
    flag = np.tile([0.0, 1.0], 30)
    y = np.where(flag == 1, 0, np.arange(60) // 2 % 2)
    more, labels = np.concatenate([flag, np.ones(5)]), np.concatenate([y, np.ones(5, dtype=int)])
    available = np.ones((65, 2), dtype=bool)
    assert not check_separation(designed(more[:, None], labels, available)).separated
    available[60:, 0] = False
    found = check_separation(designed(more[:, None], labels, available))
    assert found.features == ("x0",)
    assert (found.n_separated, found.n_obs) == (30, 60)
    captive = np.ones((60, 3), dtype=bool)
    captive[:, 2] = False
    captive[:4] = [False, False, True]
    labels = np.append(np.full(4, 2), y[4:])
    assert check_separation(designed(flag[:, None], labels, captive)).never_offered == (2,)


def test_a_margin_over_a_class_that_is_not_on_offer_does_not_count():
    """Class 2 overlaps with 0 and 1 only in rows where it is on offer; elsewhere nothing is asked of it."""
    x = np.concatenate([np.linspace(-1, 1, 20), np.linspace(5, 6, 10)])[:, None]
    y = np.concatenate([np.arange(20) % 3, np.arange(10) % 2])
    available = np.ones((30, 3), dtype=bool)
    available[20:, 2] = False
    assert examine(designed(x, y, available)).is_determined
    y[20:] = 0
    assert examine(designed(x, y, available)).is_determined


@pytest.mark.parametrize("seed", range(3))
def test_collapsed_counts_give_the_same_verdict(seed):
    """Rows of one choice set and equal features as one row of counts."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        X, y, available = random_case(rng)
        if len(set(y)) < 2 or len(X) < 4:
            continue
        design = designed(X, y, available)
        key = np.column_stack([design.X, available])
        first, which = np.unique(key, axis=0, return_index=True, return_inverse=True)[1:]
        counts = np.zeros((len(first), design.n_classes))
        np.add.at(counts, (which.ravel(), y), 1.0)
        response = replace(design.response, codes=None, counts=counts)
        merged = replace(
            design, features=DenseFeatures(design.X[first]), response=response, index=first, available=available[first]
        )
        given, collapsed = diagnose_separation(examine(design)), diagnose_separation(examine(merged))
        for name in ("kind", "features", "pairs", "empty_classes", "never_offered", "unconnected", "undetermined"):
            assert getattr(given, name) == getattr(collapsed, name), name


def test_everything_on_offer_is_no_restriction():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(80, 2)), rng.random(80) < 0.1])
    y = np.where(X[:, 2] == 1, 0, rng.integers(0, 3, 80))
    plain = bs.SoftmaxRegression(X, y, collapse=False)._spec.design
    one, two = (check_separation(d) for d in (plain, replace(plain, available=np.ones((80, 3), dtype=bool))))
    assert repr(one) == repr(two)
    assert one.features == two.features == ("x2",)
    assert collapse_rows(plain) is None
