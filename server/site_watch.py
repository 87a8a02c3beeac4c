"""What the site file says of slides that come: `watch` of an archive, and [[laboratories.NAME.unordered]]."""

from server.domain.arrival import UnorderedRule, Watch, WatchKind
from server.site_controls import marker_of
from server.site_table import Table, wrong


def watch_of(table: Table, *, changes: bool) -> Watch | None:
    """`changes`: whether the archive has a feed of them. Raises Refused SETTING_INVALID."""
    if not table.has("watch"):
        for key in ("watch_s", "watch_days"):
            if table.has(key):
                wrong(f"{table.where} {key}", "is set, but watch is not: set it, or neither")
        return None
    kind = table.choice("watch", WatchKind)
    if kind is WatchKind.CHANGES and not changes:
        wrong(f"{table.where} watch", "is changes, which only an Orthanc with its orthanc_url has: use poll")
    return Watch(
        kind=kind,
        every_s=table.number("watch_s", 0.1, 86_400, default=60),
        days=int(table.number("watch_days", 1, 3650, default=7, whole=True)),
    )


def unordered_of(table: Table) -> tuple[UnorderedRule, ...]:
    """Of a laboratory; none where it has no such table. Raises Refused SETTING_INVALID."""
    return tuple(_rule(each) for each in table.tables("unordered"))


def _rule(table: Table) -> UnorderedRule:
    rule = UnorderedRule(
        markers=tuple(marker_of(table, name) for name in table.texts("markers")),
        sites=table.texts("sites", default=()),
        after_s=table.number("after_s", 0, 86_400 * 30, default=600),
    )
    table.end()
    return rule
