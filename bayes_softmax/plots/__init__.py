"""Pictures, drawn with matplotlib; each returns a ``Picture`` with ``figure``, ``axes`` by name, and ``savefig``.

All take ``ax``, ``figure``, ``figsize``, ``classes``, ``colors`` and ``title``.  ``plt.show()`` shows them in a script,
and a notebook shows them by itself.
"""

from bayes_softmax.plots.average_effects import effects
from bayes_softmax.plots.checks import calibration, posterior_predictive
from bayes_softmax.plots.coefficients import compare, forest
from bayes_softmax.plots.prior_predictive import prior
from bayes_softmax.plots.probabilities import probabilities

__all__ = ["calibration", "compare", "effects", "forest", "posterior_predictive", "prior", "probabilities"]


def __dir__() -> list[str]:
    """The pictures, for completion."""
    return __all__
