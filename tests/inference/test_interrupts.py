"""Ctrl-C, by real signals in a process of its own: what is finished comes back, imports stay whole, nothing crashes."""

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from bayes_softmax.core.interrupts import held_back, load_in_full
from bayes_softmax.inference.interrupted import keep_chains

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

BEGIN = """
import os, signal, threading, time, warnings
import numpy as np
import bayes_softmax as bs

def press(*seconds):
    for after in seconds:
        timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()

def model(n, **options):
    rng = np.random.default_rng(0)
    return bs.SoftmaxRegression(rng.normal(size=(n, 8)), rng.integers(0, 4, n), collapse=False, **options)
"""


def run(code: str, tmp_path: Path) -> str:
    """Standard output of a process that must end well."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + textwrap.dedent(code)],
        capture_output=True, text=True, cwd=tmp_path, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(("lengths", "draws", "chains", "length"), [
    ([9, 9, 9], 9, [0, 1, 2], 9),
    ([20, 20, 3], 20, [0, 1], 20),  # 40 draws, not 9
    ([20, 15, 12, 1], 20, [0, 1, 2], 12),  # 36, not 30 or 20
    ([0, 7, 0], 20, [1], 7),
    ([10, 5], 10, [0, 1], 5),  # as many draws: more chains
    ([4, 9, 9, 9], 10, [1, 2, 3], 9),
])  # fmt: skip
def test_most_draws_are_kept_in_equally_long_chains(lengths, draws, chains, length) -> None:
    if length == draws and len(chains) == len(lengths):
        found = keep_chains(lengths, draws)
        assert found.notes == ()
    else:
        with pytest.warns(UserWarning, match=f"interrupted: {length} of {draws} draws per chain"):
            found = keep_chains(lengths, draws)
    assert (found.chains.tolist(), found.draws) == (chains, length)


def test_without_a_draw_it_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt, match="before a chain had a draw"):
        keep_chains([0, 0], 10)


@pytest.mark.parametrize("cores", [pytest.param(1, marks=pytest.mark.verify), 2])
@pytest.mark.parametrize("prior", ["", "prior=bs.Normal(scale=bs.HalfNormal(1))"])
def test_nuts_keeps_what_is_finished_with_more_chains_than_cores(cores: int, prior: str, tmp_path: Path) -> None:
    code = f"""
        m = model(3000{", " + prior if prior else ""})
        m.sample(draws=5, engine="nuts", progressbar=False)
        press(2.5)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            post = m.sample(draws=100_000, chains=4, cores={cores}, engine="nuts", random_seed=1, progressbar=False)
        assert "interrupted" in str(said[-1].message) and said[-1].filename == "<string>", said
        assert post.notes[-1] == str(said[-1].message)
        chains, draws = post._fitted.draws.shape[:2]
        assert 1 <= chains <= {cores} and 50 < draws < 100_000, post._fitted.draws.shape
        assert np.isfinite(post._fitted.draws).all() and len(np.unique(post._fitted.draws[0, :, 0, 0])) > 0.9 * draws
        assert dict(post.idata["sample_stats"].sizes) == {{"chain": chains, "draw": draws}}
        post.summary(), repr(post), post.diagnostics, post.predict_proba(np.zeros((2, 8)))
    """
    run(code, tmp_path)


def test_independence_and_laplace_keep_what_is_finished(tmp_path: Path) -> None:
    code = """
        m = model(100_000)
        m.sample(draws=5, engine="independence", progressbar=False)
        for call in (
            lambda: m.sample(draws=40_000, engine="independence", random_seed=1, progressbar=False),
            lambda: m.laplace(draws=160_000, random_seed=1, progressbar=False),
        ):
            press(4.0)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                post = call()
            assert any("interrupted" in str(w.message) for w in said), said
            assert 10 < post._fitted.draws.shape[1] < 40_000, post._fitted.draws.shape
            assert np.isfinite(post._fitted.draws).all()
            post.summary(), repr(post)
    """
    run(code, tmp_path)


def test_ctrl_c_in_the_pilot_is_not_swallowed(tmp_path: Path) -> None:
    code = """
        from bayes_softmax.inference import independence
        m = model(3000)
        m.sample(draws=5, engine="independence", progressbar=False)
        values = type(m.log_density).values
        def slow(self, thetas):
            time.sleep(0.5)
            return values(self, thetas)
        type(m.log_density).values = slow
        press(1.0)
        try:
            m.sample(draws=100, engine="independence", progressbar=False)
        except KeyboardInterrupt as error:
            print("stopped", error)
    """
    assert "stopped sampling was interrupted in its pilot" in run(code, tmp_path)


@pytest.mark.parametrize("after", [0.05, 0.4, 0.9])
def test_ctrl_c_during_the_first_imports_does_no_harm(after: float, tmp_path: Path) -> None:
    code = f"""
        m = model(100)
        press({after})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                m.sample(draws=20, tune=20, progressbar=False)
            time.sleep(5)
        except KeyboardInterrupt:
            pass
        post = m.sample(draws=20, tune=20, progressbar=False)
        post.summary(), post.diagnostics
        print("fine")
    """
    assert "fine" in run(code, tmp_path)


def test_a_failing_chain_does_not_crash_the_interpreter_at_exit(tmp_path: Path) -> None:
    """The other chains' threads had gone on, and ran compiled code when it was freed."""
    code = """
        m = model(100)
        density = type(m.log_density)
        native = density.native
        def spoiled(self, whitening):
            whitening.mode[:] = np.nan
            return native(self, whitening)
        density.native = spoiled
        for _ in range(3):
            try:
                m.sample(draws=50, tune=50, chains=4, progressbar=False)
            except (RuntimeError, ValueError):
                print("failed")
    """
    assert run(code, tmp_path).count("failed") == 3


def test_the_second_ctrl_c_aborts_what_follows() -> None:
    with held_back() as noted:
        signal.raise_signal(signal.SIGINT)
        assert noted.times == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), held_back(pressed_before=True):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_handlers_and_threads_are_left_alone() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with held_back() as noted:
            signal.raise_signal(signal.SIGINT)
        assert (seen, noted.times) == ([1], 0)
    finally:
        signal.signal(signal.SIGINT, before)
    failed: list[BaseException] = []

    def elsewhere() -> None:
        try:
            load_in_full("json", "colorsys")
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert not failed
