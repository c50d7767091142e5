"""What is said of a run: shared scales that cannot suit all their features, and draws that have not converged."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bayes_softmax.answers.convergence import seem_mixed
from bayes_softmax.core.checks import listed
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.intercept_alone import warn_if_intercept_alone
from bayes_softmax.spec.specification import Specification

# A single learned scale per raw unit says that a step of one in any feature matters about as much.  Where standard
# deviations differ 100 times, it cannot suit both ends, and its posterior is hard to sample.
UNEQUAL = 100.0
TRIAL = 200  # draws per chain; a shorter run is a trial, whose diagnostics nobody expects to be good


def with_warnings(spec: Specification, run: Callable[[], PosteriorDraws]) -> PosteriorDraws:
    """Draws of a run, with warnings and notes on what makes them or their prior doubtful."""
    unequal = unequal_spread(spec)
    for note in unequal:
        warn_caller(note, NotReliableWarning)
    drawn = run()
    drawn = replace(drawn, notes=(*warn_if_intercept_alone(spec), *unequal, *drawn.notes))
    warn_of_doubts(drawn, "see the warning before the run" if unequal else "raise draws or tune, or change the engine")
    return drawn


def unequal_spread(spec: Specification) -> tuple[str, ...]:
    """A note on features that share a learned scale per raw unit though their spreads differ very much."""
    scale, notes = spec.summary.standardisation.scale, []
    for shared in spec.priors.learned:
        features = list(shared.features)
        spread = scale[features]
        if shared.hyperprior.standardised or spread.max() < UNEQUAL * spread.min():
            continue
        names = [spec.schema.feature_names[features[at]] for at in (np.argmin(spread), np.argmax(spread))]
        notes.append(
            f"{shared.prior} learns one scale per unit for {len(features)} features whose standard deviations differ "
            f"1:{spread.max() / spread.min():.0f} ({listed(names)}); it cannot suit both, and chains may not "
            "converge: standardise them, as scale(x) in the formula, or use prior=R2D2()"
        )
    return tuple(notes)


def warn_of_doubts(drawn: PosteriorDraws, advice: str) -> None:
    """Warn if averages over the draws are unusable, unless the run was a short trial."""
    if drawn.shape[1] < TRIAL or seem_mixed(drawn.all_draws):
        return
    if drawn.doubts:
        warn_caller(f"the draws are not reliable: {'; '.join(drawn.doubts)}; {advice}", NotReliableWarning)
