"""What the site file says of peers behind DIMSE: archives and worklists of Unified Procedure Steps."""

import re
from collections.abc import Mapping

from server.domain.arrival import Watch
from server.site import Address, DimseAddress, Laboratory, WorklistAddress
from server.site_table import Table, known, wrong
from server.site_watch import watch_of

_AE_TITLE = re.compile(r"(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )")
"""PS3.5, 6.2."""
_LONGEST_LABEL, _LONGEST_CODE = 64, 16
"""Characters of LO and SH."""


def dimse_of(name: str, table: Table) -> DimseAddress:
    """An archive. Raises Refused SETTING_INVALID."""
    return _peer(name, table, watch_of(table, changes=False))


def worklist_of(name: str, table: Table, laboratories: Mapping[str, Laboratory]) -> WorklistAddress:
    """Raises Refused SETTING_INVALID."""
    found = WorklistAddress(
        name=name,
        at=_peer(name, table),
        laboratory=table.text("laboratory"),
        station=table.text("station", ""),
        station_class=table.text("station_class", ""),
        label=table.text("label", ""),
        codes=table.texts("codes", ()),
        every_s=table.number("every_s", 0.1, 86_400, default=10),
    )
    known(table, "laboratory", [found.laboratory], laboratories)
    named = (("station", found.station), ("station_class", found.station_class), ("label", found.label))
    if not any(text for _, text in named):
        what = "says neither station nor station_class nor label: set what the items that are for us have in them"
        wrong(table.where, what)
    for key, text in named:
        most = _LONGEST_LABEL if key == "label" else _LONGEST_CODE
        if len(text) > most or set(text) & set("\\*?"):
            wrong(f"{table.where} {key}", f"is longer than {most} characters, or holds one of \\ * ?")
    return found


def check_title(table: Table, key: str, *titles: str) -> None:
    """Raises Refused SETTING_INVALID."""
    for title in titles:
        if not _AE_TITLE.fullmatch(title):
            which = f"{title!r} " if len(titles) > 1 else ""
            wrong(f"{table.where} {key}", f"{which}is no AE title: 1 to 16 letters, digits and signs, no backslash")


def address_of(table: Table, key: str) -> Address | None:
    """None where it isn't set. Raises Refused SETTING_INVALID."""
    text = table.text(key, default="")
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        wrong(f"{table.where} {key}", f"{text!r} is not host:port")
    return Address(host=host.strip("[]"), port=int(port))


def _peer(name: str, table: Table, watch: Watch | None = None) -> DimseAddress:
    found = DimseAddress(
        name=name,
        host=table.text("host"),
        port=int(table.number("port", 1, 65_535, whole=True)),
        aet=table.text("aet"),
        our_aet=table.text("our_aet", "CHROMOGEN"),
        table=table.where,
        listen=address_of(table, "listen"),
        watch=watch,
        timeout_s=table.number("timeout_s", 0.1, 86_400, default=60),
        tls_ca=table.path_or_none("tls_ca"),
        tls_cert=table.path_or_none("tls_cert"),
        tls_key=table.path_or_none("tls_key"),
    )
    check_title(table, "aet", found.aet)
    check_title(table, "our_aet", found.our_aet)
    return found
