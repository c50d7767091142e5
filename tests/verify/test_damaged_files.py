"""Damaged saved fits by the hundred."""

from pathlib import Path

import pytest

from tests.fits.damage import failures, outcomes, write_damaged

pytestmark = pytest.mark.verify


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_damaged_files_answer_as_before_or_are_refused(seed: int, tmp_path: Path) -> None:
    write_damaged(tmp_path, 448, seed)
    found = outcomes(tmp_path, timeout=900)
    assert len(found) == 448
    assert not failures(found)
