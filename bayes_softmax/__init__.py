"""Bayesian softmax (multinomial logistic) regression: MLE, MAP and posterior, with any contrast for free.

>>> import bayes_softmax as bs
>>> penguins = bs.datasets.load_penguins()
>>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins, missing="drop")
>>> round(model.mle().cross_entropy, 4)
0.4004
"""

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_softmax import datasets as datasets
    from bayes_softmax import plots as plots
    from bayes_softmax.answers.compare import compare as compare
    from bayes_softmax.answers.compare import compare_models as compare_models
    from bayes_softmax.core.errors import ImproperPosteriorError as ImproperPosteriorError
    from bayes_softmax.core.errors import NotConvergedWarning as NotConvergedWarning
    from bayes_softmax.core.errors import NotEstimableWarning as NotEstimableWarning
    from bayes_softmax.core.errors import NotReliableWarning as NotReliableWarning
    from bayes_softmax.core.errors import UnusedClassWarning as UnusedClassWarning
    from bayes_softmax.density.textbook import cross_entropy as cross_entropy
    from bayes_softmax.density.textbook import cross_entropy_gradient as cross_entropy_gradient
    from bayes_softmax.density.textbook import log_likelihood as log_likelihood
    from bayes_softmax.density.textbook import log_softmax as log_softmax
    from bayes_softmax.density.textbook import softmax as softmax
    from bayes_softmax.estimator.classifier import SoftmaxClassifier as SoftmaxClassifier
    from bayes_softmax.fits.load import load as load
    from bayes_softmax.fits.point_estimate import PointEstimate as PointEstimate
    from bayes_softmax.fits.posterior import Posterior as Posterior
    from bayes_softmax.model import SoftmaxRegression as SoftmaxRegression
    from bayes_softmax.spec.custom.argument import CustomLogits as CustomLogits
    from bayes_softmax.spec.families.flat import Flat as Flat
    from bayes_softmax.spec.families.laplace import Laplace as Laplace
    from bayes_softmax.spec.families.normal import Normal as Normal
    from bayes_softmax.spec.families.student_t import StudentT as StudentT
    from bayes_softmax.spec.groups.arguments import LKJ as LKJ
    from bayes_softmax.spec.groups.arguments import GroupNormal as GroupNormal
    from bayes_softmax.spec.network.mlp import MLP as MLP
    from bayes_softmax.spec.priors import Jeffreys as Jeffreys
    from bayes_softmax.spec.scales.hyperpriors import R2D2 as R2D2
    from bayes_softmax.spec.scales.hyperpriors import HalfNormal as HalfNormal
    from bayes_softmax.spec.scales.hyperpriors import HalfStudentT as HalfStudentT

__version__ = "0.1.0"

# Names load on first use, so that `import bayes_softmax` takes milliseconds (PEP 562).
_HOME = {
    "ImproperPosteriorError": "core.errors",
    "NotConvergedWarning": "core.errors",
    "NotEstimableWarning": "core.errors",
    "NotReliableWarning": "core.errors",
    "UnusedClassWarning": "core.errors",
    "SoftmaxClassifier": "estimator.classifier",
    "SoftmaxRegression": "model",
    "PointEstimate": "fits.point_estimate",
    "Posterior": "fits.posterior",
    "HalfNormal": "spec.scales.hyperpriors",
    "R2D2": "spec.scales.hyperpriors",
    "HalfStudentT": "spec.scales.hyperpriors",
    "CustomLogits": "spec.custom.argument",
    "Flat": "spec.families.flat",
    "Jeffreys": "spec.priors",
    "Laplace": "spec.families.laplace",
    "Normal": "spec.families.normal",
    "StudentT": "spec.families.student_t",
    "MLP": "spec.network.mlp",
    "GroupNormal": "spec.groups.arguments",
    "LKJ": "spec.groups.arguments",
    "compare": "answers.compare",
    "compare_models": "answers.compare",
    "load": "fits.load",
    "cross_entropy": "density.textbook",
    "cross_entropy_gradient": "density.textbook",
    "log_likelihood": "density.textbook",
    "log_softmax": "density.textbook",
    "softmax": "density.textbook",
}
_MODULES = {"datasets": "datasets", "plots": "plots"}
# Names that need a library of an extra: its module, after which the extra is called too.
_OPTIONAL = {"SoftmaxClassifier": "sklearn"}
_LIBRARIES = {"sklearn": "scikit-learn 1.6 or newer"}

# Without the library that it needs a name is left out, so that `from bayes_softmax import *` works.
__all__ = [name for name in (*_HOME, *_MODULES) if name not in _OPTIONAL or find_spec(_OPTIONAL[name])]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _MODULES and name not in _HOME:
        from difflib import get_close_matches

        near = get_close_matches(name, __all__, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module 'bayes_softmax' has no attribute {name!r}{hint}")
    from bayes_softmax.core.interrupts import load_in_full

    home = f"bayes_softmax.{_MODULES.get(name) or _HOME[name]}"
    try:
        load_in_full(home)
    except ImportError as error:
        if name not in _OPTIONAL:
            raise
        extra = _OPTIONAL[name]
        raise ImportError(f"{name} needs {_LIBRARIES[extra]}: pip install 'bayes-softmax[{extra}]'") from error
    module = importlib.import_module(home)
    value: Any = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, for completion."""
    return sorted([*__all__, "__version__"])
