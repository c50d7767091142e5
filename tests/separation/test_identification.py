"""Separation and rank: certified, never guessed; every direction is checked on the raw data."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

import bayes_softmax as bs
from bayes_softmax.fitting.sampling import prepare
from bayes_softmax.separation import recession
from bayes_softmax.separation.directions import recession_rays
from bayes_softmax.separation.examination import examine
from bayes_softmax.separation.limits import contrast_limits
from tests.conftest import simulate
from tests.printed import said

two_hundred = settings(max_examples=200, deadline=None, derandomize=True)
quarters = st.integers(-12, 12).map(lambda i: i / 4)


def smallest_and_largest_margin(found, X, y):
    """Of the direction per unit of the features, over observed pairs and all other classes."""
    logits = found.per_unit.loc["intercept"].to_numpy() + X @ found.per_unit.drop(index="intercept").to_numpy()
    margins = logits[np.arange(len(y)), y][:, None] - logits
    return margins.min(), margins.max()


# ---------------------------------------------------------------------- overlapping


@st.composite
def overlapping(draw):
    """Random rows, and a chain of classes: one point of each lies inside a simplex of points of the class before.

    A hyperplane that separates two classes cannot have a point of one inside the hull of the other, so the difference
    of their coefficients vanishes in every direction along which the likelihood never falls.
    """
    K, p, n = draw(st.integers(2, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 30))
    X, y = draw(arrays(float, (n, p), elements=quarters)), draw(arrays(int, n, elements=st.integers(0, K - 1)))
    points, labels = [X], [y]
    for k in range(K):
        corner, size = draw(arrays(float, p, elements=quarters)), draw(st.sampled_from([0.25, 1.0, 5.0]))
        simplex = corner + size * np.vstack([np.zeros(p), np.eye(p)])
        share = np.array(draw(st.lists(st.integers(1, 5), min_size=p + 1, max_size=p + 1)), dtype=float)
        points += [simplex, (share / share.sum() @ simplex)[None]]
        labels += [np.full(p + 1, k), [(k + 1) % K]]
    return np.vstack(points), np.concatenate(labels).astype(int)


@given(data=overlapping())
@two_hundred
def test_overlapping_data_are_never_flagged(data):
    found = bs.SoftmaxRegression(*data).check_separation()
    assert not found.separated
    assert found.features == found.pairs == found.rows == found.reasons == ()
    assert not found.direction.to_numpy().any()
    assert repr(found) == "the classes overlap: no direction separates them"


# ---------------------------------------------------------------------- separated


@st.composite
def separated(draw, ties):
    """Labels are the largest of linear logits; rows where two are equal are left out, or of either class."""
    K, p = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    X = draw(arrays(float, (draw(st.integers(12, 40)), p), elements=quarters))
    W = draw(arrays(float, (p, K), elements=st.integers(-3, 3).map(float)))
    logits = X @ W + draw(arrays(float, K, elements=st.integers(-3, 3).map(float)))
    ranked = np.sort(logits, axis=1)
    tied = ranked[:, -1] - ranked[:, -2] < 1e-9
    first, last = logits.argmax(axis=1), K - 1 - logits[:, ::-1].argmax(axis=1)
    y = np.where(tied & draw(arrays(bool, len(X))), last, first)
    keep = np.full(len(X), True) if ties else ~tied
    return X[keep], y[keep], logits[keep]


def usable(data):
    """At least two classes, columns that vary, and a row that is separated from a class that occurs."""
    X, y, logits = data
    if len(set(y)) < 2 or not (np.ptp(X, axis=0) > 0).all():
        return False
    seen = logits[:, sorted(set(y))]
    return bool((seen.max(axis=1) - seen.min(axis=1) > 1e-9).any())


@given(data=separated(ties=False).filter(usable))
@two_hundred
def test_separated_data_are_always_found(data):
    X, labels, _ = data
    y = np.unique(labels, return_inverse=True)[1]
    found = bs.SoftmaxRegression(X, y).check_separation()
    assert found.kind == "complete"
    lowest, highest = smallest_and_largest_margin(found, X, y)
    assert lowest > -1e-9
    assert highest > 1e-7
    assert len(found.pairs) == y.max() * (y.max() + 1) / 2
    assert found.n_separated == found.n_obs == len(y)


@given(data=separated(ties=True).filter(usable))
@two_hundred
def test_separation_with_ties_is_always_found(data):
    X, labels, _ = data
    y = np.unique(labels, return_inverse=True)[1]
    found = bs.SoftmaxRegression(X, y).check_separation()
    assert found.separated
    lowest, highest = smallest_and_largest_margin(found, X, y)
    assert lowest > -1e-8
    assert highest > 1e-7


# ---------------------------------------------------------------------- the cone against plain linear programs


def plain_cone(X, y, K):
    """All margins as rows of a dense matrix over ``vec(D)`` (q, K), raw features with a constant first."""
    Z = np.column_stack([np.ones(len(X)), X])
    rows = [
        np.outer(z, np.eye(K)[k] - np.eye(K)[l]).ravel() for z, k in zip(Z, y, strict=True) for l in range(K) if l != k
    ]
    return np.array(rows)


@given(data=separated(ties=True).filter(usable), extra=st.integers(0, 6), random=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_infinite_contrasts_are_those_of_plain_linear_programs(data, extra, random):
    """Every contrast of two classes, and of a class with the average, in every row: sign by two programs each."""
    X, labels, _ = data
    for _ in range(extra):  # some noise, so that other contrasts become finite
        X = np.vstack([X, X[random.randrange(len(X))]])
        labels = np.append(labels, random.choice(labels))
    y = np.unique(labels, return_inverse=True)[1]
    K, q = y.max() + 1, X.shape[1] + 1
    rays = recession_rays(examine(bs.SoftmaxRegression(X, y)._spec.design))
    A = plain_cone(X, y, K)
    contrasts = [np.eye(K)[k] - np.eye(K)[l] for k in range(K) for l in range(k)] + list(np.eye(K) - 1 / K)
    limits = contrast_limits(rays, np.array(contrasts).T)
    for j in range(q):
        for c, limit in zip(contrasts, limits[j], strict=True):
            target = np.outer(np.eye(q)[j], c).ravel()
            highest, lowest = (
                -sign * linprog(-sign * target, A_ub=-A, b_ub=np.zeros(len(A)), bounds=(-1, 1)).fun for sign in (1, -1)
            )
            signs = highest > 1e-6, lowest < -1e-6
            expected = {(False, False): 0.0, (True, False): np.inf, (False, True): -np.inf, (True, True): np.nan}[signs]
            np.testing.assert_equal(limit, expected)


@pytest.mark.parametrize("noise", [0.0, 0.02, 1.0])
def test_samples_and_descents_do_not_change_the_verdict(monkeypatch, noise):
    """3000 rows through the small first working set, through a descent, through pairs, and all at once."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(3000, 4))
    logits = X @ rng.normal(size=(4, 4))
    y = (logits + noise * rng.gumbel(size=logits.shape)).argmax(axis=1)
    dummy = rng.random(3000) < 0.01
    y[dummy] = 0
    verdicts = []
    for X_ in (X, np.column_stack([X, dummy])):
        for rows, many in ((10**6, 10**6), (10, 10**6), (10, 0), (10**6, 0)):
            monkeypatch.setattr(recession, "FIRST_ROWS", rows)
            monkeypatch.setattr(recession, "MANY_COEFFICIENTS", many)
            found = bs.SoftmaxRegression(X_, y).check_separation()
            verdicts.append((found.kind, found.features if found.kind == "quasi-complete" else None, found.pairs))
    assert len(set(verdicts[:4])) == len(set(verdicts[4:])) == 1
    kinds = {0.0: ("none", "complete"), 0.02: ("none", "quasi-complete"), 1.0: ("none", "quasi-complete")}[noise]
    assert (verdicts[0][0], verdicts[4][0]) == kinds


