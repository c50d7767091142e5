"""Numbers read as text, identifiers, and two spellings of one name are told; codes and factors are not."""

import warnings

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "plan": RNG.choice(["a", "b"], 300),
    "income": [f"{v:,.0f}" for v in RNG.normal(5e4, 1e4, 300)],
    "customer": np.arange(300),
    "code": RNG.choice([f"0{i}" for i in range(25)], 300),
    "region": RNG.choice(["N", "S"], 300),
})  # fmt: skip


def warnings_of(terms: str, frame: pd.DataFrame = FRAME, **options: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bs.SoftmaxRegression.from_formula(f"plan ~ {terms}", frame, **options)
    return [str(warning.message) for warning in caught]


def test_numbers_read_as_text_are_told() -> None:
    (said,) = warnings_of("income")
    n = FRAME["income"].nunique()
    assert said.startswith(f"column 'income' has {n} levels in 300 rows, all of them text that looks like a number")
    assert "pd.to_numeric" in said
    assert len(said) < 300


@pytest.mark.parametrize("text", ["$1,234.50", "12 %", "1e-3", "-7", "1 234", "1.234,5", "€ 9", "3.5"])
def test_the_usual_ways_to_write_numbers_are_known(text: str) -> None:
    from bayes_softmax.data.doubtful_levels import NUMBER

    assert NUMBER.fullmatch(text)


@pytest.mark.parametrize("text", ["", "a1", "12 months", "1-2", "N", "2020-01-01", "1,2,3,4"])
def test_other_text_is_not_taken_for_numbers(text: str) -> None:
    from bayes_softmax.data.doubtful_levels import NUMBER

    assert not NUMBER.fullmatch(text)


def test_an_identifier_is_told() -> None:
    (said,) = warnings_of("C(customer) + region")
    assert said.startswith("column 'customer' has 300 levels in 300 rows") and "identifier" in said  # noqa: PT018
    (of_text,) = warnings_of("customer", FRAME.assign(customer=[f"id {i}" for i in range(300)]))
    assert "identifier" in of_text


@pytest.mark.parametrize("terms", ["customer", "region", "C(region)", "C(code)", "code"])
def test_numbers_codes_and_factors_are_let_through(terms: str) -> None:
    """25 codes with 12 rows each look like numbers, but are no more than a factor."""
    assert warnings_of(terms) == []


def test_weights_stand_for_rows() -> None:
    assert warnings_of("C(customer)", weights=np.full(300, 10.0)) == []


def test_spellings_of_one_class_are_noted() -> None:
    frame = FRAME.assign(plan=np.where(FRAME.index < 3, "A", FRAME["plan"]))
    frame.loc[:9, "region"] = "n "
    model = bs.SoftmaxRegression.from_formula("plan ~ region", frame)
    a = (frame["plan"] == "a").sum()
    assert model.map().notes[:2] == (
        f"classes of 'plan' that differ only in case or spaces: 'A' (3) and 'a' ({a})",
        "levels of 'region' that differ only in case or spaces: 'N' and 'n '",
    )
    arrays = bs.SoftmaxRegression(np.arange(300.0)[:, None], frame["plan"])
    assert "differ only in case or spaces" in repr(arrays)
