"""What `chromogen check` says of a site: each archive, destination and laboratory by its name."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import assert_never

from server.archive.folder import FolderArchive
from server.archive.made import dimse_worklist
from server.archive.several import SeveralArchives
from server.bootstrap import archive_of, index_of, spool_of
from server.cli.checks import Found, written
from server.domain.artifact import ArtifactKind
from server.domain.errors import ChromogenError, Failed
from server.domain.events import EventKind, destinations
from server.domain.ports import LIS
from server.hl7.sender import MllpSink
from server.listening import check_shown
from server.settings import Settings, is_loopback
from server.site import (
    ArchiveDestination,
    ArchiveFolder,
    Destination,
    DimseAddress,
    Laboratory,
    MllpDestination,
    NamedArchive,
    Site,
    WebArchive,
    WorklistAddress,
    key_of,
    named,
)
from server.site_file import site_of
from server.tls import sender_context

Check = Callable[[], Found]


def site_checks(wanted: Settings) -> Iterator[tuple[str, Check]]:
    """The name and the check of each. Without a site file: `archive` and `lis`."""
    try:
        found = site_of(wanted)
    except ChromogenError as error:
        yield "site", partial(_raised, error)
        return
    if found.laboratories is None:
        yield "archive", partial(archive, found.archives[0], wanted, stores=True)
        yield "lis", partial(_lis, found, wanted)
        return
    yield "site", partial(_summary, found, wanted)
    for kept in found.archives:
        yield f"archive {kept.name}", partial(archive, kept, wanted, stores=False)
    for to in found.destinations:
        yield f"destination {to.name}", partial(destination, to, found, wanted)
    for items in found.worklists:
        yield f"worklist {items.name}", partial(worklist, items)
    for each in found.laboratories:
        yield f"laboratory {each.name}", partial(laboratory, each, found, wanted)


def archive(found: NamedArchive, wanted: Settings, *, stores: bool) -> Found:
    """It is there, and takes objects where it must."""
    match found:
        case ArchiveFolder():
            return folder(found, wanted, stores=stores)
        case WebArchive():
            return web(found, wanted)
        case DimseAddress():
            return dimse(found, wanted)
        case _:
            assert_never(found)


def web(found: WebArchive, wanted: Settings) -> Found:
    """It answers a search, and takes our account."""
    try:
        archive_of(found, spool_of(wanted)).ping()
    except Failed as error:
        raise Failed(error.reason, f"{found.url}: {error.message}; see {found.table}") from None
    plain = found.url.startswith("http://") and not is_loopback(found.host)
    advice = f"patients and the account cross the network readable: make {key_of(found.table, 'url')} https"
    return Found(text=f"{found.url} answers", advice=advice if plain else "")


def dimse(found: DimseAddress, wanted: Settings) -> Found:
    """It takes an association of ours, and answers an echo."""
    where = f"{found.aet} at {found.host}:{found.port}"
    try:
        archive_of(found, spool_of(wanted)).ping()
    except Failed as error:
        raise Failed(error.reason, f"{where}: {error.message}; see {found.table}") from None
    plain = found.tls_ca is None and not is_loopback(found.host)
    advice = f"patients cross the network readable: set {key_of(found.table, 'tls_ca')}"
    return Found(text=f"{where} answers", advice=advice if plain else "")


def worklist(found: WorklistAddress) -> Found:
    """It takes an association of ours for what is asked of its items."""
    where = f"{found.at.aet} at {found.at.host}:{found.at.port}"
    try:
        dimse_worklist(found).ping()
    except Failed as error:
        raise Failed(error.reason, f"{where}: {error.message}; see {found.at.table}") from None
    named = (("station", found.station), ("station class", found.station_class), ("label", found.label))
    meant = ", ".join(f"{key} {text}" for key, text in (*named, ("codes", " ".join(found.codes))) if text)
    deaf = f"nobody can ask to cancel an item once it is ours: set {key_of(found.at.table, 'listen')}"
    return Found(text=f"{where} answers; items of {meant}", advice="" if found.at.listen else deaf)


def folder(found: ArchiveFolder, wanted: Settings, *, stores: bool) -> Found:
    """It is there, and can be written to where it must."""
    setting = key_of(found.table, "folder")
    if not found.own:
        try:
            FolderArchive(found.folder, index=index_of(wanted)).ping()
        except Failed as error:
            raise Failed(error.reason, f"{found.folder}: {error.message}; mount or make it, or set {setting}") from None
    if not stores:
        return Found(text=str(found.folder))
    free = written(found.folder, setting, make=found.own)
    return Found(text=f"{found.folder}, {free:.0f} GB free")


def destination(found: Destination, site: Site, wanted: Settings) -> Found:
    """It answers, and takes what it is to be sent."""
    match found:
        case MllpDestination():
            return receiver(found)
        case ArchiveDestination():
            kept = next(a for a in site.archives if a.name == found.archive)
            return archive(kept, wanted, stores=True)
        case _:
            assert_never(found)


def receiver(found: MllpDestination) -> Found:
    """It accepts a connection, and its certificate fits."""
    tls = sender_context(found, found.table)
    try:
        MllpSink(host=found.host, port=found.port, timeout_s=found.timeout_s, tls=tls).ping()
    except Failed as error:
        authority, host = key_of(found.table, "tls_ca"), key_of(found.table, "host")
        advice = f"check {host} and its port"
        if tls is not None:
            advice += f"; its certificate must be of {authority}'s authority and name the host, and it must take ours"
        raise Failed(error.reason, f"{error.message}; {advice}") from None
    return Found(text=f"{found.host}:{found.port} answers{', TLS' if tls is not None else ''}")


def laboratory(found: Laboratory, site: Site, wanted: Settings) -> Found:
    """Its archives answer, and its results go somewhere."""
    spool = spool_of(wanted)
    archives = {a.name: archive_of(a, spool, index=index_of(wanted)) for a in site.archives}
    SeveralArchives([archives[name] for name in found.archives]).ping()
    messages = destinations(site.routes, EventKind.PRELIMINARY, found.name, ArtifactKind.ORU)
    senders = f" from {named(found.senders)}" if found.senders else ""
    senders += f" by {named(each.name for each in found.certificates)}" if found.certificates else ""
    where = f"at {found.listener}" if found.listener else "at CHROMOGEN_MLLP_*"
    to = named(site.destinations_of(found.name))
    text = f"slides from {named(found.archives)}; orders {where}{senders}; sent to {to}"
    return Found(text=text, advice="" if messages else "no route sends its results as ORU: add one to the site file")


def _lis(site: Site, wanted: Settings) -> Found:
    found = next((to for to in site.destinations if to.name == LIS), None)
    if found is None:
        return Found(text="none set; results are not sent to a LIS", advice="set CHROMOGEN_LIS_HOST")
    return destination(found, site, wanted)


def _summary(site: Site, wanted: Settings) -> Found:
    check_shown(site, wanted.mllp)
    numbers = {
        "laboratories": len(site.laboratories or ()),
        "archives": len(site.archives),
        "destinations": len(site.destinations),
        "routes": len(site.routes),
    }
    return Found(text=", ".join(f"{n} {what}" for what, n in numbers.items()))


def _raised(error: ChromogenError) -> Found:
    raise error
