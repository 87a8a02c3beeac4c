"""Health by grpc.health.v1: one name a dependency, and the empty name for the service, which needs
the necessary ones.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse

EVERY_S = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """`answers` says whether it answers, within seconds; without a `necessary` one the service is NOT_SERVING."""

    name: str
    answers: Callable[[], bool]
    necessary: bool = True


class Health:
    """Checks every dependency now and then, from a thread of its own, until `stop`."""

    def __init__(self, dependencies: tuple[Dependency, ...], *, every_s: float = EVERY_S) -> None:
        self.servicer = health.HealthServicer()
        self._dependencies, self._every_s = dependencies, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._last: dict[str, bool] = {}

    def start(self) -> None:
        self.check()
        self._thread.start()

    def stop(self) -> None:
        """Everything NOT_SERVING, at once and for good."""
        self._stop.set()
        self.servicer.enter_graceful_shutdown()

    def check(self) -> None:
        """Check all of them, and say so."""
        answers = {d.name: _answers(d) for d in self._dependencies}
        for name, answer in answers.items():
            if self._last.get(name) is not answer:
                log.info("dependency", name=name, serving=answer)
            self.servicer.set(name, _status(answer))
        self.servicer.set("", _status(all(answers[d.name] for d in self._dependencies if d.necessary)))
        self._last = answers

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.check()


def _answers(dependency: Dependency) -> bool:
    try:
        return dependency.answers()
    except Exception as error:  # a check that breaks is an answer too
        log.warning("dependency_broke", name=dependency.name, error=type(error).__name__)
        return False


def _status(answers: bool) -> int:
    return int(HealthCheckResponse.SERVING if answers else HealthCheckResponse.NOT_SERVING)
