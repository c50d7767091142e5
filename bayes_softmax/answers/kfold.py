"""K-fold cross-validation: the model is fitted again without each fold, and scores the observations left out."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayes_softmax.answers.cautions import in_the_limit
from bayes_softmax.answers.fitted import Fitted, Refittable, training_of
from bayes_softmax.answers.folds import Parts, canonical_ranks, check_number, divide, parts_of, read_units
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.loo import LEFT_OUT
from bayes_softmax.answers.new_data import check_logits
from bayes_softmax.answers.newton_loo import check_whole_counts
from bayes_softmax.answers.probabilities import over_blocks, row_log_likelihood
from bayes_softmax.answers.training import Cells, TrainingData, cells_of
from bayes_softmax.core.checks import check_choice, check_counts, check_flags, counted, describe_rows, first_few
from bayes_softmax.core.errors import NotEstimableWarning, NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.progress import steps
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, generator_of
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.schema import Schema

SEEDS = 2**31
DEFAULT_SEED = 1
SHOWN_FOLDS = 5


class _Scored(NamedTuple):
    """Row, fold and class (n,) of each observation, or of each row, with its score left out and by the whole fit.

    ``doubtful`` says whether a refit gave a warning.
    """

    rows: IntArray
    folds: IntArray
    codes: IntArray | None
    elpd: FloatArray
    lppd: FloatArray
    doubtful: bool


def kfold(
    fit: Refittable,
    k: int = 10,
    *,
    by: str = "observation",
    groups: Any = None,
    stratify: bool = True,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    progressbar: bool = True,
) -> Any:
    """Expected log predictive density by k-fold cross-validation, as ArviZ's ``ELPDDataLOOKFold``.

    The model is fitted k times, each time without one fold, by the engine and with the settings of the fit; each
    observation is scored by the fit that did not see it.  Unlike :meth:`Posterior.loo` it takes no approximation, and
    unlike it it can leave out groups; k as large as the number of observations is exact leave-one-out.

    Encodings (levels, spline knots, means), standardisation and the scales of default priors stay those of all rows,
    which they have from the features alone; scales that are learned, or were chosen by the evidence, are so again.

    Parameters
    ----------
    k
        Number of folds, from 2 to the number of observations (rows, groups).
    by
        ``"observation"`` (default): the observations of counts or whole weights are divided and scored one by one.
        ``"row"``: a whole row stays together and is scored as one, with its weight or all its counts.
    groups
        Rows of one group stay in one fold: the name of a variable or a grouping of the model, or an array with one
        label per row of the data (a series is matched by its index).  With as many folds as groups it is
        leave-one-group-out, with a score for each observation; :meth:`Posterior.loo` scores groups as a whole.
    stratify
        Whether the folds are made alike in their classes, so that a rare class is missing from no training data where
        that can be avoided.
    random_seed, rng
        Of the folds and of the draws, as in :meth:`SoftmaxRegression.sample`.  Default: a fixed seed, so that models of
        the same observations have the same folds and can be compared.
    progressbar
        Whether progress is shown.

    Returns
    -------
    ELPDDataLOOKFold
        With pointwise values ``elpd_i`` and ``p_kfold_i``, labelled by row, ``fold`` (1 to k) and observed
        ``category``; several observations of a row are in an order that does not depend on the names of the classes.
        ``az.compare`` and ``bs.compare_models`` take it.  The standard error takes the observations as independent,
        also within groups.

    Raises
    ------
    ValueError
        For a fit that was loaded from a file; for weights that are not whole numbers under ``by="observation"``.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> found = model.laplace(draws=1000, random_seed=1, progressbar=False).kfold(k=5)
    >>> round(found.elpd), round(found.se), found.n_folds, found.n_data_points
    (-144, 8, 5, 333)
    """
    check_counts(k=k)
    check_choice("by", by, LEFT_OUT)
    check_flags(stratify=stratify, progressbar=progressbar)
    generator = generator_of(random_seed, rng, default=DEFAULT_SEED)
    training = training_of(fit, "kfold()")
    _check_refit(fit)
    load_in_full("arviz_stats", "arviz_stats.utils")  # before the refits, which may take long
    parts = parts_of(training, ranks := canonical_ranks(training, fit.logits.n_classes))
    if by == "observation":
        check_whole_counts(training, "kfold")
        parts = parts.single()
    units, unit = read_units(training, fit.schema, parts, groups, by)
    check_number(k, int(units.max()) + 1, unit)
    seeds = generator.integers(SEEDS, size=k)
    folds = divide(units, ranks[parts.codes], parts.amounts, k, generator, stratify=stratify)
    return _result(fit, training, _scored(fit, training, parts, folds, seeds, by), k)


def _check_refit(fit: Refittable) -> None:
    """Raise for a fit that cannot be made again."""
    if fit.is_prior:
        raise ValueError("kfold() needs a fit to data, and these are draws from the prior; use model.sample()")
    if fit.refit_cells is None:
        raise ValueError(
            "kfold() fits the model again, and a fit that was loaded from a file cannot: fit the model anew, as in "
            "model.sample().kfold()"
        )


def _scored(
    fit: Refittable, training: TrainingData, parts: Parts, folds: IntArray, seeds: IntArray, by: str
) -> _Scored:
    """Scores of all observations or rows, each by the fit without its fold."""
    distinct, score = cells_of(training), _score_rows if by == "row" else _score_cells
    if by == "row":
        rows, first = np.unique(parts.rows, return_index=True)
        places, codes, folds_of = rows, None, folds[first]
    else:
        rows, places, codes, folds_of = parts.rows, parts.cells, parts.codes, folds
    n_places = training.n_obs if by == "row" else len(distinct.rows)
    elpd = np.full(len(rows), np.nan)
    told: list[list[warnings.WarningMessage]] = []
    with steps("folds", len(seeds)) as done:
        for fold, seed in enumerate(seeds.tolist()):
            own = np.flatnonzero(folds_of == fold)
            wanted = np.zeros(n_places, dtype=bool)
            wanted[places[own]] = True
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fitted = _without(fit, distinct, parts, folds != fold, seed, f"fold {fold + 1} of {len(seeds)}")
                elpd[own] = score(fitted, training, wanted)[places[own]]
            told.append([*caught, *_doubts(fitted)])
            done(1)
        lppd = score(fit, training, np.bincount(places, minlength=n_places) > 0)[places]
    _warn_of(told)
    return _Scored(rows, folds_of, codes, elpd, lppd, any(told))


def _without(fit: Refittable, distinct: Cells, parts: Parts, kept: Any, seed: int, fold: str) -> Fitted:
    """The fit to the parts that are kept; an error says which fold it was without."""
    assert fit.refit_cells is not None
    counts = np.bincount(parts.cells[kept], weights=parts.amounts[kept], minlength=len(distinct.rows))
    seen = np.flatnonzero(counts)
    try:
        return fit.refit_cells(Cells(distinct.rows[seen], distinct.codes[seen], counts[seen]), seed)
    except Exception as error:
        error.add_note(f"kfold(): this is the fit without {fold}")
        raise


def _doubts(fitted: Fitted) -> list[warnings.WarningMessage]:
    """What makes the draws of a refit unusable, as a warning."""
    if not fitted.doubts:
        return []
    return [warnings.WarningMessage("; ".join(fitted.doubts), NotReliableWarning, "", 0)]


def _score_cells(fit: Fitted, training: TrainingData, wanted: Any) -> FloatArray:
    """Log predictive densities (cells,) of an observation of each wanted cell."""
    out, first = np.full(len(wanted), np.nan), 0
    for block in training.blocks():
        cells = block.cells
        own = np.flatnonzero(wanted[first : first + len(cells.rows)])
        at, local = np.unique(cells.rows[own], return_inverse=True)
        codes = cells.codes[own]

        def judge(
            L: FloatArray, place: slice, local: IntArray = local, codes: IntArray = codes, to: IntArray = own + first
        ) -> None:
            here = slice(*np.searchsorted(local, [place.start, place.stop]))
            out[to[here]] = _log_mean(L[codes[here], local[here] - place.start])

        rows = block.rows.take(at)
        check_logits(fit.schema, fit, rows._replace(index=block.rows.index[at]))
        over_blocks(fit, in_the_limit(fit, rows), judge, log=True)
        first += len(cells.rows)
    return out


def _score_rows(fit: Fitted, training: TrainingData, wanted: Any) -> FloatArray:
    """Log predictive densities (N,) of the wanted rows as given, each with all its weighted counts."""
    out = np.full(len(wanted), np.nan)
    for block in training.given_blocks():
        own = np.flatnonzero(wanted[block.place])
        counts = block.counts[own]

        def judge(L: FloatArray, place: slice, counts: FloatArray = counts, to: IntArray = own + block.first) -> None:
            out[to[place]] = _log_mean(row_log_likelihood(L, counts[place]))

        rows = block.rows.take(own)
        check_logits(fit.schema, fit, rows._replace(index=block.rows.index[own]))
        over_blocks(fit, in_the_limit(fit, rows), judge, log=True)
    return out


def _log_mean(log_p: FloatArray) -> FloatArray:
    """Logarithm (m,) of the mean over draws of ``exp(log_p)`` (m, S)."""
    mean: FloatArray = logsumexp(log_p, axis=1) - np.log(log_p.shape[1])
    return mean


def _warn_of(told: list[list[warnings.WarningMessage]]) -> None:
    """Warn once of each kind of warning that the refits gave, naming the folds."""
    folds: dict[type[Warning], list[int]] = {}
    texts: dict[type[Warning], str] = {}
    for fold, messages in enumerate(told, start=1):
        for category in dict.fromkeys(message.category for message in messages):
            folds.setdefault(category, []).append(fold)
        for message in messages:
            texts.setdefault(message.category, str(message.message))
    for category, own in folds.items():
        named = first_few([str(fold) for fold in own[:SHOWN_FOLDS]], len(own))
        which = f"without fold {named}" if len(own) == 1 else f"without each of the folds {named}"
        first = "" if len(own) == 1 else f"the first of {counted(len(own), 'fit')}: "
        warn_caller(f"kfold(), {which}: {first}{texts[category]}", category)


def _result(fit: Fitted, training: TrainingData, found: _Scored, k: int) -> Any:
    """ArviZ's result."""
    from arviz_stats.utils import ELPDDataLOOKFold

    names = np.asarray(observation_coordinate(training.index))[found.rows]
    lost = np.flatnonzero(~np.isfinite(found.elpd))
    if lost.size:
        rows = describe_rows(names[lost], range(len(lost)))
        warn_caller(
            f"kfold(): elpd is {found.elpd.sum():g}, as the fits without them exclude what was observed in {rows}, or "
            "leave its probability undetermined; a proper prior decides it",
            NotEstimableWarning,
        )
    dim = "obs" if len(np.unique(found.rows)) == len(found.rows) else "unit"
    coords: dict[str, Any] = {"obs": (dim, names), "fold": (dim, 1 + found.folds)}
    if found.codes is not None:
        coords["category"] = (dim, _labels(fit.schema)[found.codes])
    with np.errstate(invalid="ignore"):
        p = found.lppd - found.elpd
        se = float(np.sqrt(len(p) * np.var(found.elpd)))
    return ELPDDataLOOKFold(
        elpd=float(found.elpd.sum()),
        se=se,
        p=float(p.sum()),
        n_samples=fit.parameters.n_draws,
        n_data_points=len(p),
        scale="log",
        warning=found.doubtful or bool(lost.size),
        good_k=None,
        elpd_i=xr.DataArray(found.elpd, dims=dim, coords=coords, name="elpd_i"),
        n_folds=k,
        p_kfold_i=xr.DataArray(p, dims=dim, coords=coords, name="p_kfold_i"),
    )


def _labels(schema: Schema) -> Any:
    """Labels (K,) of the classes as an array."""
    return np.asarray(schema.category_coordinate)
