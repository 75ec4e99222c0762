"""Long studies: the same function on many jobs, in order, in as many processes as asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def run_blocks[Result](
    function: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
    n_jobs: int,
    progress: bool,
    label: str,
    jobs_per_process: int | None = None,
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
    jobs_per_process : int, optional
        After about so many jobs processes are replaced by new ones: for functions that leave memory behind, such as
        compiled models, for which joblib stops a process in the middle of the work and may wait for it for ever.
    """
    results: Iterable[Result]
    if n_jobs == 1:
        results = (function(*job) for job in jobs)
    else:
        results = _in_processes(function, jobs, n_jobs, jobs_per_process)
    if not progress:
        yield from results
        return
    from rich.progress import track

    yield from track(results, description=label, total=len(jobs))


def _in_processes[Result](
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], n_jobs: int, jobs_per_process: int | None
) -> Iterator[Result]:
    from joblib import Parallel, delayed, effective_n_jobs
    from joblib.externals.loky import get_reusable_executor

    size = len(jobs) if jobs_per_process is None else jobs_per_process * effective_n_jobs(n_jobs)
    for start in range(0, len(jobs), max(size, 1)):
        part = jobs[start : start + size]
        yield from Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(*job) for job in part)
        if jobs_per_process is not None:
            get_reusable_executor().shutdown(wait=True)
