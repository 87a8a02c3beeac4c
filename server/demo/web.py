"""The demo that stays: the page and the API open at once, the case is scored meanwhile, and all of it ends together."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from server import api_service, settings
from server.bootstrap import Service, bootstrap
from server.demo.lis import LAB, ReceivingLis
from server.demo.people import USER, People, make_people
from server.demo.run import case_services_of, emptied, fill_archive, make_slide, order_slide, settings_for, working_in
from server.demo.slide_header import SlideIdentity
from server.domain.access import Role
from server.domain.errors import ChromogenError
from server.domain.states import ENDED_WITHOUT_RESULT
from server.listening import listening as listening_at
from server.pipeline import run_case

HOST = "127.0.0.1"
POLL_S = 0.5

Say = Callable[[str], None]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Where it is reached."""

    web: int
    grpc: int
    mllp: int
    people: People


def run_web(
    out: Path, *, seed: int, h_score: float, keep: bool, port: int, side: int, say: Say, difficult: bool = False
) -> None:
    """Until SIGINT or SIGTERM. Raises Failed where a port is taken."""
    out.mkdir(parents=True, exist_ok=True)
    stopped = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_signals(stopped))
        work = stack.enter_context(working_in(out, keep=keep))
        people = make_people(work / "people")
        lis = stack.enter_context(ReceivingLis(emptied(work / "received")))
        emptied(work / "archive")
        say("starting PostgreSQL, the page and the API")
        service = stack.enter_context(bootstrap(web_settings(work, lis.port, people, port)))
        doors = api_service.start(service)
        assert doors is not None
        assert doors.web is not None
        stack.callback(doors.stop)
        ports = stack.enter_context(listening_at(service))
        (mllp,) = ports.values()
        opened = Open(web=doors.web.port, grpc=doors.port, mllp=mllp, people=people)
        announce(opened, say)
        worker = threading.Thread(target=_work, args=(service, work, stopped), name="demo-worker", daemon=True)
        worker.start()
        stack.callback(worker.join, 30)
        stack.callback(stopped.set)

        def drawn() -> SlideIdentity:
            say(f"drawing a slide of {side} x {side} px (seed {seed}, H-score about {h_score:g})")
            return make_slide(out, seed, h_score, side, difficult=difficult)[0]

        if _ordered(out, work, service, drawn, stopped, say):
            _tell_end(service, opened, stopped, say)
        stopped.wait()
        say("stopping")


def web_settings(work: Path, lis_port: int, people: People, port: int) -> settings.Settings:
    """The demo's own, with the page at `port` and tokens for the API."""
    web = settings.Web(host=HOST, port=port, local_user=USER, open_images=True)
    return settings_for(work, lis_port).model_copy(update={"web": web, "oidc": people.oidc})


def announce(opened: Open, say: Say) -> None:
    """What an integrator, an administrator and a pathologist begin with."""
    tokens = opened.people.tokens
    client = f"CHROMOGEN_CLIENT_SERVER={HOST}:{opened.grpc} CHROMOGEN_CLIENT_TOKEN_FILE="
    say(f"page   http://{HOST}:{opened.web}/   (sign in as {USER}: no password)")
    say(f"gRPC   {HOST}:{opened.grpc}   (plain text, by token)")
    say(f"MLLP   {HOST}:{opened.mllp}   (MSH-4 {LAB})")
    for role, path in tokens.items():
        say(f"token  {role:<12}{path}")
    say("try:")
    say(
        f"  {client}{tokens[Role.LIS]} chromogen order submit --placer-number TRY-1 --marker ER"
        f" --patient-id INVENTED-2 --container-id {SlideIdentity(key='').container_id} --wait"
    )
    say(f"  {client}{tokens[Role.LAB_ADMIN]} chromogen profile list")
    say(f"  {client}{tokens[Role.PATHOLOGIST]} chromogen result sign RESULT_ID")


def _ordered(
    out: Path, work: Path, service: Service, drawn: Callable[[], SlideIdentity], stopped: threading.Event, say: Say
) -> bool:
    """Draw the slide, order its score; a failure leaves the page open, and is said."""
    try:
        identity = drawn()
        if stopped.is_set():
            return False
        fill_archive(out / "slide", work / "archive")
        number = order_slide(service, identity, say)
        say(f"order {number} is being scored: the work list shows how far it is")
        return True
    except ChromogenError as error:
        say(f"the demo's case can't be made: {error.reason} {error.message}")
        return False


def _tell_end(service: Service, opened: Open, stopped: threading.Event, say: Say) -> None:
    """The case's address once it is scored."""
    while not stopped.wait(POLL_S):
        (view, *_) = service.store.orders(1)
        if view.result_id is not None:
            say(f"result {view.result_id} waits to be signed: http://{HOST}:{opened.web}/case/{view.result_id}")
        elif view.state not in ENDED_WITHOUT_RESULT:
            continue
        return


def _work(service: Service, work: Path, stopped: threading.Event) -> None:
    """A worker in a thread: signals are the main one's."""
    services = case_services_of(service, work)
    worker = service.worker(lambda claim: run_case(claim, services))
    while not stopped.is_set():
        try:
            worker.run_until_idle()
        except ChromogenError as error:
            log.warning("demo_worker_waits", reason=str(error.reason))
        stopped.wait(POLL_S)


@contextmanager
def _signals(stopped: threading.Event) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
