"""The priors of a model as a table, for each kind of logits."""

from collections.abc import Callable

import pandas as pd

from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.custom.prior import own_prior_table
from bayes_softmax.spec.groups.prior_table import group_prior_table
from bayes_softmax.spec.linear import GROUPS, LINEAR
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.network.prior_table import network_prior_table
from bayes_softmax.spec.prior_table import prior_table
from bayes_softmax.spec.specification import Specification

TABLES: dict[str, Callable[[Specification], pd.DataFrame]] = {
    LINEAR: lambda spec: prior_table(spec.priors, spec.summary),
    NETWORK: network_prior_table,
    CUSTOM: own_prior_table,
    GROUPS: group_prior_table,
}


def described_prior(spec: Specification) -> pd.DataFrame:
    """The table of the kind of logits that the model has."""
    return TABLES[spec.logits.kind](spec)
