"""The model: a softmax regression, from data to estimates and posteriors."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack

import pandas as pd

from bayes_softmax.core.attributes import OF_MODELS, get_missing
from bayes_softmax.core.keywords import explains, explains_making
from bayes_softmax.core.protocols import LogDensity, NetworkDensity, WhitenedDensity
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.data.design import Label
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting import door, ensembles, optimum, path, prior, prior_scale
from bayes_softmax.fitting.notes import brief_of
from bayes_softmax.separation.in_passes import check_separation_in
from bayes_softmax.separation.only_linear import refuse_separation
from bayes_softmax.separation.verdict import Separation
from bayes_softmax.spec import specify
from bayes_softmax.spec.arguments import Arguments, options_of, takes_arguments
from bayes_softmax.spec.custom.refusals import refuse_custom
from bayes_softmax.spec.described_prior import described_prior
from bayes_softmax.spec.pymc_model import build_pymc_model
from bayes_softmax.spec.scale_choice import ScaleChoice


@explains_making
@takes_arguments
class SoftmaxRegression:
    r"""Bayesian softmax (multinomial logistic) regression.

    For row ``n`` with features :math:`x_n` and K classes,
    :math:`P(y_n = k) = \mathrm{softmax}(b + x_n W)_k`, with weights ``W`` (p, K) and intercept ``b`` (K,).  Groups
    (people, places) add the effects of their levels, :mod:`bayes_softmax.spec.groups`.

    Parameters
    ----------
    X
        (N, p) array, or data frame of numeric columns.  For categorical features use :meth:`from_formula`.  Also Dask
        arrays, and all that :meth:`from_formula` reads in passes; its columns that nothing else names are the features.
        Features of more than 32 MB are read where they are, without a copy: an array must not be changed while the
        model or a fit is in use, which is checked.
    y
        (N,) labels (strings, integers, booleans, categorical), or (N, K) one-hot rows or counts.  Categories that are
        intervals, dates or real numbers are named by their printed form.  Of rows that are read in passes, the name of
        the column of labels, or names of columns of counts.
    feature_names
        p names; default: the frame's columns, or ``x0, x1, ...``.
    intercept
        Whether the model has an intercept.
    **arguments
        See :class:`~bayes_softmax.spec.arguments.Arguments`.

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
        intercept: bool = True,
        **arguments: Unpack[Arguments],
    ) -> None:
        self._spec = specify.from_arrays(X, y, feature_names, intercept, options_of("SoftmaxRegression", arguments))

    @classmethod
    @explains
    @takes_arguments
    def from_formula(cls, formula: str, data: Any, **arguments: Unpack[Arguments]) -> Self:
        """Model of a formula over the columns of a data frame.

        Parameters
        ----------
        formula
            ``"species ~ bill_length_mm + island"``; ``"~ 0 + ..."`` has no intercept; several responses
            (``"low + medium + high ~ x"``) are columns of counts; ``"~ ."`` is all other columns, ``"~ . - x"`` all but
            x.  Interactions, ``C()``, ``poly()``, ``bs()``, ``log()`` and others of a fixed list are understood; no
            code is executed.  Booleans are factors of two levels, as in R.  Effects of groups: ``(1 | person)``,
            ``(1 + x | person)`` with a slope that varies over people, ``(x || person)`` without correlations of terms,
            ``(1 | school/class)`` nested, ``(1 | person) + (1 | item)`` crossed.
        data
            pandas or polars data frame.  Rows that need not fit into memory are read in passes: a Parquet file, a
            folder of such files or a pattern (``"rows/*.parquet"``), a pyarrow dataset, a polars lazy frame, a Dask
            data frame, or a function without arguments that returns data frames, one after another, each time it is
            called.
        **arguments
            See :class:`~bayes_softmax.spec.arguments.Arguments`.

        Examples
        --------
        >>> import bayes_softmax as bs
        >>> penguins = bs.datasets.load_penguins().dropna()
        >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
        >>> print(model)
        SoftmaxRegression of 'species': 3 classes, 2 features, 333 rows
          classes: 'Adelie' 146, 'Chinstrap' 68, 'Gentoo' 119
          features: bill_length_mm, sex[T.male]
          coding: zero-sum
        """
        model = cls.__new__(cls)
        model._spec = specify.from_formula(formula, data, options_of("from_formula", arguments))
        return model

    # Methods that need only the specification, documented where they are defined.
    sample = door.sample
    laplace = door.laplace
    ensemble = ensembles.ensemble
    sample_prior = prior.sample_prior
    forecast = door.forecast
    mle = optimum.mle
    map = optimum.map
    map_path = path.map_path

    @property
    def classes(self) -> tuple[Label, ...]:
        """Class labels in order."""
        return self._spec.schema.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, without the intercept."""
        return self._spec.schema.feature_names

    @cached_property
    def pymc_model(self) -> Any:
        """The same model as a ``pm.Model``: read, draw, extend or sample it with PyMC."""
        return build_pymc_model(self._spec)

    @cached_property
    def log_density(self) -> LogDensity | WhitenedDensity | NetworkDensity:
        """The compiled log posterior as a ``LogDensity``, for user-defined algorithms.

        Where scales are learned, and with groups, it is a ``WhitenedDensity``, of whitened coefficients (and effects)
        and hyperparameters; of a network a ``NetworkDensity``, with hidden layers before the last one, unit by unit:
        bias, then weights.
        """
        return door.log_density(self._spec)

    @explains
    def describe_prior(self) -> pd.DataFrame:
        """One row per coefficient row: the prior, where it applies, and the numbers that its scale is derived from.

        ``logit_sd``: prior sd of the change of a logit per sd of the feature; ``attrs``: the resulting prior sd of a
        logit over the data, ``total_logit_sd``, and the formula of the default, ``formula``, derived in
        :func:`bayes_softmax.spec.autoscale.default_scales`.  See also ``plots.prior``.

        Of a network it has a row for the weights and one for the biases of each layer, and with ``skip`` one for each
        feature; ``sd_over_rows`` is the prior sd of what they add to a unit's input, or to a logit.  Groups have a row
        for each term.

        Examples
        --------
        >>> import bayes_softmax as bs
        >>> penguins = bs.datasets.load_penguins().dropna()
        >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
        >>> model.describe_prior()[["prior", "scale_from"]].iloc[1:].to_dict("index")
        {'bill_length_mm': {'prior': 'Normal(0.259)', 'scale_from': '1.414 / 5.46'},
         'sex[T.male]': {'prior': 'Normal(2.828)', 'scale_from': '1.414 / 0.5'}}
        """
        return described_prior(self._spec)

    @explains
    def choose_prior_scale(
        self,
        *,
        restarts: int | None = None,
        random_seed: RandomSeed = None,
        rng: RandomNumbers = None,
        progressbar: bool = True,
    ) -> Self:
        r"""Return the model with the scales of its weights' priors at which the evidence of these data is highest.

        One factor multiplies the scales of all weights of linear logits; each layer of a network has its own, for
        hidden weights and biases.  The intercept's prior stays.  They maximise the evidence
        (log marginal likelihood) by Laplace's approximation at the mode, with Hessian ``H`` of minus the log posterior
        in the d free coordinates, over factors from 0.001 to 1000:

        .. math:: \log p(y \mid f) \approx \log p(y \mid \hat\theta_f) + \log p(\hat\theta_f \mid f)
                  + \tfrac d2 \log 2\pi - \tfrac12 \log\det H_f

        MacKay, *Neural Computation* 4 (1992); Bishop, *Pattern Recognition and Machine Learning* (2006), sections 3.5
        and 4.4.  The prior has then seen the classes: intervals and :meth:`Posterior.loo` take no account of that.
        Under ``StudentT`` priors of many weights the approximation is rough, since it misses their tails.
        Of a network ``H`` is the generalised Gauss-Newton curvature, always positive definite, and the evidence is
        that of one of many modes: it compares scales, not models.

        Parameters
        ----------
        restarts
            Random starts of a network, before the search and again where it ended; default 4.  Linear logits need none.
        random_seed, rng
            Of the random starts, as in :meth:`sample`.
        progressbar
            Show how many modes a network's search has found.

        Returns
        -------
        SoftmaxRegression
            Its :attr:`chosen_scale` says what was found; a ``NotConvergedWarning``, if that is an end of the range.

        Raises
        ------
        ValueError
            If no weight has a proper prior of fixed scale, one has a ``Laplace`` prior (a layer of a network any but
            ``Normal``), or more than 5000 free coefficients are fitted (of linear logits with ``Normal`` priors and
            more features than rows, only as many as rows count).

        Examples
        --------
        >>> import bayes_softmax as bs
        >>> penguins = bs.datasets.load_penguins().dropna()
        >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
        >>> chosen = model.choose_prior_scale()
        >>> chosen.describe_prior()["scale_from"].tolist()
        ['default', '3.39 * 1.414 / 5.46', '3.39 * 1.414 / 0.5']
        """
        chosen = type(self).__new__(type(self))
        chosen._spec = prior_scale.with_best_scale(self._spec, restarts, random_seed, rng, progressbar=progressbar)
        return chosen

    @property
    def chosen_scale(self) -> ScaleChoice | None:
        """What :meth:`choose_prior_scale` found; None where scales are as they were given."""
        return self._spec.priors.choice

    def check_separation(self) -> Separation:
        """Test for complete or quasi-complete separation, where the MLE is infinite, by linear programming.

        Reports classes, features, direction and example rows, collinear columns, and classes without data.  It is for
        linear logits; of a network :meth:`mle` says whether its loss goes to zero.  With groups it is about the weights
        alone: classes that features separate without any effects have no finite estimate with effects either.

        Examples
        --------
        >>> SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "a", "b"]).check_separation().pairs
        (('a', 'b'),)
        """
        refuse_custom(self._spec.logits, "check_separation()")
        refuse_separation(self._spec.logits, "check_separation()")
        return check_separation_in(self._spec.rows)

    if not TYPE_CHECKING:  # type checkers must go on finding what is not there

        def __getattr__(self, name):
            """Raise, and say what takes the place of a name known from elsewhere, or asked of fits."""
            return get_missing(self, name, _asked_of_fits() | OF_MODELS)

    def _brief(self) -> Brief:
        """The data, the classes and the features."""
        return brief_of(self._spec)

    __repr__ = as_text
    _repr_html_ = as_markup


def _asked_of_fits() -> dict[str, str]:
    """Names of what is asked of fits, each with the call that has it."""
    kinds = (("sample", Posterior), ("map", PointEstimate))
    names = [(name, how) for how, kind in kinds for name in dir(kind) if not name.startswith("_")]
    return {name: f"that is of a fit; fit first, as in model.{how}().{name}" for name, how in names}
