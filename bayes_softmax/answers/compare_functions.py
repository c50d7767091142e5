"""Fits side by side where not all logits are linear: by their scores and their average effects, not by weights."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bayes_softmax.answers.cautions import noted
from bayes_softmax.answers.effects import INDEX, effects
from bayes_softmax.answers.evaluation import evaluate
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.core.checks import shown
from bayes_softmax.display.digits import Format, estimates
from bayes_softmax.display.table import table_of

SCORES = {"log loss": "log_loss", "Brier score": "brier", "accuracy": "accuracy"}
IN_SAMPLE = "in-sample"
NOTE = (
    "weights are not compared where logits are not linear: those of a network have no meaning of their own. In-sample "
    "scores favour the flexible; compare_models() of kfold() results does not"
)


def compare_functions(
    fits: Mapping[str, Fitted],
    vs: Any,
    ci_prob: float | None,
    ci_kind: str | None,
    features: str | Sequence[str] | None,
) -> pd.DataFrame:
    """Scores on the data of the fits, and average effects (:func:`bayes_softmax.answers.effects.effects`).

    Rows ``(feature, change, class)``, those of the scores first; columns as in ``compare``.

    Raises
    ------
    ValueError
        For ``vs``, which is of coefficients, and for fits without their data.
    """
    if vs is not None:
        raise ValueError(f"vs={shown(vs)} is for coefficients, and not all of these fits have linear logits")
    tables, formats = [], dict[Hashable, Format]()
    for name, fit in fits.items():
        found = effects(fit, features, ci_prob=ci_prob, ci_kind=ci_kind)
        assert isinstance(found, pd.DataFrame)
        table = pd.DataFrame(found)
        if "estimate" in table:
            table = table[["estimate", "std_error"]].set_axis([name, f"{name}_se"], axis=1)
        else:
            table = table.iloc[:, :4].add_prefix(f"{name}_")
        formats |= estimates(*table.columns)
        tables.append(pd.concat([_scores(fit, str(table.columns[0])), table]))
    whole = pd.concat(tables, axis=1).rename_axis(index=list(INDEX))
    return noted(table_of(whole, formats), NOTE)


def _scores(fit: Fitted, column: str) -> pd.DataFrame:
    """Scores on the data of the fit, in one column."""
    found = evaluate(fit)
    values = [float(getattr(found, attribute)) for attribute in SCORES.values()]
    index = pd.MultiIndex.from_tuples([(IN_SAMPLE, score, "") for score in SCORES], names=list(INDEX))
    return pd.DataFrame({column: values}, index=index)
