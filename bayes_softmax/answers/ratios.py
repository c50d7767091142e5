"""Odds ratios: exponentiated coefficients."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bayes_softmax.answers.cautions import noted
from bayes_softmax.answers.contrasts import build_view
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.quantities import Quantities, summary_columns
from bayes_softmax.answers.steps import larger_step, size_name, steps_of_features
from bayes_softmax.answers.tables import index_of
from bayes_softmax.core.checks import listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.display.digits import COMMON, Format
from bayes_softmax.display.table import table_of
from bayes_softmax.spec.linear import require_linear


def odds_ratios(
    fit: Fitted,
    vs: Label | Sequence[Label] | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    *,
    per: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    r"""Odds ratios :math:`e^{w}`: factors by which a step of a feature multiplies the odds of a class against another.

    Parameters
    ----------
    vs
        The reference of the contrasts, as in :meth:`summary`.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    per
        Size of the step by feature, ``{"age": 10}``; default 1, one unit.

    Returns
    -------
    DataFrame
        Rows ``(feature, step, contrast)``: median over the draws or the estimate, interval, and the probability
        that the odds rise.  Against the average, "odds" are against the geometric mean of all classes.  They are inf or
        0 where the maximum-likelihood estimate is infinite, and NaN where it is not determined.  Where a step changes
        the odds by less than 0.1 %, ``attrs["note"]`` names a larger one.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"]).map()
    >>> fit.odds_ratios(vs="a", per={"dose": 2}).index.tolist()
    [('dose', '+2', 'b vs a')]
    """
    require_linear(fit.logits, "odds_ratios()")
    schema, interval = fit.schema, resolve_interval(ci_prob, ci_kind)
    steps = steps_of_features(schema, per)
    view = build_view(schema, vs)
    size_of = np.array(list(steps.values()))[:, None]
    contrasts, errors = fit.contrast_values(view)
    values = contrasts[:, 1:] * size_of
    error = None if errors is None else (errors[1:] * np.abs(size_of)).ravel()
    logs = Quantities(values.reshape(len(values), -1), error)
    columns = summary_columns(logs, interval)
    names = list(columns)
    center = np.median(logs.values, axis=0) if error is None else columns["estimate"]
    with np.errstate(over="ignore"):  # an overflow to inf is the right answer
        table = {"odds_ratio": np.exp(center), **{name: np.exp(columns[name]) for name in names[2:4]}}
    table["p_above_1"] = columns["p_positive"]
    rows = [
        (name, f"{'+' * (size > 0)}{size_name(size)}", contrast)
        for name, size in steps.items()
        for contrast in view.names
    ]
    index = index_of(rows, ("feature", "step", "contrast"))
    formats = dict.fromkeys(("odds_ratio", *names[2:4]), Format("ratio", tuple(names[2:4])))
    ends = np.abs([columns[name] for name in names[2:4]]).max(axis=0).reshape(len(steps), len(view.names)).max(axis=1)
    found = table_of(pd.DataFrame(table, index=index), COMMON | formats | {"p_above_1": logs.chance})
    return noted(found, _advice(steps, ends))


def _advice(steps: Mapping[str, float], ends: FloatArray) -> str | None:
    """The note on features whose steps are too small to show; ``ends`` are the largest of their log odds ratios."""
    larger = {
        name: step
        for (name, size), end in zip(steps.items(), ends.tolist(), strict=True)
        if (step := larger_step(size, end)) is not None
    }
    if not larger:
        return None
    name, step = next(iter(larger.items()))
    example = f"{{{shown(name)}: {size_name(step)}}}"
    return f"one step of {listed(larger, 3)} changes the odds by less than 0.1 %; per={example} gives larger steps"
