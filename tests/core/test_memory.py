"""Requests that do not fit into memory are refused in words, before anything is allocated."""

import pytest

import bayes_softmax as bs
from bayes_softmax.core import memory
from tests.conftest import simulate

MODEL = bs.SoftmaxRegression(*simulate(60, 2, 3))
CALLS = [
    (lambda: MODEL.sample(draws=10**8, progressbar=False), r"sample\(draws=100000000, chains=4, tune=200\)"),
    (lambda: MODEL.sample(tune=10**10, progressbar=False), "tune=10000000000"),
    (lambda: MODEL.sample(chains=10**7, progressbar=False), "chains=10000000"),
    (lambda: MODEL.sample(draws=2**70, engine="independence", progressbar=False), "draws=1180591620717411303424"),
    (lambda: MODEL.sample(draws=10**9, engine="pymc", progressbar=False), "draws=1000000000"),
    (lambda: MODEL.laplace(draws=10**10, progressbar=False), r"laplace\(draws=10000000000\)"),
    (lambda: MODEL.sample_prior(10**10), r"sample_prior\(draws=10000000000\)"),
]


@pytest.mark.parametrize(("call", "text"), CALLS, ids=[text for _, text in CALLS])
def test_too_many_draws_are_refused_with_their_size(call, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 64 * 2.0**30)
    with pytest.raises(MemoryError, match=f"{text}.* need about .* and 64 GiB are available"):
        call()
    with pytest.raises(ValueError, match="ask for fewer draws"):
        call()


def test_large_answers_are_refused_too(posterior: bs.Posterior, penguins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000.0)
    for call in (
        lambda: posterior.predict_draws(penguins),
        lambda: posterior.posterior_predictive(random_seed=1),
        lambda: posterior.add_log_likelihood(),
    ):
        with pytest.raises(MemoryError, match=r"numbers need about .* and 1e\+03 bytes are available"):
            call()


def test_what_fits_is_not_refused() -> None:
    assert memory.available_bytes() > 2**20
    assert MODEL.sample_prior(100_000, random_seed=1)._fitted.draws.shape == (1, 100_000, 3, 3)


def test_limits_of_the_process_count() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    everything = memory.available_bytes()
    try:
        resource.setrlimit(resource.RLIMIT_AS, (2**43, before[1]))
        assert 0 < memory._own_limit() < 2**43
        assert memory.available_bytes() <= everything * 1.2
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(("size", "words"), [(3, "3 bytes"), (2**30, "1 GiB"), (1.5 * 2**40, "1.5 TiB")])
def test_sizes_in_words(size: float, words: str) -> None:
    assert memory.bytes_in_words(size) == words
