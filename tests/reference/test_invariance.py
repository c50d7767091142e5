"""What must not matter does not: names and order of classes, order of rows, form of the data, units, coding.

Hypothesis draws small data sets; the answer of the changed problem must equal the original one to 1e-8.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import bayes_softmax as bs

CODINGS = ("zero-sum", "reference", "full")
PRIORS = {
    "default": {},
    "normal": {"prior": bs.Normal(1.5), "intercept_prior": bs.Normal(2.0)},
    "student": {"prior": bs.StudentT(7, 2.0), "intercept_prior": bs.Flat()},
}
NAMES = ("ash", "beech", "cedar", "elm")

property_test = settings(max_examples=25, deadline=None, derandomize=True)
every_prior = pytest.mark.parametrize("prior", PRIORS)
codings = st.sampled_from(CODINGS)
randoms = st.randoms(use_true_random=False)

# ---------------------------------------------------------------------- data


def features(n_rows, n_features):
    """Features in quarters, so that equal rows and two-valued columns occur; every column varies."""
    values = arrays(float, (n_rows, n_features), elements=st.integers(-12, 12).map(lambda i: i / 4))
    return values.filter(lambda X: bool((np.ptp(X, axis=0) > 0).all()))


@st.composite
def labelled(draw):
    """Features (N, p), labels (N,) in which each of K classes occurs, and K."""
    n_classes, n_features = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    n_more = draw(st.integers(2, 8))
    more = draw(st.lists(st.integers(0, n_classes - 1), min_size=n_more, max_size=n_more))
    y = np.array(draw(st.permutations([*range(n_classes), *more])))
    return draw(features(len(y), n_features)), y, n_classes


@st.composite
def counted(draw, least=0):
    """Features (N, p), counts (N, K) with at least one in each row and class, and K."""
    n_classes, n_features = draw(st.integers(2, 3)), draw(st.integers(1, 2))
    n_rows = draw(st.integers(4, 7))
    counts = draw(arrays(float, (n_rows, n_classes), elements=st.integers(least, 4).map(float)))
    counts[:n_classes] += np.eye(n_classes)
    counts[counts.sum(axis=1) == 0, 0] = 1.0
    return draw(features(n_rows, n_features)), counts, n_classes


def full_rank(data):
    """Whether the columns and the constant are well apart."""
    centred = data[0] - data[0].mean(axis=0)
    return bool(np.linalg.svd(centred / centred.std(axis=0), compute_uv=False)[-1] > 0.1)


def overlapping():
    """Data with a maximum-likelihood estimate: every class occurs at every point, and no column is redundant."""
    return counted(least=1).filter(full_rank)


def long_format(X, counts):
    """One row for each observation."""
    rows, classes = np.nonzero(counts)
    times = counts[rows, classes].astype(int)
    return np.repeat(X[rows], times, axis=0), np.repeat(classes, times)


def cells(X, counts):
    """One row for each point and class: features, labels, weights."""
    n_rows, n_classes = counts.shape
    return np.repeat(X, n_classes, axis=0), np.tile(np.arange(n_classes), n_rows), counts.ravel()


# ---------------------------------------------------------------------- answers


def map_probabilities(X, y, at, **options):
    """Class probabilities (len(at), K) at the MAP."""
    estimate = bs.SoftmaxRegression(X, y, **options).map()
    assert estimate.converged
    return estimate.predict_proba(at).to_numpy()


def assert_same(actual, expected):
    """Probabilities equal to 1e-8."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-8)


# ---------------------------------------------------------------------- classes


@every_prior
@given(data=labelled(), coding=st.sampled_from(["zero-sum", "full"]), random=randoms)
@property_test
def test_order_and_names_of_classes_do_not_matter(prior, data, coding, random):
    """Declaring the classes in another order, or giving them other names, permutes the MAP probabilities."""
    X, y, K = data
    order = random.sample(range(K), K)
    options = {"coding": coding, **PRIORS[prior]}
    expected = map_probabilities(X, y, X, **options)[:, order]
    assert_same(map_probabilities(X, y, X, classes=order, **options), expected)
    renamed = np.array(NAMES)[np.argsort(order)][y]
    assert_same(map_probabilities(X, renamed, X, **options), expected)


@every_prior
@given(data=labelled(), random=randoms)
@property_test
def test_order_of_classes_after_the_reference_does_not_matter(prior, data, random):
    """Under reference coding only the first class is special."""
    X, y, K = data
    order = [0, *random.sample(range(1, K), K - 1)]
    options = {"coding": "reference", **PRIORS[prior]}
    expected = map_probabilities(X, y, X, **options)[:, order]
    assert_same(map_probabilities(X, y, X, classes=order, **options), expected)


# ---------------------------------------------------------------------- rows


@every_prior
@given(data=labelled(), coding=codings, random=randoms)
@property_test
def test_order_of_rows_does_not_matter(prior, data, coding, random):
    """The likelihood is a sum."""
    X, y, _ = data
    order = random.sample(range(len(y)), len(y))
    options = {"coding": coding, **PRIORS[prior]}
    assert_same(map_probabilities(X[order], y[order], X, **options), map_probabilities(X, y, X, **options))


