"""How many threads the linear algebra may use, and the one place that changes it.

numpy carries its own OpenBLAS, whose idle threads spin for some 30 ms after each product and take the cores from
whatever comes next. Its threaded products of tall, narrow matrices are slow too: cutting the rows into blocks, one
single-threaded product a block, uses the same cores better. Hence two regimes: up to some 600 columns one BLAS thread
(our own pool over blocks of rows does the rest), beyond that BLAS's own threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

#: Order of a matrix up to which one BLAS thread is as good as several.
ONE_THREAD_ORDER = 640
_POOL_WORK = 5e7
_SMALLEST = 24  # OpenBLAS itself keeps to one thread here, and asking it to costs some microseconds


@cache
def _controller() -> ThreadpoolController:
    # Inspecting the loaded libraries takes milliseconds, so it is done once and only for large problems.
    from threadpoolctl import ThreadpoolController

    return cast("ThreadpoolController", ThreadpoolController().select(user_api="blas"))


class _OneThread:
    """A section with one BLAS thread that may be entered by several threads at once; the last one out restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._limiter: ThreadpoolController | None = None
        self.allowed = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self.allowed = _count()
                self._limiter = _controller().limit(limits=1)
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._limiter is not None:
                self._limiter.restore_original_limits()

    @property
    def active(self) -> bool:
        return self._depth > 0


_SECTION = _OneThread()


def _count() -> int:
    return max([library.num_threads for library in _controller().lib_controllers], default=1)


def available_threads() -> int:
    """Return the number of threads we may use: BLAS's own (environment variables and user limits respected)."""
    return _SECTION.allowed if _SECTION.active else _count()


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="bayesridge")


def _after_fork() -> None:
    """Threads do not survive a fork, and what they had locked stays locked."""
    _pool.cache_clear()
    if _SECTION._limiter is not None and _SECTION.active:
        _SECTION._limiter.restore_original_limits()
    _SECTION.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_after_fork)


def threads_for(order: int) -> AbstractContextManager[None]:
    """Choose the regime for work on matrices of this order: one thread for middling ones, BLAS's choice otherwise."""
    return _SECTION if _SMALLEST < order <= ONE_THREAD_ORDER else nullcontext()


def run_blocks[Part, Result](task: Callable[[Part], Result], parts: Sequence[Part], work: float) -> list[Result]:
    """Run a task on every part, in a pool of threads when there is enough to do.

    Parameters
    ----------
    task : callable
        Dominated by numpy calls, which let other threads run.
    parts : sequence
    work : float
        Multiplications in all; below 5e7 starting threads costs more than it brings.

    Returns
    -------
    list
        Results in the order of the parts: sums over them do not depend on the timing.
    """
    workers = min(available_threads(), len(parts)) if work > _POOL_WORK and len(parts) > 1 else 1
    if workers == 1:
        return [task(part) for part in parts]
    with _SECTION:
        return list(_pool(workers).map(task, parts))
