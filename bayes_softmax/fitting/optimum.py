"""Point estimates, as methods of the model: maximum likelihood and maximum a posteriori."""

from bayes_softmax.core.methods import of_self
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fitting import door
from bayes_softmax.spec.specification import HasSpecification


@of_self
def mle(
    model: HasSpecification,
    solver: str = "newton",
    *,
    max_iterations: int | None = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> PointEstimate:
    """Maximum-likelihood estimate: minimises the softmax cross-entropy; priors are ignored.

    With groups it maximises the marginal likelihood, with the levels' effects integrated out: of one grouping by
    adaptive Gauss-Hermite quadrature where a level has up to two free effects (terms times classes minus one), else by
    Laplace's method, which is approximate, most for levels with few observations.  Effects of levels are their
    conditional modes.  A variance may be zero at the maximum, which then is on the boundary: the status says so.

    Parameters
    ----------
    solver
        ``"newton"`` (default: by Cholesky factorisation, or by preconditioned conjugate gradients where that is
        faster), ``"newton-cg"`` (always the latter), ``"lbfgs"`` or ``"gradient-descent"``.  A network is fitted by
        ``"lbfgs"``, and by default with Newton steps at the end where it is small; a model with groups by L-BFGS and
        Newton steps.
    max_iterations
        Limit on the solver's iterations.
    learning_rate
        Step of gradient descent on the mean cross-entropy over standardised features.
    restarts
        Number of random starts of a network, of which the best counts; default by its size, up to 8.  Linear logits
        need none.
    random_seed, rng
        Of the random starts, as in :meth:`sample`.  Default: a fixed seed, so that an estimate is the same each time.

    Returns
    -------
    PointEstimate
        With the certificate of the optimum.  Where none exists (separated classes, collinear features, an
        empty class) a ``NotConvergedWarning`` says why; ``summary()`` then marks the infinite contrasts.

    Notes
    -----
    Quadrature is that of Liu and Pierce, *Biometrika* 81 (1994), with 15 nodes in each dimension; the error of the
    log-likelihood is judged by 25 nodes.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> fit = model.mle()
    >>> fit.converged, round(fit.cross_entropy, 4)
    (True, 0.4004)
    """
    return door.point_estimate(
        model._spec.without_priors(),
        "mle",
        solver,
        max_iterations,
        learning_rate,
        restarts=restarts,
        random_seed=random_seed,
        rng=rng,
    )


@of_self
def map(
    model: HasSpecification,
    solver: str = "newton",
    *,
    max_iterations: int | None = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> PointEstimate:
    """Maximum a posteriori estimate; with flat priors this is the maximum-likelihood estimate.

    With groups it maximises the marginal posterior density of the weights' free coordinates and of standard deviations
    and correlations *as such*, the quantities to which their priors refer: there is no Jacobian of logarithms or other
    transformations.  The joint density of these and the levels' effects has no maximum.

    ``prior=Normal(s), intercept_prior=Flat()`` is L2-penalised cross-entropy: scikit-learn's ``C = s**2``
    (for two classes under zero-sum or full coding, ``C = 2 * s**2``).  Parameters as in :meth:`mle`.

    ``Laplace(b)`` is the lasso under full coding (scikit-learn's ``l1_ratio=1, C=b``), the group lasso under
    zero-sum coding: exact zeros, whose standard errors are NaN, by proximal Newton (its only solver).
    ``Jeffreys()`` is Firth's penalised likelihood, finite also on separated data.  Learned scales are refused: the
    joint mode depends on how the scale is parametrised, and lies at a scale of zero.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> model.map().weights.to_pandas().round(2)
    category        Adelie  Chinstrap  Gentoo
    feature
    bill_length_mm   -0.81       0.50    0.31
    sex[T.male]       2.92      -1.87   -1.05
    """
    return door.point_estimate(
        model._spec,
        "map",
        solver,
        max_iterations,
        learning_rate,
        restarts=restarts,
        random_seed=random_seed,
        rng=rng,
    )
