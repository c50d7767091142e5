"""Decisions at given costs: the one of least expected cost for each row, with its uncertainty."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from bayes_softmax.answers.base_rates import BaseRates, prior_shift
from bayes_softmax.answers.cautions import joined, noted, row_cautions, rows_without_error, warn_of
from bayes_softmax.answers.fitted import Fitted, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import Interval, draws_interval, normal_quantile, resolve_interval
from bayes_softmax.answers.levels import ask, nodes_note
from bayes_softmax.answers.mean_probabilities import mean_probabilities
from bayes_softmax.answers.moved_rows import cost_errors, moved_rows
from bayes_softmax.answers.new_data import read_at_levels
from bayes_softmax.answers.probabilities import HasLogits, over_blocks
from bayes_softmax.answers.rows import Rows, short_blocks
from bayes_softmax.answers.tables import row_frame
from bayes_softmax.core.checks import as_float, is_real, listed, shown
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.frames import check_columns
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import KNOWN
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.digits import COMMON, Format
from bayes_softmax.display.table import table_of

# Names of the axes of a table of costs, or of a confusion table, that say which is which.
OF_DECISIONS = ("decision", "decisions", "action", "actions", "chosen", "predicted", "prediction")
OF_CLASSES = ("class", "classes", "observed", "true", "truth", "actual", "category")


class Costs(NamedTuple):
    """Costs ``matrix`` (D, K) of each decision given each true class, and the names of the decisions."""

    matrix: FloatArray
    decisions: tuple[Label, ...]


class Chosen(NamedTuple):
    """Expected costs (N, D), and the best and second-best decision (N,) of each row."""

    expected: FloatArray
    best: IntArray
    second: IntArray

    @property
    def cost(self) -> FloatArray:
        """(N,) expected cost of the best decision."""
        return np.take_along_axis(self.expected, self.best[:, None], axis=1)[:, 0]

    @property
    def extra(self) -> FloatArray:
        """(N,) expected cost of the second-best decision in excess of the best."""
        return np.take_along_axis(self.expected, self.second[:, None], axis=1)[:, 0] - self.cost


class DecisionUncertainty(NamedTuple):
    """Interval ends of the expected cost, and the probability of being the best decision, each (N,)."""

    low: FloatArray
    high: FloatArray
    p_best: FloatArray

    def without(self, loose: NDArray[np.bool_]) -> "DecisionUncertainty":
        """The same, NaN in rows (N,) where an optimum at infinity leaves the probabilities undetermined."""
        return DecisionUncertainty(*(np.where(loose, np.nan, values) for values in self))


def decide(
    fit: Fitted,
    data: Any,
    cost: pd.DataFrame,
    ci_prob: float | None = None,
    *,
    offset: Any = None,
    available: Any = None,
    class_prior: BaseRates | None = None,
    missing: str = "error",
    levels: Levels = KNOWN,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> pd.DataFrame:
    r"""Decision of least expected cost for each row of ``data``.

    The expected cost of decision d is :math:`\sum_k c_{dk}\, p_k`.  It is linear in the probabilities, so the
    Bayes decision uses their posterior mean (Berger, *Statistical Decision Theory*, 1985, section 4.4).

    Parameters
    ----------
    data, offset, available, class_prior, missing, levels, groups, random_seed, rng
        As in :meth:`predict_proba`.
    cost
        One row for each decision (classes or anything else) and one column for each class: the cost of the decision
        if that class is true.  Name the axes to be safe, ``cost.rename_axis(index="decision", columns="observed")``: a
        table that is the wrong way round is then an error, where a square one without names cannot be noticed.
    ci_prob
        Probability of the interval of the expected cost; default ArviZ's.

    Returns
    -------
    DataFrame
        Rows as in ``data``: ``decision``, ``expected_cost`` and the interval of the expected cost given the
        parameters, ``second_best`` and ``extra_cost`` (its cost in excess of the best), and ``p_best``: the
        probability that the decision would be the best if the parameters were known (for an estimate: against the
        second best, by the normal approximation; NaN where that is undefined).  Every interval stays within the range
        of costs of its decision.

    Raises
    ------
    TypeError, ValueError
        If ``cost`` is not a frame of finite numbers with a column for every class, or its axes are named the wrong
        way round.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["ill", "well", "ill", "well"]).map()
    >>> cost = pd.DataFrame({"ill": [100, 5], "well": [0, 5]}, index=["wait", "treat"])
    >>> cost = cost.rename_axis(index="decision", columns="observed")
    >>> fit.decide([[1.5]], cost)["decision"].tolist()
    ['treat']
    """
    refuse_intervals(fit, ci_prob)
    costs = read_costs(cost, fit.schema)
    asked = ask(fit, levels, groups, random_seed, rng)
    rows, draws = read_at_levels(fit, data, offset, available, asked=asked, missing=missing)
    note = joined(warn_of(fit, row_cautions(fit, rows)), nodes_note(rows.nodes))
    shift = prior_shift(fit.schema, class_prior, rows)
    interval = resolve_interval(ci_prob, "eti")
    P = mean_probabilities(draws, rows, shift)
    expected = P @ costs.matrix.T  # (N, D)
    order = np.argsort(expected, axis=1, kind="stable")
    chosen = Chosen(expected, order[:, 0], order[:, min(1, len(costs.decisions) - 1)])
    if not fit.is_estimate:
        spread = _by_draws(draws, rows, shift, matrix=costs.matrix, best=chosen.best, interval=interval)
        ends = interval.columns()
    elif fit.delta_covariance is None:
        spread, ends = DecisionUncertainty(*np.full((3, rows.n_rows), np.nan)), interval.columns("wald")
    else:
        error = _DeltaError(fit, fit.delta_covariance, rows, P).of
        if rows.nodes is not None:
            error = partial(cost_errors, moved_rows(fit, asked, rows), shift)
        spread = _by_delta(error, costs.matrix, chosen, interval=interval)
        ends = interval.columns("wald")
        spread = spread.without(rows_without_error(rows))
    names = np.array([*costs.decisions, None], dtype=object)[:-1]
    unknown = np.isnan(chosen.cost)
    best, second = names[chosen.best], names[chosen.second]
    best[unknown] = second[unknown] = None
    table = {
        "decision": best,
        "expected_cost": chosen.cost,
        ends[0]: spread.low,
        ends[1]: spread.high,
        "second_best": second,
        "extra_cost": chosen.extra,
        "p_best": spread.p_best,
    }
    formats = dict.fromkeys(("expected_cost", *ends), Format("value", ends))
    formats["extra_cost"] = Format("ratio")
    return noted(table_of(row_frame(rows, table), COMMON | formats), joined(note, *without_intervals(fit)))


def _by_draws(
    fit: HasLogits,
    rows: Rows,
    shift: FloatArray | None,
    *,
    matrix: FloatArray,
    best: IntArray,
    interval: Interval,
) -> DecisionUncertainty:
    """Interval over the draws of the best decision's cost, and the share of draws in which it is the best."""
    low, high, p_best = np.empty((3, len(best)))

    def judge(P: FloatArray, block: slice) -> None:
        drawn = np.tensordot(matrix, P, axes=1)  # (D, rows, S)
        cost = np.take_along_axis(drawn, best[None, block, None], axis=0)[0]
        low[block], high[block] = draws_interval(cost, interval, axis=1)
        p_best[block] = (cost <= drawn.min(axis=0)).mean(axis=1)

    over_blocks(fit, rows, judge, shift=shift)
    return DecisionUncertainty(low, high, p_best)


