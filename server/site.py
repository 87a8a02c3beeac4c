"""A site: its laboratories, archives, destinations and routes, by name. Pure values; `site_file` reads them.

Without a site file the plain settings make one that is open: any well-formed laboratory, one archive, and one LIS where
it is set.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from server.domain.arrival import UnorderedRule, Watch
from server.domain.artifact import NATURES, ON_REQUEST, ArtifactKind, Coordinates, Nature
from server.domain.control import ControlRules
from server.domain.errors import Refused, ServiceReason
from server.domain.events import ANY, Route
from server.domain.order import Sender
from server.domain.patients import PatientRules
from server.domain.ports import ARCHIVE, LIS
from server.domain.profile import ProfileRules
from server.domain.ups import UpsItem
from server.settings import Settings

LABORATORY_NAME = re.compile(r"[^\W_](?:[\w .+/()'-]{0,62}[\w.)'])?")
"""Letters and digits of any script and some signs, 64 at most, no space at an end: never `*`, no separator of HL7's."""

MESSAGES = frozenset(kind for kind, nature in NATURES.items() if nature is Nature.MESSAGE)
OBJECTS = frozenset(kind for kind, nature in NATURES.items() if nature is Nature.OBJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where something listens or is listened for."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """Which senders (MSH-3, or ANY) who shows it may be. `name` is one in it, in lower case, or `sha256:` and its hash
    in hexadecimal.
    """

    name: str
    senders: tuple[str, ...]

    def allows(self, shown: frozenset[str], application: str) -> bool:
        return self.name in shown and (application in self.senders or ANY in self.senders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """`archives` are asked for its slides in this order. `senders` (MSH-3) alone may order, where some are named, and
    only with one of the `certificates`; `listener` alone takes its orders, where it has one of its own.
    `estimate_first`: its pathologists are shown a score once they estimated it themselves.
    """

    name: str
    archives: tuple[str, ...]
    senders: tuple[str, ...] = ()
    certificates: tuple[ClientCertificate, ...] = ()
    listener: Address | None = None
    profiles: ProfileRules = field(default_factory=ProfileRules)
    patients: PatientRules = field(default_factory=PatientRules)
    controls: ControlRules = field(default_factory=ControlRules)
    unordered: tuple[UnorderedRule, ...] = ()
    annotations: Coordinates = Coordinates.PIXELS
    estimate_first: bool = False


def key_of(table: str, key: str) -> str:
    """What an operator corrects: a variable where `table` is a group of settings, else a key of the site file."""
    return f"{table}_{key.upper()}" if table.isupper() else f"{table} {key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFolder:
    """A folder as archive; `own`: in the data folder, and made where it isn't there. `table` is where it is set.

    `watch`: whether and how what comes is seen. Slides are taken by C-STORE at `listen`, for the AE title `our_aet`,
    from the AE titles `callers` (none: from any).
    """

    name: str
    folder: Path
    table: str
    own: bool = False
    watch: Watch | None = None
    listen: Address | None = None
    our_aet: str = "CHROMOGEN"
    callers: tuple[str, ...] = ()

    @property
    def certificates(self) -> Mapping[str, Path]:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebArchive:
    """An archive behind DICOMweb at `url`; by TLS where that begins with https, to a server whose certificate is of the
    authority `tls_ca`, or of one that the system trusts.

    Who we are to it: `user` with `password_file`; or a bearer token, out of `token_file` or asked of `token_url` by
    `client_id` with `client_secret_file`; or nobody. `by_container`: whether it can be searched by a container's
    identifier. `orthanc_url`: of its own interface, where it is an Orthanc. `table` is where it is set.
    """

    name: str
    url: str
    table: str
    user: str = ""
    password_file: Path | None = None
    token_file: Path | None = None
    token_url: str = ""
    client_id: str = ""
    client_secret_file: Path | None = None
    timeout_s: float = 60
    by_container: bool = True
    orthanc_url: str = ""
    watch: Watch | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def certificates(self) -> Mapping[str, Path]:
        return certificates_of(self.table, self.tls_ca, self.tls_cert)


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseAddress:
    """An archive behind DIMSE: its `aet` at `host` and `port`, where it knows us as `our_aet`.

    Slides are asked for by C-GET; with `listen` by C-MOVE, which sends them there: the archive has that address under
    `our_aet`. `watch`: whether and how what comes is seen. By TLS where `tls_ca` is set. `table` is where it is set.
    """

    name: str
    host: str
    port: int
    aet: str
    our_aet: str
    table: str
    listen: Address | None = None
    watch: Watch | None = None
    timeout_s: float = 60
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def move(self) -> bool:
        return self.listen is not None

    @property
    def certificates(self) -> Mapping[str, Path]:
        return certificates_of(self.table, self.tls_ca, self.tls_cert)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistAddress:
    """A worklist of Unified Procedure Steps, whose items of this `label`, `station` and `station_class` (empty: of any)
    are performed as orders of the `laboratory`; asked every so many seconds. `codes` of the work that is ours: an item
    of one of them that can't be scored is cancelled. `at.listen`: where it tells us of requests to cancel.
    """

    name: str
    at: DimseAddress
    laboratory: str
    station: str = ""
    station_class: str = ""
    label: str = ""
    codes: tuple[str, ...] = ()
    every_s: float = 10

    def means(self, item: UpsItem) -> bool:
        """Whether an item is for us, whatever the worklist searches by: one that names stations is one of these's."""
        return (
            self.label in ("", item.label)
            and (self.station in item.stations if self.station else not item.stations)
            and (not self.station_class or self.station_class in item.station_classes)
        )


NamedArchive = ArchiveFolder | WebArchive | DimseAddress
"""`server.bootstrap.archive_of` makes each."""


def certificates_of(table: str, tls_ca: Path | None, tls_cert: Path | None) -> Mapping[str, Path]:
    """Those that are set, by the key that sets each."""
    files = {"tls_ca": tls_ca, "tls_cert": tls_cert}
    return {key_of(table, key): path for key, path in files.items() if path is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpDestination:
    """A receiver of HL7; a message that it answers `errors` times with AE or CE is given up. By TLS where `tls_ca` is
    set (see `settings.Lis`). `table` is where it is set.
    """

    name: str
    host: str
    port: int
    table: str
    timeout_s: float = 30
    errors: int = 10
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def archive(self) -> None:
        return None

    @property
    def takes(self) -> frozenset[ArtifactKind]:
        return MESSAGES

    @property
    def certificates(self) -> Mapping[str, Path]:
        return certificates_of(self.table, self.tls_ca, self.tls_cert)


class Rejected(StrEnum):
    """What becomes of a rejected result's objects in an archive that rejection notes are sent to."""

    NOTE = "note"  # it keeps the note beside them
    DELETE = "delete"  # they are deleted, and no note is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveDestination:
    """An archive that objects are sent to; its certificates are the archive's."""

    name: str
    archive: str
    rejected: Rejected = Rejected.NOTE

    @property
    def errors(self) -> None:
        return None

    @property
    def takes(self) -> frozenset[ArtifactKind]:
        return OBJECTS

    @property
    def certificates(self) -> Mapping[str, Path]:
        return {}


Destination = MllpDestination | ArchiveDestination
"""Each kind says of itself which artifacts it `takes`, the `archive` that it is (None: of none), its `certificates` by
the key that sets each, and after how many `errors` of the receiver's a delivery is given up (None: as any). Who asks
these needs to know no kind.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where orders come in by MLLP, and of which laboratories: None, of any well-formed name. `bound` are the names of
    certificates that belong to a laboratory of the site, whichever port takes its orders.
    """

    address: Address
    laboratories: tuple[Laboratory, ...] | None
    bound: frozenset[str] = frozenset()

    def check(self, lab: str, sender: Sender, shown: frozenset[str] = frozenset()) -> None:
        """`shown` are the names of the sender's certificate (`tls.names_in`).

        Raises Refused LABORATORY_UNKNOWN, SENDER_UNKNOWN; neither name is repeated, as both come from outside.
        """
        if self.laboratories is None:
            _check_well_formed(lab)
            return
        laboratory = next((each for each in self.laboratories if each.name == lab), None)
        if laboratory is None:
            message = (
                "MSH-4 names no laboratory that this port takes orders of: correct it, or name it in the site file"
            )
            raise Refused(ServiceReason.LABORATORY_UNKNOWN, message)
        if laboratory.senders and sender.application not in laboratory.senders:
            message = "MSH-3 is no sender that may order for this laboratory: correct it, or name it in the site file"
            raise Refused(ServiceReason.SENDER_UNKNOWN, message)
        self._check_certificate(laboratory, sender, shown)

    def _check_certificate(self, laboratory: Laboratory, sender: Sender, shown: frozenset[str]) -> None:
        """A certificate that is bound to a laboratory may order for no other."""
        free = not laboratory.certificates and shown.isdisjoint(self.bound)
        if not free and not any(each.allows(shown, sender.application) for each in laboratory.certificates):
            message = (
                "the connection's client certificate is none that may order for MSH-4 as MSH-3: name it in the site"
            )
            raise Refused(ServiceReason.SENDER_UNKNOWN, f"{message} file (certificates), or show another")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`laboratories` None: open, every laboratory has all archives and every route."""

    laboratories: tuple[Laboratory, ...] | None
    archives: tuple[NamedArchive, ...]
    destinations: tuple[Destination, ...]
    routes: tuple[Route, ...]
    worklists: tuple[WorklistAddress, ...] = ()

    def laboratory(self, name: str) -> Laboratory:
        """Raises Refused LABORATORY_UNKNOWN."""
        if self.laboratories is None:
            _check_well_formed(name)
            return Laboratory(name=name, archives=tuple(archive.name for archive in self.archives))
        for laboratory in self.laboratories:
            if laboratory.name == name:
                return laboratory
        message = "the order's laboratory isn't in the site file: name it there, or correct the sender's"
        raise Refused(ServiceReason.LABORATORY_UNKNOWN, message)

    def annotations(self, laboratory: str) -> Coordinates:
        """Of one that isn't known any more too: its orders may still be under way."""
        known = (each.annotations for each in self.laboratories or () if each.name == laboratory)
        return next(known, Coordinates.PIXELS)

    def estimates_first(self, laboratory: str) -> bool:
        """Must its pathologists estimate a score before they are shown it?"""
        return any(each.estimate_first for each in self.laboratories or () if each.name == laboratory)

    def listeners(self, common: Address) -> tuple[Listener, ...]:
        """The common one takes the orders of laboratories without one of their own, and isn't there where all have."""
        if self.laboratories is None:
            return (Listener(address=common, laboratories=None),)
        at: dict[Address, list[Laboratory]] = {}
        for laboratory in self.laboratories:
            at.setdefault(laboratory.listener or common, []).append(laboratory)
        bound = frozenset(c.name for laboratory in self.laboratories for c in laboratory.certificates)
        return tuple(Listener(address=a, laboratories=tuple(those), bound=bound) for a, those in at.items())

    def destinations_of(self, laboratory: str) -> tuple[str, ...]:
        """Those that its routes lead to; of ANY, all."""
        if laboratory == ANY:
            return tuple(destination.name for destination in self.destinations)
        routes = [route for route in self.routes if route.laboratory in (laboratory, ANY)]
        return tuple(dict.fromkeys(name for route in routes for name in route.to))

    def archives_of(self, laboratory: str) -> tuple[str, ...]:
        """Those that its slides come from or its objects go to; of ANY, all. Raises Refused LABORATORY_UNKNOWN."""
        if laboratory == ANY:
            return tuple(archive.name for archive in self.archives)
        names = self.destinations_of(laboratory)
        sent_to = [d.archive for d in self.destinations if d.name in names]
        return tuple(dict.fromkeys([*self.laboratory(laboratory).archives, *filter(None, sent_to)]))

    @property
    def certificates(self) -> Mapping[str, Path]:
        """Those of all archives, destinations and worklists, by the key that sets each."""
        return {key: path for one in self._named for key, path in one.certificates.items()}

    @property
    def _named(self) -> Iterator[NamedArchive | Destination]:
        yield from (*self.archives, *self.destinations, *(each.at for each in self.worklists))


def plain_site(settings: Settings) -> Site:
    """What the plain settings say: one archive, and the LIS where it is set."""
    lis = settings.lis
    own = settings.archive.folder is None
    destinations: list[Destination] = [ArchiveDestination(name=ARCHIVE, archive=ARCHIVE)]
    routes = [Route(artifacts=OBJECTS - ON_REQUEST, to=(ARCHIVE,))]
    if lis.host:
        values = lis.model_dump(include={"host", "port", "timeout_s", "errors", "tls_ca", "tls_cert", "tls_key"})
        destinations.insert(0, MllpDestination(name=LIS, table="CHROMOGEN_LIS", **values))
        routes.insert(0, Route(artifacts=MESSAGES, to=(LIS,)))
    folder = ArchiveFolder(name=ARCHIVE, folder=settings.archive_folder.resolve(), table="CHROMOGEN_ARCHIVE", own=own)
    return Site(laboratories=None, archives=(folder,), destinations=tuple(destinations), routes=tuple(routes))


def named(values: Iterable[str]) -> str:
    """Names for a person."""
    return ", ".join(sorted(values)) or "none"


def _check_well_formed(name: str) -> None:
    if not LABORATORY_NAME.fullmatch(name):
        message = "MSH-4, or the caller's laboratory, is no name: letters, digits and . - _ + / ( ) ', 64 at most"
        raise Refused(ServiceReason.LABORATORY_UNKNOWN, message)
