"""Pictures, drawn with matplotlib; each returns a ``Picture`` with ``figure``, ``axes`` by name, and ``savefig``.

All take ``ax``, ``figure``, ``figsize`` and ``title``; those that show classes also take ``classes``, and those with a
colour for each class ``colors``.  ``plt.show()`` shows them in a script, and a notebook shows them by itself.
"""

from bayes_softmax.plots.average_effects import effects
from bayes_softmax.plots.checks import calibration, posterior_predictive
from bayes_softmax.plots.coefficients import compare, forest
from bayes_softmax.plots.confusion import confusion
from bayes_softmax.plots.interaction import interaction
from bayes_softmax.plots.levels import group_effects
from bayes_softmax.plots.pareto import pareto_k
from bayes_softmax.plots.path import map_path
from bayes_softmax.plots.prior_predictive import prior
from bayes_softmax.plots.probabilities import probabilities
from bayes_softmax.plots.regions import regions
from bayes_softmax.plots.ternary import ternary
from bayes_softmax.plots.traces import traces
from bayes_softmax.plots.uncertainty import uncertainty

__all__ = [
    "calibration",
    "compare",
    "confusion",
    "effects",
    "forest",
    "group_effects",
    "interaction",
    "map_path",
    "pareto_k",
    "posterior_predictive",
    "prior",
    "probabilities",
    "regions",
    "ternary",
    "traces",
    "uncertainty",
]


def __dir__() -> list[str]:
    """The pictures, for completion."""
    return __all__
