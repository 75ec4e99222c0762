"""How many threads the linear algebra may use, and the one place that changes it.

numpy carries its own OpenBLAS.  Its threaded ``syrk`` is slow for tall, narrow matrices: cutting the rows
into blocks, one single-threaded product a block, uses the same cores better.  While such a pool works,
BLAS itself must keep to one thread, or the two kinds of threads fight for the cores.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    # Inspecting the loaded libraries takes milliseconds, so it is done once and only for large problems.
    from threadpoolctl import ThreadpoolController

    return cast("ThreadpoolController", ThreadpoolController().select(user_api="blas"))


def blas_threads() -> int:
    """Return the number of threads BLAS may use now (environment variables and user limits respected)."""
    counts = [library.num_threads for library in _controller().lib_controllers]
    return max(counts, default=1)


def one_blas_thread() -> AbstractContextManager[object]:
    """Keep BLAS to one thread inside a ``with`` block (process-wide while it lasts, then restored)."""
    return cast("AbstractContextManager[object]", _controller().limit(limits=1))
