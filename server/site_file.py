"""The site file (TOML): laboratories, archives, destinations, worklists and routes. Every mistake stops the start
by its place.

`deploy/site.example.toml` shows all of it. Secrets stay in files and in the environment.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, assert_never
from urllib.parse import urlsplit

from pydicom.datadict import tag_for_keyword

from server.domain.artifact import NATURES, ArtifactKind, Coordinates, Nature
from server.domain.choice import PARTS
from server.domain.events import ANY, EventKind, Route
from server.domain.patients import PatientRules
from server.domain.profile import Expired, ProfileRules
from server.settings import Settings
from server.site import (
    LABORATORY_NAME,
    ArchiveDestination,
    ArchiveFolder,
    ClientCertificate,
    Destination,
    Laboratory,
    MllpDestination,
    NamedArchive,
    Rejected,
    Site,
    WebArchive,
    named,
    plain_site,
)
from server.site_controls import control_rules
from server.site_dimse import address_of, check_title, dimse_of, worklist_of
from server.site_table import Table, known, wrong
from server.site_watch import unordered_of, watch_of

FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")

RESERVED = frozenset({"database", "disk"})
"""What health calls what isn't the site's."""

Value = TypeVar("Value")


class ArchiveKind(StrEnum):
    """What an archive is."""

    FOLDER = "folder"
    DICOMWEB = "dicomweb"
    DIMSE = "dimse"


class DestinationKind(StrEnum):
    """What a destination is."""

    MLLP = "mllp"
    ARCHIVE = "archive"


def site_of(settings: Settings) -> Site:
    """The site of these settings: by its file, or, without one, by the plain settings.

    Raises Refused SETTING_INVALID.
    """
    lis = settings.lis
    if not lis.host and any((lis.tls_ca, lis.tls_cert, lis.tls_key)):
        wrong("CHROMOGEN_LIS_TLS_CA, _CERT, _KEY", "are set, but CHROMOGEN_LIS_HOST is not: set it, or none of them")
    if settings.site.file is None:
        return plain_site(settings)
    if settings.lis.host:
        wrong(
            "CHROMOGEN_LIS_HOST", "is set beside CHROMOGEN_SITE_FILE: name the LIS in the site file, under destinations"
        )
    if settings.archive.folder is not None:
        wrong("CHROMOGEN_ARCHIVE_FOLDER", "is set beside CHROMOGEN_SITE_FILE: name the archive in the site file")
    return read_site(settings.site.file)


def read_site(path: Path) -> Site:
    """Relative paths in it are relative to its folder. Raises Refused SETTING_INVALID, naming table and key."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        wrong("CHROMOGEN_SITE_FILE", f"{path} can't be read ({type(error).__name__})")
    except UnicodeDecodeError:
        wrong("CHROMOGEN_SITE_FILE", f"{path} is not UTF-8")
    except RecursionError:
        wrong("CHROMOGEN_SITE_FILE", f"{path} is nested too deeply")
    except tomllib.TOMLDecodeError as error:  # a name that stands twice among them
        wrong("CHROMOGEN_SITE_FILE", f"{path} is not TOML: {error}")
    return _site(content, path.resolve().parent)


def _site(content: dict[str, Any], base: Path) -> Site:
    whole = Table(where="the site file", values=content, base=base)
    archives = _each(whole, "archives", _archive)
    destinations = _each(whole, "destinations", lambda name, table: _destination(name, table, archives))
    laboratories = _each(whole, "laboratories", lambda name, table: _laboratory(name, table, archives))
    worklists = _each(whole, "worklists", lambda name, table: worklist_of(name, table, laboratories), least=0)
    routes = [_route(table, laboratories, destinations) for table in whole.tables("routes")]
    whole.end()
    for name in destinations.keys() & archives.keys():
        if destinations[name].archive != name:
            wrong(f"[destinations.{name}]", "has the name of an archive that it isn't: give it another")
    return Site(
        laboratories=tuple(laboratories.values()),
        archives=tuple(archives.values()),
        destinations=tuple(destinations.values()),
        routes=tuple(routes),
        worklists=tuple(worklists.values()),
    )


