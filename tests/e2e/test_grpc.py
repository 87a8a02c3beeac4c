"""The whole of it as a hospital runs it: `serve` and `work` as processes, mutual TLS, tokens, the clients, a LIS that
receives.
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import hl7
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from google.protobuf import json_format, message_factory

from inference.draw import draw_slide
from inference.geometry import Size
from server.api.server import services
from server.cli.main import chromogen
from server.demo.lis import ReceivingLis
from server.demo.slide_header import SlideIdentity
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.conftest import DatabaseServer
from tests.integration.processes import until
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).resolve().parents[2]
SIDE = 1024


@dataclass
class Hospital:
    """Two laboratories, one slide, one LIS."""

    environment: dict[str, str]
    folder: Path
    issuer: Issuer
    lis: ReceivingLis
    identity: SlideIdentity

    def run(
        self, *arguments: str, role: str, lab: str = "LAB-A", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """A client as a process of its own."""
        command = [sys.executable, "-m", "server.cli.main", *arguments]
        own = self.client_environment(role, lab) | environment
        return subprocess.run(command, env=own, capture_output=True, text=True, timeout=120, check=False)

    def answer(self, *arguments: str, role: str, lab: str = "LAB-A") -> dict[str, object]:
        """The same in this process, which is quicker: what it prints with --json."""
        done = CliRunner().invoke(chromogen, [*arguments, "--json"], env=dict(self.client_environment(role, lab)))
        assert done.exception is None, done.exception
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def client_environment(self, role: str, lab: str = "LAB-A") -> dict[str, str]:
        token = self.folder / f"token-{role}-{lab}"
        token.write_text(self.issuer.token(role, lab=lab, subject=f"{role}-1"))
        return self.environment | {"CHROMOGEN_CLIENT_TOKEN_FILE": str(token)}

    def call(self, name: str, given: dict[str, Any], *, role: str, lab: str) -> dict[str, Any]:
        """As grpcurl: a method by its name, JSON in, the (last) answer as JSON."""
        own = self.client_environment(role, lab)
        service, _, short = name.partition("/")
        method = next(s for s in services() if s.full_name == service).methods_by_name[short]
        kinds = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
        request_kind, answer_kind = kinds
        files = {key: Path(own[f"CHROMOGEN_CLIENT_{key}"]).read_bytes() for key in ("CA", "KEY", "CERT", "TOKEN_FILE")}
        credentials = grpc.ssl_channel_credentials(files["CA"], files["KEY"], files["CERT"])
        with grpc.secure_channel(own["CHROMOGEN_CLIENT_SERVER"], credentials) as channel:
            stub = channel.unary_stream(f"/{name}", request_kind.SerializeToString, answer_kind.FromString)
            token = [("authorization", f"Bearer {files['TOKEN_FILE'].decode()}")]
            *_, last = stub(json_format.ParseDict(given, request_kind()), metadata=token, timeout=60)
        found: dict[str, Any] = json_format.MessageToDict(last, preserving_proto_field_name=True)
        return found

    def submit(self, number: str, lab: str = "LAB-A") -> dict[str, object]:
        return self.answer("order", "submit", *self.ordering(number), role="lis", lab=lab)

    def ordering(self, number: str) -> list[str]:
        slide = ["--series-uid", self.identity.series_uid, "--container-id", self.identity.container_id]
        patient = [
            "--patient-id",
            "INVENTED-1",
            "--family-name",
            "TEST-INVENTED-MARKER",
            "--site",
            "2739003^Endometrium^SCT",
        ]
        return [
            "--placer-number",
            number,
            "--marker",
            "ER",
            "--wait",
            "--specimen-id",
            self.identity.specimen_id,
            *slide,
            *patient,
        ]


@pytest.fixture(scope="module")
def database(database_server: DatabaseServer) -> Iterator[str]:
    admin = sa.create_engine(database_server.url_of("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql('CREATE DATABASE "e2e_grpc" TEMPLATE chromogen')
    yield database_server.url_of("e2e_grpc")
    with admin.connect() as connection:
        connection.exec_driver_sql('DROP DATABASE "e2e_grpc" WITH (FORCE)')
    admin.dispose()


@pytest.fixture(scope="module")
def hospital(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    identity = SlideIdentity(key="e2e/grpc", marker="ER")
    (folder / "received").mkdir()
    write_dicom_slide(
        folder / "archive" / "slide",
        JpegFrames(draw_slide(size=Size(width=SIDE, height=SIDE), seed=3, h_score=150)),
        mpp=0.5,
        identity=identity,
        levels=2,
    )
    authority, issuer = Authority(), Issuer()
    with ReceivingLis(folder / "received") as lis:
        environment = _environment(folder, database, lis.port, authority, issuer)
        log = (folder / "log").open("ab")
        processes = [_started("serve", environment, log), _started("work", environment, log)]
        try:
            environment["CHROMOGEN_CLIENT_SERVER"] = f"localhost:{_port(folder / 'log')}"
            yield Hospital(environment, folder, issuer, lis, identity)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                assert process.wait(30) == 0
            log.close()


def _environment(folder: Path, database: str, lis_port: int, authority: Authority, issuer: Issuer) -> dict[str, str]:
    server, client = authority.issue("server", server=True), authority.issue("lis")
    files = {
        "ca.pem": authority.pem,
        "cert.pem": server.cert,
        "key.pem": server.key,
        "client.pem": client.cert,
        "client-key.pem": client.key,
        "jwks.json": issuer.jwks(),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    own = {name: value for name, value in os.environ.items() if not name.startswith("CHROMOGEN_")}
    return own | {
        "OMP_NUM_THREADS": "1",
        "CHROMOGEN_DATABASE_URL": database,
        "CHROMOGEN_DATA_FOLDER": str(folder / "data"),
        "CHROMOGEN_ARCHIVE_FOLDER": str(folder / "archive"),
        "CHROMOGEN_ARCHIVE_WAIT_S": "0",
        "CHROMOGEN_LIS_HOST": "127.0.0.1",
        "CHROMOGEN_LIS_PORT": str(lis_port),
        "CHROMOGEN_MLLP_PORT": "0",
        "CHROMOGEN_GRPC_PORT": "0",
        "CHROMOGEN_LOG_FORMAT": "json",
        "CHROMOGEN_TLS_CERT": str(folder / "cert.pem"),
        "CHROMOGEN_TLS_KEY": str(folder / "key.pem"),
        "CHROMOGEN_TLS_CLIENT_CA": str(folder / "ca.pem"),
        "CHROMOGEN_OIDC_ISSUER": ISSUER,
        "CHROMOGEN_OIDC_AUDIENCE": AUDIENCE,
        "CHROMOGEN_OIDC_JWKS": str(folder / "jwks.json"),
        "CHROMOGEN_CLIENT_CA": str(folder / "ca.pem"),
        "CHROMOGEN_CLIENT_CERT": str(folder / "client.pem"),
        "CHROMOGEN_CLIENT_KEY": str(folder / "client-key.pem"),
    }


def _started(command: str, environment: dict[str, str], log: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "server.cli.main", command], env=environment, stdout=log, stderr=log)  # type: ignore[call-overload,no-any-return]


def _port(log: Path) -> int:
    for _ in range(400):
        for line in log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "serving_api":
                return int(event["port"])
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _profile(hospital: Hospital, lab: str, right: int) -> None:
    path = hospital.folder / f"{lab}.json"
    thresholds = {"method": "hue_value", "hue": 130, "left": 60, "right": right}
    path.write_text(json.dumps({"name": "er", "revision": 1, "marker": "ER", "thresholds": thresholds}))
    hospital.answer("profile", "create", str(path), role="lab-admin", lab=lab)
    hospital.answer("profile", "activate", "er/1", role="lab-admin", lab=lab)


def _received(hospital: Hospital, count: int) -> list[hl7.Message]:
    for _ in range(100):
        if len(hospital.lis.received) >= count:
            break
        time.sleep(0.1)
    return [hl7.parse(path.read_bytes().decode()) for path in hospital.lis.received]


def _told_of(hospital: Hospital, number: str) -> list[hl7.Message]:
    """What came of one order: messages of different orders may overtake each other."""
    return [m for m in _received(hospital, 0) if str(m.segment("OBR")[2]).split("^")[0] == number]


def _observed(message: hl7.Message, code: str) -> str:
    return next(str(o[5]) for o in message.segments("OBX") if str(o[3]).startswith(code) and str(o[4]) in ("", "all"))


def test_an_order_by_the_client_is_scored_signed_and_reaches_the_lis_each_time(hospital: Hospital) -> None:
    by_hand = hospital.run("order", "submit", *hospital.ordering("P-1"), "--json", role="lis")
    assert by_hand.returncode == 0, by_hand.stderr
    order = json.loads(by_hand.stdout)
    assert order["state"] == "ORDER_STATE_DONE"
    (message,) = _received(hospital, 1)
    assert str(message.segment("OBR")[25]) == "P"
    assert str(message.segment("PID")[5]).startswith("TEST-INVENTED-MARKER")
    result = hospital.answer("result", "get", str(order["result_id"]), role="pathologist")
    scores: Any = result["scores"]
    found = next(row for row in scores if (row["measure"], row["region"]) == ("HSCORE", "all"))
    assert float(_observed(message, "HSCORE")) == pytest.approx(found["value"], abs=0.01)
    assert (
        hospital.answer("result", "sign", str(order["result_id"]), role="pathologist")["state"] == "RESULT_STATE_FINAL"
    )
    assert str(_received(hospital, 2)[1].segment("OBR")[25]) == "F"


def test_two_laboratories_profiles_over_one_slide_give_two_scores_without_a_restart(hospital: Hospital) -> None:
    before = len(hospital.lis.received)
    _profile(hospital, "LAB-B", 90)
    _profile(hospital, "LAB-C", 200)
    for lab in ("LAB-B", "LAB-C"):
        assert hospital.submit("P-9", lab)["state"] == "ORDER_STATE_DONE"
    messages = _received(hospital, before + 2)[before:]
    assert len({_observed(m, "HSCORE") for m in messages}) == 2
    assert [_observed(m, "PROFILE") for m in messages] == ["er/1", "er/1"]


def test_a_client_that_may_not_is_told_in_one_line(hospital: Hospital) -> None:
    denied = hospital.run("result", "list", role="auditor")
    assert (denied.returncode, denied.stderr.count("\n"), denied.stdout) == (1, 1, "")
    assert "PERMISSION_DENIED" in denied.stderr


def test_the_guide_s_example_runs(hospital: Hospital) -> None:
    """It orders a slide that isn't there, and sees that it is refused."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "proto" / "README.md").read_text(), re.DOTALL)
    assert example is not None
    own = hospital.client_environment("lis")
    names = {"SERVER": "SERVER", "CA": "CA", "CERT": "CERT", "KEY": "KEY", "TOKEN": "TOKEN_FILE"}
    variables = {short: own[f"CHROMOGEN_CLIENT_{long}"] for short, long in names.items()}
    command = [sys.executable, "-W", "error", "-c", example[1]]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ORDER_STATE_REFUSED 0% SLIDE_NOT_FOUND"


