"""Microscope fields over gRPC with TLS: seconds from a field's sending to its scores and nuclei, one field at a time.

    python -m tests.benchmarks.fields [--fields 30]

1024 x 1024 px at 0.5 µm/px of laid tissue as JPEG; no field twice. One JSON line: p50_ms and p99_ms as the client sees
them, server_p50_ms of the server's own part. The client is in the same process, on the same cores.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import grpc
import numpy as np
import simplejpeg
import structlog
from chromogen.v1 import analysis_service_pb2 as pb

from server.api_service import start
from server.bootstrap import bootstrap
from tests.benchmarks.measure import report, source, tiles_in_memory
from tests.benchmarks.orders import prepared
from tests.server.api.harness import Caller
from tests.server.api.issuer import Authority, Issuer

SIDE, MPP = 1024, 0.5
BEFORE = 3
"""Fields that load and compile the networks; they aren't counted."""


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fields", type=int, default=30)
    fields = parser.parse_args().fields
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    images = [
        simplejpeg.encode_jpeg(np.ascontiguousarray(t), quality=90) for t in tiles_in_memory(fields + BEFORE, SIDE)
    ]
    with tempfile.TemporaryDirectory(prefix="chromogen-bench-") as name:
        authority, issuer = Authority(), Issuer()
        with bootstrap(prepared(Path(name), authority, issuer)) as service:
            server = start(service)
            assert server is not None
            with grpc.secure_channel(
                f"localhost:{server.port}", grpc.ssl_channel_credentials(authority.pem)
            ) as channel:
                took, own, nuclei = timed(Caller(channel, issuer.token("pathologist")), images)
            server.stop(1)
    p50, p99, server_p50 = (round(1e3 * float(np.percentile(s, p)), 1) for s, p in ((took, 50), (took, 99), (own, 50)))
    report(
        "fields",
        side=SIDE,
        fields=fields,
        p50_ms=p50,
        p99_ms=p99,
        server_p50_ms=server_p50,
        nuclei=round(float(np.mean(nuclei))),
        source=source(),
    )


def timed(caller: Caller, images: list[bytes]) -> tuple[list[float], list[float], list[int]]:
    """Seconds of each field to the client, seconds the server says, and nuclei.

    The next is sent when one is answered.
    """
    waiting: SimpleQueue[bytes | None] = SimpleQueue()

    def sent() -> Iterator[pb.AnalyzeFieldsRequest]:
        number = 0
        while (data := waiting.get()) is not None:
            yield pb.AnalyzeFieldsRequest(field_id=number, image=pb.Image(data=data, mpp=MPP), with_nuclei=True)
            number += 1

    answers = caller.analysis.AnalyzeFields(sent())
    took, own, nuclei = [], [], []
    for image in images:
        began = time.perf_counter()
        waiting.put(image)
        answer = next(answers)
        took.append(time.perf_counter() - began)
        own.append(answer.seconds)
        nuclei.append(len(answer.nuclei))
    waiting.put(None)
    return took[BEFORE:], own[BEFORE:], nuclei[BEFORE:]


if __name__ == "__main__":
    main()
