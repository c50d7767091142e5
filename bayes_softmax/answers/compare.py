"""Any number of fits side by side, in common coordinates."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bayes_softmax.answers.cautions import noted
from bayes_softmax.answers.chosen import chosen_rows
from bayes_softmax.answers.comparable import check_comparable
from bayes_softmax.answers.compare_functions import compare_functions
from bayes_softmax.answers.contrasts import Average, build_view
from bayes_softmax.answers.fitted import Fit, Sampled, training_of
from bayes_softmax.answers.group_loo import GROUP
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.loo import loo, resolve_by
from bayes_softmax.answers.same_data import difference_of
from bayes_softmax.answers.same_folds import kfold_results
from bayes_softmax.answers.seen import what_saw
from bayes_softmax.answers.source_compare import SUBSAMPLING, compared, scores_by_name
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.summary import coefficient_table
from bayes_softmax.core.checks import check_choice, check_flags, counted, shown
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.keywords import explains
from bayes_softmax.core.progress import showing
from bayes_softmax.data.design import Label
from bayes_softmax.display.digits import Format, chance, estimates
from bayes_softmax.display.table import table_of

METHODS = ("stacking", "BB-pseudo-BMA", "pseudo-BMA")


def compare(
    *unnamed: Fit,
    vs: Label | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    features: str | Sequence[str] | None = None,
    **fits: Fit,
) -> pd.DataFrame:
    """Put the coefficients of several fits side by side.

    Fits with different codings are first brought to common coordinates, contrasts with the average of all classes,
    in which the coefficients of a feature sum to zero.

    Parameters
    ----------
    vs
        A class to contrast with instead of the average.
    ci_prob, ci_kind
        Interval of the posterior columns; defaults are ArviZ's.
    features
        Which coefficients to show, as in :meth:`PointEstimate.summary`; default all.
    **fits
        Point estimates and posteriors by name; the names label the columns.

    Returns
    -------
    DataFrame
        Rows ``(feature, contrast)``, as in :meth:`PointEstimate.summary`.  A point estimate ``m`` gives ``m``
        and ``m_se``; a posterior ``p`` gives ``p_mean``, ``p_sd`` and the ends of its interval, e.g.
        ``p_eti89_lb``.  If the logits of one are not linear, rows ``(feature, change, class)`` of scores on the data
        of the fits and of average effects, as in :meth:`PointEstimate.effects`: weights are not compared.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a fit, or the fits have different classes or features.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
    >>> bs.compare(mle=model.mle(), map=model.map()).columns.tolist()
    ['mle', 'mle_se', 'map', 'map_se']
    """
    comparable = check_comparable(fits, unnamed)
    if not all(fit.logits.is_linear for fit in comparable.values()):
        return compare_functions(comparable, vs, ci_prob, ci_kind, features)
    interval = resolve_interval(ci_prob, ci_kind)
    rows = chosen_rows(next(iter(comparable.values())).schema, features)
    tables, formats = [], dict[Hashable, Format]()
    for name, fit in comparable.items():
        table = coefficient_table(fit, build_view(fit.schema, Average.OF_ALL if vs is None else vs), interval, rows)
        if "estimate" in table:
            table = table[["estimate", "std_error"]].set_axis([name, f"{name}_se"], axis=1)
        else:
            table = table.iloc[:, :4].add_prefix(f"{name}_")
        formats |= estimates(*table.columns)
        tables.append(table)
    return table_of(pd.concat(tables, axis=1), formats)


@explains
def compare_models(
    posteriors: Mapping[str, Any],
    *,
    method: str = "stacking",
    by: str = "observation",
    groups: Any = None,
    refit: bool = False,
    unit: str | None = None,
    progressbar: bool = True,
) -> pd.DataFrame:
    """Compare models of the same data by leave-one-out or k-fold cross-validation, with ``az.compare``.

    Parameters
    ----------
    posteriors
        Posteriors by name; they may differ in features, priors and coding, not in the observations.  In their place,
        results of :meth:`Posterior.kfold`, all of the same folds (those of one ``random_seed``, or of none).
    method
        Method of the model weights: ``"stacking"``, ``"BB-pseudo-BMA"`` or ``"pseudo-BMA"``.
    by, groups, refit, unit, progressbar
        As in :meth:`Posterior.loo`, which scores the posteriors.

    Returns
    -------
    DataFrame
        ArviZ's table by ``model``, the best first:

        - ``rank``: 0 is the best;
        - ``elpd``, ``se``: expected log predictive density of new observations, the larger the better, and its standard
          error;
        - ``elpd_diff``, ``dse``: difference to the best model, and its standard error: a difference of a few standard
          errors counts;
        - ``p_worse``: probability that the model predicts worse than the best, by a normal approximation;
        - ``weight``: share of the model in the best mixture of all (``method``);
        - ``p``: effective number of parameters;
        - ``diag_diff``: why ``p_worse`` is rough, ``N < 100`` or ``|elpd_diff| < 4``; empty if it is not;
        - ``diag_elpd``: number of observations whose Pareto k is too large for ``elpd``; empty if none.

        ``attrs["note"]`` says what to do where one of the last two is not empty.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two posteriors, or they are not of the same observations or folds.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]] * 5, ["a", "b", "a", "b"] * 5
    >>> a, b = (bs.SoftmaxRegression(X, y, prior=bs.Normal(s)) for s in (0.1, 1.0))
    >>> fits = {name: m.laplace(random_seed=1, progressbar=False) for name, m in {"a": a, "b": b}.items()}
    >>> sorted(bs.compare_models(fits).index)
    ['a', 'b']
    >>> bs.compare_models({name: fit.kfold(k=5) for name, fit in fits.items()})["rank"].tolist()
    [0, 1]
    """
    load_in_full("arviz_stats", "arviz_stats.base")
    from arviz_stats import compare as arviz_compare

    if not isinstance(posteriors, Mapping):
        raise TypeError(
            f"posteriors is of type {type(posteriors).__name__}; give a mapping from name to posterior, "
            "such as {'small': a, 'large': b}"
        )
    if len(posteriors) < 2:
        raise ValueError(f"posteriors: compare_models needs at least two, and there is {len(posteriors) or 'none'}")
    lower = {name.lower(): name for name in METHODS}
    check_choice("method", lower.get(str(method).lower(), method), METHODS)
    check_flags(progressbar=progressbar)
    found = kfold_results(posteriors)
    if found and ((by, refit, unit) != ("observation", False, None) or groups is not None):
        raise ValueError(
            "by, groups, refit and unit are of leave-one-out; the results of kfold() have been scored already"
        )
    sources = _on_sources(posteriors) if not found else {}
    if sources and (groups is not None or refit is not False):
        raise ValueError("groups, refit: leave-one-out of rows that are read in passes is of single rows, of a sample")
    table: pd.DataFrame
    if sources:
        table = compared(sources, scores_by_name(sources, progressbar=progressbar), method)
    else:
        found = found or _left_one_out(posteriors, resolve_by(by, unit), groups, refit=refit, progressbar=progressbar)
        table = arviz_compare(found, method=method, round_to="none")
    formats = estimates("elpd", "se") | estimates(
        "elpd_diff", "dse", *[name for name in (SUBSAMPLING,) if name in table]
    )
    shares = {"weight": Format("share"), "p_worse": chance(None), SUBSAMPLING: Format("rough")}
    # What one reads first, and the remarks, which are mostly empty, last.
    leading = [name for name in ("rank", "elpd", "se", "elpd_diff", "dse", "p_worse", "weight", "p") if name in table]
    ordered = table[[*leading, *table.columns.difference(leading, sort=False)]]
    return noted(table_of(ordered.rename_axis("model"), formats | shares | {"p": Format("rough")}), _remarks(ordered))


def _on_sources(posteriors: Mapping[str, Any]) -> dict[str, Sampled]:
    """The fits by name if some are to rows that are read in passes; else none."""
    inside = {str(name): _sampled(name, fit) for name, fit in posteriors.items()}
    if not any(isinstance(fit.training, RowsOfSource) for fit in inside.values()):
        return {}
    for name, fit in inside.items():
        _refuse_optimistic(name, fit)
    return inside


def _left_one_out(
    posteriors: Mapping[str, Any], by: str, groups: Any, *, refit: bool, progressbar: bool
) -> dict[str, Any]:
    """Leave-one-out of every posterior by name; raises unless they are of the same observations."""
    inside = {name: _sampled(name, fit) for name, fit in posteriors.items()}
    first_name, first = next(iter(inside.items()))
    for name, fit in inside.items():
        _refuse_optimistic(name, fit)
        data = training_of(fit, "loo()"), training_of(first, "loo()")
        different = difference_of(data, fit.schema.classes, first.schema.classes)
        if different is not None:
            advice = (
                ""
                if "available=" in different
                else (
                    ". Fit all models to the same rows, e.g. data.dropna(subset=[...]) with the columns of all of them"
                )
            )
            pair = f"{shown(name)} and {shown(first_name)}"
            raise ValueError(f"{pair} were fitted to different observations: {different}{advice}")
    order = first.schema.classes if groups is None else None
    found = {}
    for name, fit in inside.items():
        with showing(f"loo() of {name!r}", wanted=progressbar):
            found[str(name)] = loo(fit, by=by, groups=groups, refit=refit, order=order)
    if groups is not None:
        _check_same_groups(found)
    return found


def _check_same_groups(found: Mapping[str, Any]) -> None:
    """Raise unless the scores are of the same groups."""
    (first_name, first), *others = found.items()
    for name, other in others:
        own, expected = other.elpd_i[GROUP].values, first.elpd_i[GROUP].values
        if own.tolist() != expected.tolist():
            raise ValueError(
                f"{shown(name)} and {shown(first_name)} were scored by different groups ({counted(len(own), GROUP)} "
                f"and {counted(len(expected), GROUP)}); give the labels of the rows, as in groups=data['person']"
            )


def _refuse_optimistic(name: str, fit: Sampled) -> None:
    """Raise for a fit whose leave-one-out is too good by what saw the row that is left out."""
    optimistic = what_saw(fit)
    if optimistic is not None:
        raise ValueError(
            f"{shown(name)}: {optimistic}. Compare results of it: compare_models({{name: fit.kfold() for name, fit in "
            "fits.items()})"
        )


def _remarks(table: pd.DataFrame) -> str | None:
    """What the diagnostics of a comparison mean; None where there are none."""
    rough, high = (bool((table[name] != "").any()) for name in ("diag_diff", "diag_elpd"))
    found = []
    if rough:
        found.append("p_worse is rough (see diag_diff): with few observations or a small difference, judge by dse")
    if high:
        found.append("elpd is not reliable where diag_elpd says so: pass refit=True")
    return "; ".join(found) or None


def _sampled(name: str, fit: object) -> Sampled:
    """What answers see of a posterior."""
    inside = fit._fitted if isinstance(fit, Fit) else fit
    if not isinstance(inside, Sampled):
        raise TypeError(
            f"posteriors[{shown(name)}] is of type {type(fit).__name__}; leave-one-out needs a Posterior, from "
            "model.sample() or model.laplace(); kfold() of any fits can be compared"
        )
    return inside
