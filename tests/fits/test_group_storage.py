"""Fits of models with groups in files: names and labels of any kind, versions, and what is refused before a fit."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.fits.storage import writing
from bayes_softmax.fits.storage.containers import from_netcdf
from tests.answers.test_group_loo import frame, model, quiet

SHORT = {"draws": 5, "tune": 10, "chains": 1}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("two words", ["u", "v", "w", "z"]),
        ("a:b", [True, False]),
        ("posterior", [-3, 0, 2**40, 5]),
        ("straße#1", ["", " a", "A", "ä\n" * 200]),
        ("x", pd.Categorical(["u", "v"], categories=["v", "never", "u"])),
        ("sample_stats", pd.Categorical([2, 1, 3])),
    ],
)
def test_names_and_levels_of_any_kind_go_through_files(name, labels, tmp_path):
    data = frame().rename(columns={"x": "z"})
    data[name] = pd.Series(labels).take(np.arange(len(data)) % len(labels)).to_numpy()
    if isinstance(labels, pd.Categorical):
        data[name] = pd.Categorical(data[name], categories=labels.categories)
    post = model(data, f"y ~ z + (1 + z | `{name}`)").sample(**SHORT, **quiet())
    for path in (tmp_path / "fit.nc", tmp_path / "fit.zarr"):
        post.save(path)
        again = bs.load(path)
        assert again.idata["posterior"].dataset.identical(post.idata["posterior"].dataset)
        assert np.array_equal(again.predict_proba(data), post.predict_proba(data))
        assert again._fitted.schema.groups == post._fitted.schema.groups
    copied = pickle.loads(pickle.dumps(post))
    assert np.array_equal(copied.predict_proba(data), post.predict_proba(data))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a/b"], "'a/b' cannot be a grouping, since '/'"),
        (["."], "'.' cannot be a grouping"),
        (["g" * 200], "too long a name for a grouping"),
        (["weights_free"], "'weights_free' is the name of something else"),
        (["category_other"], "'category_other' is the name of something else"),
        (["g", "g_sd"], "'g' and 'g_sd' both have something called 'g_sd'"),
        (["g_level", "g"], "'g_level' and 'g' both have something called 'g_level'"),
    ],
)
def test_names_that_no_file_can_hold_are_refused_before_the_fit(names, words):
    data = frame().drop(columns="g")
    codes = np.arange(len(data)) % 4
    bars = " + ".join(f"(1 | `{name}`)" for name in names)
    with pytest.raises(ValueError, match=f"{re.escape(words)}.*rename"):
        model(data.assign(**dict.fromkeys(names, codes)), f"y ~ x + {bars}")


def test_files_of_fits_without_groups_are_those_of_the_version_before(tmp_path):
    """Older readers refuse the others as newer, by their version."""
    for formula, version in (("y ~ x", 3), ("y ~ x + (1 | g)", 4)):
        made = model(frame(), formula)
        made.sample(**SHORT, **quiet()).save(tmp_path / "fit.nc")
        tree = from_netcdf((tmp_path / "fit.nc").read_bytes())
        assert tree.attrs["format_version"] == version
        assert ('"groups"' in tree.attrs["schema"]) == (version == 4)
    assert writing.FORMAT_VERSION == 4


def test_estimates_go_through_files(tmp_path):
    found = model(frame()).map()
    for path in (tmp_path / "fit.nc", tmp_path / "fit.zarr"):
        found.save(path)
        again = bs.load(path)
        assert np.array_equal(again.predict_proba(frame()), found.predict_proba(frame()))
        assert again.std_error.identical(found.std_error)
