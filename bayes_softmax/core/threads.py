"""BLAS on one thread: chains and blocks run in parallel themselves, and one thread fixes the order of BLAS's sums."""

import functools
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


@functools.lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    # Finding the loaded BLAS libraries takes milliseconds, longer than a small fit: done once.
    import scipy.linalg.cython_blas  # noqa: F401, PLC0415 (loads the BLAS that compiled code calls)

    return ThreadpoolController()


def blas_on_one_thread() -> AbstractContextManager[object]:
    """Context in which BLAS uses one thread."""
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited
