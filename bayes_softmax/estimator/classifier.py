"""``SoftmaxClassifier``: the model as a scikit-learn estimator, for pipelines, grids and cross-validation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bayes_softmax.answers.cautions import row_cautions
from bayes_softmax.answers.mean_probabilities import probabilities_and_logs
from bayes_softmax.answers.new_data import check_logits
from bayes_softmax.core.attributes import OF_ESTIMATORS, get_missing
from bayes_softmax.core.checks import check_choice
from bayes_softmax.core.errors import NotEstimableWarning, warn_caller
from bayes_softmax.core.keywords import explains
from bayes_softmax.core.records import AnyArray, FloatArray
from bayes_softmax.data.groups.grouping import KNOWN
from bayes_softmax.density.textbook import log_softmax, softmax
from bayes_softmax.estimator.coefficients import ATTRIBUTES, NO_COEFFICIENTS, set_coefficients
from bayes_softmax.estimator.methods import METHODS, asked_of_fits
from bayes_softmax.estimator.reading import at_levels, model_of, read_new, read_training, read_weights
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.spec.custom.argument import CustomLogits
from bayes_softmax.spec.groups.arguments import GroupNormal
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.priors import Prior, PriorArgument

type PriorOrMapping = PriorArgument
type PriorOrNone = Prior | None
type LogitsOrNone = MLP | CustomLogits | None
type GroupPrior = GroupNormal | Mapping[str, GroupNormal] | None
type ByColumn = Sequence[str] | Mapping[Any, str] | None  # a column for each class


class SoftmaxClassifier(ClassifierMixin, BaseEstimator):
    """Bayesian softmax (multinomial logistic) regression as a scikit-learn classifier.

    The model is :class:`~bayes_softmax.SoftmaxRegression`; ``result_`` is its fit, with effects, intervals and the
    rest.  With ``prior=Normal(s), intercept_prior=Flat()`` the estimate is that of scikit-learn's
    ``LogisticRegression(C=s**2)`` (for two classes under zero-sum or full coding, ``C=2 * s**2``).

    Parameters
    ----------
    prior, intercept_prior
        Priors of weights and intercept, as in :class:`~bayes_softmax.SoftmaxRegression`; default: autoscaled.  Columns
        of an array are called ``x0, x1, ...`` in a mapping from feature to prior.
    coding
        ``"zero-sum"``, ``"reference"`` (first of ``classes_`` fixed at zero) or ``"full"``.
    method
        ``"map"`` (maximum a posteriori), ``"mle"`` (priors are ignored), ``"laplace"`` (weighted draws around the
        mode) or ``"sample"`` (Markov chains).  With the last two, probabilities are averaged over the draws.
    engine
        Sampler of ``method="sample"``, as in :meth:`~bayes_softmax.SoftmaxRegression.sample`.
    fit_intercept
        Whether the model has an intercept.
    offset, available
        Columns of X, one for each class, that are added to the logits, or say which classes are on offer, as in
        :class:`~bayes_softmax.SoftmaxRegression`; they are not features.  K names in the order of ``classes_``, or a
        mapping from class to column, but not where scikit-learn numbers the classes anew (``cross_val_predict``).
    groups, group_prior, levels
        Columns of X whose levels have effects of their own, priors of these, and in predictions ``"known"``, ``"new"``,
        ``"known or new"`` or ``"average"``, as in :meth:`~bayes_softmax.Posterior.predict_proba`: levels that only a
        test fold has are not known.  The groups of a splitter are an argument of ``cross_val_score``, and not these.
    logits, layers
        ``MLP(hidden=(50,))`` for a neural network, whose layers ``prior`` is then of, and the layers that
        ``method="sample"`` draws, as in :class:`~bayes_softmax.SoftmaxRegression`.
    solver, max_iter
        Solver of ``"map"`` and ``"mle"``, and the limit on its iterations.
    restarts
        Random starts of a network's estimate, of which the best counts; None chooses.
    draws, tune, chains, target_accept
        Settings of ``"sample"``, and the draws of ``"laplace"``; None: 1000 draws in each chain, or 4000 by Laplace.
    n_jobs
        Chains that run at a time; None is 1 unless in a ``joblib.parallel_config``, and -1 all cores.  The draws do
        not depend on it.
    random_state
        Integer, ``RandomState`` or ``Generator``, for the draws; None: NumPy's global state.  A network's estimate
        is found from random starts of this seed; with None from the same ones each time.
    verbose
        Whether to show the progress of the draws.

    Attributes
    ----------
    classes_
        (K,) labels, sorted.
    coef_, intercept_
        (K, p) and (K,), in the coding of the model; for two classes (1, p) and (1,), second class minus first.  Of
        draws: their means.  A column that did not vary in the data of the fit has coefficient 0.  A network has none.
    coef_names_
        (p,) names of the columns of ``coef_``: those of X, with factors dummy-coded.
    n_iter_
        (1,) iterations of the solver, or steps of each chain, tuning included.
    n_features_in_, feature_names_in_
        Number of columns of X, and their names if it was a frame.
    result_
        :class:`~bayes_softmax.PointEstimate` or :class:`~bayes_softmax.Posterior`.  It keeps the data, also pickled.

    Notes
    -----
    A frame with columns of text or categories is read as a formula of all its columns: such a column is dummy-coded
    against its first level, and a level that the fit has not seen is an error.  Sparse X is written out, up to 2 GiB.
    After a ``OneHotEncoder`` or ``ColumnTransformer`` features are called ``x0, x1, ...`` in ``result_`` unless these
    pass names on, by ``pipeline.set_output(transform="pandas")``; columns of text may also go in directly.
    Where an optimum is not certified, ``fit`` issues a ``NotConvergedWarning``; predictions are then those of the
    solver's last iterate, while the answers of ``result_`` are those of the limit.  Draws that fail their own checks
    are a ``NotReliableWarning``.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> float(cross_val_score(bs.SoftmaxClassifier(prior=bs.Normal(2)), X, y).mean().round(2))
    0.97
    """

    @explains
    def __init__(
        self,
        prior: PriorOrMapping = None,
        *,
        intercept_prior: PriorOrNone = None,
        coding: str = "zero-sum",
        method: str = "map",
        engine: str = "auto",
        fit_intercept: bool = True,
        offset: ByColumn = None,
        available: ByColumn = None,
        groups: str | Sequence[str] | None = None,
        group_prior: GroupPrior = None,
        levels: str = KNOWN,
        logits: LogitsOrNone = None,
        layers: str | None = None,
        solver: str = "newton",
        max_iter: int | None = None,
        restarts: int | None = None,
        draws: int | None = None,
        tune: int | None = None,
        chains: int = 4,
        target_accept: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.prior = prior
        self.intercept_prior = intercept_prior
        self.coding = coding
        self.method = method
        self.engine = engine
        self.fit_intercept = fit_intercept
        self.offset = offset
        self.available = available
        self.groups = groups
        self.group_prior = group_prior
        self.levels = levels
        self.logits = logits
        self.layers = layers
        self.solver = solver
        self.max_iter = max_iter
        self.restarts = restarts
        self.draws = draws
        self.tune = tune
        self.chains = chains
        self.target_accept = target_accept
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            (N, p) numbers, or a data frame (pandas, polars), whose columns may hold text or categories.
        y
            (N,) labels.
        sample_weight
            (N,) frequency weights: weight 2 is the row twice, weight 0 no row.

        Returns
        -------
        SoftmaxClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data cannot be used.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"dose": [1.0, 2.0, 3.0, 4.0], "sex": ["f", "m", "f", "m"]})
        >>> SoftmaxClassifier().fit(frame, ["well", "ill", "well", "well"]).coef_names_.tolist()
        ['dose', 'sex[T.m]']
        """
        check_choice("method", self.method, tuple(METHODS))
        given = read_training(self, X, y)
        model = model_of(self, given, read_weights(sample_weight, len(given.codes)))
        self.result_: PointEstimate | Posterior = METHODS[self.method](self, model)
        self.classes_ = given.classes
        set_coefficients(self)
        fit = self.result_._fitted
        steps = fit.n_iterations if isinstance(fit, Estimate) else fit.tune + fit.shape[1]
        self.n_iter_ = np.array([steps], dtype=np.int32)
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Logits (N, K), or for two classes (N,) the log odds of the second.

        Of an estimate: ``X @ coef_.T + intercept_``, or a network's, plus the offset up to a constant in each row.  Of
        draws: the logarithms of the probabilities averaged over them, with mean zero over the classes, so that their
        softmax is :meth:`predict_proba`.  Minus infinity for a class that is not on offer.

        Examples
        --------
        >>> classifier = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
        >>> (classifier.decision_function([[0.5], [2.5]]) > 0).tolist()
        [False, True]
        """
        scores = self._scores(X)
        if len(self.classes_) == 2:
            odds: FloatArray = scores[:, 1] - scores[:, 0]
            return odds
        if isinstance(self.result_, PointEstimate):
            return scores
        centre: FloatArray = scores.mean(axis=1, keepdims=True, where=scores > -np.inf)
        return scores - centre

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities (N, K) of the classes in the order of ``classes_``; averaged over the draws, if there are.

        Examples
        --------
        >>> classifier = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
        >>> classifier.predict_proba([[1.5]]).round(2).tolist()
        [[0.5, 0.5]]
        """
        return softmax(self._scores(X))

    def predict_log_proba(self, X: Any) -> FloatArray:
        """Logarithms (N, K) of :meth:`predict_proba`, also where a probability underflows.

        Examples
        --------
        >>> classifier = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
        >>> classifier.predict_log_proba([[1.5]]).round(2).tolist()
        [[-0.69, -0.69]]
        """
        return log_softmax(self._scores(X))

    def predict(self, X: Any) -> AnyArray:
        """Most probable class (N,) of each row.

        Examples
        --------
        >>> classifier = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
        >>> classifier.predict([[0.0], [3.0]]).tolist()
        ['a', 'b']
        """
        best = self._scores(X).argmax(axis=1)
        classes: AnyArray = self.classes_[best]
        return classes

    def _scores(self, X: Any) -> FloatArray:
        """Logits (N, K) of an estimate; log probabilities averaged over draws."""
        check_is_fitted(self, "result_")
        if self.groups is not None and self.levels != KNOWN:
            return at_levels(self, X)
        fit = self.result_._fitted
        rows = read_new(self, X, fit.schema)
        check_logits(fit.schema, fit, rows)
        if rows.beyond is not None and rows.beyond.any():
            told = [sentence for sentence in row_cautions(fit, rows) if sentence != fit.caution]
            warn_caller("; ".join(told), NotEstimableWarning)
        if not isinstance(fit, Estimate):
            return probabilities_and_logs(fit, rows)[1]
        logits: FloatArray = fit.logits.at(fit.parameters)(rows.X)[:, :, 0]
        rows.complete_logits(logits, slice(None))
        return np.ascontiguousarray(logits.T)

    if not TYPE_CHECKING:  # type checkers must go on finding what is not there

        def __getattr__(self, name):
            """Raise, and say what takes the place of a name known from elsewhere, or asked of the fit."""
            hints = OF_ESTIMATORS
            if "result_" in vars(self):
                hints = hints | dict.fromkeys(ATTRIBUTES, NO_COEFFICIENTS)
            return get_missing(self, name, asked_of_fits() | hints)

    def __sklearn_tags__(self) -> Any:
        """What the estimator takes, for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
