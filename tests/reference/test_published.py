"""Maximum-likelihood fits against published tables.

Each case carries two sets of digits: the *published* ones, as printed by R's ``nnet::multinom`` (whose
quasi-Newton search stops about 1e-4 standard errors from the optimum), and the *exact* ones of the same model,
recomputed by an independent Newton iteration to 1e-14 and kept to eight digits.
"""

from typing import NamedTuple

import numpy as np
import pytest
import statsmodels.api as sm

import bayes_softmax as bs


class Table(NamedTuple):
    """A published fit; a tuple of numbers has the order of ``features``; one tuple per class of ``others``."""

    formula: str
    weights: str | None
    base: str
    others: tuple[str, ...]
    features: tuple[str, ...]
    published: tuple[tuple[float, ...], ...]
    exact: tuple[tuple[float, ...], ...]
    std_error: tuple[tuple[float, ...], ...]
    log_likelihood: float


TABLES = {
    # UCLA Statistical Consulting Group, "Multinomial logistic regression, R data analysis examples".
    "hsb2": Table(
        formula="prog ~ ses + write",
        weights=None,
        base="academic",
        others=("general", "vocational"),
        features=("intercept", "ses[T.middle]", "ses[T.high]", "write"),
        published=(
            (2.852198, -0.5332810, -1.1628226, -0.0579287),
            (5.218260, 0.2913859, -0.9826649, -0.1136037),
        ),
        exact=(
            (2.8521862, -0.53329101, -1.162832, -0.05792841),
            (5.2182002, 0.29139312, -0.98267033, -0.11360264),
        ),
        std_error=(
            (1.1664391, 0.44373214, 0.51421945, 0.021410946),
            (1.163549, 0.47637371, 0.59556694, 0.022219899),
        ),
        log_likelihood=-179.9817262,
    ),
    # Venables and Ripley, "Modern Applied Statistics with S" (4th ed., 2002), section 7.3; MASS example(housing).
    "housing": Table(
        formula="Sat ~ Infl + Type + Cont",
        weights="Freq",
        base="Low",
        others=("Medium", "High"),
        features=(
            "intercept",
            "Infl[T.Medium]",
            "Infl[T.High]",
            "Type[T.Apartment]",
            "Type[T.Atrium]",
            "Type[T.Terrace]",
            "Cont[T.High]",
        ),
        published=(
            (-0.4192316, 0.4464003, 0.6649367, -0.4356851, 0.1313663, -0.6665728, 0.3608513),
            (-0.1387453, 0.7348626, 1.6126294, -0.7356261, -0.4079808, -1.4123333, 0.4818236),
        ),
        exact=(
            (-0.41922874, 0.44639589, 0.66493533, -0.4356887, 0.1313703, -0.66657046, 0.36085188),
            (-0.13874276, 0.73486322, 1.6126311, -0.73563174, -0.40797809, -1.4123277, 0.481827),
        ),
        std_error=(
            (0.17293453, 0.14155731, 0.18633752, 0.17253287, 0.22310671, 0.20625333, 0.13239755),
            (0.15922957, 0.13693798, 0.16713171, 0.15527143, 0.21149662, 0.20014944, 0.12413707),
        ),
        log_likelihood=-1735.0419332,
    ),
    # Fox, "Applied Regression Analysis and Generalized Linear Models" (2nd ed., 2008), section 14.2.1.
    "womenlf": Table(
        formula="partic ~ hincome + children",
        weights=None,
        base="not.work",
        others=("fulltime", "parttime"),
        features=("intercept", "children[T.present]", "hincome"),
        published=(
            (1.982842, -2.55860537, -0.097232073),
            (-1.432321, 0.02145558, 0.006893838),
        ),
        exact=(
            (1.9828225, -2.558595, -0.097230668),
            (-1.432307, 0.021491126, 0.0068921481),
        ),
        std_error=(
            (0.48417744, 0.36219924, 0.02809585),
            (0.59246236, 0.4690366, 0.023454812),
        ),
        log_likelihood=-211.4409629,
    ),
}

