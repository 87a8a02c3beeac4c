"""The clients, each command once, against a local server; JSON where asked for, tables otherwise."""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from chromogen.v1 import order_pb2, order_service_pb2_grpc
from chromogen.v1 import order_service_pb2 as pb
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from server import settings
from server.api_service import start
from server.bootstrap import Service
from server.cli.calibration import read_regions
from server.cli.client import _Defaults, api, pages
from server.cli.main import COMMANDS, chromogen
from server.cli.order import follow
from server.cli.validation import read_scores
from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.domain.order import OrderId
from server.domain.result import ResultId
from server.domain.states import OrderState
from tests.made import made_result
from tests.server.api.harness import Caller, unguarded

pytestmark = pytest.mark.postgres
LAB = "LOCAL-CLIENT"
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def server(api_service: Service) -> Iterator[str]:
    local = settings.Grpc(port=0, insecure=True, local_lab=LAB)
    wanted = api_service.settings.model_copy(update={"grpc": local, "tls": settings.Tls(), "oidc": settings.Oidc()})
    running = start(replace(api_service, settings=wanted))
    assert running is not None
    yield f"127.0.0.1:{running.port}"
    running.stop(1)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, server: str) -> Iterator[None]:
    for name in [n for n in os.environ if n.startswith("CHROMOGEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHROMOGEN_CLIENT_SERVER", server)
    with capture_logs():  # the server's, which is in this process and writes where the client does
        yield


def run(*arguments: str) -> Result:
    return CliRunner().invoke(chromogen, arguments)


def answer(*arguments: str) -> dict[str, object]:
    done = run(*arguments, "--json")
    assert done.exception is None, done.exception
    found: dict[str, object] = json.loads(done.stdout)
    return found


def reason(*arguments: str) -> ServiceReason:
    error = run(*arguments).exception
    assert isinstance(error, ChromogenError)
    assert "\n" not in error.message
    return error.reason  # type: ignore[return-value]


def submitted(number: str, *more: str) -> str:
    patient = ("--patient-id", "TEST-1", "--family-name", "TEST-INVENTED", "--birth-date", "1950-02-28", "--sex", "F")
    slide = ("--container-id", "S26-TEST-1-A-2", "--site", "2739003^Endometrium^SCT")
    return str(answer("order", "submit", "--placer-number", number, "--marker", "er", *patient, *slide, *more)["id"])


def scored(service: Service, folder: Path, number: str, seed: int) -> tuple[str, str]:
    """An order and its result."""
    order_id = submitted(number)
    claim = service.store.claim(OrderId(order_id), 60)
    assert claim is not None
    made = made_result(folder, seed=seed)
    result = replace(made, order_id=OrderId(order_id), id=ResultId(f"{seed:08x}{made.id[8:]}"))
    service.store.finish(claim, result, [])
    return order_id, result.id


def test_an_order_is_submitted_shown_listed_and_cancelled() -> None:
    order_id = submitted("C-1", "--priority", "stat", "--placer-namespace", "LIS-1")
    found = answer("order", "get", order_id)
    assert (found["state"], found["priority"], found["marker"]) == ("ORDER_STATE_QUEUED", "PRIORITY_STAT", "ER")
    assert (found["placer_order_number"], found["placer_namespace"]) == ("C-1", "LIS-1")
    assert found["patient"]["birth_date"] == "1950-02-28"  # type: ignore[index]
    table = run("order", "list", "--placer-number", "C-1", "--state", "queued").stdout
    assert order_id in table
    assert "QUEUED" in table
    assert "TEST-INVENTED" not in table
    assert "CANCELLED" in run("order", "cancel", order_id).stdout
    watched = run("order", "watch", order_id, "--json").stdout.splitlines()
    assert [json.loads(line)["state"] for line in watched] == ["ORDER_STATE_CANCELLED"]
    assert reason("order", "retry", order_id) == ServiceReason.ORDER_STATE


def test_the_same_request_id_submits_one_order() -> None:
    twice = [submitted("C-2", "--request-id", "11111111-1111-4111-8111-111111111111") for _ in range(2)]
    assert twice[0] == twice[1]


def test_waiting_for_an_order_that_is_refused_ends_with_its_reason(api_service: Service) -> None:
    def refuse() -> None:
        for _ in range(200):
            for view in api_service.store.orders(20):
                if view.order.request.placer_order_number.identifier == "C-3":
                    claim = api_service.store.claim(view.order.id, 60)
                    assert claim is not None
                    api_service.store.end(claim, OrderState.REFUSED, "NO_TISSUE", "no tissue was found")
                    return

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(refuse)
        error = run(
            "order",
            "submit",
            "--placer-number",
            "C-3",
            "--marker",
            "ER",
            "--patient-id",
            "T",
            "--container-id",
            "C",
            "--wait",
        ).exception
        done.result()
    assert isinstance(error, ChromogenError)
    assert error.message == "the order ended REFUSED: NO_TISSUE"


def test_results_are_shown_rescored_compared_signed_and_amended(api_service: Service, tmp_path: Path) -> None:
    order_id, result_id = scored(api_service, tmp_path, "C-4", 41)
    shown = run("result", "get", result_id).stdout
    assert all(said in shown for said in ("H-score", "PRELIMINARY", "Allred total score", "clinical region", " to "))
    assert result_id in run("result", "list", "--order-id", order_id).stdout
    assert result_id in run("result", "history", "--container-id", "S26-TEST-1-A-2").stdout
    path = tmp_path / "profile.json"
    thresholds = {"method": "dab_od", "weak": 0.2, "moderate": 0.4, "strong": 0.6}
    path.write_text(json.dumps({"name": "od", "revision": 1, "thresholds": thresholds}))
    assert answer("profile", "create", str(path))["state"] == "PROFILE_STATE_DRAFT"
    assert answer("profile", "revise", str(path))["revision"] == 2
    assert "ACTIVE" in run("profile", "activate", "od/2").stdout
    assert "RETIRED" in run("profile", "retire", "od/2").stdout
    assert answer("profile", "get", "od", "--revision", "1")["criteria"] == {
        "method": "dab_od",
        "numbers": {"weak": 0.2, "moderate": 0.4, "strong": 0.6},
    }
    shown = run("profile", "get", "od", "--revision", "1").stdout
    assert all(said in shown for said in ("dab_od", "weak 0.2", "strong 0.6"))
    assert run("profile", "list").stdout.count("od") >= 2
    compared = run("profile", "compare", "built-in/2", "od/1", result_id).stdout
    assert "H-score, second minus first" in compared
    assert "Estrogen receptor status: " in run("profile", "compare", "active", "od/1", "--marker", "ER").stdout
    again = str(answer("result", "rescore", result_id, "od/1")["id"])
    assert answer("result", "sign", result_id)["signed_by"] == "local"
    assert (
        answer("result", "amend", result_id, again, "--reason", "thresholds moved")["state"] == "RESULT_STATE_CORRECTED"
    )
    assert reason("result", "reject", result_id, "--reason", "too late") == ServiceReason.RESULT_STATE
    points = run("result", "cells", result_id, "--window", "0,0,20000,12000").stdout.splitlines()
    assert len(points) == 500
    assert set(json.loads(points[0])) >= {"x_px", "y_px", "group", "confidence", "hue"}
    squares = [json.loads(line) for line in run("result", "cells", result_id, "--squares", "1000").stdout.splitlines()]
    assert sum(n for square in squares for n in square["counts"].values()) == 500
    regions = {json.loads(line)["group"].split()[0] for line in points}
    of_one = run("result", "cells", result_id, "--region", min(regions)).stdout.splitlines()
    assert 0 < len(of_one) < 500
    listed = run("outbox", "list", "--state", "WAITING").stdout
    assert "ORU" in listed
    assert "lis" in run("outbox", "destinations").stdout
    assert run("outbox", "replay", "--destination", "lis").stdout == "0 waiting again\n"
    assert "local" in run("audit", "list", "--object", f"results/{result_id}").stdout
    assert "intact" in run("audit", "verify").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("order", "get", NOBODY), ServiceReason.ORDER_UNKNOWN),
        (("order", "get", "x"), ServiceReason.ARGUMENT_INVALID),
        (("result", "get", NOBODY), ServiceReason.RESULT_UNKNOWN),
        (("result", "rescore", NOBODY, "od"), ServiceReason.ARGUMENT_INVALID),
        (("result", "cells", NOBODY, "--window", "1,2,3"), ServiceReason.ARGUMENT_INVALID),
        (("profile", "get", "nobody"), ServiceReason.PROFILE_UNKNOWN),
        (("outbox", "replay"), ServiceReason.ARGUMENT_INVALID),
        (("outbox", "replay", "999999999"), ServiceReason.DELIVERY_UNKNOWN),
    ],
)
def test_what_goes_wrong_is_one_line_with_its_reason(arguments: tuple[str, ...], expected: ServiceReason) -> None:
    assert reason(*arguments) == expected


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"CHROMOGEN_CLIENT_SERVER": "pacs.invalid:50051"}, "CHROMOGEN_CLIENT_CA"),
        ({"CHROMOGEN_CLIENT_CA": "/nowhere/ca.pem"}, "CHROMOGEN_CLIENT_CA"),
        ({"CHROMOGEN_CLIENT_TOKEN_FILE": "/nowhere/token"}, "CHROMOGEN_CLIENT_TOKEN_FILE"),
        ({"CHROMOGEN_CLIENT_SERVER": "127.0.0.1:1"}, "does not answer as the API"),
    ],
)
def test_a_client_that_is_set_up_wrongly_says_which_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], word: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = run("order", "list").exception
    assert isinstance(error, ChromogenError)
    assert word in error.message