def _each(whole: Table, key: str, read: Callable[[str, Table], Value], *, least: int = 1) -> dict[str, Value]:
    """By name, in the file's order."""
    found: dict[str, Value] = {}
    for name, table in whole.by_name(key):
        if not LABORATORY_NAME.fullmatch(name):
            wrong(table.where, "is no name: letters, digits and . - _ + / ( ) ', 64 at most")
        if key != "laboratories" and name in RESERVED:
            wrong(table.where, f"has a name that is chromogen's own ({named(RESERVED)}): give it another")
        found[name] = read(name, table)
        table.end()
    if len(found) < least:
        wrong(f"[{key}.NAME]", "is missing: name at least one")
    return found


def _archive(name: str, table: Table) -> NamedArchive:
    match table.choice("kind", ArchiveKind):
        case ArchiveKind.FOLDER:
            return _folder(name, table)
        case ArchiveKind.DICOMWEB:
            return _web_archive(name, table)
        case ArchiveKind.DIMSE:
            return dimse_of(name, table)
        case kind:
            assert_never(kind)


def _folder(name: str, table: Table) -> ArchiveFolder:
    found = ArchiveFolder(
        name=name,
        folder=table.path("folder"),
        table=table.where,
        watch=watch_of(table, changes=False),
        listen=address_of(table, "listen"),
        our_aet=table.text("our_aet", "CHROMOGEN"),
        callers=table.texts("callers", default=()),
    )
    check_title(table, "our_aet, callers", found.our_aet, *found.callers)
    if found.callers and found.listen is None:
        wrong(f"{table.where} callers", "are set, but listen is not: set it, or neither")
    return found


def _web_archive(name: str, table: Table) -> WebArchive:
    found = WebArchive(
        name=name,
        url=table.text("url"),
        table=table.where,
        user=table.text("user", ""),
        password_file=table.path_or_none("password_file"),
        token_file=table.path_or_none("token_file"),
        token_url=table.text("token_url", ""),
        client_id=table.text("client_id", ""),
        client_secret_file=table.path_or_none("client_secret_file"),
        timeout_s=table.number("timeout_s", 0.1, 86_400, default=60),
        by_container=table.flag("by_container", default=True),
        orthanc_url=table.text("orthanc_url", ""),
        watch=watch_of(table, changes=table.has("orthanc_url")),
        tls_ca=table.path_or_none("tls_ca"),
        tls_cert=table.path_or_none("tls_cert"),
        tls_key=table.path_or_none("tls_key"),
    )
    for key in ("url", "token_url", "orthanc_url"):
        if key == "url" or getattr(found, key):
            _check_address(table, key, getattr(found, key))
    if found.orthanc_url and urlsplit(found.orthanc_url).scheme != urlsplit(found.url).scheme:
        wrong(f"{table.where} orthanc_url", "is http and url https, or the reverse: make them alike")
    _check_credentials(table, found)
    if any((found.tls_ca, found.tls_cert, found.tls_key)) and not found.url.startswith("https://"):
        wrong(f"{table.where} tls_ca, tls_cert, tls_key", "are set, but url isn't https://")
    return found


def _check_address(table: Table, key: str, address: str) -> None:
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        wrong(f"{table.where} {key}", "is no address such as https://pacs.example/dicom-web")
    if parts.username is not None or parts.query or parts.fragment:
        wrong(f"{table.where} {key}", "holds a user, a question or a fragment: user and password_file are keys")


def _check_credentials(table: Table, found: WebArchive) -> None:
    """One way or none, and each whole."""
    password = (found.user, found.password_file)
    client = (found.token_url, found.client_id, found.client_secret_file)
    if any(password) and not all(password):
        wrong(f"{table.where} user, password_file", "belong together: set both or neither")
    if any(client) and not all(client):
        wrong(f"{table.where} token_url, client_id, client_secret_file", "belong together: set all or none")
    if sum(map(bool, (found.user, found.token_file, found.token_url))) > 1:
        wrong(table.where, "has more than one of user, token_file and token_url: keep one")