# ---------------------------------------------------------------------- forms of the data


X3, Y3 = simulate(120, 2, 3)


def test_offsets_do_not_matter_and_weight_zero_is_absence():
    rng = np.random.default_rng(0)
    separating = np.where(Y3 == 0, 2.0, -1.0) + 0.1 * rng.random(120)
    X = np.column_stack([X3, separating])
    for options in ({}, {"offset": 5 * rng.normal(size=(120, 3))}, {"weights": rng.uniform(0.1, 3, size=120)}):
        found = bs.SoftmaxRegression(X, Y3, **options).check_separation()
        assert found.pairs == ((0, 1), (0, 2))
        assert found.kind == "quasi-complete"
    contradicting = np.vstack([X, [[0, 0, 2.1]]]), np.append(Y3, 1)
    assert not bs.SoftmaxRegression(*contradicting).check_separation().separated
    weights = np.append(np.ones(120), 0.0)
    found = bs.SoftmaxRegression(*contradicting, weights=weights).check_separation()
    assert found.separated
    assert found.n_obs == 120
    assert 120 not in found.rows


def test_counts_are_rows():
    """Two classes in one row pin each other; a class that never shares a row is separated."""
    X = np.array([[0.0], [1.0], [2.0]])
    overlapping_counts = bs.SoftmaxRegression(X, np.array([[3, 1], [1, 2], [0, 4]])).check_separation()
    assert not overlapping_counts.separated
    found = bs.SoftmaxRegression(X, np.array([[3, 0], [1, 2], [0, 4]])).check_separation()
    assert found.kind == "quasi-complete"
    assert found.rows == (0, 2)
    assert np.sign(found.per_unit.loc["x0"].to_numpy()).tolist() == [-1, 1]