@every_prior
@given(data=labelled(), coding=codings, random=randoms)
@property_test
def test_weight_is_repetition(prior, data, coding, random):
    """Weight w is the row w times, in the likelihood and in what the default prior is scaled by."""
    X, y, _ = data
    weights = np.array([random.randint(1, 4) for _ in y])
    options = {"coding": coding, **PRIORS[prior]}
    expected = map_probabilities(np.repeat(X, weights, axis=0), np.repeat(y, weights), X, **options)
    assert_same(map_probabilities(X, y, X, weights=weights, **options), expected)


@every_prior
@given(data=labelled(), far=st.integers(2, 50))
@property_test
def test_weight_zero_is_absence(prior, data, far):
    """A row of weight zero says nothing, not even whether a rare dummy column has two values."""
    X, y, K = data
    X = np.column_stack([X, np.eye(len(X))[0]])
    options = {"classes": list(range(K)), **PRIORS[prior]}
    expected = map_probabilities(X, y, X, **options)
    with_row = np.vstack([X, np.full((1, X.shape[1]), float(far))]), np.append(y, 0)
    weights = np.append(np.ones(len(y)), 0.0)
    assert_same(map_probabilities(*with_row, X, weights=weights, **options), expected)


@every_prior
@given(data=counted(), far=st.integers(2, 50))
@property_test
def test_row_of_zero_counts_is_absence(prior, data, far):
    """A row in which nothing was counted says nothing."""
    X, counts, K = data
    expected = map_probabilities(X, counts, X, **PRIORS[prior])
    with_row = np.vstack([X, np.full((1, X.shape[1]), float(far))]), np.vstack([counts, np.zeros((1, K))])
    assert_same(map_probabilities(*with_row, X, **PRIORS[prior]), expected)


@every_prior
@given(data=counted(), coding=codings)
@property_test
def test_counts_are_weights_are_rows(prior, data, coding):
    """The same table as rows of counts, as cells with weights, and as one row for each observation."""
    X, counts, _ = data
    options = {"coding": coding, **PRIORS[prior]}
    expected = map_probabilities(*long_format(X, counts), X, **options)
    points, labels, weights = cells(X, counts)
    assert_same(map_probabilities(points, labels, X, weights=weights, **options), expected)
    assert_same(map_probabilities(X, counts, X, **options), expected)


@given(data=overlapping())
@property_test
def test_counts_are_weights_are_rows_for_the_mle(data):
    """Coefficients, standard errors and log-likelihood of the maximum-likelihood fit, in all three forms."""
    X, counts, _ = data
    points, labels, weights = cells(X, counts)
    first = bs.SoftmaxRegression(X, counts).mle()
    weighted = bs.SoftmaxRegression(points, labels, weights=weights).mle()
    for other in (weighted, bs.SoftmaxRegression(*long_format(X, counts)).mle()):
        np.testing.assert_allclose(other.summary(vs=0), first.summary(vs=0), rtol=1e-8, atol=1e-8)
        assert other.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-10)


def test_housing_in_weighted_and_repeated_rows(housing):
    """MASS ``housing``: 72 rows weighted by a named column, and 1681 rows."""
    formula = "Sat ~ Infl + Type + Cont"
    repeated = housing.loc[housing.index.repeat(housing["Freq"])].reset_index(drop=True)
    weighted = bs.SoftmaxRegression.from_formula(formula, housing, weights="Freq")
    rows = bs.SoftmaxRegression.from_formula(formula, repeated)
    for fit, expected in ((weighted.mle(), rows.mle()), (weighted.map(), rows.map())):
        np.testing.assert_allclose(fit.summary(vs="Low"), expected.summary(vs="Low"), rtol=1e-8, atol=1e-8)
        assert fit.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-9)


# ---------------------------------------------------------------------- units and coding


@given(
    data=labelled(),
    coding=codings,
    scale=st.floats(-3, 3).map(lambda exponent: 10.0**exponent),
    sign=st.sampled_from([-1.0, 1.0]),
    shift=st.floats(-100, 100),
)
@property_test
def test_units_do_not_matter_by_default(data, coding, scale, sign, shift):
    """The default prior moves with the features: other units and another origin, the same MAP probabilities."""
    X, y, _ = data
    changed = sign * scale * (X + shift)
    expected = map_probabilities(X, y, X, coding=coding)
    assert_same(map_probabilities(changed, y, changed, coding=coding), expected)


@given(data=overlapping())
@property_test
def test_coding_does_not_matter_for_the_mle(data):
    """Every coding has the same maximum-likelihood probabilities and log-likelihood."""
    X, counts, _ = data
    first, *others = (bs.SoftmaxRegression(X, counts, coding=coding).mle() for coding in CODINGS)
    for other in others:
        assert_same(other.predict_proba(X).to_numpy(), first.predict_proba(X).to_numpy())
        assert other.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-10)


@given(data=overlapping(), random=randoms)
@property_test
def test_summary_against_a_class_is_the_fit_with_that_reference(data, random):
    """``summary(vs=c)`` of the zero-sum flat fit, intervals included, without the refit coding would need."""
    X, counts, K = data
    flat = {"prior": bs.Flat(), "intercept_prior": bs.Flat()}
    reference = random.randrange(K)
    order = [reference, *(k for k in range(K) if k != reference)]
    view = bs.SoftmaxRegression(X, counts, **flat).map().summary(vs=reference)
    refit = bs.SoftmaxRegression(X, counts[:, order], classes=order, coding="reference", **flat).map().summary()
    assert list(view.index) == list(refit.index)
    np.testing.assert_allclose(view, refit, rtol=1e-8, atol=1e-8)
