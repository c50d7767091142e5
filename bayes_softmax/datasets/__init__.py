"""Data sets shipped with the package."""

from importlib.resources import files

import pandas as pd


def load_penguins() -> pd.DataFrame:
    """Palmer penguins: 344 birds of three species, with body measurements, sex, island and year.

    Lengths are in millimetres, body mass in grams; 11 rows have missing values.  Source: Gorman, Williams and
    Fraser (2014), *PLoS ONE* 9(3): e90081; distributed by Horst, Hill and Gorman (2020) under CC0.

    Returns
    -------
    DataFrame
        (344, 8), a new copy at each call.

    Examples
    --------
    >>> load_penguins().shape
    (344, 8)
    """
    with (files("bayes_softmax.datasets") / "penguins.csv").open("rb") as handle:
        return pd.read_csv(handle)


__all__ = ["load_penguins"]


def __dir__() -> list[str]:
    """The data sets, for completion."""
    return __all__