def test_without_an_intercept_the_line_goes_through_the_origin():
    """Separable by a threshold, but not at zero; a constant column stands in for the intercept."""
    x, y = np.array([[1.0], [2.0], [3.0], [4.0]]), ["a", "a", "b", "b"]
    assert bs.SoftmaxRegression(x, y).check_separation().kind == "complete"
    assert not bs.SoftmaxRegression(x, y, intercept=False).check_separation().separated
    with_constant = np.column_stack([np.full(4, 5.0), x])
    found = bs.SoftmaxRegression(with_constant, y, intercept=False).check_separation()
    assert found.kind == "complete"
    assert list(found.direction.index) == ["x0", "x1"]
    assert found.features == ("x0", "x1")


def test_units_do_not_matter():
    rng = np.random.default_rng(0)
    X = np.column_stack([X3, np.where(Y3 == 0, 2.0, -1.0) + 0.1 * rng.random(120)])
    plain = bs.SoftmaxRegression(X, Y3).check_separation()
    changed = bs.SoftmaxRegression(X * [1e-6, 1.0, 1e6] + [1.0, -300.0, 1e7], Y3).check_separation()
    assert (changed.kind, changed.pairs, changed.rows) == (plain.kind, plain.pairs, plain.rows)
    assert not bs.SoftmaxRegression(X3 * [1e-6, 1e6] + [1.0, 1e7], Y3).check_separation().separated


# ---------------------------------------------------------------------- names


@pytest.fixture(scope="module")
def clinic():
    """Two treatments; nobody on the new one died, and the ward determines the pair of dummies."""
    rng = np.random.default_rng(1)
    index = [f"patient {i}" for i in range(90)]
    new = rng.random(90) < 0.2
    outcome = np.where(new, rng.choice(["cured", "ill"], 90), rng.choice(["cured", "ill", "died"], 90))
    return pd.DataFrame({"outcome": outcome, "new": new * 1.0, "age": rng.normal(60, 10, 90)}, index=index)


def test_a_dummy_seen_with_some_classes_only_is_named_with_its_rows(clinic):
    found = bs.SoftmaxRegression.from_formula("outcome ~ new + age", clinic).check_separation()
    assert found.kind == "quasi-complete"
    assert found.features == ("new",)
    assert found.pairs == (("cured", "died"), ("died", "ill"))
    assert set(found.rows) <= set(clinic.index[clinic["new"] == 1])
    assert found.n_separated == clinic["new"].sum()
    assert found.direction.columns.name == "outcome"
    assert found.direction.loc["new"].idxmin() == "died"
    assert found.per_unit.drop(index="new").abs().max(axis=None) == 0
    assert said(found) == "quasi-complete separation: level 1 of 'new' (16 rows) was never observed with 'died'"


