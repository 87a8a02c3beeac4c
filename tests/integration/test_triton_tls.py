"""Triton by TLS with the real server: the same nuclei, and no tile for a server that can't prove who it is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import grpc
import pytest
from click.testing import CliRunner

from inference.draw import draw_slide
from inference.engines.factory import check_ready, make_engine
from inference.engines.local import LocalEngine
from inference.engines.triton_repository import render_cpu
from inference.engines.triton_tls import Secure
from inference.errors import Failed, Reason
from inference.geometry import Region, Size
from inference.model import shipped_models
from inference.slide import Rgb
from server.cli.main import chromogen
from tests.faulty_triton import render_faulty
from tests.integration.triton_cases import HASTY, RULES, StartEngine, assert_same, requests_of
from tests.server.api.issuer import Authority, Pair
from tests.triton_server import TritonServer

pytestmark = pytest.mark.usefixtures("tritonserver")

SIDE = 1200
NOT_OF_THE_AUTHORITY = "its certificate isn't of the authority that is set, or isn't valid now"
ENDLESS = replace(RULES, patience_s=3600)
"""Who waits for a server by these, hangs."""
WANTS_OURS = "it closes each connection; it may want a certificate of ours that it trusts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """Its authority, the files ca, cert and key of its server, and own-cert and own-key of its client."""

    authority: Authority
    folder: Path
    own: Pair

    @property
    def secure(self) -> Secure:
        return Secure(authority=self.authority.pem)

    @property
    def mutual(self) -> Secure:
        return self.shows(self.own)

    def shows(self, pair: Pair) -> Secure:
        return replace(self.secure, cert=pair.cert, key=pair.key)

    def arguments(self, *more: str) -> tuple[str, ...]:
        return (f"--grpc-server-cert={self.folder / 'cert'}", f"--grpc-server-key={self.folder / 'key'}", *more)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    authority, folder = Authority(), tmp_path_factory.mktemp("tls")
    server, own = authority.issue("triton", server=True), authority.issue("chromogen")
    files = {"ca": authority.pem, "cert": server.cert, "key": server.key, "own-cert": own.cert, "own-key": own.key}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Laboratory(authority=authority, folder=folder, own=own)


@pytest.fixture(scope="module")
def server(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """Of 256 px tiles, by TLS, reached by addresses that its certificate names and by others."""
    arguments = laboratory.arguments("--grpc-use-ssl=true", "--grpc-address=0.0.0.0")
    credentials = grpc.ssl_channel_credentials(laboratory.authority.pem)
    with TritonServer(
        render_faulty(tmp_path_factory.mktemp("a")), arguments=arguments, credentials=credentials
    ) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """Of this release's tiles, by TLS, and only for who shows a certificate."""
    models = tmp_path_factory.mktemp("models")
    render_cpu(shipped_models(), models)
    arguments = laboratory.arguments("--grpc-use-ssl-mutual=true", f"--grpc-root-cert={laboratory.folder / 'ca'}")
    credentials = grpc.ssl_channel_credentials(laboratory.authority.pem, laboratory.own.key, laboratory.own.cert)
    with TritonServer(models, arguments=arguments, credentials=credentials) as server:
        yield server


@pytest.mark.parametrize("shared", [True, False], ids=["shared memory", "gRPC"])
def test_the_same_nuclei_by_tls_as_in_process(
    server: TritonServer, laboratory: Laboratory, engine_of: StartEngine, local: LocalEngine, tiles: Rgb, shared: bool
) -> None:
    engine = engine_of(server.address, secure=lambda: laboratory.secure, use_shared_memory=shared)
    assert_same(engine.detect(tiles, 0.01), local.detect(tiles, 0.01))


