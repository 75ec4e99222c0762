"""Many independent runs: in order, in as many processes as asked for, with a progress bar, seeded one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesridge.errors import DataTypeError

_BATCHES_PER_JOB = 8
_LARGEST_BATCH = 25  # so that the bar moves, and an interruption loses little


@dataclass(frozen=True)
class Runs[Result]:
    """What came back.

    Attributes
    ----------
    results : tuple
        In the order of the runs; fewer than asked for after an interruption.
    asked : int
        How many runs there were to be.
    """

    results: tuple[Result, ...]
    asked: int

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before all runs were done."""
        return len(self.results) < self.asked


def generator(random_state: Any) -> np.random.Generator:
    """Return numpy's generator of a seed, or the generator that was given."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise DataTypeError(
            f"random_state is a whole number of at least 0, a numpy Generator or None, got {random_state!r:.60}"
        ) from error


def run_many[Result](
    task: Callable[[int, np.random.Generator], Result],
    count: int,
    *,
    n_jobs: int = 1,
    random_state: int | np.random.SeedSequence | None = None,
    progress: bool = True,
    title: str = "",
) -> Runs[Result]:
    """Do ``task(k, generator)`` for k = 0 ... count - 1.

    Every run has its own generator, spawned from one seed sequence by its number: results depend neither on `n_jobs`
    nor on the order in which runs are done. Interrupting (Ctrl-C) keeps the runs that are complete.

    Parameters
    ----------
    task : callable
        With several jobs it is sent to other processes, so it has to pickle.
    count : int
    n_jobs, progress, title
        As for :func:`run_jobs`.
    random_state : int, SeedSequence or None
    """
    own: Any = generator(random_state).bit_generator.seed_seq  # of a SeedSequence itself
    seeds = own.spawn(count)
    size = 1
    if n_jobs != 1:
        from joblib import effective_n_jobs

        # a batch shares one transfer of the data
        size = max(1, min(count // (effective_n_jobs(n_jobs) * _BATCHES_PER_JOB), _LARGEST_BATCH))
    batches = [(task, range(k, min(k + size, count)), seeds[k : k + size]) for k in range(0, count, size)]
    results: list[Result] = []
    try:
        for done in run_jobs(_batch, batches, n_jobs=n_jobs, progress=progress, title=title):
            results.extend(done)
    except KeyboardInterrupt:
        pass  # the caller sees it in Runs.interrupted
    return Runs(tuple(results), count)


def _batch[Result](
    task: Callable[[int, np.random.Generator], Result], numbers: range, seeds: Sequence[np.random.SeedSequence]
) -> list[Result]:
    return [task(k, np.random.default_rng(seed)) for k, seed in zip(numbers, seeds, strict=True)]


def run_jobs[Result](
    function: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
    *,
    n_jobs: int = 1,
    progress: bool = True,
    title: str = "",
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
        Whether to show a progress bar (on stderr, gone when it is done).
    title : str
        What the bar says.
    jobs_per_process : int, optional
        After about so many jobs processes are replaced by new ones: for functions that leave memory behind, such as
        compiled models, for which joblib stops a process in the middle of the work and may wait for it for ever.
    """
    alone = n_jobs == 1 or len(jobs) <= 1
    results = (function(*job) for job in jobs) if alone else _in_processes(function, jobs, n_jobs, jobs_per_process)
    with _bar(progress, title, len(jobs)) as advance:
        for result in results:
            advance()
            yield result


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


@contextmanager
def _bar(progress: bool, title: str, count: int) -> Iterator[Callable[[], Any]]:
    if not progress:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task(title, total=count)
        yield lambda: bar.advance(line)
