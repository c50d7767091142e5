"""The front door: a softmax regression, from data to estimates and posteriors.  The only place where rooms meet."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning, UnusedClassWarning
from bayes_softmax.core.records import Draws, FloatArray, Mode
from bayes_softmax.results.estimate import INTERCEPT, PointEstimate
from bayes_softmax.results.posterior import Posterior, build_idata
from bayes_softmax.results.storage import label_coefficients
from bayes_softmax.spec import build
from bayes_softmax.spec.coding import Coordinates, build_coordinates
from bayes_softmax.spec.design import Design, Label
from bayes_softmax.spec.identification import Separation, check_separation, explain
from bayes_softmax.spec.priors import Prior, PriorArgument, PriorTable, flat_table, resolve_priors
from bayes_softmax.spec.schema import Schema

if TYPE_CHECKING:
    from bayes_softmax.density.posterior import SoftmaxPosterior

SOLVERS = ("newton", "newton-cg", "lbfgs", "gradient-descent")
ENGINES = ("auto", "nuts", "pymc")


class SoftmaxRegression:
    r"""Bayesian softmax (multinomial logistic) regression.

    For row ``n`` with features :math:`x_n` and K classes,
    :math:`P(y_n = k) = \mathrm{softmax}(b + x_n W)_k`, with weights ``W`` (p, K) and intercept ``b`` (K,).

    Parameters
    ----------
    X
        (N, p) array, or data frame of numeric columns.  For categorical features use :meth:`from_formula`.
    y
        (N,) labels (strings, integers, booleans, categorical), or (N, K) one-hot rows or counts.
    feature_names
        p names; default: the frame's columns, or ``x0, x1, ...``.
    prior
        Prior of the weights, on the scale of the features as given: ``Normal``, ``StudentT``, ``Flat``, or a
        mapping from feature to one of these.  Default: autoscaled Normal priors, see :meth:`describe_prior`.
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
    missing
        ``"error"`` (default) or ``"drop"`` rows with missing values (the result says how many).
    constant
        ``"error"`` (default) or ``"drop"`` for columns that do not vary.
    intercept
        Whether there is an intercept.

    Raises
    ------
    ValueError, TypeError
        If an argument or the data cannot be used; the message names argument, column and row.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins()
    >>> model = bs.SoftmaxRegression.from_formula(
    ...     "species ~ bill_depth_mm + body_mass_g", penguins, missing="drop")
    >>> model.mle().predict(penguins.dropna().head(2)).tolist()
    ['Adelie', 'Adelie']
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        feature_names: Sequence[str] | None = None,
        *,
        prior: PriorArgument = None,
        intercept_prior: Prior | None = None,
        coding: str = "zero-sum",
        classes: Sequence[Label] | None = None,
        weights: Any = None,
        offset: Any = None,
        missing: str = "error",
        constant: str = "error",
        intercept: bool = True,
    ) -> None:
        options = build.Options(coding, classes, weights, offset, missing, constant)
        self._assemble(build.from_arrays(X, y, feature_names, intercept, options), prior, intercept_prior)
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
        missing: str = "error",
        constant: str = "error",
    ) -> Self:
        """Model of a formula over the columns of a data frame.

        Parameters
        ----------
        formula
            ``"species ~ bill_length_mm + island"``; ``"~ 0 + ..."`` has no intercept; several responses
            (``"low + medium + high ~ x"``) are columns of counts.  Interactions, ``C()``, ``poly()``, ``bs()``,
            ``np.log()`` and the like work; other functions are refused, because a formula string could execute them.
        data
            pandas or polars data frame.
        prior, intercept_prior, coding, classes, missing, constant
            As for the class.  A mapping of priors names the columns the formula makes, ``"island[T.Dream]"``.
        weights
            Array, or the name of a column.
        offset
            (N, K) array, K names of columns, or a mapping from class to column.
        """
        options = build.Options(coding, classes, weights, offset, missing, constant)
        model = cls.__new__(cls)
        model._assemble(build.from_formula(formula, data, options), prior, intercept_prior)
        model._warn_unused(classes)
        return model

    def _assemble(
        self, parts: tuple[Design, Schema], prior: PriorArgument, intercept_prior: Prior | None
    ) -> None:
        self.design, self.schema = parts
        self.priors = resolve_priors(
            prior,
            intercept_prior,
            coding=self.schema.coding,
            X=self.design.X,
            scale=self.design.standardisation.scale,
            feature_names=self.design.feature_names,
            has_intercept=self.design.has_intercept,
        )

    def _warn_unused(self, classes: Sequence[Label] | None) -> None:
        """Levels of a categorical that never occur become classes; say so unless the user declared them."""
        unused = self.schema.unused_classes
        if unused and classes is None:
            warnings.warn(
                f"{self.schema.response_name}: {_named(unused)} has no observation and is kept as a class because "
                "it is a declared category; only the prior speaks about it (pass classes=[...] to choose)",
                UnusedClassWarning,
                stacklevel=3,
            )

    # ------------------------------------------------------------------ what is modelled

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

        return build_pymc_model(self.design, self._coordinates(self.priors), self.priors, self.schema)

    def describe_prior(self) -> pd.DataFrame:
        """One row per coefficient row: family, scale, where it is measured, and whether it was autoscaled.

        ``logit_sd`` is the prior scale of the free coordinates times the sd of the feature: how much one standard
        deviation of the feature moves a logit a priori.
        """
        rows = []
        if self.priors.intercept is not None:
            at = "at x = 0" if self.priors.intercept_at == "zero" else "at the feature means"
            scale = getattr(self.priors.intercept, "scale", np.inf)
            rows.append((INTERCEPT, repr(self.priors.intercept), at, self.priors.intercept_at == "means", scale))
        sds = self.design.standardisation.scale
        for name, family, auto, sd in zip(
            self.feature_names, self.priors.weights, self.priors.autoscaled, sds, strict=True
        ):
            rows.append((name, repr(family), "per unit of the feature", auto, getattr(family, "scale", np.inf) * sd))
        table = pd.DataFrame(rows, columns=["feature", "prior", "measured", "autoscaled", "logit_sd"])
        return table.set_index("feature")

    def check_separation(self) -> Separation:
        """Whether the classes can be told apart without error, so that the MLE is infinite (linear program)."""
        return check_separation(self.design)

    # ------------------------------------------------------------------ point estimates

    def mle(
        self, solver: str = "newton", *, max_iterations: int | None = None, learning_rate: float | None = None
    ) -> PointEstimate:
        """Maximum-likelihood estimate: minimises the softmax cross-entropy; priors are ignored.

        Parameters
        ----------
        solver
            ``"newton"`` (default), ``"newton-cg"``, ``"lbfgs"`` or ``"gradient-descent"``.
        max_iterations
            Limit on the solver's iterations.
        learning_rate
            Step of gradient descent on the mean cross-entropy over standardised features.

        Returns
        -------
        PointEstimate
            With the certificate of the optimum.  Where none exists (separated classes, collinear features, an
            empty class) a ``NotConvergedWarning`` says why, and standard errors are NaN.
        """
        return self._estimate("mle", flat_table(self.priors), solver, max_iterations, learning_rate)

    def map(
        self, solver: str = "newton", *, max_iterations: int | None = None, learning_rate: float | None = None
    ) -> PointEstimate:
        """Maximum a posteriori estimate; with flat priors this is the maximum-likelihood estimate.

        ``prior=Normal(s), intercept_prior=Flat()`` is L2-penalised cross-entropy: scikit-learn's ``C = s**2``
        (for two classes under zero-sum or full coding, ``C = 2 * s**2``).  Parameters as in :meth:`mle`.
        """
        return self._estimate("map", self.priors, solver, max_iterations, learning_rate)

    def _estimate(
        self, kind: str, priors: PriorTable, solver: str, max_iterations: int | None, learning_rate: float | None
    ) -> PointEstimate:
        coding = "zero-sum" if kind == "mle" and self.schema.coding == "full" else self.schema.coding
        density = self._density(priors, coding)
        mode = _solve(density, solver, max_iterations, learning_rate)
        status = mode.status.value
        if not mode.converged:
            status += f"; {self._explain(priors)}"
            warnings.warn(f"{kind}(solver={solver!r}) {status}", NotConvergedWarning, stacklevel=3)
        intercept, weights = density.coordinates.to_raw(mode.theta[None])
        labelled = label_coefficients(intercept[0], weights[0], self.schema)
        log_prior = density.log_prior(mode.theta)
        return PointEstimate(
            kind=kind,
            intercept=labelled[0],
            weights=labelled[1],
            log_likelihood=mode.value - log_prior,
            log_prior=log_prior,
            total_weight=self.design.total_weight,
            n_obs=self.design.n_obs,
            converged=mode.converged,
            status=status,
            gradient_norm=mode.gradient_norm,
            newton_decrement=mode.newton_decrement,
            n_iterations=mode.n_iterations,
            history=-mode.history / self.design.total_weight,
            schema=replace(self.schema, coding=coding),
            covariance_of=lambda: _raw_covariance(density, mode),
            notes=self._notes(),
        )

    # ------------------------------------------------------------------ posterior

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
            As in ``pm.sample``; ``tune=None`` is 200 on the whitened density, PyMC's default for ``"pymc"``.
        random_seed
            Integer or NumPy Generator; the same seed gives the same draws, whatever ``cores`` is.
        target_accept
            Step-size target of NUTS; default 0.8.
        engine
            ``"auto"`` (chooses, today always NUTS), ``"nuts"`` (NUTS whitened by the Laplace approximation,
            through nutpie) or ``"pymc"`` (``pm.sample`` on :attr:`pymc_model`).
        progressbar
            Show progress.

        Returns
        -------
        Posterior
            After Ctrl-C: the draws finished by then, with a note.

        Raises
        ------
        ImproperPosteriorError
            If the posterior cannot be normalised (flat priors and separated classes, collinear features, or a
            class without data).
        """
        _check_counts(draws=draws, chains=chains, tune=tune)
        if engine not in ENGINES:
            raise ValueError(f"engine={engine!r} is not known; use one of {', '.join(map(repr, ENGINES))}")
        if target_accept is not None and not 0 < target_accept < 1:
            raise ValueError(f"target_accept={target_accept!r} must be between 0 and 1")
        seed = _integer_seed(random_seed)
        settings: dict[str, Any] = {
            "draws": draws,
            "tune": tune,
            "chains": chains,
            "cores": cores,
            "seed": seed,
            "target_accept": target_accept,
            "progressbar": progressbar,
        }
        return self._sample_pymc(settings) if engine == "pymc" else self._sample_nuts(settings)

    def _sample_nuts(self, settings: dict[str, Any]) -> Posterior:
        from bayes_softmax.inference.laplace import laplace_approximation
        from bayes_softmax.inference.nuts import whitened_nuts

        start = time.perf_counter()
        density = self._density(self.priors, self.schema.coding)
        ready = time.perf_counter()
        mode = _solve(density, "newton", None, None)
        self._refuse_improper(mode)
        laplace = laplace_approximation(density, mode)
        found = time.perf_counter()
        drawn: Draws = whitened_nuts(density, laplace, **settings)
        done = time.perf_counter()
        flat = drawn.points.reshape(-1, density.dimension)
        shape = drawn.points.shape[:2]
        intercept, weights = (a.reshape(*shape, *a.shape[1:]) for a in density.coordinates.to_raw(flat))
        engine = "nuts (whitened by the Laplace approximation, nutpie)"
        timings = {"compile": ready - start, "mode": found - ready, "sampling": done - found}
        idata = build_idata(intercept, weights, drawn.stats, self.design, self.schema, engine)
        return Posterior(idata, self.schema, engine, drawn.tune, self._notes() + drawn.notes, timings)

    def _sample_pymc(self, settings: dict[str, Any]) -> Posterior:
        import pymc as pm

        if not self.priors.is_proper:
            self._refuse_improper(_solve(self._density(self.priors, self.schema.coding), "newton", None, None))
        seed, tune = settings.pop("seed"), settings.pop("tune") or 1000
        options = {name: value for name, value in settings.items() if value is not None}
        start = time.perf_counter()
        with self.pymc_model:
            tree = pm.sample(tune=tune, random_seed=seed, compute_convergence_checks=False, **options)
        posterior = tree["posterior"]
        shape = (posterior.sizes["chain"], posterior.sizes["draw"])
        K, p = len(self.classes), len(self.feature_names)
        intercept = posterior["intercept"].values if self.schema.has_intercept else np.zeros((*shape, K))
        weights = posterior["weights"].values if p else np.zeros((*shape, 0, K))
        stats = {str(k): v.values for k, v in tree["sample_stats"].data_vars.items() if v.dims == ("chain", "draw")}
        engine = "pymc (pm.sample on the pm.Model)"
        idata = build_idata(intercept, weights, stats, self.design, self.schema, engine)
        timings = {"sampling": time.perf_counter() - start}
        return Posterior(idata, self.schema, engine, tune, self._notes(), timings)

    # ------------------------------------------------------------------ pieces

    def _coordinates(self, priors: PriorTable, coding: str | None = None) -> Coordinates:
        return build_coordinates(
            coding or self.schema.coding,
            self.design.n_classes,
            *self.design.standardisation,
            has_intercept=self.design.has_intercept,
            flat_intercept=priors.flat_intercept,
        )

    def _density(self, priors: PriorTable, coding: str) -> "SoftmaxPosterior":
        from bayes_softmax.density.posterior import build_posterior

        return build_posterior(self.design, self._coordinates(priors, coding), priors)

    def _explain(self, priors: PriorTable) -> str:
        """Why there is no certified optimum under these priors."""
        flat = list(priors.flat_features)
        free = np.array(([priors.flat_intercept] if self.design.has_intercept else []) + flat, dtype=bool)
        return explain(self.design, free)

    def _refuse_improper(self, mode: Mode) -> None:
        if mode.converged:
            return
        if self.priors.is_proper:
            warnings.warn(f"the mode: {mode.status.value}", NotConvergedWarning, stacklevel=4)
            return
        raise ImproperPosteriorError(
            f"the posterior is improper, there is nothing to sample: {self._explain(self.priors)}. "
            "Give the coefficients a proper prior (prior=None is the autoscaled default)"
        )

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self.schema.unused_classes:
            notes.append(f"{_named(self.schema.unused_classes)} has no observation: only the prior speaks about it")
        if self.design.n_dropped:
            notes.append(f"{self.design.n_dropped} rows with missing values were dropped")
        dropped = [n for n in self.schema.encoder.feature_names if n not in self.feature_names]
        if dropped:
            notes.append(f"columns that do not vary were dropped: {', '.join(map(repr, dropped))}")
        return tuple(notes)

    def __repr__(self) -> str:
        """Return what is modelled, in a few lines."""
        counts = ", ".join(
            f"{label!r} {count:g}" for label, count in zip(self.classes, self.design.class_counts(), strict=True)
        )
        notes = "".join(f"\n  note: {note}" for note in self._notes())
        return (
            f"SoftmaxRegression of {self.schema.response_name!r}: {len(self.classes)} classes, "
            f"{len(self.feature_names)} features, {self.design.n_obs} rows, coding {self.schema.coding!r}\n"
            f"  classes: {counts}\n  features: {', '.join(self.feature_names) or 'none (intercept only)'}{notes}"
        )


def _solve(
    density: "SoftmaxPosterior", solver: str, max_iterations: int | None, learning_rate: float | None
) -> Mode:
    """Run a solver by name, with BLAS on one thread so that results repeat to the last bit."""
    from threadpoolctl import threadpool_limits

    from bayes_softmax.inference import first_order, newton

    solvers: dict[str, Any] = {
        "newton": newton.newton,
        "newton-cg": newton.newton_cg,
        "lbfgs": first_order.lbfgs,
        "gradient-descent": first_order.gradient_descent,
    }
    if solver not in solvers:
        raise ValueError(f"solver={solver!r} is not known; use one of {', '.join(map(repr, SOLVERS))}")
    options: dict[str, Any] = {}
    if max_iterations is not None:
        _check_counts(max_iterations=max_iterations)
        options["max_iterations"] = max_iterations
    if learning_rate is not None:
        if solver != "gradient-descent":
            raise ValueError(f"learning_rate is for solver='gradient-descent', not {solver!r}")
        options["learning_rate"] = learning_rate
    with threadpool_limits(limits=1, user_api="blas"):
        mode: Mode = solvers[solver](density, np.zeros(density.dimension), **options)
    return mode


def _raw_covariance(density: "SoftmaxPosterior", mode: Mode) -> FloatArray:
    """Covariance of the raw coefficients; NaN where the optimum is not certified."""
    from bayes_softmax.inference.laplace import covariance, laplace_approximation

    raw_map = density.coordinates.raw_map
    if not mode.converged:
        return np.full((raw_map.shape[0],) * 2, np.nan)
    result: FloatArray = raw_map @ covariance(laplace_approximation(density, mode)) @ raw_map.T
    return result


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name}={value!r} must be a whole number")
        if value < (0 if name == "tune" else 1):
            raise ValueError(f"{name}={value!r} must be at least {0 if name == 'tune' else 1}")


def _integer_seed(random_seed: int | np.random.Generator | None) -> int:
    """One integer for samplers that take no Generator."""
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**31))
    if random_seed is None:
        return int(np.random.default_rng().integers(2**31))
    _check_counts(tune=random_seed)
    return int(random_seed)


def _named(labels: Sequence[Label]) -> str:
    return f"class{'es' if len(labels) > 1 else ''} {', '.join(map(repr, labels))}"