@pytest.mark.timeout(120, func_only=True)
def test_a_server_of_another_authority_or_name_gets_no_tile_and_is_not_waited_for(
    server: TritonServer, laboratory: Laboratory, engine_of: StartEngine, tiles: Rgb
) -> None:
    stranger = Secure(authority=Authority("Another authority (invented)").pem)
    elsewhere = server.address.replace("127.0.0.1", "127.0.0.2")
    cases = (
        (server.address, stranger, NOT_OF_THE_AUTHORITY),
        (elsewhere, laboratory.secure, "its certificate names another host"),
    )
    for address, secure, why in cases:
        engine = engine_of(address, secure=lambda secure=secure: secure, rules=ENDLESS)
        with pytest.raises(Failed, match=f"Triton at {address}: {why}") as failed:
            engine.detect(tiles, 0.5)
        assert (failed.value.reason, failed.value.retryable) == (Reason.ENGINE_FAILED, True)
        with pytest.raises(Failed, match=why):
            check_ready(engine)


@pytest.mark.timeout(120, func_only=True)
def test_tls_to_a_server_without_it_and_the_other_way_round_say_what_they_miss(
    server: TritonServer, well: tuple[TritonServer, ...], laboratory: Laboratory, engine_of: StartEngine, tiles: Rgb
) -> None:
    before = requests_of(well[0])
    with pytest.raises(Failed, match="it answers without TLS"):
        engine_of(well[0].address, secure=lambda: laboratory.secure, rules=ENDLESS).detect(tiles, 0.5)
    assert requests_of(well[0]) == before
    plain = engine_of(server.address, rules=HASTY)
    with pytest.raises(Failed, match=r"it closes each connection; it may want TLS \(tritons://\)") as failed:
        plain.detect(tiles, 0.5)
    assert failed.value.reason == Reason.ENGINE_FAILED
    with pytest.raises(Failed, match=r"tritons://"):
        check_ready(plain)


def test_the_other_server_does_what_one_that_is_not_trusted_may_not(
    server: TritonServer, laboratory: Laboratory, engine_of: StartEngine, local: LocalEngine, tiles: Rgb
) -> None:
    elsewhere = server.address.replace("127.0.0.1", "127.0.0.2")
    engine = engine_of(elsewhere, server.address, secure=lambda: laboratory.secure)
    for _ in range(3):
        assert_same(engine.detect(tiles, 0.01), local.detect(tiles, 0.01))


def test_a_server_that_asks_for_certificates_is_shown_the_newest(mutual: TritonServer, laboratory: Laboratory) -> None:
    stranger = Authority("Another authority (invented)").issue("chromogen")
    shown = laboratory.secure
    engine = make_engine(f"tritons://{mutual.address}", model="ihc_tile", secure=lambda: shown)
    for wrong in (laboratory.secure, laboratory.shows(stranger)):
        shown = wrong
        with pytest.raises(Failed, match=WANTS_OURS):
            check_ready(engine)
    shown = laboratory.mutual  # as after a renewal of the files
    check_ready(engine)


def test_score_reaches_a_server_that_asks_for_certificates(
    mutual: TritonServer, laboratory: Laboratory, tmp_path: Path
) -> None:
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=3, h_score=150)
    assert cv2.imwrite(str(tmp_path / "slide.png"), drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))[..., ::-1])
    asked = ["score", str(tmp_path / "slide.png"), "--mpp", "0.5", "--json"]
    by_tls = ["--engine", f"tritons://{mutual.address}"]
    own = {f"CHROMOGEN_ENGINE_{name.upper()}": str(laboratory.folder / f"own-{name}") for name in ("cert", "key")}
    options = ["--engine-ca", str(laboratory.folder / "ca")]
    there = CliRunner().invoke(chromogen, [*asked, *by_tls, *options], env=own)
    here = CliRunner().invoke(
        chromogen, asked, env=own
    )  # where the environment is that of a service, it is not in the way
    assert (there.exception, here.exception) == (None, None)
    by_triton, in_process = json.loads(there.stdout), json.loads(here.stdout)
    assert (by_triton["model"]["engine"], in_process["model"]["engine"]) == ("triton", "local")
    assert by_triton["compartments"] == in_process["compartments"]
    assert by_triton["compartments"]["all"]["n"] > 300
