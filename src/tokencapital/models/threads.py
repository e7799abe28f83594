"""How many cores linear algebra takes: one where many small predictions are made, all where one large fit is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def one_thread_for_algebra() -> None:
    """From here on matrix products of this process take one core.

    Waking other threads for the small products of one prediction takes longer than the products do.
    Numpy's own library is reached only once it is loaded.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    np.zeros((1, 1)) @ np.zeros((1, 1))
    threadpool_limits(limits=1, user_api="blas")


@contextmanager
def all_cores_for_algebra() -> Iterator[None]:
    """Inside, matrix products take every core that this process may use; afterwards what it was before."""
    from threadpoolctl import threadpool_limits

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with threadpool_limits(limits=cores, user_api="blas"):
        yield
