"""The front door: a softmax regression, from data to estimates and posteriors."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import check_counts, check_flags, counted, integer_seed
from bayes_softmax.core.errors import UnusedClassWarning, warn_caller
from bayes_softmax.data import build
from bayes_softmax.data.design import Design, Label
from bayes_softmax.data.observations import Observations
from bayes_softmax.data.options import Options
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.unused_classes import unused_warning
from bayes_softmax.fits.estimate import PointEstimate
from bayes_softmax.fits.forecast import Forecast
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting import estimates as fitting
from bayes_softmax.fitting import forecasting, sampling
from bayes_softmax.fitting.scales import prepare_hierarchy
from bayes_softmax.separation.diagnosis import check_separation
from bayes_softmax.separation.verdict import Separation
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.prior_draws import prior_sds
from bayes_softmax.spec.prior_table import prior_table
from bayes_softmax.spec.priors import Prior, PriorArgument, PriorTable
from bayes_softmax.spec.resolve import resolve_priors
from bayes_softmax.spec.specification import Specification

if TYPE_CHECKING:
    from bayes_softmax.density.jeffreys import JeffreysPosterior
    from bayes_softmax.density.posterior import SoftmaxPosterior
    from bayes_softmax.density.scales.posterior import HierarchicalPosterior


class SoftmaxRegression:
    r"""Bayesian softmax (multinomial logistic) regression.

    For row ``n`` with features :math:`x_n` and K classes,
    :math:`P(y_n = k) = \mathrm{softmax}(b + x_n W)_k`, with weights ``W`` (p, K) and intercept ``b`` (K,).

    Parameters
    ----------
    X
        (N, p) array, or data frame of numeric columns.  For categorical features use :meth:`from_formula`.
    y
        (N,) labels (strings, integers, booleans, categorical), or (N, K) one-hot rows or counts.  Categories that are
        intervals, dates or real numbers are called what they look like.
    feature_names
        p names; default: the frame's columns, or ``x0, x1, ...``.
    prior
        Prior of the weights, on the scale of the features as given: ``Normal``, ``StudentT``, ``Laplace``, ``Flat``,
        or a mapping from feature to one of these; ``Jeffreys`` for all coefficients together; with learned scales
        ``Normal(scale=HalfNormal(1))``, one for all features that carry it, and ``R2D2()``, one for each, per standard
        deviation of the feature.  Default: autoscaled Normal priors, see :meth:`describe_prior`.
    intercept_prior
        Prior of the intercept at x = 0; default ``Normal(1.5)`` at the feature means.
    coding
        ``"zero-sum"`` (default: no class is special), ``"reference"`` (first class fixed at zero) or ``"full"``.
    classes
        Class labels in order; classes without data are allowed with a proper prior.
    weights
        (N,) frequency weights: weight 2 is the row twice.
    offset
        (N, K) added to the logits.
    available
        (N, K) of True and False: which classes are on offer in a row.  A class that is not has probability 0 there, in
        the fit and in every answer; a row with one class on offer adds nothing.  Default: all classes in all rows.
    missing
        ``"error"`` (default) or ``"drop"`` rows with missing values (the result says how many); what is masked, null
        or None is missing too.
    constant
        ``"error"`` (default) or ``"drop"`` for columns that do not vary.
    intercept
        Whether there is an intercept.
    collapse
        Whether rows with equal features are made one row of counts where that helps; nothing is lost by it.

    Raises
    ------
    ValueError, TypeError
        If an argument or the data cannot be used; the message names argument, column and row.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins()
    >>> model = bs.SoftmaxRegression.from_formula(
    ...     "species ~ bill_length_mm + flipper_length_mm", penguins, missing="drop"
    ... )
    >>> model.mle().predict(penguins.dropna().head(2)).tolist()
    ['Adelie', 'Adelie']
    """

    def __init__(
        self,
        X: Any = None,
        y: Any = None,
        feature_names: Sequence[str] | None = None,
        *,
        prior: PriorArgument = None,
        intercept_prior: Prior | None = None,
        coding: str = "zero-sum",
        classes: Sequence[Label] | None = None,
        weights: Any = None,
        offset: Any = None,
        available: Any = None,
        missing: str = "error",
        constant: str = "error",
        intercept: bool = True,
        collapse: bool = True,
    ) -> None:
        options = Options(coding, classes, weights, offset, missing, constant, available)
        self._assemble(build.from_arrays(X, y, feature_names, intercept, options), prior, intercept_prior, collapse)
        self._warn_unused(classes)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        prior: PriorArgument = None,
        intercept_prior: Prior | None = None,
        coding: str = "zero-sum",
        classes: Sequence[Label] | None = None,
        weights: Any = None,
        offset: Any = None,
        available: Any = None,
        missing: str = "error",
        constant: str = "error",
        collapse: bool = True,
    ) -> Self:
        """Model of a formula over the columns of a data frame.

        Parameters
        ----------
        formula
            ``"species ~ bill_length_mm + island"``; ``"~ 0 + ..."`` has no intercept; several responses
            (``"low + medium + high ~ x"``) are columns of counts.  Interactions, ``C()``, ``poly()``, ``bs()``,
            ``np.log()`` and others of a fixed list work, never code.  Booleans are factors of two levels, as in R.
        data
            pandas or polars data frame.
        prior, intercept_prior, coding, classes, missing, constant, collapse
            As for the class.  A mapping of priors names the columns the formula makes, ``"island[T.Dream]"``.
        weights
            Array, or the name of a column.
        offset
            (N, K) array, K names of columns, or a mapping from class to column.
        available
            (N, K) array of True and False, K names of columns, or a mapping from class to column.
        """
        options = Options(coding, classes, weights, offset, missing, constant, available)
        model = cls.__new__(cls)
        model._assemble(build.from_formula(formula, data, options), prior, intercept_prior, collapse)
        model._warn_unused(classes)
        return model

    def _assemble(
        self, parts: tuple[Design, Schema], prior: PriorArgument, intercept_prior: Prior | None, collapse: bool
    ) -> None:
        check_flags(collapse=collapse)
        design, schema = parts
        used = design.totals > 0
        priors = resolve_priors(
            prior,
            intercept_prior,
            coding=schema.coding,
            X=design.X if used.all() else design.X[used],
            totals=design.totals[used],
            scale=design.standardisation.scale,
            feature_names=design.feature_names,
            has_intercept=design.has_intercept,
        )
        sds = prior_sds(priors, design.standardisation.centre, design.n_classes)
        schema = replace(schema, prior_sd=sds, dropped_flat=priors.all_flat)
        self.specification = Specification(Observations(design, collapse), schema, priors)

    def _warn_unused(self, classes: Sequence[Label] | None) -> None:
        """Levels of a categorical that never occur become classes; say so unless the user declared them."""
        message = unused_warning(self.design) if classes is None else None
        if message is not None:
            warn_caller(message, UnusedClassWarning)

    @property
    def design(self) -> Design:
        """The rows as given: features, responses, weights, offset."""
        return self.specification.design

    @property
    def schema(self) -> Schema:
        """Names and encodings."""
        return self.specification.schema

    @property
    def priors(self) -> PriorTable:
        """One prior family per coefficient row."""
        return self.specification.priors

    @property
    def classes(self) -> tuple[Label, ...]:
        """Class labels in order."""
        return self.schema.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, without the intercept."""
        return self.schema.feature_names

    @cached_property
    def pymc_model(self) -> Any:
        """The same model as a ``pm.Model``: read, draw, extend or sample it with PyMC."""
        from bayes_softmax.spec.pymc_model import build_pymc_model

        return build_pymc_model(self.design, self.coordinates, self.priors, self.schema)

    @property
    def coordinates(self) -> Coordinates:
        """Linear maps between the free vector of :attr:`log_density` and the raw coefficients."""
        return self.specification.coordinates

    @cached_property
    def log_density(self) -> "SoftmaxPosterior | JeffreysPosterior | HierarchicalPosterior":
        """The compiled log posterior as a ``LogDensity``: for algorithms of your own.

        Where scales are learned it is a ``WhitenedDensity``, of whitened coefficients and hyperparameters.
        """
        if self.priors.learns_scales:
            return prepare_hierarchy(self.specification).density
        return fitting.objective_of(self.specification, fitting.density_of(self.specification))

    def describe_prior(self) -> pd.DataFrame:
        """One row per coefficient row: prior, where it is measured, what its scale was made from.

        ``logit_sd``: how much one sd of the feature moves a logit a priori; ``attrs``: the sd of a logit over the data
        that results, ``total_logit_sd``, and the default in words, ``formula``, derived in
        :func:`bayes_softmax.spec.autoscale.default_scales`.  See also ``plots.prior``.
        """
        return prior_table(self.priors, self.design)

    def sample_prior(self, draws: int = 1000, *, random_seed: int | np.random.Generator | None = None) -> Posterior:
        """Draw the coefficients from their priors: what the model says before it has seen the classes.

        The result answers the questions a posterior answers (``posterior_predictive`` is then the prior predictive);
        its draws are in the group ``prior`` of ``idata``.

        Parameters
        ----------
        draws, random_seed
            Number of independent draws; integer or NumPy Generator.

        Raises
        ------
        ValueError
            If a prior is improper.

        Examples
        --------
        >>> import bayes_softmax as bs
        >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"])
        >>> model.sample_prior(draws=100, random_seed=1).predict_proba([[1.0]]).shape
        (1, 2)
        """
        check_counts(draws=draws)
        return sampling.sample_prior(self.specification, draws, integer_seed(random_seed))

    def check_separation(self) -> Separation:
        """Whether the classes are separated, completely or not quite, so that the MLE is infinite (linear programs).

        Names classes, features, direction and example rows, collinear columns, and classes without data.

        Examples
        --------
        >>> SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "a", "b"]).check_separation().pairs
        (('a', 'b'),)
        """
        return check_separation(self.design)

    def forecast(
        self, draws: int = 1000, tune: int | None = None, chains: int = 4, *, cores: int | None = None
    ) -> Forecast:
        """Time and memory that ``sample()`` and ``laplace()`` will take here, from about a second of measuring.

        Parameters
        ----------
        draws, tune, chains, cores
            The run to forecast, as in :meth:`sample`.

        Examples
        --------
        >>> import bayes_softmax as bs
        >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"])
        >>> sorted(model.forecast().sampling_seconds)
        ['independence', 'laplace', 'nuts']
        """
        sampling.check_run(draws, tune, chains, cores)
        settings = sampling.SamplerSettings(draws, tune, chains, cores, 0, None, False)
        return forecasting.forecast(self.specification, settings)

    def mle(
        self, solver: str = "newton", *, max_iterations: int | None = None, learning_rate: float | None = None
    ) -> PointEstimate:
        """Maximum-likelihood estimate: minimises the softmax cross-entropy; priors are ignored.

        Parameters
        ----------
        solver
            ``"newton"`` (default: by Cholesky factors, or by preconditioned conjugate gradients where these are
            quicker), ``"newton-cg"`` (always the latter), ``"lbfgs"`` or ``"gradient-descent"``.
        max_iterations
            Limit on the solver's iterations.
        learning_rate
            Step of gradient descent on the mean cross-entropy over standardised features.

        Returns
        -------
        PointEstimate
            With the certificate of the optimum.  Where none exists (separated classes, collinear features, an
            empty class) a ``NotConvergedWarning`` says why; ``summary()`` then tells what is infinite from the rest.
        """
        options = fitting.SolverOptions(solver, max_iterations, learning_rate)
        return fitting.point_estimate(self.specification.without_priors(), "mle", options)

    def map(
        self, solver: str = "newton", *, max_iterations: int | None = None, learning_rate: float | None = None
    ) -> PointEstimate:
        """Maximum a posteriori estimate; with flat priors this is the maximum-likelihood estimate.

        ``prior=Normal(s), intercept_prior=Flat()`` is L2-penalised cross-entropy: scikit-learn's ``C = s**2``
        (for two classes under zero-sum or full coding, ``C = 2 * s**2``).  Parameters as in :meth:`mle`.

        ``Laplace(b)`` is the lasso under full coding (scikit-learn's ``l1_ratio=1, C=b``), the group lasso under
        zero-sum coding: exact zeros, whose standard errors are NaN, by proximal Newton (the only solver for it).
        ``Jeffreys()`` is Firth's penalised likelihood, finite also on separated data.  Learned scales are refused: the
        joint mode depends on how the scale is written, and lies at a scale of zero.
        """
        options = fitting.SolverOptions(solver, max_iterations, learning_rate)
        return fitting.point_estimate(self.specification, "map", options)

    def sample(
        self,
        draws: int = 1000,
        tune: int | None = None,
        chains: int = 4,
        *,
        cores: int | None = None,
        random_seed: int | np.random.Generator | None = None,
        target_accept: float | None = None,
        engine: str = "auto",
        progressbar: bool = True,
    ) -> Posterior:
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, cores
            As in ``pm.sample``; ``tune=None`` is 200 for ``"nuts"`` (400 where scales are learned), 50 for
            ``"independence"``, 1000 for ``"pymc"``.
        random_seed
            Integer or NumPy Generator; the same seed gives the same draws, whatever ``cores`` is.
        target_accept
            Step-size target of NUTS; default 0.9, for ``R2D2`` 0.98.
        engine
            ``"nuts"`` (NUTS whitened by the Laplace approximation, through nutpie), ``"independence"``
            (Metropolis-Hastings with proposals from that approximation, quicker where the posterior is near a normal;
            if a pilot finds it is not, NUTS is run, with a ``NotReliableWarning``), ``"auto"`` (decides between these
            by the pilot, and says why in ``engine``), or ``"pymc"`` (``pm.sample`` on :attr:`pymc_model`).
        progressbar
            Show progress.

        Notes
        -----
        Above 1500 free coefficients the whitening is a Kronecker approximation of the Hessian, one block for each
        class contrast.  With more features than rows and Normal priors the sampler works in the row space of the
        features, and the rest is drawn from the prior: exact, and as small as the number of rows.

        Returns
        -------
        Posterior
            After Ctrl-C: the draws finished by then, in chains of equal length, with a note; a second one aborts.

        Raises
        ------
        ImproperPosteriorError, MemoryError
            If the posterior cannot be normalised (flat priors and separated classes, collinear features, or a
            class without data); if the draws do not fit into memory.
        """
        sampling.check_run(draws, tune, chains, cores, progressbar=progressbar)
        sampling.check_engine(engine, target_accept)
        seed = integer_seed(random_seed)
        settings = sampling.SamplerSettings(draws, tune, chains, cores, seed, target_accept, progressbar)
        if engine == "pymc":
            return sampling.sample_pymc(self.specification, settings)
        return sampling.sample(self.specification, settings, engine)

    def laplace(
        self, draws: int = 4000, *, random_seed: int | np.random.Generator | None = None, progressbar: bool = True
    ) -> Posterior:
        """Draw from the Laplace approximation, corrected by importance weights: nearly independent draws.

        Each draw costs one evaluation of the log density, many at once; for tall data this is the quickest way to a
        posterior.  The result carries its own check: ``pareto_k`` (reliable below 0.7, else a ``NotReliableWarning``
        says so), the weight-based effective sample size ``ess``, and ``log_evidence``.

        Parameters
        ----------
        draws
            Number of draws, in one chain; resampled to equal weights, so copies occur.
        random_seed
            Integer or NumPy Generator.
        progressbar
            Show progress.

        Raises
        ------
        ValueError
            As :meth:`sample`; and where a Laplace prior holds weights of the mode at zero, a kink.
        """
        sampling.check_weighted_run(draws, progressbar=progressbar)
        seed = integer_seed(random_seed)
        return sampling.sample_laplace(self.specification, draws, seed, progressbar)

    def __repr__(self) -> str:
        """Return what is modelled, in a few lines."""
        counts = ", ".join(
            f"{label!r} {count:g}" for label, count in zip(self.classes, self.design.class_counts(), strict=True)
        )
        notes = "".join(f"\n  note: {note}" for note in fitting.notes_of(self.specification))
        return (
            f"SoftmaxRegression of {self.schema.response_name!r}: {len(self.classes)} classes, "
            f"{counted(len(self.feature_names), 'feature')}, {counted(self.design.n_obs, 'row')}, "
            f"coding {self.schema.coding!r}\n"
            f"  classes: {counts}\n  features: {', '.join(self.feature_names) or 'none (intercept only)'}{notes}"
        )