def test_collinear_columns_and_empty_classes_are_named_beside_the_rest(clinic):
    data = clinic.assign(months=12 * clinic["age"] + 3)
    with_class = {"classes": ["cured", "ill", "died", "moved"]}
    found = bs.SoftmaxRegression.from_formula("outcome ~ age + months", data, **with_class).check_separation()
    assert len(found.collinear) == 1
    assert set(found.collinear) < {"age", "months"}
    assert found.empty_classes == ("moved",)
    assert found.kind == "quasi-complete"  # "moved" is separated from every class, in every row
    assert "class 'moved' was declared but never observed" in said(found)
    assert "linear combinations of the others (collinear)" in said(found)
    assert repr(found).startswith("the classes that occur overlap: no direction separates them\n")
    only_collinear = bs.SoftmaxRegression.from_formula("outcome ~ age + months", data).check_separation()
    assert not only_collinear.separated
    assert only_collinear.kind == "none"


def test_iris_wine_and_penguins(penguins):
    from sklearn.datasets import load_iris, load_wine

    iris, wine = load_iris(as_frame=True), load_wine(as_frame=True)
    found = bs.SoftmaxRegression(iris.data, iris.target_names[iris.target]).check_separation()
    assert found.kind == "quasi-complete"
    assert found.pairs == (("setosa", "versicolor"), ("setosa", "virginica"))
    later = iris.target > 0
    assert not bs.SoftmaxRegression(iris.data[later], iris.target[later]).check_separation().separated
    assert bs.SoftmaxRegression(wine.data, wine.target).check_separation().kind == "complete"
    measures = "bill_length_mm + bill_depth_mm + flipper_length_mm + body_mass_g"
    expected = {
        f"species ~ {measures}": "complete",
        "species ~ bill_length_mm + sex": "none",
        "species ~ flipper_length_mm": "none",
        "species ~ island": "quasi-complete",  # Gentoo live on Biscoe only, Chinstrap on Dream
        "species ~ bill_length_mm + flipper_length_mm + island": "quasi-complete",
    }
    for formula, kind in expected.items():
        assert bs.SoftmaxRegression.from_formula(formula, penguins).check_separation().kind == kind, formula


def test_a_converged_mle_and_overlap_are_the_same_thing():
    """100 data sets at the brink: 8 to 40 rows, so that about half are separated; seed 0."""
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(100):
        n = int(rng.integers(8, 41))
        X = rng.normal(size=(n, 2))
        logits = 1.5 * X @ rng.normal(size=(2, 3))
        y = np.concatenate([np.arange(3), (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)[3:]])
        model = bs.SoftmaxRegression(X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bs.NotConvergedWarning)
            converged = model.mle().converged
        verdicts.append(model.check_separation().separated)
        assert converged != verdicts[-1]
    assert 20 < sum(verdicts) < 80


def plain_separates(X, y, columns, intercept=True):
    """Whether these columns alone tell all rows apart from every class, by one plain linear program."""
    Z = np.column_stack([np.ones(len(X)) * intercept, X[:, columns]])
    K = y.max() + 1
    A = np.array(
        [
            np.outer(z, np.eye(K)[k] - np.eye(K)[l]).ravel()
            for z, k in zip(Z, y, strict=True)
            for l in range(K)
            if l != k
        ]
    )
    return linprog(np.zeros(A.shape[1]), A_ub=-A, b_ub=-np.ones(len(A)), bounds=(None, None)).status == 0


