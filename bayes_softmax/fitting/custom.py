"""Draws of models whose logits are a function of the user's own: by PyMC, which alone knows it."""

from dataclasses import replace
from functools import partial

from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, without_one
from bayes_softmax.fitting.pymc import TITLE, sample_pymc
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.spec.custom.refusals import refuse_engine
from bayes_softmax.spec.specification import Specification

REFIT_SEED = 1
CHOSEN = f"{TITLE}; logits by a function of your own are known to PyMC alone"


def sample_custom(spec: Specification, settings: SamplerSettings, engine: str) -> PosteriorDraws:
    """``pm.sample``, also where an engine is to be chosen; other engines are refused.

    Refits without an observation have the settings of the fit, as there is no cheaper way to them.
    """
    refuse_engine(engine)
    drawn = sample_pymc(spec, settings, title=TITLE if engine == "pymc" else CHOSEN)
    return replace(drawn, refit=partial(_without, spec, settings))


def _without(spec: Specification, settings: SamplerSettings, row: int, code: int) -> PosteriorDraws:
    """Posterior of the same model without one observation of class ``code`` in a distinct row."""
    again = settings._replace(seed=REFIT_SEED, progressbar=False)
    return complete(sample_pymc(without_one(spec, row, code), again))
