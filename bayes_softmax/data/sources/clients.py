"""Which Dask client a model works with, and what is said when its cluster fails."""

import sys
from typing import Any, NoReturn

from bayes_softmax.core.checks import counted, shown
from bayes_softmax.core.errors import ClusterError
from bayes_softmax.data.sources.passes import raise_named

EXAMPLE = "as in client=distributed.Client(cluster)"
UNREADABLE = "Error during deserialization"  # how Dask begins when tasks need packages that it does not have
RESUME = "with checkpoint=path a fit goes on after its last complete pass"


def check_client(client: Any) -> Any | None:
    """The client of ``client=``: None, a connected ``distributed.Client``, or True for the active one.

    Raises
    ------
    ImportError
        If ``client`` is True and Dask's scheduler is not installed.
    TypeError
        If it is something else.
    ValueError
        If it is not connected, is asynchronous, or True where no client is active.
    """
    if client is None or client is False:
        return None
    if client is True:
        found = active_client()
        if found is None:
            raise ValueError(f"client=True, but no Dask client is active; expected one to be made before, {EXAMPLE}")
        return found
    # Nobody has a client who has not imported this.
    distributed = sys.modules.get("distributed")
    if distributed is None or not isinstance(client, distributed.Client):
        hint = "; it has client=cluster.get_client()" if _is_cluster(client) else ""
        raise TypeError(f"client={shown(client)}; expected a distributed.Client, {EXAMPLE}, or True{hint}")
    if client.asynchronous:
        raise ValueError("client= is asynchronous; expected a Client made without asynchronous=True")
    if client.status != "running":
        raise ValueError(f"client= is {client.status}; expected a connected distributed.Client, {EXAMPLE}")
    return client


def active_client() -> Any | None:
    """The client that Dask itself would use now, or None."""
    try:
        from distributed import get_client
    except ImportError as error:
        raise ImportError("client= needs Dask: pip install 'bayes-softmax[dask]'") from error
    try:
        found = get_client()
    except ValueError:
        return None
    return None if found.asynchronous else found


def _is_cluster(client: Any) -> bool:
    return type(client).__name__.endswith("Cluster")


def raise_for_partition(name: str, error: BaseException) -> NoReturn:
    """Raise the error that a worker met in a partition, with the partition's name."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        died = counted(error.allowed_failures + 1, "worker")
        raise ClusterError(
            f"{name}: {died} died while working on it; most often its rows do not fit into a worker's memory: "
            "give workers more memory or fewer threads, or cut the rows into smaller partitions"
        ) from error
    if isinstance(error, ImportError) or str(error).startswith(UNREADABLE):
        cause = error.__cause__ or error
        why = f"{type(cause).__name__}: {str(cause).splitlines()[0]}"
        raise ClusterError(
            f"the Dask cluster cannot read what it is to do ({why}); expected the packages of this process, "
            "bayes_softmax among them, on the scheduler and on all workers"
        ) from error
    if isinstance(error, MemoryError):
        said = f" ({error})" if str(error) else ""
        raise MemoryError(f"{name}: out of memory on a worker{said}; cut the rows into smaller partitions") from error
    raise_named(name, error)


def raise_for_merge(title: str, error: BaseException) -> NoReturn:
    """Raise the error of a merge; what is wrong with the rows says itself where."""
    if isinstance(error, ValueError | TypeError):
        raise error
    raise_for_partition(f"results of {title}", error)


def lost(address: str, title: str, n_done: int, n_partitions: int, why: object) -> ClusterError:
    """The error of a pass whose cluster is gone."""
    return ClusterError(
        f"the Dask cluster at {address} was lost in {title}, after {n_done} of {n_partitions} partitions ({why}); "
        f"connect to a cluster again and repeat the call; {RESUME}"
    )
