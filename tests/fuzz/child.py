"""Targets, each in a process whose memory is bounded:  python -m tests.fuzz.child FOLDER TARGET:FIRST:COUNT:MB...

Tries the changes of COUNT seeds from FIRST on, with so many MB (address space) beyond what it has once its samples are
made. Prints what came of each as a line of JSON; a fault ends it with the seed that made it. What all of them import is
imported once: each target is forked.
"""

import json
import os
import random
import resource
import sys
import time
import warnings
from pathlib import Path

import structlog

from tests.fuzz.targets import TARGETS, refused


def main(folder: Path, wanted: list[str]) -> None:
    for each in wanted:
        target, *numbers = each.split(":")
        sys.stdout.flush()
        number = os.fork()
        if number == 0:
            run(target, *map(int, numbers), folder / target)  # type: ignore[call-arg, arg-type]
            sys.stdout.flush()
            os._exit(0)
        if status := os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]):
            sys.exit(f"{target} ended with {status}")


def run(target: str, first: int, count: int, mb: int, folder: Path) -> None:
    folder.mkdir()
    warnings.simplefilter("ignore")
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[])
    slowest, refusals = (0.0, first), 0
    with TARGETS[target](folder) as attempt:
        refused(attempt, random.Random(-1))  # what is imported late
        bound(mb << 20)
        for seed in range(first, first + count):
            began = time.monotonic()
            try:
                refusals += refused(attempt, random.Random(seed))
            except BaseException:
                print(f"{target}, seed {seed}", file=sys.stderr)
                raise
            slowest = max(slowest, (time.monotonic() - began, seed))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    found = {"target": target, "tried": count, "refused": refusals, "slowest_s": slowest, "peak_mb": peak_mb}
    print(json.dumps(found))


def bound(more: int) -> None:
    """So many bytes more of address space than now."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + more, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
