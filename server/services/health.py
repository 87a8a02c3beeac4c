"""Whether the service and what it depends on answer, as both doors say: looked at now and then, in one thread."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

EVERY_S = 5.0
SERVICE = ""
"""The name of the service itself, as grpc.health.v1 has it: it serves where the necessary dependencies do."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """`answers` says whether it answers, within seconds; without a `necessary` one the service doesn't serve."""

    name: str
    answers: Callable[[], bool]
    necessary: bool = True


class Health:
    """Checks every dependency now and then, from a thread of its own, until `stop`. Readers wait for nothing."""

    def __init__(self, dependencies: tuple[Dependency, ...], *, every_s: float = EVERY_S) -> None:
        self._dependencies, self._every_s = dependencies, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._starting, self._lock = threading.Lock(), threading.Lock()
        self._answers: Mapping[str, bool] = {}

    @property
    def serving(self) -> Mapping[str, bool]:
        """By name: SERVICE, and each dependency."""
        return self._answers

    def start(self) -> None:
        """Each door starts it; once is enough."""
        with self._starting:
            if self._thread.ident is None:
                self.check()
                self._thread.start()

    def stop(self) -> None:
        """Nothing serves any more, at once and for good."""
        with self._lock:
            self._stop.set()
            self._answers = dict.fromkeys((SERVICE, *(d.name for d in self._dependencies)), False)

    def check(self) -> None:
        """Check all of them, and say so."""
        found = {d.name: _answers(d) for d in self._dependencies}
        for name, answer in found.items():
            if self._answers.get(name) is not answer:
                log.info("dependency", name=name, serving=answer)
        found[SERVICE] = all(found[d.name] for d in self._dependencies if d.necessary)
        with self._lock:
            if not self._stop.is_set():
                self._answers = found

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.check()


def _answers(dependency: Dependency) -> bool:
    try:
        return dependency.answers()
    except Exception as error:  # a check that breaks is an answer too
        log.warning("dependency_broke", name=dependency.name, error=type(error).__name__)
        return False
