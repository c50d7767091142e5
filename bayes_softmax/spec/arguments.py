"""Arguments that the front doors share: named, typed and documented once, whether arrays or a formula are given."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from os import PathLike
from typing import Any, TypedDict, get_type_hints

from numpy.typing import ArrayLike

from bayes_softmax.core.keywords import unexpected
from bayes_softmax.data.design import Label
from bayes_softmax.data.options import ByClass, Options
from bayes_softmax.spec.custom.argument import CustomLogits
from bayes_softmax.spec.groups.arguments import GroupNormal
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.priors import Prior, PriorArgument


class Arguments(TypedDict, total=False):
    """Keyword arguments of ``SoftmaxRegression(X, y)`` and of ``SoftmaxRegression.from_formula(formula, data)``.

    They travel as :class:`Options`, which has their defaults.

    Parameters
    ----------
    prior
        Prior of the weights, on the scale of the features as given: ``Normal``, ``StudentT``, ``Laplace``, ``Flat``,
        or a mapping to one of these from feature (``"island[T.Dream]"``) or term of a formula (``"island"``,
        ``"bs(age, df=4)"``, ``"a:b"``: for all features it makes, not for its interactions; a feature's own prior
        comes first; None is the default);
        ``Jeffreys`` for all coefficients together; with learned scales ``Normal(scale=HalfNormal(1))``, one for all
        features that carry it, and ``R2D2()``, one for each, per standard deviation of the feature.  Default:
        autoscaled Normal priors, see :meth:`~bayes_softmax.SoftmaxRegression.describe_prior`.
    intercept_prior
        Prior of the intercept at x = 0; default ``Normal(1.5)`` at the feature means.
    coding
        ``"zero-sum"`` (default: no class is special), ``"reference"`` (first class fixed at zero) or ``"full"``.
    classes
        Class labels in order; classes without data are allowed with a proper prior.
    weights
        (N,) frequency weights: weight 2 is the row twice.  Or the name of a column of the data.
    offset
        (N, K) added to the logits.  Or K names of columns of the data, or a mapping from class to column.
    available
        (N, K) of True and False: which classes are on offer in a row.  Or K names of columns of the data, or a mapping
        from class to column.  A class that is not on offer has probability 0 there, in the fit and in every answer; a
        row with one class on offer adds nothing.  Default: all classes in all rows.
    missing
        ``"error"`` (default) or ``"drop"`` rows with missing values (the result says how many); masked values, null
        and None are missing too.
    constant
        ``"error"`` (default) or ``"drop"`` for columns that do not vary.
    collapse
        Whether rows with equal features are collapsed to one row of counts where that helps, without loss.
    logits
        The logits as a function of the features: None (default) is linear, ``MLP(hidden=(50,))`` a neural network.
        ``prior`` is then of its layers: one for all, or a mapping from ``"hidden_1"``, ``"hidden_2"``, ... (a layer's
        weights and biases, on standardised features), ``"weights"`` (of the last layer) and, with ``skip``, ``"skip"``
        or features and terms.  A model without an intercept has none in the last layer; hidden layers have biases and
        centred features all the same.  ``CustomLogits(build)`` is a function of your own in PyTensor, which names its
        priors itself.
    groups
        Groupings of the rows whose levels have intercepts of their own: a mapping from name to (N,) levels,
        ``{"person": codes}``, or names of columns of the data.  A formula also has them as bars,
        ``"y ~ x + (1 + x | person)"``.
    group_prior
        Prior of the levels' effects: ``GroupNormal(...)`` for all groupings, or a mapping from grouping to one.
        Default: autoscaled, see :meth:`~bayes_softmax.SoftmaxRegression.describe_prior`.
    client
        A ``distributed.Client``, on whose workers the partitions of a source are read and summed; True is the active
        one.  Default: threads of this process.
    scratch
        GiB of disk, in the folder for temporary files, that encoded rows of a source may take, so that later passes
        need not decode them again.  Default: half of what is free; 0 keeps none.
    checkpoint
        File in which fits of a source keep the point that they have reached after each pass, and from which the same
        fit goes on.  Default: none.
    """

    prior: PriorArgument
    intercept_prior: Prior | None
    coding: str
    classes: Sequence[Label] | None
    weights: ArrayLike | str | None
    offset: ByClass | None
    available: ByClass | None
    missing: str
    constant: str
    collapse: bool
    logits: MLP | CustomLogits | None
    groups: Mapping[str, ArrayLike] | Sequence[str] | str | None
    group_prior: GroupNormal | Mapping[str, GroupNormal] | None
    client: Any
    scratch: float | None
    checkpoint: str | PathLike[str] | None


def options_of(door: str, arguments: Arguments) -> Options:
    """The record of a front door's keyword arguments; raises for one that it does not have."""
    known = Arguments.__annotations__
    for name in arguments:
        if name not in known:
            raise TypeError(unexpected(door, name, known))
    return Options(**arguments)


def takes_arguments[Door: Callable[..., Any]](door: Door) -> Door:
    """Write :class:`Arguments` out in signature and documentation of a class, or a function, with ``**arguments``."""
    function: Any = door.__init__ if isinstance(door, type) else door  # type: ignore[misc]
    own = list(inspect.signature(function).parameters.values())
    types, kind = get_type_hints(Arguments), inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(f.name, kind, default=f.default, annotation=types[f.name]) for f in fields(Options)]
    function.__signature__ = inspect.Signature([*own[:-1], *shared])
    described = inspect.cleandoc(Arguments.__doc__ or "").partition("----------\n")[2]
    # A function, so that backslashes of the text are left as they are.
    door.__doc__ = re.sub(r"\*\*arguments\n    .*", lambda _: described, inspect.cleandoc(door.__doc__ or ""))
    return door