@pytest.mark.parametrize(("p", "K"), [(9, 2), (9, 3), (150, 2)])
def test_one_column_that_separates_is_the_only_one_named(p, K):
    """Noise columns are not named, however many."""
    W = np.random.default_rng(1).normal(size=(200, p))
    y = np.digitize(W[:, 0], np.linspace(-0.5, 0.5, K - 1) if K > 2 else [0.0])
    found = bs.SoftmaxRegression(W, y).check_separation()
    assert found.kind == "complete"
    assert [name for name in found.features if name != "intercept"] == ["x0"]
    assert found.n_separated == 200
    lowest, _ = smallest_and_largest_margin(found, W, y)
    assert lowest >= -1e-9


def test_no_named_column_can_be_left_out():
    """40 completely separated data sets, seed 2: the named columns do, and none of them can be missed."""
    rng, sizes = np.random.default_rng(2), []
    while len(sizes) < 40:
        p, K, n = int(rng.integers(2, 7)), int(rng.integers(2, 4)), int(rng.integers(10, 40))
        X = rng.normal(size=(n, p)) * 10.0 ** rng.integers(-3, 4, size=p)
        scaled = X[:, : int(rng.integers(1, p + 1))] / X[:, : int(rng.integers(1, p + 1))].std(axis=0).max()
        y = np.unique((scaled @ rng.normal(size=(scaled.shape[1], K))).argmax(axis=1), return_inverse=True)[1]
        if y.max() == 0:
            continue
        found = bs.SoftmaxRegression(X, y).check_separation()
        assert found.kind == "complete"
        intercept = "intercept" in found.features
        columns = [int(name[1:]) for name in found.features if name != "intercept"]
        standardised = (X - X.mean(axis=0) * intercept) / X.std(axis=0)
        assert plain_separates(standardised, y, columns, intercept)
        for j in columns:
            assert not plain_separates(standardised, y, [c for c in columns if c != j], True)
        if intercept:
            assert not plain_separates(X / X.std(axis=0), y, columns, False)
        sizes.append(len(columns))
    assert len(set(sizes)) > 2


def test_a_quasi_complete_separation_names_what_it_needs():
    """Setosa by one measure; a flag beside noise; the direction has only these columns."""
    from sklearn.datasets import load_iris

    iris = load_iris(as_frame=True)
    found = bs.SoftmaxRegression(iris.data, iris.target_names[iris.target]).check_separation()
    assert len(found.features) == 2
    assert found.features[0] == "intercept"
    unused = found.direction.index.difference(list(found.features))
    assert not found.direction.loc[unused].to_numpy().any()


@pytest.mark.parametrize("others", [["a", "b"], ["a", "b", "never"], ["never", "a", "other", "b"]])
def test_an_empty_class_does_not_mix_with_the_separation_of_the_others(others):
    """Flag 1 is always "a", flag 0 is both: 20 of 40 rows, whatever classes are declared beside."""
    flag = np.tile([0.0, 1.0], 20)
    y = np.where(flag == 1, "a", np.where(np.arange(40) % 4 < 2, "a", "b"))
    found = bs.SoftmaxRegression(flag[:, None], y, ["flag"], classes=others).check_separation()
    assert (found.kind, found.features, found.n_separated) == ("quasi-complete", ("flag",), 20)
    assert found.empty_classes == tuple(c for c in others if c not in "ab")
    told = "level 1 of 'flag' (20 rows) was never observed with 'b'"
    assert told in said(found)
    logits = flag[:, None] * found.per_unit.loc["flag"].to_numpy() + found.per_unit.loc["intercept"].to_numpy()
    own = [others.index(c) for c in y]
    assert (logits[np.arange(40), own][:, None] - logits).min() >= -1e-12
    counts = np.array([[c == k for k in others] for c in y], dtype=float)
    same = bs.SoftmaxRegression(flag[:, None], pd.DataFrame(counts, columns=others), ["flag"]).check_separation()
    assert (same.features, same.n_separated, same.empty_classes) == (("flag",), 20, found.empty_classes)


