"""A real Orthanc with its DICOMweb plug-in, on loopback ports of its own, with a password."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from server.archive.dicomweb import DicomWebArchive
from server.archive.made import web_archive
from server.archive.spool import Spool
from server.site import WebArchive

PROGRAM = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
PLUGINS = Path("/usr/share/orthanc/plugins")
DICOMWEB = PLUGINS / "libOrthancDicomWeb.so"
USER, PASSWORD = "chromogen", "not-a-secret"
AET = "ORTHANC"
STARTS_S = 30


@dataclass(slots=True, kw_only=True)
class Orthanc:
    """One server: killed and begun again it has the same ports and storage."""

    folder: Path
    http_port: int
    dicom_port: int
    extra: Mapping[str, Any] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Of its DICOMweb."""
        return f"{self.root}/dicom-web"

    @property
    def root(self) -> str:
        """Of its own interface."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> "Orthanc":
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self._config()))
        log = (self.folder / "orthanc.log").open("ab")
        self.process = subprocess.Popen([PROGRAM, str(config)], stdout=log, stderr=log, cwd=self.folder)
        log.close()
        self._await()
        return self

    def kill(self) -> None:
        """At once, as a power cut."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        """Of its own REST interface, as JSON."""
        headers = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
        answer = urllib3.request(method, f"http://127.0.0.1:{self.http_port}{path}", body=body, headers=headers)
        assert answer.status == 200, answer.status
        return json.loads(answer.data)

    def add(self, file: Path) -> None:
        """Put an instance in, not by DICOMweb."""
        self.ask("/instances", "POST", file.read_bytes())

    def archive(self, folder: Path, *, most_bytes: int = 1 << 30, **wanted: Any) -> DicomWebArchive:
        """As chromogen sees it; its spool and the password's file lie in `folder`."""
        return web_archive(self.named(folder, **wanted), Spool(folder / "spool-cache", most_bytes))

    def named(self, folder: Path, **wanted: Any) -> WebArchive:
        secret = folder / "orthanc-password"
        secret.write_text(PASSWORD)
        values = {"name": "pacs", "url": self.url, "table": "[archives.pacs]", "user": USER, "password_file": secret}
        return WebArchive(**(values | wanted))

    def kept(self) -> list[bytes]:
        """Every instance as it lies there."""
        return sorted(self.file(name) for name in self.ask("/instances"))

    def file(self, name: str) -> bytes:
        headers = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
        url = f"http://127.0.0.1:{self.http_port}/instances/{name}/file"
        return urllib3.request("GET", url, headers=headers).data

    def empty(self) -> None:
        for name in self.ask("/patients"):
            self.ask(f"/patients/{name}", "DELETE")

    def _config(self) -> dict[str, Any]:
        return {
            "Name": "test",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "Plugins": [str(DICOMWEB)],
            "HttpServerEnabled": True,
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": AET,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "KeepAlive": True,
            "UnknownSopClassAccepted": True,
            **self.extra,
        }

    def _await(self) -> None:
        until = time.monotonic() + STARTS_S
        while time.monotonic() < until:
            assert self.process is not None
            assert self.process.poll() is None, "Orthanc ended"
            try:
                self.ask("/system")
            except (urllib3.exceptions.HTTPError, AssertionError):
                time.sleep(0.1)
            else:
                return
        raise AssertionError("Orthanc doesn't answer")


@contextmanager
def orthanc(folder: Path, **extra: Any) -> Iterator[Orthanc]:
    """Skipped where Orthanc isn't installed."""
    if not Path(PROGRAM).exists() or not DICOMWEB.exists():
        pytest.skip("orthanc or orthanc-dicomweb is not installed")
    (folder / "storage").mkdir(parents=True, exist_ok=True)
    server = Orthanc(folder=folder, http_port=free_port(), dicom_port=free_port(), extra=extra)
    try:
        yield server.start()
    finally:
        server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
