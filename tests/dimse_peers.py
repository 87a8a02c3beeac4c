"""Real DIMSE archives for tests: Orthanc, and dcmtk's dcmqrscp; each knows us by an AE title and a port."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.archive.dimse import DimseArchive
from server.archive.made import dimse_archive
from server.archive.spool import Spool
from server.domain.errors import Failed
from server.site import Address, DimseAddress
from tests.orthanc import free_port

OUR_AET = "CHROMOGEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class DimsePeer:
    """`our_port` is where it sends what we ask it to move."""

    aet: str
    port: int
    our_port: int

    def archive(self, folder: Path, *, move: bool = False, **wanted: Any) -> DimseArchive:
        listen = Address(host="127.0.0.1", port=self.our_port) if move else None
        return dimse_archive(self.named(listen=listen, **wanted), Spool(folder / "spool-cache", 1 << 30))

    def named(self, **wanted: Any) -> DimseAddress:
        values = {"name": "pacs", "host": "127.0.0.1", "port": self.port, "aet": self.aet, "our_aet": OUR_AET}
        return DimseAddress(**(values | {"table": "[archives.pacs]", "timeout_s": 20} | wanted))


@contextmanager
def dcmqrscp(folder: Path) -> Iterator[DimsePeer]:
    """With an empty storage; skipped where dcmtk isn't installed."""
    program = shutil.which("dcmqrscp")
    if program is None:
        pytest.skip("dcmtk is not installed")
    (folder / "storage").mkdir(parents=True)
    peer = DimsePeer(aet="QRSCP", port=free_port(), our_port=free_port())
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        f"""MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
us = ({OUR_AET}, 127.0.0.1, {peer.our_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{peer.aet} {folder / "storage"} RW (100, 1024mb) ANY
AETable END
"""
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(config), "+xy", "-xy", str(peer.port)], stdout=log, stderr=log)
    try:
        _await(peer, folder)
        yield peer
    finally:
        process.kill()
        process.wait()


def _await(peer: DimsePeer, folder: Path) -> None:
    for _ in range(100):
        try:
            peer.archive(folder).ping()
        except Failed:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("dcmqrscp doesn't answer")
