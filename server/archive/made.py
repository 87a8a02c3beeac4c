"""Makes an archive of what the site says of it."""

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import urllib3

from server.archive.credentials import Anonymous, ClientCredentials, Credentials, Password, TokenFile
from server.archive.dicomweb import DicomWebArchive
from server.archive.feeds import Listing, OrthancFeed, PollFeed
from server.archive.orthanc import OrthancRest
from server.archive.spool import Spool
from server.archive.web import Web
from server.domain.arrival import Feed, WatchKind
from server.domain.ports import Archive
from server.site import ArchiveFolder, DimseAddress, NamedArchive, WebArchive, WorklistAddress
from server.tls import peer_context, sender_context

if TYPE_CHECKING:
    from server.archive.dimse import DimseArchive
    from server.archive.receiver import Receiver
    from server.archive.worklist import DimseWorklist
    from server.archive.worklist_events import WorklistEvents


def web_archive(named: WebArchive, spool: Spool) -> DicomWebArchive:
    """Raises Refused SETTING_INVALID for certificates that can't be used."""
    web = _web(named, named.url)
    orthanc = OrthancRest(_web(named, named.orthanc_url)) if named.orthanc_url else None
    return DicomWebArchive(named.name, web, spool, by_container=named.by_container, orthanc=orthanc)


def _web(named: WebArchive, url: str) -> Web:
    context = _context(named)
    return Web(url, credentials=_credentials(named, context), timeout_s=named.timeout_s, context=context)


def dimse_archive(named: DimseAddress, spool: Spool) -> "DimseArchive":
    """Raises Refused SETTING_INVALID for certificates that can't be used."""
    from server.archive.association import Peer  # pynetdicom takes a while to import, and few sites need it
    from server.archive.dimse import DimseArchive

    storage = peer_context(named, named.table) if named.listen else None
    return DimseArchive(named.name, Peer(named, sender_context(named, named.table), storage), spool)


def dimse_worklist(named: WorklistAddress) -> "DimseWorklist":
    """Raises Refused SETTING_INVALID for certificates that can't be used."""
    from server.archive.association import Peer
    from server.archive.worklist import DimseWorklist

    return DimseWorklist(named, Peer(named.at, sender_context(named.at, named.at.table)))


def worklist_events(named: WorklistAddress, cancel_asked: Callable[[str], None]) -> "WorklistEvents":
    """What hears requests to cancel. Raises Refused SETTING_INVALID for certificates that can't be used."""
    from server.archive.worklist_events import WorklistEvents

    return WorklistEvents(named, cancel_asked, peer_context(named.at, named.at.table))


def _context(named: WebArchive) -> ssl.SSLContext | None:
    """Of TLS 1.2 or newer; without an authority of its own those that the system trusts."""
    if not named.url.startswith("https://"):
        return None
    return sender_context(named, named.table) or ssl.create_default_context()


def _credentials(named: WebArchive, context: ssl.SSLContext | None) -> Credentials:
    if named.password_file is not None:
        return Password(user=named.user, file=named.password_file)
    if named.token_file is not None:
        return TokenFile(file=named.token_file)
    if named.client_secret_file is not None:
        return ClientCredentials(
            pool=urllib3.PoolManager(ssl_context=context if named.token_url.startswith("https://") else None),
            url=named.token_url,
            client_id=named.client_id,
            secret_file=named.client_secret_file,
            timeout_s=named.timeout_s,
        )
    return Anonymous()


def feed_of(named: NamedArchive, archive: Archive) -> Feed | None:
    """What comes to an archive; None where it isn't watched."""
    if named.watch is None:
        return None
    assert isinstance(archive, Listing), "each kind that is watched can be asked"
    if named.watch.kind is WatchKind.CHANGES and isinstance(named, WebArchive):
        return OrthancFeed(archive, OrthancRest(_web(named, named.orthanc_url)), named.watch.days)
    return PollFeed(archive, named.watch.days)


def receiver_of(named: ArchiveFolder, archive: Archive) -> "Receiver":
    """Our own storage service of a folder."""
    from server.archive.receiver import Receiver

    return Receiver(named, archive.ping)