class _DeltaError(NamedTuple):
    """Inputs of delta-method standard errors: an estimate, its covariance, and the probabilities of rows."""

    fit: HasLogits
    covariance: FloatArray
    rows: Rows
    P: FloatArray

    def of(self, cost: FloatArray) -> FloatArray:
        """Standard errors (N,) of ``sum_k cost_nk p_nk``."""
        slope = self.P * (cost - (cost * self.P).sum(axis=1, keepdims=True))
        error = np.empty(len(self.P))
        for block in short_blocks(len(self.P)):
            V = self.fit.logits.covariance(self.fit.parameters, self.rows.X[block], self.covariance)
            variance = np.einsum("nk,nkl,nl->n", slope[block], V, slope[block])
            error[block] = np.sqrt(np.maximum(variance, 0.0))
        return error


def _by_delta(
    error: Callable[[FloatArray], FloatArray], matrix: FloatArray, chosen: Chosen, *, interval: Interval
) -> DecisionUncertainty:
    """The same by the normal approximation, with the best decision against the second best.

    ``error`` gives the standard errors (N,) of ``sum_k cost_nk p_nk``.
    """
    own = matrix[chosen.best]
    half = normal_quantile(interval) * error(own)
    gap_error = error(matrix[chosen.second] - own)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_best = np.where(gap_error == 0, 1.0, ndtr(chosen.extra / gap_error))
    low, high = own.min(axis=1), own.max(axis=1)
    return DecisionUncertainty(np.clip(chosen.cost - half, low, high), np.clip(chosen.cost + half, low, high), p_best)


