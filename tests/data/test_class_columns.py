"""Arguments with a column for each class: offset and choice sets are read alike, and refused alike."""

import re

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs

LABELS = np.array(["low", "mid", "top", "low", "mid", "top"])
FRAME = pd.DataFrame({"y": LABELS, "x": np.arange(6.0), "p": [1, 1, 0] * 2, "q": [1] * 6, "r": [0, 1, 1] * 2})
VALUES = FRAME[["p", "q", "r"]].to_numpy(dtype=float)
ARGUMENTS = ["offset", "available"]


def read(argument: str, value: object) -> np.ndarray:
    design = bs.SoftmaxRegression.from_formula("y ~ x", FRAME, **{argument: value})._spec.design
    return np.asarray(getattr(design, argument), dtype=float)


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize(
    "value",
    [
        VALUES,
        VALUES.tolist(),
        ["p", "q", "r"],
        {"top": "r", "low": "p", "mid": "q"},
        pd.DataFrame(VALUES[:, ::-1], columns=["top", "mid", "low"]),
    ],
    ids=["array", "lists", "names", "mapping", "frame"],
)
def test_all_forms_are_the_same(argument: str, value: object) -> None:
    np.testing.assert_array_equal(read(argument, value), VALUES)


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"low": "p", "mid": "q"}, ValueError, "has no column for class 'top'; name one for each of the classes"),
        (
            {"low": "p", "mid": "q", "tpo": "r"},
            ValueError,
            "a column for 'tpo', which is no class; name one for each of the classes 'low', 'mid', 'top'; did",
        ),
        (["p", "q"], ValueError, "names 2 columns; it needs one for each of 3 classes"),
        (["p", "q", "rr"], ValueError, ": data has no column 'rr'"),
        ("p", TypeError, "='p' must be an (N, K) array, 3 names of columns, or a mapping from class to column"),
        (VALUES[:, :2], ValueError, "has shape (6, 2); expected (N, K) = (6, 3)"),
        (FRAME[["p", "q", "r"]], ValueError, "has columns 'p', 'q', 'r'; name them by class: 'low', 'mid', 'top'"),
    ],
)
def test_what_is_wrong_is_said_in_the_same_words(argument: str, value: object, error: type, message: str) -> None:
    with pytest.raises(error, match=rf"^{argument}.*{re.escape(message)}"):
        read(argument, value)


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_names_need_a_frame(argument: str) -> None:
    message = f"{argument} names the columns 'p', 'q', 'r', but the data is not a data frame"
    with pytest.raises(ValueError, match=message):
        bs.SoftmaxRegression(FRAME[["x"]].to_numpy(), LABELS, **{argument: ["p", "q", "r"]})
