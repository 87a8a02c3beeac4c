"""Microscope fields over gRPC with TLS: seconds from a field's sending to its scores and cells, one field at a time.

    python -m tests.benchmarks.fields [--fields 30] [--marker HER2]

1024 x 1024 px as JPEG, no field twice: at 0.5 µm/px of laid tissue, of HER2 at 0.25 of a drawn slide. One JSON line:
p50_ms, p95_ms and p99_ms as the client sees them, server_p50_ms of the server's own part. The client is in the same
process, on the same cores.
"""

import argparse
import logging
import math
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

from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.geometry import Region
from inference.slide import Rgb
from server.api_service import start
from server.bootstrap import bootstrap
from tests.benchmarks.measure import report, source, tiles_in_memory
from tests.benchmarks.orders import prepared
from tests.server.api.harness import Caller
from tests.server.api.issuer import Authority, Issuer

SIDE, MPP = 1024, {"ER": 0.5, "HER2": 0.25}
MIX = {"none": 0.35, "faint_incomplete": 0.25, "moderate_complete": 0.2, "intense_complete": 0.2}
BEFORE = 3
"""Fields that load and compile the networks; they aren't counted."""


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fields", type=int, default=30)
    parser.add_argument("--marker", default="ER", choices=["ER", "HER2"])
    asked = parser.parse_args()
    fields, marker = asked.fields, asked.marker
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    pictures = membranes(fields + BEFORE) if marker == "HER2" else tiles_in_memory(fields + BEFORE, SIDE)
    images = [simplejpeg.encode_jpeg(np.ascontiguousarray(t), quality=90) for t in pictures]
    with tempfile.TemporaryDirectory(prefix="chromogen-bench-") as name:
        authority, issuer = Authority(), Issuer()
        with bootstrap(prepared(Path(name), authority, issuer)) as service:
            server = start(service)
            assert server is not None
            with grpc.secure_channel(
                f"localhost:{server.port}", grpc.ssl_channel_credentials(authority.pem)
            ) as channel:
                took, own, cells = timed(Caller(channel, issuer.token("pathologist")), images, marker)
            server.stop(1)
    asked_for = ((took, 50), (took, 95), (took, 99), (own, 50))
    p50, p95, p99, server_p50 = (round(1e3 * float(np.percentile(s, p)), 1) for s, p in asked_for)
    report(
        "fields",
        marker=marker,
        side=SIDE,
        fields=fields,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        server_p50_ms=server_p50,
        cells=round(float(np.mean(cells))),
        source="drawn" if marker == "HER2" else source(),
    )


def membranes(n: int) -> list[Rgb]:
    """Fields of a drawn HER2 slide, side by side."""
    across = math.ceil(math.sqrt(n))
    drawing = Her2Drawing(Plan(side_um=across * SIDE * MPP["HER2"], mix=MIX), Scanner(mpp=MPP["HER2"]), seed=7)
    corners = [(SIDE * (i % across), SIDE * (i // across)) for i in range(n)]
    return [drawing.read(Region(x=x, y=y, width=SIDE, height=SIDE)) for x, y in corners]


def timed(caller: Caller, images: list[bytes], marker: str) -> tuple[list[float], list[float], list[int]]:
    """Seconds of each field to the client, seconds the server says, and cells.

    The next is sent when one is answered.
    """
    waiting: SimpleQueue[bytes | None] = SimpleQueue()

    def sent() -> Iterator[pb.AnalyzeFieldsRequest]:
        number = 0
        while (data := waiting.get()) is not None:
            image = pb.Image(data=data, mpp=MPP[marker])
            yield pb.AnalyzeFieldsRequest(field_id=number, image=image, with_cells=True, marker=marker)
            number += 1

    answers = caller.analysis.AnalyzeFields(sent())
    took, own, cells = [], [], []
    for image in images:
        began = time.perf_counter()
        waiting.put(image)
        answer = next(answers)
        took.append(time.perf_counter() - began)
        own.append(answer.seconds)
        cells.append(len(answer.cells.x_px))
    waiting.put(None)
    return took[BEFORE:], own[BEFORE:], cells[BEFORE:]


if __name__ == "__main__":
    main()
