"""dicom-microscopy-viewer (npm) as a page of its own, and the door through which it sees an Orthanc.

The page and Orthanc are one origin, so that the browser asks no other; the door signs in. Of an annotation group's
coordinates Orthanc's `/metadata` has the first number alone: the door puts the address of the whole element in its
place, as a proxy before a DICOMweb viewer has to.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import urllib3

from tests.orthanc import PASSWORD, USER, Orthanc

NODE = Path(__file__).resolve().parents[1] / ".venv" / "node" / "node_modules"
VIEWER = NODE / "dicom-microscopy-viewer/dist/dynamic-import"
CLIENT = NODE / "dicomweb-client/build/dicomweb-client.js"
FILES = {"/client.js": CLIENT, "/page.js": Path(__file__).with_name("viewer_page.js")}
OWN_PATH = "/dicom-microscopy-viewer/"
"""Where the viewer looks for its workers."""
TYPES = {".js": "text/javascript; charset=utf-8", ".wasm": "application/wasm"}
PAGE = b"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Viewer</title>
<style>body { margin: 0 } #slide { width: 100vw; height: 100vh }
.ol-overviewmap, .ol-scale-line { display: none }</style>
<div id="slide"></div>
<script src="/client.js"></script><script type="module" src="/page.js"></script>"""

ANNOTATION_GROUPS = "006A0002"
NOT_IN_METADATA = {"00660016", "00660022", "00660040"}
"""Coordinates of single and double precision, and where each shape begins."""


@contextmanager
def viewer_of(server: Orthanc) -> Iterator[str]:
    """The page's address. Skipped where the viewer isn't installed."""
    if not VIEWER.exists() or not CLIENT.exists():
        pytest.skip("dicom-microscopy-viewer is not installed: make peers")

    class Door(_Door):
        archive = server

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        Thread(target=door.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{door.server_port}/"
        door.shutdown()


class _Door(BaseHTTPRequestHandler):
    archive: Orthanc

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, "text/html", PAGE)
        elif self.path in FILES:
            self._file(FILES[self.path])
        elif self.path.startswith(OWN_PATH):
            self._file(VIEWER / Path(self.path).name)
        elif self.path.startswith("/dicom-web/"):
            self._pass_on()
        else:
            self._answer(404, "text/plain", b"")

    def _file(self, path: Path) -> None:
        self._answer(200, TYPES[path.suffix], path.read_bytes())

    def _pass_on(self) -> None:
        headers = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
        headers |= {name: self.headers[name] for name in ("Accept", "Host") if name in self.headers}
        found = urllib3.request("GET", self.archive.root + self.path, headers=headers)
        body = found.data
        if self.path.endswith("/metadata"):
            body = json.dumps([self._referring(instance) for instance in json.loads(body)]).encode()
        self._answer(found.status, found.headers.get("content-type", ""), body)

    def _referring(self, instance: dict[str, Any]) -> dict[str, Any]:
        """With the addresses of what Orthanc's metadata cuts short."""
        uids = (instance[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        where = "http://{}/dicom-web/studies/{}/series/{}/instances/{}/bulk".format(self.headers["Host"], *uids)
        for number, group in enumerate(instance.get(ANNOTATION_GROUPS, {}).get("Value", []), start=1):
            for tag in NOT_IN_METADATA & set(group):
                address = f"{where}/{ANNOTATION_GROUPS}/{number}/{tag}"
                group[tag] = {"vr": group[tag]["vr"], "BulkDataURI": address}
        return instance

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is said of what is asked."""
