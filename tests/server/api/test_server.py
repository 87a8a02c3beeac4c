"""How the server starts, what stops the start, health, reflection, limits. INTEROP.md G-5, S-1."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from chromogen.v1 import admin_service_pb2, order_pb2, profile_service_pb2, result_service_pb2
from chromogen.v1 import order_service_pb2 as pb
from grpc._cython import cygrpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from server import api_service as api_service_module
from server import settings
from server.api import pages
from server.api.auth import authenticate_by
from server.api.server import credentials_of, options, services
from server.bootstrap import Service
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.services.health import Dependency, Health
from server.services.limits import Places, Rate
from server.settings import is_loopback
from server.store.database import connect
from server.store.store import PostgresStore
from tests.server.api.harness import Api, Caller, order_request, running, told, told_by, unguarded
from tests.server.api.issuer import Authority, Issuer

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def refusal(**groups: object) -> str:
    wanted = settings.Settings().model_copy(update=groups)
    with pytest.raises(Refused) as error:
        assert credentials_of(wanted.grpc, wanted.tls) is authenticate_by(wanted)
    assert error.value.reason == ServiceReason.SETTING_INVALID
    return error.value.message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid", ""])
def test_an_insecure_server_is_for_loopback_only(host: str) -> None:
    assert "CHROMOGEN_GRPC_INSECURE" in refusal(grpc=settings.Grpc(host=host, insecure=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_these_are_loopback(host: str) -> None:
    assert is_loopback(host)


def test_half_a_set_of_settings_stops_the_start_and_says_which_half_is_missing(tmp_path: Path) -> None:
    pair = Authority().issue("server", server=True)
    cert, key, text = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "text"
    cert.write_bytes(pair.cert)
    key.write_bytes(pair.key)
    text.write_text("no PEM")
    tls, missing = settings.Tls(cert=cert, key=key), tmp_path / "missing"
    assert "CHROMOGEN_TLS_CERT" in refusal(tls=settings.Tls())
    assert "CHROMOGEN_TLS_KEY" in refusal(tls=settings.Tls(cert=cert))
    assert "CHROMOGEN_TLS_KEY" in refusal(tls=settings.Tls(cert=cert, key=missing))
    assert "CHROMOGEN_TLS_CERT" in refusal(tls=settings.Tls(cert=text, key=key))
    assert "CHROMOGEN_TLS_CLIENT_CA" in refusal(tls=settings.Tls(cert=cert, key=key, client_ca=missing))
    assert "CHROMOGEN_OIDC_" in refusal(tls=tls)
    assert "set all three" in refusal(tls=tls, oidc=settings.Oidc(issuer="https://i"))
    assert "set all three" in refusal(tls=tls, oidc=settings.Oidc(issuer="https://i", jwks="x"))
    assert "https" in refusal(tls=tls, oidc=settings.Oidc(issuer="https://i", audience="a", jwks="http://i/jwks"))
    assert "exclude" in refusal(grpc=settings.Grpc(insecure=True), tls=tls)


def test_with_nothing_set_the_api_is_off_and_with_half_of_it_it_is_not() -> None:
    assert not api_service_module.is_wanted(settings.Settings())
    assert api_service_module.is_wanted(settings.Settings(oidc=settings.Oidc(issuer="https://i")))
    assert api_service_module.is_wanted(settings.Settings(grpc=settings.Grpc(insecure=True)))


@pytest.mark.postgres
def test_a_local_server_takes_calls_without_tokens_for_its_own_laboratory(api_service: Service) -> None:
    local = settings.Grpc(port=0, insecure=True, local_lab="LOCAL-TEST")
    with unguarded(api_service, local) as channel:
        order = Caller(channel, None).order()
        assert order.lab == "LOCAL-TEST"
        reflected = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        with pytest.raises(grpc.RpcError) as off:
            next(reflected)
        assert off.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.postgres
def test_g7_with_a_client_authority_who_has_no_certificate_of_it_is_not_spoken_to(
    api_service: Service, issuer: Issuer, tmp_path: Path
) -> None:
    authority, other = Authority(), Authority("Another")
    server = authority.issue("server", server=True)
    files = {"cert.pem": server.cert, "key.pem": server.key, "ca.pem": authority.pem}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    tls = settings.Tls(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem", client_ca=tmp_path / "ca.pem")
    good, foreign, expired = authority.issue("lis"), other.issue("lis"), authority.issue("lis", expired=True)
    with running(api_service, tls=tls) as port:

        def listed(pair: object) -> object:
            own = {} if pair is None else {"private_key": pair.key, "certificate_chain": pair.cert}  # type: ignore[attr-defined]
            credentials = grpc.ssl_channel_credentials(root_certificates=authority.pem, **own)
            with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
                caller = Caller(channel, issuer.token("lis", lab="LAB-TLS"))
                return caller.orders.ListOrders(pb.ListOrdersRequest(), timeout=5)

        assert listed(good) is not None
        for refused in (None, foreign, expired):
            with pytest.raises(grpc.RpcError) as error:
                listed(refused)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.postgres
def test_g5_health_is_told_for_each_dependency_without_a_token(api: Api) -> None:
    stub = health_pb2_grpc.HealthStub(api.channel)
    found = {
        n: stub.Check(health_pb2.HealthCheckRequest(service=n), timeout=5).status
        for n in ("", "database", "disk", "archive", "lis")
    }
    assert found == {"": SERVING, "database": SERVING, "disk": SERVING, "archive": SERVING, "lis": NOT_SERVING}
    with pytest.raises(grpc.RpcError) as unknown:
        stub.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=5)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def test_g5_without_a_necessary_dependency_the_service_does_not_serve() -> None:
    answers = {"database": True, "lis": True}

    def look(name: str) -> bool:
        if name not in answers:
            raise KeyError(name)
        return answers[name]

    health = Health(
        (
            Dependency(name="database", answers=lambda: look("database")),
            Dependency(name="lis", answers=lambda: look("lis"), necessary=False),
        )
    )

    def status(name: str) -> int:
        return SERVING if health.serving[name] else NOT_SERVING

    health.check()
    assert (status(""), status("database"), status("lis")) == (SERVING, SERVING, SERVING)
    answers["lis"] = False
    health.check()
    assert (status(""), status("lis")) == (SERVING, NOT_SERVING)
    del answers["database"]
    health.check()
    assert (status(""), status("database")) == (NOT_SERVING, NOT_SERVING)
    answers["database"] = True
    health.check()
    health.stop()
    assert status("") == NOT_SERVING


@pytest.mark.postgres
def test_g5_reflection_lists_the_services_to_who_has_a_token(api: Api) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(api.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    token = [("authorization", f"Bearer {api.issuer.token('auditor')}")]
    answer = next(stub.ServerReflectionInfo(iter([asked]), metadata=token, timeout=5))
    names = {s.name for s in answer.list_services_response.service}
    assert names >= {s.full_name for s in services()}
    assert told(lambda: stub.ServerReflectionInfo(iter([asked]), timeout=5)).reason == "UNAUTHENTICATED"


def test_every_option_of_the_server_is_one_that_grpc_knows() -> None:
    """A misspelt one would be passed over without a word."""
    library = Path(cygrpc.__file__).read_bytes()
    assert [name for name, _ in options() if name.encode() + b"\0" not in library] == []


def test_a_caller_has_bursts_then_waits_and_holds_up_no_other() -> None:
    now = [0.0]
    rate = Rate(5, clock=lambda: now[0])
    for _ in range(10):
        rate.take("a")
    with pytest.raises(ChromogenError) as error:
        rate.take("a")
    assert error.value.reason == ServiceReason.RATE_LIMITED
    rate.take("b")
    now[0] += 0.2
    rate.take("a")
    with pytest.raises(ChromogenError):
        rate.take("a")


def places(most: int) -> Places:
    return Places(most, ServiceReason.TOO_MANY_STREAMS, "streams")


def test_places_are_few_and_one_laboratory_has_half_of_them() -> None:
    few = places(4)
    give_back = [few.take("A"), few.take("A")]
    with pytest.raises(Failed, match="2 streams of this laboratory"):
        few.take("A")
    give_back += [few.take("B"), few.take("C")]
    with pytest.raises(Failed, match="4 streams are open") as error:
        few.take("D")
    assert (error.value.reason, error.value.retryable) == (ServiceReason.TOO_MANY_STREAMS, True)
    for release in give_back:
        release()
    assert few.taken == 0
    few.take("A")


def test_where_there_is_one_place_a_laboratory_may_have_it() -> None:
    places(1).take("A")


@pytest.mark.postgres
def test_more_calls_than_a_caller_may_make_are_refused(api_service: Service) -> None:
    local = settings.Grpc(port=0, insecure=True, rate=1)
    with unguarded(api_service, local) as channel:
        caller = Caller(channel, None)
        for _ in range(2):
            caller.orders.ListOrders(pb.ListOrdersRequest())
        answer = told(lambda: caller.orders.ListOrders(pb.ListOrdersRequest()))
        assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")


@pytest.mark.postgres
def test_a_message_larger_than_its_method_takes_is_refused(api: Api) -> None:
    request = order_request(procedure_text="x" * (1 << 20))
    answer = told(lambda: api.caller("lis").orders.CreateOrder(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")


MARKER = "SEEDEDMARKER"
BAD_ORDERS = {
    "family name too long": {"patient": order_pb2.Patient(id="1", family_name=MARKER * 30)},
    "control character": {"patient": order_pb2.Patient(id="1", given_name=f"{MARKER}\n")},
    "NUL": {"patient": order_pb2.Patient(id=f"{MARKER}\0")},
    "birth date": {"patient": order_pb2.Patient(id="1", birth_date=MARKER)},
    "sex": {"patient": order_pb2.Patient(id="1", sex=MARKER)},
    "marker": {"marker": MARKER},
    "study uid": {"slide": order_pb2.SlideReference(study_uid=MARKER)},
    "series uid": {"slide": order_pb2.SlideReference(series_uid=f"1.2.{MARKER}")},
    "no slide": {"slide": order_pb2.SlideReference(), "procedure_text": MARKER},
    "no patient": {"patient": order_pb2.Patient(family_name=MARKER)},
    "no number": {"placer_order_number": "", "procedure_text": MARKER},
    "priority": {"priority": 99, "procedure_text": MARKER},
    "site": {"specimen": order_pb2.Specimen(site_text=MARKER * 30)},
}


@pytest.mark.postgres
@pytest.mark.parametrize("fault", BAD_ORDERS)
def test_s1_an_order_that_is_refused_is_quoted_neither_in_the_error_nor_in_the_log(
    api: Api, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    answer = told(lambda: api.caller("lis").orders.CreateOrder(order_request(**BAD_ORDERS[fault])))  # type: ignore[arg-type]
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert MARKER not in answer.message + answer.advice
    out, err = capfd.readouterr()
    assert MARKER not in out + err
    assert "outcome" in out + err


@pytest.mark.postgres
def test_s1_neither_are_identifiers_names_of_profiles_tokens_and_request_ids(
    api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    caller = api.caller("lis")
    for wrong in (MARKER, f"{uuid.uuid4()}{MARKER}", "x" * 10_000, "é"):
        assert told(lambda w=wrong: caller.orders.GetOrder(pb.GetOrderRequest(order_id=w))).reason == "ARGUMENT_INVALID"  # type: ignore[misc]
    assert told(lambda: caller.order(request_id=MARKER)).reason == "ARGUMENT_INVALID"
    assert (
        told(lambda: caller.orders.ListOrders(pb.ListOrdersRequest(page_token=MARKER))).reason == "PAGE_TOKEN_INVALID"
    )
    assert told(lambda: api.stranger(MARKER).order()).reason == "TOKEN_INVALID"
    out, err = capfd.readouterr()
    assert MARKER not in out + err


@pytest.mark.postgres
def test_an_error_that_nobody_foresaw_says_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from server.store.order_repository import PostgresOrderRepository

    def broken(*_: object) -> None:
        raise KeyError(MARKER)

    monkeypatch.setattr(PostgresOrderRepository, "list", broken)
    answer = told(lambda: api.caller("lis").orders.ListOrders(pb.ListOrdersRequest()))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    out, err = capfd.readouterr()
    assert MARKER not in answer.message + out + err
    assert "KeyError" in out + err


@pytest.mark.postgres
def test_g3_a_method_that_there_is_not_says_so_to_who_has_a_token(api: Api) -> None:
    call = api.channel.unary_unary("/chromogen.v1.OrderService/Nothing")
    assert told(lambda: call(b"", timeout=5)).code is grpc.StatusCode.UNAUTHENTICATED
    token = [("authorization", f"Bearer {api.issuer.token('lis')}")]
    answer = told(lambda: call(b"", metadata=token, timeout=5))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED")


@pytest.mark.postgres
def test_g5_without_its_database_the_service_says_so_and_the_caller_may_try_again(api_service: Service) -> None:
    nowhere = connect("postgresql://nobody@127.0.0.1:1/none")
    local = settings.Grpc(port=0, insecure=True)
    with unguarded(replace(api_service, database=nowhere, store=PostgresStore(nowhere)), local) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest(service="database"), timeout=5).status == NOT_SERVING
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == NOT_SERVING
        answer = told(Caller(channel, None).order)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNREACHABLE")
        assert "nobody" not in answer.message
    nowhere.dispose()


ENDLESS_S = 3600


@pytest.mark.timeout(120)
@pytest.mark.postgres
def test_r10_a_watch_does_not_hold_up_the_stop_and_is_told_to_come_back(api_service: Service) -> None:
    quiet = api_service.settings.model_copy(
        update={"grpc": settings.Grpc(port=0, insecure=True), "tls": settings.Tls(), "oidc": settings.Oidc()}
    )
    server = api_service_module.start(replace(api_service, settings=quiet))
    assert server is not None
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        caller = Caller(channel, None)
        stream = caller.orders.WatchOrder(pb.WatchOrderRequest(order_id=caller.order().id))
        next(stream)
        server.stop(ENDLESS_S)  # the watch would be held up so long
        assert told(lambda: stream).reason == "SERVER_STOPPING"


FORGED = [
    ["", ""],
    ["x", "y"],
    ["2026-01-01T00:00:00+00:00", "x"],
    ["a\0b", "1"],
    ["a", "9" * 30],
    ["a", "-1"],
    ["1", "2", "3"],
    ["9" * 30],
]


@pytest.mark.postgres
@pytest.mark.parametrize("key", FORGED)
def test_g4_a_page_token_that_is_made_by_hand_breaks_nothing(api: Api, key: list[str]) -> None:
    caller = api.caller("lis", "pathologist", "lab-admin", "operator", "auditor")
    calls: list[tuple[Callable[..., object], Any]] = [
        (caller.orders.ListOrders, pb.ListOrdersRequest()),
        (caller.results.ListResults, result_service_pb2.ListResultsRequest()),
        (caller.profiles.ListProfiles, profile_service_pb2.ListProfilesRequest()),
        (caller.admin.ListDeliveries, admin_service_pb2.ListDeliveriesRequest()),
        (caller.admin.QueryAudit, admin_service_pb2.QueryAuditRequest()),
    ]
    for call, request in calls:
        request.page_token = pages.token_for(tuple(key), request)
        try:
            call(request)
        except grpc.RpcError as error:
            assert told_by(error).reason == "PAGE_TOKEN_INVALID"  # noqa: PT017  either is right
