"""What `chromogen serve` looks out for beside its doors, of a site: slides that come, slides that are sent to us, and
items of worklists.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from server.archive.made import dimse_worklist, feed_of, receiver_of, worklist_events
from server.arrivals import Watched, Watcher
from server.bootstrap import Service
from server.domain.arrival import UnorderedRule
from server.services.orders import OrderService
from server.site import ArchiveDestination, ArchiveFolder, DimseAddress, WebArchive, WorklistAddress
from server.store.order_repository import PostgresOrderRepository
from server.store.ups_claims import PostgresUpsClaims, Way
from server.ups import Performer

if TYPE_CHECKING:
    from server.archive.receiver import Receiver  # pynetdicom takes a while to import, and few sites need it
    from server.archive.worklist_events import WorklistEvents


class Receiving(Protocol):
    """A service of ours at a port of its own."""

    def start(self) -> None:
        """Raises Failed SETTING_INVALID where the port can't be opened."""
        ...

    def stop(self) -> None: ...


def watchers(service: Service) -> list[Watcher]:
    """What sees slides come, of each archive that the site says is watched."""
    found = []
    for named in service.site.archives:
        feed = feed_of(named, service.archives[named.name])
        if feed is None or named.watch is None:
            continue
        rules = _rules_at(service, named.name)
        watched = Watched(name=named.name, feed=feed, every_s=named.watch.every_s, rules=rules)
        found.append(Watcher(watched=watched, orders=service.store))
    return found


def receivers(service: Service) -> "list[Receiver]":
    """Our own storage services, of each folder that has one."""
    listening = [named for named in service.site.archives if isinstance(named, ArchiveFolder) and named.listen]
    return [receiver_of(named, service.archives[named.name]) for named in listening]


def performers(service: Service) -> list[Performer]:
    """What performs items, of each worklist. Raises Refused SETTING_INVALID for certificates that can't be used."""
    return [_performer(service, named) for named in service.site.worklists]


def heard(performers: Sequence[Performer]) -> "list[WorklistEvents]":
    """What hears requests to cancel, of each worklist that tells us."""
    telling = [each for each in performers if each.named.at.listen is not None]
    return [worklist_events(each.named, each.cancel_asked) for each in telling]


def _performer(service: Service, named: WorklistAddress) -> Performer:
    return Performer(
        named=named,
        worklist=dimse_worklist(named),
        claims=PostgresUpsClaims(service.database, _ways(service)),
        orders=OrderService(
            PostgresOrderRepository(service.database, service.notify), check_laboratory=service.site.laboratory
        ),
        now=service.clock.now,
    )


def _ways(service: Service) -> dict[str, Way]:
    """How what each destination took is had from there."""
    archives = {named.name: named for named in service.site.archives}
    found = dict[str, Way]()
    for to in service.site.destinations:
        match archives[to.archive] if isinstance(to, ArchiveDestination) else None:
            case DimseAddress(aet=aet):
                found[to.name] = Way(aet=aet)
            case WebArchive(url=url):
                found[to.name] = Way(url=url)
    return found


def _rules_at(service: Service, archive: str) -> dict[str, Sequence[UnorderedRule]] | None:
    labs = service.site.laboratories
    return None if labs is None else {lab.name: lab.unordered for lab in labs if archive in lab.archives}
