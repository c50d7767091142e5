"""Any number of fits side by side, in common coordinates."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayes_softmax.results.contrasts import Average
from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.fitted import training_of
from bayes_softmax.results.posterior import Posterior
from bayes_softmax.results.training import TrainingData
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


def compare_models(posteriors: Mapping[str, Posterior], *, method: str = "stacking") -> pd.DataFrame:
    """Compare models of the same data by leave-one-out: ``az.compare`` on :meth:`Posterior.loo`.

    Parameters
    ----------
    posteriors
        Posteriors by name; they may differ in features, priors and coding, not in the observations.
    method
        Of the weights: ``"stacking"``, ``"BB-pseudo-BMA"`` or ``"pseudo-BMA"``.

    Returns
    -------
    DataFrame
        ArviZ's table, the best model first: expected log predictive density, differences and their standard
        errors, and weights.

    Raises
    ------
    TypeError, ValueError
        If these are not at least two posteriors, or not of the same observations.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]] * 5, ["a", "b", "a", "b"] * 5
    >>> a, b = (bs.SoftmaxRegression(X, y, prior=bs.Normal(s)) for s in (0.1, 1.0))
    >>> fits = {name: m.laplace(random_seed=1, progressbar=False) for name, m in {"a": a, "b": b}.items()}
    >>> sorted(bs.compare_models(fits).index)
    ['a', 'b']
    """
    from arviz_stats import compare as arviz_compare

    if len(posteriors) < 2:
        raise TypeError("posteriors must be a mapping from name to posterior, with two at least")
    first_name, first = next(iter(posteriors.items()))
    for name, fit in posteriors.items():
        if not isinstance(fit, Posterior):
            raise TypeError(f"posteriors[{name!r}] is a {type(fit).__name__}; leave-one-out needs a Posterior")
        if not _same_observations(training_of(fit, "loo()"), training_of(first, "loo()")):
            raise ValueError(f"{name!r} and {first_name!r} were fitted to different observations")
    table: pd.DataFrame = arviz_compare({str(name): fit.loo() for name, fit in posteriors.items()}, method=method)
    return table


def _same_observations(a: TrainingData, b: TrainingData) -> bool:
    """Whether the same units of the same classes stand in the same order, however the classes are ordered."""
    if set(a.response.classes) != set(b.response.classes) or a.n_obs != b.n_obs:
        return False
    order = [b.response.classes.index(label) for label in a.response.classes]
    return bool(np.array_equal(a.given_counts(), b.given_counts()[:, order]))


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
