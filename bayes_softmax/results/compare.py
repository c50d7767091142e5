"""Any number of fits side by side, in common coordinates."""

import pandas as pd

from bayes_softmax.results.contrasts import Average
from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.posterior import Posterior
from bayes_softmax.spec.design import Label

Fit = PointEstimate | Posterior


def compare(
    *,
    vs: Label | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    **fits: Fit,
) -> pd.DataFrame:
    """Put the coefficients of several fits side by side.

    Fits of different codings are brought to common coordinates first: against the average of all classes, where
    the coefficients of a feature sum to zero.

    Parameters
    ----------
    vs
        A class to contrast with instead of the average.
    ci_prob, ci_kind
        Interval of the posterior columns; defaults are ArviZ's.
    **fits
        Point estimates and posteriors under the names their columns shall have.

    Returns
    -------
    DataFrame
        One row per coefficient, with columns ``feature`` and ``contrast``.  A point estimate ``m`` gives ``m``
        and ``m_se``; a posterior ``p`` gives ``p_mean``, ``p_sd`` and the ends of its interval, e.g.
        ``p_eti89_lb``.

    Raises
    ------
    TypeError, ValueError
        If a fit is neither of these, or the fits have different classes or features.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
    >>> bs.compare(mle=model.mle(), map=model.map()).columns.tolist()
    ['feature', 'contrast', 'mle', 'mle_se', 'map', 'map_se']
    """
    check_comparable(fits)
    tables = []
    for name, fit in fits.items():
        view = Average.OF_ALL if vs is None else vs
        table = fit.summary(vs=view, ci_prob=ci_prob, ci_kind=ci_kind)
        if isinstance(fit, PointEstimate):
            table = table[["estimate", "std_error"]].set_axis([name, f"{name}_se"], axis=1)
        else:
            table = table.iloc[:, :4].add_prefix(f"{name}_")
        tables.append(table)
    return pd.concat(tables, axis=1).reset_index()


def check_comparable(fits: dict[str, Fit]) -> None:
    """Raise unless all fits are of one set of classes and features."""
    if not fits:
        raise ValueError("compare needs at least one fit, e.g. compare(mle=model.mle(), map=model.map())")
    first_name, first = next(iter(fits.items()))
    for name, fit in fits.items():
        if not isinstance(fit, PointEstimate | Posterior):
            raise TypeError(f"{name}={type(fit).__name__} is not a PointEstimate or Posterior")
        if fit.schema.classes != first.schema.classes:
            raise ValueError(f"{name} has classes {fit.schema.classes}, but {first_name} has {first.schema.classes}")
        if fit.schema.feature_names != first.schema.feature_names:
            raise ValueError(
                f"{name} has features {fit.schema.feature_names}, but {first_name} has {first.schema.feature_names}"
            )