@pytest.mark.parametrize("group", ["order", "result", "profile", "outbox", "audit"])
def test_every_command_says_what_it_does(group: str) -> None:
    assert group in COMMANDS
    listed = run(group, "--help").stdout
    names = [line.split()[0] for line in listed.split("Commands:")[1].splitlines() if line.strip()]
    for name in names:
        done = run(group, name, "--help")
        assert done.exit_code == 0
        assert len(done.stdout.splitlines()[2].split()) >= 2


def test_pages_are_followed_up_to_the_limit() -> None:
    for number in range(5):
        submitted(f"C-9-{number}")
    with api() as connected:
        assert len(pages(connected.orders.ListOrders, pb.ListOrdersRequest(), "orders", 3)) == 3
        asked = []

        def call(request: pb.ListOrdersRequest) -> object:
            asked.append(request.page_size)
            request.page_size = 2
            return connected.orders.ListOrders(request)

        assert len(pages(call, pb.ListOrdersRequest(), "orders", 5)) == 5
        assert asked == [5, 3, 1]


def test_a_watch_that_the_server_ends_for_idleness_is_begun_again(api_service: Service) -> None:
    with unguarded(api_service, settings.Grpc(port=0, insecure=True, local_lab=LAB, idle_s=0.6)) as channel:
        order = Caller(channel, None).order()
        stubs = SimpleNamespace(orders=order_service_pb2_grpc.OrderServiceStub(channel))
        ending = threading.Timer(2, lambda: stubs.orders.CancelOrder(pb.CancelOrderRequest(order_id=order.id)))
        ending.start()
        assert follow(stubs, order.id, quiet=True).state == order_pb2.ORDER_STATE_CANCELLED  # type: ignore[arg-type]
        ending.join()