def _check_axes(cost: pd.DataFrame, schema: Schema) -> None:
    """Raise for a table whose rows are named as classes, or whose columns as decisions."""
    rows, columns = (_plain_name(axis.name) for axis in (cost.index, cost.columns))
    if rows in (*OF_CLASSES, _plain_name(schema.response_name)) or columns in OF_DECISIONS:
        raise ValueError(
            f"cost has rows named {shown(cost.index.name)} and columns named {shown(cost.columns.name)}, but needs a "
            "row for each decision and a column for each observed class: pass cost.T, or rename the axes"
        )


def _plain_name(name: Any) -> str:
    """Name of an axis, for comparison."""
    return "" if name is None else str(name).strip().casefold()


def read_costs(cost: Any, schema: Schema) -> Costs:
    """Check a cost table: a column of finite numbers for every class, in any order."""
    if not isinstance(cost, pd.DataFrame):
        raise TypeError(
            f"cost is of type {type(cost).__name__}; give a pandas DataFrame with a row for each decision and a column "
            f"for each of the classes {listed(schema.classes)}"
        )
    check_columns(cost, "cost")
    _check_axes(cost, schema)
    columns = [schema.class_position(label, "cost") for label in cost.columns]
    for k, label in enumerate(schema.classes):
        if columns.count(k) != 1:
            found = f"{columns.count(k)} columns" if k in columns else "no column"
            raise ValueError(f"cost has {found} for class {shown(label)}")
    if len(cost) == 0:
        raise ValueError("cost has no rows; give one for each decision")
    if not cost.index.is_unique:
        twice = cost.index[cost.index.duplicated()][0]
        raise ValueError(f"cost has several rows for decision {shown(twice)}; give each decision one row")
    matrix = np.empty((len(cost), len(columns)))
    for k, name in enumerate(schema.classes):
        for d, value in enumerate(cost.iloc[:, columns.index(k)]):
            where = f"for decision {shown(cost.index[d])} and class {shown(name)}"
            if isinstance(value, str | complex | np.complexfloating):
                kind = "the text" if isinstance(value, str) else "the complex number"
                raise TypeError(f"cost is {kind} {shown(value)} {where}; expected a number")
            matrix[d, k] = as_float(value) if is_real(value) else np.nan
            if not np.isfinite(matrix[d, k]):
                raise ValueError(f"cost is {shown(value)} {where}; expected a finite number")
    return Costs(matrix, tuple(cost.index))
