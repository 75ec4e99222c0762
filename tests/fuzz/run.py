"""Fuzz: ``python -m tests.fuzz.run --count 100000 --seed 1``; ``--only 17`` repeats one case and shows it whole.

Each case has its number and is made from (seed, number) alone. Prints what became of the cases and, for each kind of
failure, the first reproducers; exits with 1 if there are any.
"""

import argparse
import os
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import batched

import numpy as np

from tests.fuzz.cases import RandomPicker, make_case
from tests.fuzz.invariants import check
from tests.fuzz.text import check_text, make_text

#: Seconds of processor time a case may take (a hundred times what one takes), and of the clock.
LIMIT, CLOCK = 5, 300  # the clock is for what waits; a busy machine is no hang
TEXT_EVERY = 4  # one case in four is a file, a formula or a command line


class Hang(BaseException):
    """The case was still running after its time: no handler of exceptions may swallow it."""


def _too_long(number, _):
    used = f"{LIMIT} s of processor time" if number == signal.SIGPROF else f"{CLOCK} s of the clock"
    raise Hang(f"still running after {used}")


def build(seed, number):
    """The check of one case, and the case."""
    pick = RandomPicker(np.random.default_rng([seed, number]))
    return (check_text, make_text(pick)) if number % TEXT_EVERY == 0 else (check, make_case(pick))


def run_case(seed, number):
    """``(outcome, failure)``: the outcome's name, and the text of what is broken or None."""
    function, case = build(seed, number)
    timers = ((signal.SIGPROF, signal.ITIMER_PROF, LIMIT), (signal.SIGALRM, signal.ITIMER_REAL, CLOCK))
    for number_of_signal, timer, seconds in timers:
        signal.signal(number_of_signal, _too_long)
        signal.setitimer(timer, seconds)
    try:
        return function(case), None
    except (Exception, Hang) as error:  # noqa: BLE001
        place = [f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}bayesridge{os.sep}" in f.filename]
        where = f" in {os.path.basename(place[-1].filename)}:{place[-1].name}" if place else ""
        return "FAILED", (f"{type(error).__name__}{where}", f"{error}"[:300], str(case))
    finally:
        for _, timer, _ in timers:
            signal.setitimer(timer, 0)


def run_cases(seed, numbers):
    """Outcomes of several cases."""
    return [(number, *run_case(seed, number)) for number in numbers]


def main(arguments=None):
    """Run, report, and return the number of failures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", type=int, help="one case, with its traceback")
    options = parser.parse_args(arguments)
    if options.only is not None:
        function, case = build(options.seed, options.only)
        print(repr(case), case, sep="\n")
        print(function(case))
        return 0
    started, outcomes, failures = time.monotonic(), Counter(), defaultdict(list)
    with ProcessPoolExecutor(options.jobs) as pool:
        batches = list(batched(range(options.count), 50))
        for done in pool.map(run_cases, [options.seed] * len(batches), batches):
            for number, outcome, failure in done:
                outcomes[outcome] += 1
                if failure:
                    failures[failure[0]].append((number, *failure[1:]))
    seconds = time.monotonic() - started
    print(f"{options.count} inputs, seed {options.seed}, {seconds:.0f} s:", dict(outcomes.most_common()))
    for kind, found in sorted(failures.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(found)} x {kind}")
        for number, text, case in found[:3]:
            print(f"  --seed {options.seed} --only {number}: {case}\n      {text}")
        if found[3:]:
            print("  and --only", ", ".join(str(number) for number, *_ in found[3:]))
    return sum(map(len, failures.values()))


if __name__ == "__main__":
    sys.exit(min(main(), 1))
