"""What is open beside the API's own port: health for probes, and the HTTP door."""

import http.client
import json
import ssl
import threading
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server import api_service as api_service_module
from server import settings
from server.api.auth import authenticate_by
from server.bootstrap import Service
from server.domain.access import Authenticate
from tests.server.api.harness import Api, Caller, told

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.mark.postgres
def test_o2_probes_ask_for_health_without_tls_and_find_nothing_else_there(api_service: Service) -> None:
    wanted = api_service.settings.model_copy(update={"grpc": settings.Grpc(port=0, health_port=0)})
    server = api_service_module.api_server(replace(api_service, settings=wanted))
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.health_port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for name in ("", "process", "database"):
                assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status == SERVING
            assert told(Caller(channel, None).order).reason == "UNAUTHENTICATED"
    finally:
        server.stop(1)


@pytest.mark.postgres
def test_both_doors_open_with_the_same_certificate_tokens_and_health(api_service: Service, api: Api) -> None:
    wanted = {"grpc": settings.Grpc(port=0), "web": settings.Web(port=0)}
    doors = api_service_module.start(replace(api_service, settings=api_service.settings.model_copy(update=wanted)))
    assert doors is not None
    assert doors.web is not None
    try:
        context = ssl.create_default_context(cadata=(api.folder / "ca.pem").read_text())
        client = http.client.HTTPSConnection("localhost", doors.web.port, timeout=10, context=context)
        for path, headers, status in (
            ("/readyz", {}, 200),
            ("/api/me", {"authorization": f"Bearer {api.issuer.token('lis', lab='LAB-WEB')}"}, 200),
            ("/api/me", {"authorization": "Bearer x"}, 401),
        ):
            client.request("GET", path, headers=headers)
            answer = client.getresponse()
            body = json.loads(answer.read())
            assert answer.status == status, body
        assert body["reason"] == "TOKEN_INVALID"
        client.close()
    finally:
        doors.stop(1)


@pytest.mark.postgres
def test_both_doors_share_one_health_and_one_key_cache_and_serve_no_more_once_told_to_stop(
    api_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = {"grpc": settings.Grpc(port=0, insecure=True), "web": settings.Web(port=0)}
    wanted = {**local, "tls": settings.Tls(), "oidc": settings.Oidc()}
    made: list[Authenticate] = []

    def counted(given: settings.Settings) -> Authenticate:
        made.append(authenticate_by(given))
        return made[-1]

    monkeypatch.setattr(api_service_module, "authenticate_by", counted)
    others = _health_threads()
    doors = api_service_module.start(replace(api_service, settings=api_service.settings.model_copy(update=wanted)))
    assert doors is not None
    assert doors.web is not None
    port, stop, while_stopping = doors.web.port, doors.web.stop, []

    def asked_first() -> None:
        while_stopping.append(_readiness(port))
        stop()

    monkeypatch.setattr(doors.web, "stop", asked_first)
    try:
        assert _readiness(port) == 200
        assert len(made) == 1
        assert len(_health_threads() - others) == 1
    finally:
        doors.stop(1)
    assert while_stopping == [503]


def _health_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "health"}


def _readiness(port: int) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/readyz")
    status = client.getresponse().status
    client.close()
    return status