def _destination(name: str, table: Table, archives: Mapping[str, NamedArchive]) -> Destination:
    match table.choice("kind", DestinationKind):
        case DestinationKind.MLLP:
            return MllpDestination(
                name=name,
                host=table.text("host"),
                port=int(table.number("port", 1, 65_535, whole=True)),
                table=table.where,
                timeout_s=table.number("timeout_s", 0.1, 86_400, default=30),
                errors=int(table.number("errors", 1, 10_000, default=10, whole=True)),
                tls_ca=table.path_or_none("tls_ca"),
                tls_cert=table.path_or_none("tls_cert"),
                tls_key=table.path_or_none("tls_key"),
            )
        case DestinationKind.ARCHIVE:
            archive = table.text("archive")
            known(table, "archive", [archive], archives)
            rejected = table.choice("rejected", Rejected, default=Rejected.NOTE)
            if rejected is Rejected.DELETE and not isinstance(archives[archive], ArchiveFolder | WebArchive):
                wrong(f"{table.where} rejected", "is delete, which its archive has no way for: use note, or DICOMweb")
            return ArchiveDestination(name=name, archive=archive, rejected=rejected)
        case kind:
            assert_never(kind)


def _laboratory(name: str, table: Table, archives: Mapping[str, NamedArchive]) -> Laboratory:
    asked = table.texts("archives")
    known(table, "archives", asked, archives)
    return Laboratory(
        name=name,
        archives=asked,
        senders=table.texts("senders", default=()),
        certificates=_certificates(table),
        listener=address_of(table, "listener"),
        profiles=_rules(table.inner("profiles")),
        patients=_patients(table.inner("patients")),
        controls=control_rules(table),
        unordered=unordered_of(table),
        annotations=table.choice("annotations", Coordinates, default=Coordinates.PIXELS),
        estimate_first=table.flag("estimate_first", default=False),
    )


def _certificates(table: Table) -> tuple[ClientCertificate, ...]:
    """Name of a client's certificate -> who it may be (MSH-3)."""
    senders, inner = table.texts("senders", default=()), table.inner("certificates")
    found = tuple(ClientCertificate(name=name.lower(), senders=inner.texts(name)) for name in inner.names())
    for each in found:
        if each.name.startswith("sha256:") and not FINGERPRINT.fullmatch(each.name):
            wrong(f"{inner.where} {each.name!r}", "is no sha256: and 64 hexadecimal digits")
        known(inner, each.name, each.senders, [*senders, ANY] if senders else each.senders)
    return found


def _patients(table: Table) -> PatientRules:
    issuers = frozenset(table.texts("issuers", default=()))
    found = PatientRules(
        issuers=issuers,
        required=table.flag("required", default=False),
        labels=table.flag("labels", default=True),
    )
    table.end()
    return found


def _rules(table: Table) -> ProfileRules:
    rules = ProfileRules(
        built_in=table.flag("built_in", default=True),
        expired=table.choice("expired", Expired, default=Expired.REFUSE),
        expiry_warning_days=int(table.number("expiry_warning_days", 0, 3650, default=30, whole=True)),
        validation_slides=int(table.number("validation_slides", 1, 200, default=20, whole=True)),
        validation_signatures=int(table.number("validation_signatures", 1, 10, default=2, whole=True)),
        **{part: _attributes(table, part) for part in PARTS},
    )
    table.end()
    return rules


def _attributes(table: Table, part: str) -> tuple[str, ...]:
    """Of the slide's header, by keyword."""
    asked = table.text_or_texts(part)
    for keyword in (keyword for path in asked for keyword in path.split(".")):
        if tag_for_keyword(keyword) is None:
            wrong(f"{table.where} {part}", f"{keyword!r} is no keyword of DICOM, such as ManufacturerModelName")
    return asked


def _route(table: Table, laboratories: Mapping[str, Laboratory], destinations: Mapping[str, Destination]) -> Route:
    laboratory = table.text("laboratory", default=ANY)
    if laboratory != ANY:
        known(table, "laboratory", [laboratory], laboratories)
    events = table.choices("events", EventKind, default=EventKind)
    artifacts = table.choices("artifacts", ArtifactKind)
    to = table.texts("to")
    known(table, "to", to, destinations)
    for kind in artifacts:
        if NATURES[kind] is Nature.KEPT:
            wrong(f"{table.where} artifacts", f"{kind} never leaves: take it out")
        for name in to:
            takes = destinations[name].takes
            if kind not in takes:
                wrong(f"{table.where} to", f"{name} takes {named(takes)}, and no {kind}")
    table.end()
    return Route(laboratory=laboratory, events=frozenset(events), artifacts=frozenset(artifacts), to=to)
