"""Many independent runs: seeded one by one, in parallel, with a progress bar, and kept when they are interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rich.progress import Progress

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
    n_jobs : int
        Processes; -1 for one a core.
    random_state : int, SeedSequence or None
    progress : bool
        Whether to show a progress bar (on stderr, gone when it is done).
    title : str
        What the bar says.
    """
    root = random_state if isinstance(random_state, np.random.SeedSequence) else np.random.SeedSequence(random_state)
    seeds = root.spawn(count)
    results: list[Result] = []
    with _bar(progress, title, count) as advance:
        try:
            for done in _batches(task, seeds, n_jobs):
                results.extend(done)
                advance(len(done))
        except KeyboardInterrupt:
            pass  # the caller sees it in Runs.interrupted
    return Runs(tuple(results), count)


def _batches[Result](
    task: Callable[[int, np.random.Generator], Result], seeds: Sequence[np.random.SeedSequence], n_jobs: int
) -> Iterator[list[Result]]:
    if n_jobs == 1 or len(seeds) <= 1:
        for k, seed in enumerate(seeds):
            yield [task(k, np.random.default_rng(seed))]
        return
    from joblib import Parallel, delayed, effective_n_jobs

    # a batch shares one transfer of the data
    size = max(1, min(len(seeds) // (effective_n_jobs(n_jobs) * _BATCHES_PER_JOB), _LARGEST_BATCH))
    parts = [range(start, min(start + size, len(seeds))) for start in range(0, len(seeds), size)]
    jobs = (delayed(_batch)(task, part, [seeds[k] for k in part]) for part in parts)
    yield from Parallel(n_jobs=n_jobs, return_as="generator")(jobs)


def _batch[Result](
    task: Callable[[int, np.random.Generator], Result], numbers: range, seeds: Sequence[np.random.SeedSequence]
) -> list[Result]:
    return [task(k, np.random.default_rng(seed)) for k, seed in zip(numbers, seeds, strict=True)]


@contextmanager
def _bar(progress: bool, title: str, count: int) -> Iterator[Callable[[int], Any]]:
    if not progress:
        yield lambda _: None
        return
    bar = _make_bar()
    with bar:
        line = bar.add_task(title, total=count)
        yield lambda done: bar.advance(line, done)


def _make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
