"""A small DICOMweb server over a folder of DICOM files, for tests of what a real one does only when it is ill.

`fault` is asked before each answer and may answer in its place. Orthanc passes the same contract
(`tests/contract/test_archive_ports.py`).
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydicom import Dataset, dcmread

from server.archive.dicomweb import DicomWebArchive
from server.archive.listing import FIELDS
from server.archive.made import web_archive
from server.archive.spool import Spool
from server.site import WebArchive

BOUNDARY = "fake-boundary"
KEYS = {
    "SeriesInstanceUID": "0020000E",
    "StudyInstanceUID": "0020000D",
    "AccessionNumber": "00080050",
    "ContainerIdentifier": "00400512",
    "SOPInstanceUID": "00080018",
    "SOPClassUID": "00080016",
    "Modality": "00080060",
}

Fault = Callable[["Handler"], bool]
"""True where it has answered."""


@dataclass
class FakePacs:
    """`asked` lists requests in their order: method and path with its question."""

    folder: Path
    fault: Fault | None = None
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def archive(self, folder: Path, *, most_bytes: int = 1 << 30, **wanted: Any) -> DicomWebArchive:
        values = {"name": "fake", "url": f"http://127.0.0.1:{self.port}/web", "table": "[archives.fake]"} | wanted
        return web_archive(WebArchive(**values), Spool(folder / "spool-cache", most_bytes))

    def rows(self) -> list[tuple[Path, dict[str, Any]]]:
        found = [(path, dcmread(path, stop_before_pixels=True)) for path in sorted(self.folder.rglob("*.dcm"))]
        return [(path, row_of(dataset)) for path, dataset in found]

    def kept(self) -> list[bytes]:
        return sorted(path.read_bytes() for path in self.folder.rglob("*.dcm"))

    @property
    def fetched(self) -> int:
        """How many instances were asked for."""
        return sum(bool(re.search(r"/instances/[0-9.]+$", asked)) for asked in self.asked)


def row_of(dataset: Dataset) -> dict[str, Any]:
    wanted = {*FIELDS, "00080060", "00100010"}
    return {tag: value for tag, value in dataset.to_json_dict(suppress_invalid_tags=True).items() if tag in wanted}


@contextmanager
def fake_pacs(folder: Path, fault: Fault | None = None) -> Iterator[FakePacs]:
    folder.mkdir(parents=True, exist_ok=True)
    pacs = FakePacs(folder=folder, fault=fault)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"pacs": pacs}))
    server.daemon_threads = True
    pacs.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield pacs
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    pacs: FakePacs

    def do_GET(self) -> None:
        self.pacs.asked.append(f"GET {self.path}")
        if self.pacs.fault is not None and self.pacs.fault(self):
            return
        parts = urlsplit(self.path)
        match re.sub(r"^/web", "", parts.path).strip("/").split("/"):
            case ["studies"]:
                self.listed({}, parse_qs(parts.query), "0020000D")
            case ["series"]:
                self.listed({}, parse_qs(parts.query), "0020000E")
            case ["instances"]:
                self.listed({}, parse_qs(parts.query), "00080018")
            case ["studies", study, "series"]:
                self.listed({"0020000D": study}, parse_qs(parts.query), "0020000E")
            case ["studies", study, "series", series, "instances"]:
                self.listed({"0020000D": study, "0020000E": series}, parse_qs(parts.query), "00080018")
            case ["studies", _, "series", _, "instances", uid]:
                self.instance(uid)
            case ["studies", _, "series", _, "instances", uid, "metadata"]:
                self.answer_json([row for _, row in self.pacs.rows() if row["00080018"]["Value"] == [uid]])
            case _:
                self.answer(404, b"", "text/plain")

    def do_POST(self) -> None:
        self.pacs.asked.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.pacs.fault is not None and self.pacs.fault(self):
            return
        content = body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
        header = dcmread(BytesIO(content), stop_before_pixels=True)
        (self.pacs.folder / f"{header.SOPInstanceUID}.dcm").write_bytes(content)
        self.answer_json({"00081199": {"vr": "SQ", "Value": [{"00081155": {"Value": [str(header.SOPInstanceUID)]}}]}})

    def do_DELETE(self) -> None:
        if self.pacs.fault is not None and self.pacs.fault(self):
            return
        path = self.pacs.folder / f"{self.path.rpartition('/')[2]}.dcm"
        there = path.exists()
        path.unlink(missing_ok=True)
        self.answer(200 if there else 404, b"", "text/plain")

    def listed(self, fixed: dict[str, str], asked: dict[str, list[str]], key: str) -> None:
        wanted = fixed | {KEYS[name]: values[0] for name, values in asked.items() if name in KEYS}
        fitting = [
            row for _, row in self.pacs.rows() if all(row.get(t, {}).get("Value") == [v] for t, v in wanted.items())
        ]
        by_key = {row[key]["Value"][0]: row for row in fitting}
        one_of_each = fitting if key == KEYS["SOPInstanceUID"] else list(by_key.values())
        first, count = int(asked.get("offset", ["0"])[0]), int(asked.get("limit", ["1000"])[0])
        self.answer_json(one_of_each[first : first + count])

    def instance(self, uid: str) -> None:
        path = next((path for path, row in self.pacs.rows() if row["00080018"]["Value"] == [uid]), None)
        if path is None:
            self.answer(404, b"", "text/plain")
        else:
            self.answer(200, multipart(path.read_bytes()), MULTIPART)

    def answer_json(self, rows: Any) -> None:
        self.answer(200, json.dumps(rows).encode(), "application/dicom+json")

    def answer(self, status: int, body: bytes, kind: str, *, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def multipart(*contents: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"\r\n".join(head + content for content in contents) + f"\r\n--{BOUNDARY}--\r\n".encode()
