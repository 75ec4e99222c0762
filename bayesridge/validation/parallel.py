"""Long studies: the same function on many jobs, in order, in as many processes as asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def run_blocks[Result](
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], n_jobs: int, progress: bool, label: str
) -> Iterator[Result]:
    """Call a function on every job and yield the results in order.

    Parameters
    ----------
    function : callable
        Picklable where `n_jobs` is not 1.
    jobs : sequence of tuple
        Its arguments.
    n_jobs : int
        Processes; -1 for one a core.
    progress : bool
        Whether to show a progress bar.
    label : str
        What stands before the bar.
    """
    from joblib import Parallel, delayed

    results: Iterable[Result]
    if n_jobs == 1:
        results = (function(*job) for job in jobs)
    else:
        results = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(*job) for job in jobs)
    if not progress:
        yield from results
        return
    from rich.progress import track

    yield from track(results, description=label, total=len(jobs))
