"""Predictive checks on the nominal scale: class frequencies in data replicated from the fit, and in the data.

Class labels are nominal.  Only frequencies of classes, overall and by group, can be compared; densities, means or
intervals of codes have no meaning.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.fitted import Fitted, training_of
from bayes_softmax.answers.intervals import draws_interval, resolve_interval
from bayes_softmax.answers.levels import Asked, ask, at_levels_of_data, in_words
from bayes_softmax.answers.probabilities import HasLogits, announce, sum_over_blocks, thinned_draws
from bayes_softmax.answers.quantities import share_positive
from bayes_softmax.answers.row_labels import label_of_rows
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import check_counts, describe_rows, did_you_mean, listed, shown
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, generator_of
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import KNOWN
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.digits import COMMON, Format
from bayes_softmax.display.table import table_of

OVERALL = "all rows"
DEFAULT_DRAWS = 1000


class Grouping(NamedTuple):
    """Code (N,) of each row's group, and the names of the groups."""

    codes: IntArray
    names: tuple[Any, ...]


class Replicated(NamedTuple):
    """Observations of each class in replicated data sets (S, groups, K), and in the data (groups, K)."""

    replicated: FloatArray
    observed: FloatArray


def posterior_predictive(
    fit: Fitted,
    by: Any = None,
    *,
    ci_prob: float | None = None,
    n_draws: int = DEFAULT_DRAWS,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    levels: Levels = KNOWN,
) -> pd.DataFrame:
    """Compare class frequencies in the data with those in data sets drawn from the fit.

    For each of ``n_draws`` draws of the coefficients, one class is drawn for every observation.  Only the counts are
    kept.

    Parameters
    ----------
    by
        Groups to count in: the name of a variable or grouping, or an array with one label per row of the data
        (numbers with more than ten values are cut at their quintiles; a series is matched by its index).  Default: all
        rows together.
    ci_prob
        Probability of the equal-tailed interval of the replicated shares; default ArviZ's.
    n_draws
        Number of replicated data sets, one per draw, for draws evenly spaced.
    random_seed, rng
        Integer or NumPy Generator; or as ``rng`` whatever ``np.random.default_rng`` takes.
    levels
        Of a model with groups: ``"known"`` (default) replicates the levels of the data with their own effects,
        ``"new"`` with effects drawn from the population, which checks the model of the population.

    Returns
    -------
    DataFrame
        Rows ``(group, class)``: ``observed`` share, mean share over the replications, its interval, ``n_observations``
        of the group, and ``p_value``: the posterior predictive probability of a larger share than the data have (ties
        count half); near 0 or 1 the model does not reproduce the data (Gelman, Meng and Stern, *Statistica Sinica* 6,
        1996).

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 5, ["a", "b", "a", "b"] * 5)
    >>> model.laplace(random_seed=1, progressbar=False).posterior_predictive(random_seed=1)["observed"].tolist()
    [0.5, 0.5]
    """
    training = training_of(fit, "posterior_predictive()")
    if fit.is_estimate:
        raise ValueError("posterior_predictive() needs draws; use model.laplace() or model.sample()")
    if not training.whole_counts:
        raise ValueError("the weights or counts are not whole numbers: there are no observations to replicate")
    check_counts(n_draws=n_draws)
    generator = generator_of(random_seed, rng)
    asked = ask(fit, levels, rng=int(generator.integers(2**63))) if fit.schema.groups else ask(fit, levels)
    if asked.averaged:
        raise ValueError(
            "levels='average': rows of one level share its effects, so that probabilities averaged over the population "
            "replicate no data; pass 'known' or 'new'"
        )
    interval = resolve_interval(ci_prob, "eti")
    groups = read_groups(training, by, fit.schema)
    found = replicate(fit, training, groups, n_draws, generator, asked=asked)
    with np.errstate(invalid="ignore"):
        shares = found.replicated / found.replicated.sum(axis=2, keepdims=True)
        observed = found.observed / found.observed.sum(axis=1, keepdims=True)
    flat = shares.reshape(len(shares), -1)
    low, high = draws_interval(flat, interval)
    above = share_positive(flat - observed.ravel())
    names = interval.columns()
    index = pd.MultiIndex.from_product([groups.names, list(fit.schema.classes)], names=["group", "class"])
    n = np.repeat(found.observed.sum(axis=1), len(fit.schema.classes))
    columns = {"observed": observed.ravel(), "replicated": flat.mean(axis=0), names[0]: low, names[1]: high}
    table = pd.DataFrame({**columns, "p_value": above, "n_observations": n}, index=index)
    title = ", ".join(filter(None, ("share of observations", in_words(asked))))
    return table_of(table.rename_axis(columns=title), COMMON, Format("share"))


