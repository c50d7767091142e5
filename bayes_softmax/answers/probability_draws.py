"""Class probabilities of new data in every draw."""

from typing import Any

import numpy as np
import xarray as xr

from bayes_softmax.answers.cautions import NOTE
from bayes_softmax.answers.fitted import Sampled
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.levels import ask, nodes_note
from bayes_softmax.answers.new_data import encode_rows
from bayes_softmax.answers.probabilities import announce, over_blocks
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import KNOWN


def predict_draws(
    fit: Sampled,
    data: Any,
    *,
    offset: Any = None,
    available: Any = None,
    levels: Levels = KNOWN,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> xr.DataArray:
    """Class probabilities of every draw (chain, draw, obs, category).

    These are N x K x draws numbers; above 256 MiB their size is logged before they are computed.

    Parameters
    ----------
    data, offset, available, levels, groups, random_seed, rng
        As in :meth:`predict_proba`.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> post = model.laplace(draws=1000, random_seed=1, progressbar=False)
    >>> draws = post.predict_draws(penguins.head(3))
    >>> draws.shape, round(float(draws.sel(category="Adelie").mean()), 1)
    ((1, 1000, 3, 3), 0.9)
    """
    rows, draws = encode_rows(fit, data, offset, available, asked=ask(fit, levels, groups, random_seed, rng))
    shape = (*fit.shape, rows.n_rows, len(fit.schema.classes))
    announce("predict_draws()", shape)
    values = np.empty((shape[0] * shape[1], *shape[2:]))

    def fill(P: FloatArray, block: slice) -> None:
        values[:, block] = P.transpose(2, 1, 0)

    over_blocks(draws, rows, fill)
    note = nodes_note(rows.nodes)
    return xr.DataArray(
        values.reshape(shape),
        dims=("chain", "draw", "obs", "category"),
        coords={"obs": observation_coordinate(rows.index), "category": fit.schema.category_coordinate},
        name="probability",
        attrs={} if note is None else {NOTE: note},
    )
