"""A stain without an assay is refused alike by every door: by HL7, by gRPC, by the command; and nothing is kept of it.

A membrane stain scored as a nuclear one would be a wrong result without a warning.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import hl7
import pytest
from chromogen.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from server.bootstrap import Service, bootstrap
from server.demo.api import serving
from server.demo.lis import ReceivingLis, order_message
from server.demo.run import listening, settings_for
from server.hl7.er7 import END, START

STAINS = ["PD-L1", "CD3", "PAS"]
TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    work = Path(tempfile.mkdtemp(prefix="chromogen-not-scored-"))
    work.chmod(0o711)  # PostgreSQL, which root runs as another account, must get through
    (work / "archive").mkdir()
    (work / "received").mkdir()
    with ReceivingLis(work / "received") as lis, bootstrap(settings_for(work, lis.port)) as wired:
        yield wired
    shutil.rmtree(work)


def answered(port: int, message: bytes) -> hl7.Message:
    """What a listener answers to a message, over a real connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as line:
        line.sendall(START + message + END)
        received = b""
        while END not in received:
            part = line.recv(65536)
            assert part, "the listener closed the connection"
            received += part
    return hl7.parse(received.removeprefix(START).split(END)[0].decode())


@pytest.mark.postgres
@pytest.mark.parametrize("marker", STAINS)
def test_by_hl7_it_is_answered_ae_with_its_reason_and_not_kept(service: Service, marker: str) -> None:
    number = f"P-{marker}"
    message = order_message(placer_number=number, marker=marker, control_id=f"C-{marker}", container_id="S26-TEST-1")
    with listening(service) as port:
        answer = answered(port, message)
    assert (str(answer.segment("MSA")[1]), str(answer.segment("MSA")[2])) == ("AE", f"C-{marker}")
    assert "ASSAY_UNSUPPORTED" in str(answer)
    assert number not in [view.order.request.placer_order_number.identifier for view in service.store.orders()]


@pytest.mark.postgres
@pytest.mark.parametrize("marker", STAINS)
def test_by_grpc_it_is_an_invalid_argument_with_its_reason_and_not_kept(service: Service, marker: str) -> None:
    number = f"G-{marker}"
    order = order_pb2.Order(
        placer_order_number=number,
        marker=marker,
        patient=order_pb2.Patient(id="TEST-0001", family_name="TEST-INVENTED"),
        slide=order_pb2.SlideReference(container_id="S26-TEST-1"),
    )
    request = order_service_pb2.CreateOrderRequest(request_id=str(uuid.uuid4()), order=order)
    with serving(service) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        orders: Any = order_service_pb2_grpc.OrderServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as refused:
            orders.CreateOrder(request, timeout=TIMEOUT_S)
    status, info = rpc_status.from_call(refused.value), ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (refused.value.code(), info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ASSAY_UNSUPPORTED")
    assert number not in [view.order.request.placer_order_number.identifier for view in service.store.orders()]


@pytest.mark.parametrize("marker", [*STAINS, ""])
def test_by_the_command_it_is_one_line_and_exit_code_2_before_the_slide_is_opened(tmp_path: Path, marker: str) -> None:
    command = [sys.executable, "-m", "server.cli.main", "score", str(tmp_path / "no-slide"), "--marker", marker]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("chromogen: ASSAY_UNSUPPORTED: ")