def read_groups(training: TrainingData, by: Any, schema: Schema | None = None) -> Grouping:
    """Grouping of the rows as given, by a variable, a grouping of the ``schema``, or by labels."""
    if by is None:
        return Grouping(np.zeros(training.n_obs, dtype=np.int64), (OVERALL,))
    for grouping in () if schema is None else schema.groups:
        if isinstance(by, str) and by == grouping.name:
            frame = pd.DataFrame({name: training.column(name) for name in grouping.columns})
            codes = grouping.codes(frame)
            used, codes = np.unique(codes, return_inverse=True)
            return Grouping(codes, tuple(grouping.levels[i] for i in used))
    if isinstance(by, str):
        if by not in training.variables:
            hint, known = did_you_mean(by, training.variables), listed(training.variables)
            raise ValueError(
                f"by={shown(by)} is not a variable of the model{hint} (variables: {known}); or give a label a row"
            )
        column = training.column(by)
    else:
        column = label_of_rows(by, training, "by").reset_index(drop=True)
    if column.isna().any():
        missing = np.flatnonzero(column.isna())
        raise ValueError(f"by: the label is missing in {describe_rows(training.index, missing)}; give each row one")
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and column.nunique() > 10:
        column = pd.qcut(column, 5, duplicates="drop").astype(str)
        order = sorted(column.unique(), key=lambda text: float(text.strip("(]").split(",")[0]))
        column = pd.Series(pd.Categorical(column, order))
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return Grouping(np.asarray(column.cat.codes, dtype=np.int64), tuple(column.cat.categories.tolist()))
    codes, names = pd.factorize(column, sort=True)
    return Grouping(np.asarray(codes, dtype=np.int64), tuple(map(_plain_name, names.tolist())))


def _plain_name(name: Any) -> Any:
    """Name of a group; whole numbers as integers."""
    return int(name) if isinstance(name, float) and name.is_integer() else name


def replicate(
    fit: Fitted,
    training: TrainingData,
    groups: Grouping,
    n_draws: int,
    rng: np.random.Generator,
    *,
    asked: Asked | None = None,
) -> Replicated:
    """Draw a class for every observation and count by group; equal rows of one group are one multinomial draw."""
    G, K = len(groups.names), fit.logits.n_classes
    cell, distinct = pd.factorize(training.row_map * G + groups.codes)
    totals = np.bincount(cell, weights=training.totals)
    observed = training.tabulate(groups.codes, G)
    thinned: HasLogits = thinned_draws(fit, n_draws, fit.n_chains)
    if asked is not None:
        thinned = at_levels_of_data(fit, thinned, asked, training.n_rows).draws
    announce("posterior_predictive()", (thinned.parameters.n_draws, G, K))
    seeds = rng.integers(2**63, size=len(distinct))  # one per row, so that draws do not depend on the blocks
    whole, order = np.round(totals).astype(np.int64), np.argsort(distinct, kind="stable")
    out = np.zeros((thinned.parameters.n_draws, G, K))
    for block in training.blocks():
        ends = np.searchsorted(distinct[order] // G, [block.place.start, block.place.stop])
        own = order[slice(*ends)]
        rows = block.rows.take(distinct[own] // G - block.first)
        drawing = _Drawing(rows, whole[own], distinct[own] % G, seeds[own], out.shape)
        if rows.n_rows:
            out += sum_over_blocks(thinned, rows, drawing.draw, parallel=False)
    return Replicated(out, observed)


class _Drawing(NamedTuple):
    """Rows with number of observations, group and seed (n,) of each, and the shape of the counts."""

    rows: Rows
    totals: IntArray
    groups: IntArray
    seeds: IntArray
    shape: tuple[int, ...]

    def draw(self, P: FloatArray, block: slice) -> FloatArray:
        """Counts (S, groups, K) of classes drawn in a block of these rows."""
        out, S = np.zeros(self.shape), P.shape[2]
        available = self.rows.available
        for i, n in enumerate(range(block.start, block.stop)):
            own = np.random.default_rng(self.seeds[n])
            # Only classes on offer: rounding must not give the others a positive probability.
            offered = np.arange(len(P)) if available is None else np.flatnonzero(available[n])
            p = P[offered, i]
            if self.totals[n] == 1:
                chosen = offered[(own.random(S) > np.cumsum(p[:-1], axis=0)).sum(axis=0)]
                out[np.arange(S), self.groups[n], chosen] += 1
            else:
                p = p.T / p.sum(axis=0)[:, None]
                out[:, self.groups[n], offered] += own.multinomial(self.totals[n], np.minimum(p, 1.0))
        return out
