"""Entry points of this room: arguments are checked, then the fitting code is loaded and run.

That code needs Numba, which ``import bayes_softmax`` does not load; loading is completed even after Ctrl-C.
"""

from bayes_softmax.core.checks import check_counts_or_none
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.methods import of_self
from bayes_softmax.core.protocols import LogDensity, NetworkDensity, WhitenedDensity
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, seed_of
from bayes_softmax.fits.forecast import Forecast
from bayes_softmax.fits.point_estimate import PointEstimate
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting.settings import LaplaceSettings, SamplerSettings, check_laplace, check_run
from bayes_softmax.spec.custom.refusals import refuse_custom
from bayes_softmax.spec.specification import HasSpecification, Specification

STARTS = 1  # the seed of random starts, if none is given: an estimate is the same each time


def log_density(spec: Specification) -> LogDensity | WhitenedDensity | NetworkDensity:
    """The density that is maximised or sampled, in whitened coordinates if scales or covariances are learned."""
    load_in_full(
        "bayes_softmax.fitting.scales", "bayes_softmax.fitting.networks", "bayes_softmax.fitting.group_sampling"
    )
    from bayes_softmax.fitting.group_sampling import prepare_groups
    from bayes_softmax.fitting.networks import network_density
    from bayes_softmax.fitting.problem import density_of, objective_of
    from bayes_softmax.fitting.scales import prepare_hierarchy

    refuse_custom(spec.logits, "log_density")
    if spec.groups:
        return prepare_groups(spec)[0].density
    if spec.hidden is not None and spec.hidden.learned:
        load_in_full("bayes_softmax.fitting.learned_layers")
        from bayes_softmax.fitting.learned_layers import learned_density

        return learned_density(spec)
    if spec.priors.learns_scales:
        return prepare_hierarchy(spec).density
    if spec.hidden is not None:
        return network_density(spec)
    return objective_of(spec, density_of(spec))


