"""The entry point of ensembles; arguments are checked, then the fitting code is loaded and run."""

from bayes_softmax.core.checks import check_counts, check_counts_or_none, check_flags
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.methods import of_self
from bayes_softmax.core.progress import showing
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, seed_of
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting.settings import FEWEST_WEIGHTS
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.specification import HasSpecification

DRAWS = 1000  # of each member


@of_self
def ensemble(
    model: HasSpecification,
    members: int = 5,
    *,
    laplace: bool = False,
    draws: int | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    progressbar: bool = True,
) -> Posterior:
    """Average a network over modes of its posterior, found from independent starts.

    Predictions are averaged over the members with equal weights, and the members' disagreement is their uncertainty.
    That is no sample of the posterior: a member has no weight by its evidence, and without ``laplace`` no width.

    Parameters
    ----------
    members
        Number of starts; the first are those of :meth:`map` under the same seed.
    laplace
        Whether each member is the posterior of the last layer, by its Laplace approximation corrected by importance
        weights, with the hidden layers held at the member's mode.
    draws
        Draws of each member, with ``laplace`` alone; default 1000.
    random_seed, rng
        As in :meth:`sample`.
    progressbar
        Show progress.

    Returns
    -------
    Posterior
        One chain, member after member: a draw for each, or ``draws`` of them; ``sample_stats`` of ``idata`` says which
        member a draw belongs to.  Notes name members that ended at the same mode.  After Ctrl-C: the members finished
        so far, with a note.

    Raises
    ------
    ValueError
        If the logits are not those of a network, which alone has several modes.

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell, *NeurIPS* 2017; with ``laplace`` Eschenhagen, Daxberger, Hennig and
    Kristiadi, *Bayesian Deep Learning Workshop, NeurIPS* 2021.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> X = [[float(x)] for x in range(-5, 6)]
    >>> y = ["inside" if abs(x) < 3 else "outside" for (x,) in X]
    >>> model = bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=3))
    >>> model.ensemble(members=3, random_seed=1).predict([[-6.0], [0.0], [6.0]]).tolist()
    ['outside', 'inside', 'outside']
    """
    check_counts(members=members)
    check_counts_or_none(draws=draws)
    check_flags(laplace=laplace, progressbar=progressbar)
    if draws is not None and not laplace:
        raise ValueError(f"draws={draws} are of laplace=True: without it a member is one draw, its mode")
    if draws is not None and draws < FEWEST_WEIGHTS:
        raise ValueError(f"draws={draws} must be at least {FEWEST_WEIGHTS}: fewer weights cannot be judged")
    seed = seed_of(random_seed, rng)
    if model._spec.logits.kind != NETWORK:
        raise ValueError(
            f"ensemble() is for the logits of a network, and those of this model are of kind "
            f"{model._spec.logits.kind!r}: map() finds their one mode, sample() their posterior"
        )
    load_in_full("bayes_softmax.fitting.members")
    from bayes_softmax.fitting import members as fitting

    settings = fitting.EnsembleSettings(members, (draws or DRAWS) if laplace else None, seed)
    with showing("ensemble()", wanted=progressbar):
        return Posterior(fitting.ensemble(model._spec, settings))