def test_many_pairs_are_counted_not_listed():
    """26 classes in 20 groups: a message that can be read, and where all pairs are."""
    rng = np.random.default_rng(15)
    letters = [chr(65 + i) for i in range(26)]
    data = pd.DataFrame(
        {"g": rng.choice(20, 1500).astype(str), "y": rng.choice(letters, 1500, p=rng.dirichlet(np.ones(26)))}
    )
    model = bs.SoftmaxRegression.from_formula("y ~ g", data)
    found = model.check_separation()
    with pytest.warns(bs.NotConvergedWarning) as caught:
        model.mle()
    assert "'G', 'H', 'Q' (and 2 more); and 18 more such levels; model.check_separation() names more" in str(
        caught[0].message
    )
    assert len(str(caught[0].message)) < 520
    assert "and 13 more such levels" in said(found)  # printed, it names more
    assert len(found.levels) == 20


@pytest.mark.parametrize("weight", [1e-6, 1.0, 1e6, 1e9])
def test_weights_change_no_verdict(weight):
    """Multiplied by a constant, or with one heavy row: separation, rank and propriety are about what was observed."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = rng.integers(0, 3, 60)
    flag = np.column_stack([X, np.arange(60) < 6])
    collinear = np.column_stack([X, X.sum(axis=1)])
    apart = np.where(np.arange(60) < 6, 0, y)
    for weights in (np.full(60, weight), np.where(np.arange(60) == 30, weight, 1.0)):
        assert not bs.SoftmaxRegression(X, y, weights=weights).check_separation().reasons
        found = bs.SoftmaxRegression(flag, apart, weights=weights).check_separation()
        assert (found.features, found.n_separated) == (("x2",), 6)
        assert len(bs.SoftmaxRegression(collinear, y, weights=weights).check_separation().collinear) == 1


@pytest.mark.parametrize("weight", [1e-6, 1e6, 1e9])
@pytest.mark.parametrize("coding", ["zero-sum", "full"])
def test_a_solver_that_stops_does_not_make_a_posterior_improper(weight, coding):
    """A Laplace prior beside a flat intercept: proper, as the classes overlap, wherever a solver stops."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.integers(0, 3, 60)
    options = {"prior": bs.Laplace(1.0), "intercept_prior": bs.Flat(), "coding": coding}
    model = bs.SoftmaxRegression(X, y, weights=np.full(60, weight), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.NotConvergedWarning)  # the mode may be one
        prepare(model._spec)
    separated = bs.SoftmaxRegression(X, y, classes=[0, 1, 2, 3], weights=np.full(60, weight), **options)
    with pytest.raises(bs.ImproperPosteriorError, match="class 3 was declared but never observed"):
        prepare(separated._spec)


def test_rounding_of_a_column_far_from_zero_is_no_information():
    """2 x + 10^4 is a combination of x and a constant, to the digits that it has."""
    x = np.random.default_rng(0).normal(size=200)
    y = np.random.default_rng(1).integers(0, 3, 200)
    for shift in (0.0, 1e4, 1e8):
        found = bs.SoftmaxRegression(np.column_stack([x, 2 * x + shift]), y).check_separation()
        assert len(found.collinear) == 1
    apart = np.column_stack([x, 2 * x + 1e8 + 1e-3 * np.random.default_rng(2).normal(size=200)])
    assert not bs.SoftmaxRegression(apart, y).check_separation().collinear


def test_rows_are_named_as_in_the_data() -> None:
    """Labels of a cut index are plain numbers in a sentence."""
    X = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]}, index=pd.Index([4, 8, 15, 16]))
    found = bs.SoftmaxRegression(X, pd.Series(["a", "a", "b", "b"], index=X.index)).check_separation()
    assert "in 4 of 4 rows (4, 8, 15, 16)" in said(found)


def test_what_is_separated_in_some_rows_only_is_said_so(penguins) -> None:
    """Each two species share an island: that they were 'all separated' would promise a perfect prediction."""
    found = bs.SoftmaxRegression.from_formula("species ~ island", penguins).check_separation()
    assert said(found) == (
        "quasi-complete separation: level 'Biscoe' of 'island' (163 rows) was never observed with 'Chinstrap'; level "
        "'Dream' of 'island' (123 rows) was never observed with 'Gentoo'; level 'Torgersen' of 'island' (47 rows) was "
        "never observed with 'Chinstrap', 'Gentoo'"
    )