def test_a_profile_is_calibrated_adopted_and_activated_by_commands(api_service: Service, tmp_path: Path) -> None:
    _, result_id = scored(api_service, tmp_path, "C-CAL", 47)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"result,annotation,slide,h_score_epithelium,h_score_stroma\n{result_id},,S1,150,150\n")
    asked = answer("profile", "calibrate", "er-cli", str(manifest), "--marker", "ER", "--no-wait")
    assert asked["state"] == "CALIBRATION_STATE_QUEUED"
    while api_service.jobs.step():
        pass
    found = run("profile", "calibration", str(asked["id"]))
    assert "left-out" not in found.stdout
    assert "ONE_SLIDE" in found.stderr
    assert str(asked["id"]) in run("profile", "calibrations").stdout
    draft = answer("profile", "adopt", str(asked["id"]), "--scanner", "GT450")
    assert (draft["name"], draft["scanner"], draft["state"]) == ("er-cli", "GT450", "PROFILE_STATE_DRAFT")
    made = answer("profile", "activate", "er-cli/1", "--until", "2099-12-31", "--reason", "tried")
    assert (made["valid_until"], made["state_reason"]) == ("2099-12-31", "tried")
    assert answer("profile", "retire", "er-cli/1", "--reason", "over")["state_reason"] == "over"