def point_estimate(
    spec: Specification,
    kind: str,
    solver: str = "newton",
    max_iterations: int | None = None,
    learning_rate: float | None = None,
    *,
    restarts: int | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> PointEstimate:
    """Maximise; ``kind`` is the name of the estimate, ``"mle"`` or ``"map"``."""
    refuse_custom(spec.logits, f"{kind}()")
    check_counts_or_none(restarts=restarts)
    seed = seed_of(STARTS if random_seed is None and rng is None else random_seed, rng)
    load_in_full("bayes_softmax.fitting.estimates")
    from bayes_softmax.fitting import estimates
    from bayes_softmax.fitting.solvers import SolverOptions

    options = SolverOptions(solver, max_iterations, learning_rate, restarts, seed)
    return PointEstimate(estimates.point_estimate(spec, kind, options))


@of_self
def sample(
    model: HasSpecification,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    *,
    cores: int | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    target_accept: float | None = None,
    engine: str = "auto",
    layers: str | None = None,
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
    rng
        In place of ``random_seed``: whatever ``np.random.default_rng`` takes; ``rng=1`` is ``random_seed=1``.
    target_accept
        Step-size target of NUTS; default 0.9, for ``R2D2`` 0.98, for all layers of a network
        and with groups 0.8 (0.95 with few levels or few rows a level).
    engine
        ``"nuts"`` (NUTS whitened by the Laplace approximation, through nutpie), ``"independence"``
        (Metropolis-Hastings with proposals from that approximation, faster where the posterior is nearly normal;
        if a pilot run finds otherwise, NUTS is run, with a ``NotReliableWarning``), ``"auto"`` (the pilot chooses
        between these, with the reason in ``engine``), ``"subsampled"`` (as ``"independence"``, with the log posterior
        exact to second order and the rest from a sample of the rows, whose error is stated in ``engine`` and checked
        on all rows; ``"auto"`` does so from 200 000 rows on, and of rows that are read in passes, where ``"nuts"`` and
        ``"pymc"`` are refused), or ``"pymc"`` (``pm.sample`` on :attr:`pymc_model`).
        Where scales are learned, all but ``"pymc"`` run NUTS whitened given these scales, ``"independence"`` with
        that warning.  With ``CustomLogits``, ``"auto"`` is ``"pymc"``, and the others are refused.
    layers
        Of a network: ``"last"`` draws the last layer by the engine of linear models, exactly given the hidden layers,
        which are held at the MAP, that of :meth:`map` under the same seed; ``"all"`` draws all weights, by ``"auto"``,
        ``"nuts"`` (each chain from a mode of its own) or ``"pymc"``.  Default: all up to 500 coefficients, else the
        last; ``engine`` says which.  Held weights are in the group ``held`` of ``idata``, once: PyMC's functions need
        ``pm.do(model.pymc_model, dict(post.idata["held"].data_vars))``, and ``loo(refit=True)`` leaves them as they
        are, while ``kfold()`` fits everything again.
    progressbar
        Show progress.

    Notes
    -----
    Above 1500 free coefficients the whitening is a Kronecker approximation of the Hessian, one block for each
    class contrast.  With more features than rows and Normal priors the sampler works in the row space of the
    features, and the orthogonal complement is drawn from the prior: exact, and small where there are few rows.

    Returns
    -------
    Posterior
        After Ctrl-C: the draws finished so far, in chains of equal length, with a note; a second Ctrl-C aborts.

    Raises
    ------
    ImproperPosteriorError, MemoryError
        If the posterior cannot be normalised (flat priors and separated classes, collinear features, or a
        class without data); if the draws do not fit into memory.

    Warns
    -----
    NotReliableWarning
        If chains disagree or hardly move, with what to do; if coefficients with a flat prior are bounded only by the
        prior of the intercept; if features that share a learned scale per unit have very unequal spreads.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> post = model.sample(draws=500, chains=2, random_seed=1, progressbar=False)
    >>> post.diagnostics.ok, post.diagnostics.n_divergences
    (True, 0)
    """
    seed = seed_of(random_seed, rng)
    starts = STARTS if random_seed is None and rng is None else seed
    settings = SamplerSettings(draws, tune, chains, cores, seed, target_accept, progressbar)
    check_run(settings)
    load_in_full("bayes_softmax.fitting.engines")
    from bayes_softmax.fitting import engines
    from bayes_softmax.fitting.reliability import with_warnings

    engines.check_engine(engine, settings.target_accept)
    spec = model._spec
    return Posterior(with_warnings(spec, lambda: engines.sample(spec, settings, engine, layers, starts)))


@of_self
def laplace(
    model: HasSpecification,
    draws: int = 4000,
    *,
    structure: str | None = None,
    predictive: str | None = None,
    rows: int | None = None,
    max_error: float | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    progressbar: bool = True,
) -> Posterior:
    """Draw nearly independently from the Laplace approximation, corrected by importance weights.

    Each draw costs one evaluation of the log density, many at once; for tall data this is the fastest way to a
    posterior.  The result includes its own check: ``pareto_k`` (reliable below 0.7, else a ``NotReliableWarning``
    is issued), the weight-based effective sample size ``ess``, and ``log_evidence``.

    Parameters
    ----------
    draws
        Number of draws, in one chain; resampled to equal weights, so a draw may appear more than once.
    structure
        Of a network's curvature at its MAP.  ``"last-layer"`` (default): hidden layers are held there, and the last
        layer is a linear model.  ``"full"``: the generalised Gauss-Newton matrix of all weights, up to 10 000.
        ``"kron"``: two Kronecker factors of it for each layer.  Linear logits are one layer, for which all but
        ``"kron"`` are the same.
    predictive
        Of ``"full"`` and ``"kron"``.  ``"glm"`` (default): logits are linearised around the MAP, the model whose
        Hessian that curvature is.  ``"mc"``: draws go through the network, which usually predicts much worse; they are
        corrected by importance weights where these are reliable, else left as they are.  Elsewhere the drawn
        parameters enter linearly, and both are the same.
    rows
        Estimate the weights from a sample of so many rows, and more where the error of a log weight would exceed
        ``max_error``: the price of a draw then does not depend on the number of rows.  ``engine`` says what was found,
        also when some draws are evaluated on all rows.  Default: all rows; 10 000 where they are read in passes.
    max_error
        Default 0.01; 4000 draws resolve 0.016.
    random_seed, rng
        As in :meth:`sample`.
    progressbar
        Show progress.

    Notes
    -----
    With groups, weights and hyperparameters are drawn from an approximation of their marginal posterior, with the
    levels integrated out, and the levels' effects given these.  Importance weights have the marginal likelihood by
    quadrature, where :meth:`mle` has it, else an unbiased estimate of it, so that Pareto k judges the effects' draws as
    well.  It suits few groupings with few effects a level; :meth:`sample` has no such limits.  There is no
    ``log_evidence``.

    The normal approximation of *all* weights can predict much worse than the MAP itself: with ``"full"`` and ``"kron"``
    the notes of the result compare the two by their leave-one-out log loss, with a ``NotReliableWarning`` where the MAP
    is better.  Sources: Immer, Korzepa and Bauer, *AISTATS* 2021; Ritter, Botev and Barber, *ICLR* 2018; Daxberger et
    al., *NeurIPS* 2021.

    Raises
    ------
    ValueError
        As in :meth:`sample`; also where a Laplace prior holds weights of the mode at zero, at a kink.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> post = model.laplace(draws=1000, random_seed=1, progressbar=False)
    >>> round(post.pareto_k, 1), round(post.ess, -2)
    (0.2, 800.0)
    """
    seed = seed_of(random_seed, rng)
    starts = STARTS if random_seed is None and rng is None else seed
    settings = LaplaceSettings(draws, structure, predictive, seed, starts, progressbar, rows, max_error)
    check_laplace(settings)
    refuse_custom(model._spec.logits, "laplace()")
    load_in_full("bayes_softmax.fitting.laplace")
    from bayes_softmax.fitting.laplace import laplace_draws

    return Posterior(laplace_draws(model._spec, settings))


@of_self
def forecast(
    model: HasSpecification, draws: int = 1000, tune: int | None = None, chains: int = 4, *, cores: int | None = None
) -> Forecast:
    """Time and memory that ``sample()`` and ``laplace()`` will take here, from about a second of measurements.

    Of a network: a timed gradient times 63 for each draw of all layers (between 31 and 255 were seen) and 500 for each
    search of a mode, and the same as of linear logits for the last layer.  With groups: a timed gradient times 15 for
    each draw, 31 where several groupings have many levels.

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
    settings = SamplerSettings(draws, tune, chains, cores)
    check_run(settings)
    refuse_custom(model._spec.logits, "forecast()")
    load_in_full("bayes_softmax.fitting.forecasting")
    from bayes_softmax.fitting import forecasting

    return forecasting.forecast(model._spec, settings)
