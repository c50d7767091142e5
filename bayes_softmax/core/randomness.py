"""Random numbers: ``random_seed`` as in PyMC, or ``rng`` as in NumPy and SciPy (SPEC 7), resolved in one place."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes_softmax.core.checks import shown

type RandomSeed = int | np.random.Generator | None
type RandomNumbers = int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator | None

INTEGERS = 2**64  # seeds of samplers that take no Generator are below
DRAWN = 2**31  # and those drawn from a Generator below this, as they always were


def generator_of(random_seed: RandomSeed, rng: RandomNumbers, default: int | None = None) -> np.random.Generator:
    """The Generator of ``random_seed`` or ``rng``; if neither is given, of a default or fresh entropy.

    A Generator or BitGenerator that is passed is advanced, so that the next call draws other numbers.

    Raises
    ------
    TypeError, ValueError
        If both are given, or one is no seed.

    Examples
    --------
    >>> float(generator_of(1, None).random()) == float(generator_of(None, 1).random())
    True
    """
    check_seeds(random_seed, rng)
    given = random_seed if rng is None else rng
    return np.random.default_rng(default if given is None else _words(given))


def seed_of(random_seed: RandomSeed, rng: RandomNumbers) -> int:
    """An integer seed for samplers that take no Generator; an integer is its own.

    >>> seed_of(7, None), seed_of(None, 7)
    (7, 7)
    """
    check_seeds(random_seed, rng)
    given: Any = random_seed if rng is None else rng
    if _is_integer(given) and given < INTEGERS:
        return int(given)
    return int(np.random.default_rng(_words(given)).integers(DRAWN))


def check_seeds(random_seed: Any, rng: Any) -> None:
    """Raise unless at most one of ``random_seed`` and ``rng`` is given, and it is a seed."""
    if random_seed is not None and rng is not None:
        raise TypeError(
            f"rng={shown(rng)} and random_seed={shown(random_seed)} are two names of one argument; pass one of them"
        )
    _check_random_seed(random_seed)
    _check_rng(rng)


def _check_random_seed(random_seed: Any) -> None:
    """Raise unless ``random_seed`` is a NumPy Generator, a whole number of 64 bits, or None."""
    if random_seed is None or isinstance(random_seed, np.random.Generator):
        return
    if not _is_integer(random_seed):
        raise TypeError(f"random_seed={shown(random_seed)} must be a whole number, a numpy Generator or None")
    if random_seed < 0:
        raise ValueError(f"random_seed={shown(random_seed)} must not be negative")
    if random_seed >= INTEGERS:
        raise ValueError(f"random_seed={shown(random_seed)} must be below 2**64")


def _check_rng(rng: Any) -> None:
    """Raise unless ``rng`` is what ``np.random.default_rng`` takes; a boolean is not meant as a number."""
    if rng is None or isinstance(rng, np.random.Generator | np.random.BitGenerator | np.random.SeedSequence):
        return
    numbers = [rng] if _is_integer(rng) else _members(rng)
    if not numbers or not all(map(_is_integer, numbers)):
        raise TypeError(
            f"rng={shown(rng)} must be a whole number, a sequence of these, a numpy SeedSequence, BitGenerator or "
            "Generator, or None"
        )
    if min(numbers) < 0:
        raise ValueError(f"rng={shown(rng)} must not be negative")


def _members(rng: Any) -> list[Any]:
    """The members of a flat sequence; empty for anything else."""
    if isinstance(rng, np.ndarray):
        return list(rng) if rng.ndim == 1 else []
    return list(rng) if isinstance(rng, Sequence) and not isinstance(rng, str | bytes) else []


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _words(given: Any) -> Any:
    """What ``np.random.default_rng`` takes: sequences as lists of Python's integers, which have any size."""
    return [int(number) for number in given] if isinstance(given, Sequence | np.ndarray) else given