# American National Election Study 1996, party identification (0-6) on five features: Stata 11 ``mlogit`` with
# base 0, checked against R's nnet, as kept in statsmodels' own test results.  One row per class 1-6.
ANES96_FEATURES = ("logpopul", "selfLR", "age", "educ", "income", "intercept")
ANES96_LOG_LIKELIHOOD = -1461.922747312
ANES96_COEFFICIENTS = (
    (-0.01153598, 0.29771435, -0.024945, 0.08249144, 0.00519655, -0.37340167),
    (-0.08875065, 0.39166864, -0.02289784, 0.18104276, 0.04787398, -2.2509132),
    (-0.1059667, 0.57345051, -0.01485121, -0.00715242, 0.05757516, -3.6655835),
    (-0.0915567, 1.2787718, -0.00868135, 0.19982796, 0.08449838, -7.6138431),
    (-0.0932846, 1.3469616, -0.01790407, 0.21693885, 0.08095841, -7.0604782),
    (-0.14088069, 2.0700801, -0.00943265, 0.3219257, 0.10889408, -12.105751),
)
ANES96_STD_ERRORS = (
    (0.0342823657, 0.093626795, 0.0065248584, 0.0735865799, 0.0176336937, 0.6298376313),
    (0.0391615553, 0.1082386919, 0.0079144618, 0.0852893563, 0.0222809297, 0.7631899491),
    (0.0570382292, 0.1585481337, 0.0113313133, 0.1262913234, 0.0336142088, 1.156541492),
    (0.0437902764, 0.1288965854, 0.0084187486, 0.0941250559, 0.0261963632, 0.9575809602),
    (0.0393516553, 0.1171860107, 0.0076110152, 0.0850070091, 0.0229760791, 0.8443638283),
    (0.042138047, 0.1434089089, 0.0081338625, 0.0910979921, 0.025300888, 1.059954821),
)

# The same maximum, from the default coding by a change of view and from the coding of the published tables.
CODINGS = ("zero-sum", "reference")


def fit(request, name, coding):
    """Maximum-likelihood estimate of a published model."""
    table = TABLES[name]
    classes = (table.base, *table.others) if coding == "reference" else None
    model = bs.SoftmaxRegression.from_formula(
        table.formula, request.getfixturevalue(name), weights=table.weights, coding=coding, classes=classes
    )
    return model.mle()


def columns(estimate, base, others, features, column):
    """One column of ``summary(vs=base)`` as (class, feature), in the order of the published table."""
    table = estimate.summary(vs=base)[column].unstack("contrast")
    assert set(table.index) == set(features)
    return table.loc[list(features), [f"{other} vs {base}" for other in others]].to_numpy().T


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", TABLES)
def test_published_table_is_reproduced(request, name, coding):
    """Coefficients (published to 1e-4, exact to 1e-7), standard errors and log-likelihood."""
    table = TABLES[name]
    estimate = fit(request, name, coding)
    where = (table.base, table.others, table.features)
    coefficients, errors = (columns(estimate, *where, column) for column in ("estimate", "std_error"))
    # nnet stops short of the optimum by a fraction of the standard error, whatever the coefficient.
    tolerance = 1e-4 * (np.abs(table.published) + np.array(table.std_error))
    np.testing.assert_array_less(np.abs(coefficients - table.published), tolerance)
    np.testing.assert_allclose(coefficients, table.exact, rtol=1e-7)
    np.testing.assert_allclose(errors, table.std_error, rtol=1e-7)
    assert estimate.log_likelihood == pytest.approx(table.log_likelihood, abs=1e-7)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", TABLES)
def test_published_fit_is_certified(request, name, coding):
    """The optimum comes with its certificate: converged, and a gradient that vanishes."""
    estimate = fit(request, name, coding)
    assert estimate.converged
    assert estimate.gradient_norm < 1e-8
    assert estimate.newton_decrement < 1e-6


@pytest.fixture(scope="module")
def anes96():
    """The 944 respondents: features and party identification."""
    data = sm.datasets.anes96.load_pandas()
    return data.exog, data.endog.astype(int)


@pytest.mark.parametrize("coding", CODINGS)
def test_anes96_equals_stata(anes96, coding):
    """Log-likelihood, coefficients and standard errors of Stata 11, to the digits that it printed."""
    X, y = anes96
    estimate = bs.SoftmaxRegression(X, y, coding=coding).mle()
    assert estimate.converged
    assert estimate.gradient_norm < 1e-8
    # Stata stopped 6e-8 below the maximum.
    assert estimate.log_likelihood == pytest.approx(ANES96_LOG_LIKELIHOOD, abs=1e-7)
    where = (0, tuple(range(1, 7)), ANES96_FEATURES)
    coefficients, errors = (columns(estimate, *where, column) for column in ("estimate", "std_error"))
    np.testing.assert_allclose(coefficients, ANES96_COEFFICIENTS, rtol=1e-6, atol=5e-9)
    np.testing.assert_allclose(errors, ANES96_STD_ERRORS, rtol=1e-6)


def test_anes96_equals_statsmodels(anes96):
    """Coefficients and standard errors of statsmodels' ``MNLogit``, fitted by Newton to convergence."""
    X, y = anes96
    peer = sm.MNLogit(y, sm.add_constant(X, prepend=False)).fit(method="newton", tol=1e-12, disp=False)
    estimate = bs.SoftmaxRegression(X, y).mle()
    where = (0, tuple(range(1, 7)), ANES96_FEATURES)
    np.testing.assert_allclose(columns(estimate, *where, "estimate"), peer.params.to_numpy().T, rtol=1e-6)
    np.testing.assert_allclose(columns(estimate, *where, "std_error"), peer.bse.to_numpy().T, rtol=1e-6)
    assert estimate.log_likelihood == pytest.approx(peer.llf, abs=1e-8)
