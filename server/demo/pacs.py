"""The demo on a PACS: where it is, the site that names it, and what is found there afterwards."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydicom import dcmread

from server.archive.dicomweb import DicomWebArchive
from server.demo.lis import LAB
from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.slides.dicom_header import read_instance_header

SCHEMES = {"dicomweb": "http", "dicomwebs": "https"}
USAGE = (
    "name it as dicomweb://user:password@host:port/path, by TLS dicomwebs://; "
    "signs such as / and @ in user or password as %2F and %40"
)
NAME = "pacs"
SENT = (ArtifactKind.SR, ArtifactKind.ANN, ArtifactKind.SEG, ArtifactKind.MAP)


@dataclass(frozen=True, slots=True, kw_only=True)
class PacsAddress:
    """`url` without user and password, which are never shown."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)


def address_of(text: str) -> PacsAddress:
    """Of dicomweb://user:password@host:port/path. Raises ValueError, whose text repeats nothing of it."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:  # its text may quote the password
        raise ValueError(USAGE) from None
    if parts.scheme not in SCHEMES or not host or parts.query or parts.fragment:
        raise ValueError(USAGE)
    if bool(parts.username) != bool(parts.password):
        raise ValueError("user and password belong together: user:password@ or neither")
    where = f"[{host}]" if ":" in host else host
    return PacsAddress(
        url=f"{SCHEMES[parts.scheme]}://{where if port is None else f'{where}:{port}'}{parts.path}",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def write_site(folder: Path, address: PacsAddress, lis_port: int) -> Path:
    """The site file of the demo's laboratory with this PACS; the password in a file of its own that nobody else reads.

    `folder` is one that goes away.
    """
    account = ""
    if address.user:
        secret = folder / "password"
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(address.password)
        account = f"user = {json.dumps(address.user)}\npassword_file = {json.dumps(str(secret))}\n"
    path = folder / "site.toml"
    path.write_text(
        f"""[archives.{NAME}]
kind = "dicomweb"
url = {json.dumps(address.url)}
{account}
[destinations.{NAME}]
kind = "archive"
archive = "{NAME}"

[destinations.lis]
kind = "mllp"
host = "127.0.0.1"
port = {lis_port}

[laboratories.{LAB}]
archives = ["{NAME}"]

[[routes]]
artifacts = ["ORU"]
to = ["lis"]

[[routes]]
artifacts = {json.dumps([kind.value for kind in SENT])}
to = ["{NAME}"]
""",
        encoding="utf-8",
    )
    return path


def read_back(archive: DicomWebArchive, case: Path, out: Path) -> list[Path]:
    """Each report that a case made, found by QIDO and fetched into `out` as KIND.dcm.

    Raises Failed DELIVERY_FAILED where one isn't there, or isn't what was sent.
    """
    names = [f"{kind.value.lower()}.dcm" for kind in SENT]
    missing = [name for name in names if not (case / name).is_file()]
    if missing:
        raise Failed(ServiceReason.DELIVERY_FAILED, f"the demo's case made no {', '.join(missing)}")
    return [_fetched(archive, case / name, out / name) for name in names]


def _fetched(archive: DicomWebArchive, sent: Path, path: Path) -> Path:
    path.unlink(missing_ok=True)
    header = read_instance_header(sent)
    archive.retrieve(header.study_uid, header.sop_instance_uid, path)
    if dcmread(path) != dcmread(sent):
        raise Failed(ServiceReason.DELIVERY_FAILED, f"the archive's {path.name} isn't the one that was stored there")
    return path