class Details(NamedTuple):
    """Of a call, as an interceptor is given them."""

    metadata: list[tuple[str, str]] | None = None
    timeout: float | None = None


def test_streams_of_requests_are_sent_with_the_token_and_without_a_deadline() -> None:
    found = _Defaults("secret", 5).intercept_stream_stream(lambda details, _: details, Details(), iter(()))
    assert found == Details(metadata=[("authorization", "Bearer secret")], timeout=None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("result,annotation\n", "names no region"),
        ("result\nx\n", "lacks annotation"),
        ("result,annotation,more\nx,y,z\n", "unknown columns: more"),
        ("result,annotation\nx\n", "more or fewer fields"),
        ("result,annotation,h_score_all\nx,,high\n", "isn't a number"),
        ("result,annotation\nx,missing.csv\n", "can't be read"),
    ],
)
def test_a_manifest_of_results_that_is_wrong_is_told_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(text)
    with pytest.raises(Refused, match=said):
        read_regions(manifest, {})


def test_a_profile_is_validated_signed_and_listed_by_commands(api_service: Service, tmp_path: Path) -> None:
    results = [scored(api_service, tmp_path, f"C-VAL-{k}", 60 + k)[1] for k in range(2)]
    scores = tmp_path / "scores.csv"
    scores.write_text("result,h_score_all\n" + "".join(f"{result},100\n" for result in results))
    found = answer("profile", "validate", "built-in/2", str(scores), "--marker", "ER")
    assert (found["slides"], found["agreements"][0]["measure"]) == (2, "HSCORE")  # type: ignore[index]
    shown = run("profile", "validate", "built-in/2", str(scores), "--marker", "ER").stdout
    assert "H-score" in shown
    assert "signed by: nobody" in shown
    assert str(found["id"]) in run("profile", "validations", "built-in/2").stdout
    assert reason("profile", "sign-validation", str(found["id"])) == "VALIDATION_IMPOSSIBLE"  # two slides are too few


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("result,h_score_all\n", "names no result"),
        ("result\nx\n", "other columns"),
        ("result,h_score_all,slide\nx,1,y\n", "other columns"),
        ("result,h_score_all\nx\n", "more or fewer fields"),
        ("result,h_score_all\nx,high\n", "isn't a number"),
        ("result,h_score_all\nx,\n", "has no score"),
    ],
)
def test_a_file_of_scores_that_is_wrong_is_told_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(Refused, match=said):
        read_scores(tmp_path / "scores.csv")


def test_a_cases_markers_are_shown_by_command(api_service: Service, tmp_path: Path) -> None:
    order_id, result_id = scored(api_service, tmp_path, "C-CASE", 71)
    assert result_id in run("result", "case", order_id).stdout
    assert answer("result", "case", order_id)["results"][0]["id"] == result_id  # type: ignore[index]
