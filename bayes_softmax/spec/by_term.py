"""Priors that are given by name: of a term, for all features it makes, or of one feature, which comes first."""

from collections.abc import Mapping, Sequence
from typing import Any

from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.data.formula.named import NamedTerm, key_of_term
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.priors import Jeffreys, Prior, instead_of, is_prior


def priors_by_feature(
    prior: Mapping[Any, Prior | None],
    feature_names: Sequence[str],
    terms: Sequence[NamedTerm],
    layers: Sequence[str] = (),
) -> dict[str, Prior]:
    """The priors of features, from a mapping of terms and features to priors; None leaves the default.

    A term's prior is not that of its interactions.  The prior of a feature wins over that of its term, and both over
    that of all features, which a network has by the name ``skip``, the last of its ``layers``.

    Raises
    ------
    ValueError, TypeError
        A name of neither, a term named twice, or something that is no prior of weights.
    """
    known, by_name, by_key = set(feature_names), {term.name: term for term in terms}, {term.key: term for term in terms}
    of_features: dict[str, Prior | None] = {}
    of_terms: dict[str, Prior | None] = {}
    of_all: dict[str, Prior | None] = {}
    named: dict[frozenset[str], Any] = {}
    for name, given in prior.items():
        _check_prior(name, given)
        if name in layers[-1:]:
            of_all = dict.fromkeys(feature_names, given)
            continue
        if name in known:
            of_features[name] = given
            continue
        term = by_name.get(name)
        if term is None and terms and isinstance(name, str):
            term = by_key.get(key_of_term(name) or frozenset())
        if term is None:
            raise ValueError(_unknown(name, feature_names, terms, layers))
        if term.key in named:
            raise ValueError(f"prior names the term {term.name!r} twice, as {shown(named[term.key])} and {shown(name)}")
        named[term.key] = name
        made = [feature for feature in term.features if feature in known]
        if not made:
            raise ValueError(f"prior names the term {name!r}, which was dropped from the model, as it does not vary")
        of_terms |= dict.fromkeys(made, given)
    return {name: given for name, given in (of_all | of_terms | of_features).items() if given is not None}


def _check_prior(name: Any, given: Any) -> None:
    """Raise unless weights can have this prior, or the default."""
    if isinstance(given, Jeffreys):
        raise ValueError(
            f"prior[{shown(name)}]=Jeffreys(): it is a prior of all coefficients together; pass prior=Jeffreys()"
        )
    if given is not None and not is_prior(given):
        raise TypeError(
            f"prior[{shown(name)}]={shown(given)} must be {registry.names()}, R2D2, or None for the default"
            f"{instead_of(given)}"
        )


def _unknown(name: Any, feature_names: Sequence[str], terms: Sequence[NamedTerm], layers: Sequence[str]) -> str:
    """The message for a name of neither a term nor a feature, with the nearest."""
    if str(name).lower() == "intercept":
        return f"prior names {name!r}; the prior of the intercept is the argument intercept_prior"
    if near := did_you_mean(name, layers):
        return f"prior names {shown(name)}, which is neither a layer nor a feature{near} (layers: {listed(layers)})"
    if not terms:
        hint = did_you_mean(name, feature_names)
        return f"prior names unknown feature {shown(name)}{hint}; the features are {listed(feature_names)}"
    reading = sorted((term for term in terms if name in term.columns), key=lambda term: len(term.key))
    hint = f"; did you mean {reading[0].name!r}?" if reading else ""
    names = [term.name for term in terms]
    hint = hint or did_you_mean(name, [*names, *feature_names])
    features = "" if list(feature_names) == names else f"; features: {listed(feature_names)}"
    return f"prior names {shown(name)}, which is neither a term nor a feature{hint} (terms: {listed(names)}{features})"