def test_the_admin_s_way_of_the_guide_runs_and_the_next_order_is_scored_by_it(hospital: Hospital) -> None:
    """docs/calibration.md: regions in, calibrated, adopted, compared, activated."""
    known = {"RESULT": str(hospital.submit("P-CAL-1", "LAB-D")["result_id"])}
    text = (ROOT / "docs" / "calibration.md").read_text()
    called = []
    for given, name in re.findall(r"grpcurl \$AUTH -d '(.*?)'[\s\\]+\$SERVER (\S+)", text, re.DOTALL):
        for variable, value in (known | {"UUID": str(uuid.uuid4())}).items():
            given = given.replace(f"${variable}", value)
        said = hospital.call(name, json.loads(given), role="lab-admin", lab="LAB-D")
        called.append(name.rpartition("/")[2])
        if called[-1] == "CalibrateProfile":
            known["CALIBRATION"] = said["calibration"]["id"]
        if called[-1] == "WatchCalibration":
            assert said["calibration"]["state"] == "CALIBRATION_STATE_DONE"
        if called[-1] == "GetCalibration":
            assert base64.b64decode(said["surface_picture"]).startswith(b"\x89PNG")
        if called[-1] == "CompareProfiles":
            assert [c["result_id"] for c in said["comparisons"]] == [known["RESULT"]]
    assert called == [
        "CalibrateProfile",
        "WatchCalibration",
        "GetCalibration",
        "AdoptCalibration",
        "CompareProfiles",
        "ActivateProfile",
    ]
    assert hospital.submit("P-CAL-2", "LAB-D")["state"] == "ORDER_STATE_DONE"
    until(lambda: _told_of(hospital, "P-CAL-2") != [], 30)
    assert _observed(_told_of(hospital, "P-CAL-2")[-1], "PROFILE") == "er-lab/1"


def test_who_has_no_client_certificate_is_not_spoken_to(hospital: Hospital) -> None:
    done = hospital.run("order", "list", role="lis", CHROMOGEN_CLIENT_CERT="", CHROMOGEN_CLIENT_KEY="")
    assert done.returncode == 1
    assert "does not answer as the API" in done.stderr


def test_s1_neither_the_patient_nor_a_token_is_in_the_logs(hospital: Hospital) -> None:
    with pytest.raises(AssertionError, match="not a UUID"):
        hospital.answer("order", "get", "TEST-INVENTED-MARKER", role="lis")
    text = (hospital.folder / "log").read_text()
    assert '"event": "call"' in text
    assert "TEST-INVENTED" not in text
    assert "INVENTED-1" not in text
    assert "eyJ" not in text
