"""The MLLP listeners of a site: each takes the orders of its laboratories, and no others."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from server.bootstrap import Service
from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Order, Request
from server.hl7.intake import Accept, Cancel, Intake
from server.hl7.listener import MllpListener
from server.reloading import RenewedContext
from server.settings import Mllp
from server.site import Address, Listener, Site, named
from server.tls import listener_context, names_in

log = structlog.get_logger()

UNNAMED = "orders of any laboratory are taken from whoever reaches the port: name laboratories in CHROMOGEN_SITE_FILE"


class Listening:
    """`start` and `stop` all of them. The site's own have the TLS settings of the common one."""

    def __init__(self, service: Service) -> None:
        """Raises Refused SETTING_INVALID."""
        mllp = service.settings.mllp
        self._site, self._tls = service.site, listener_context(mllp)
        self._common = Address(host=mllp.host, port=mllp.port)
        check_shown(service.site, mllp)
        self._listeners = [(each, _mllp(each, service, self._tls)) for each in service.site.listeners(self._common)]

    @property
    def encrypted(self) -> bool:
        return self._tls is not None

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(each.address.host for each, _ in self._listeners)

    def start(self) -> dict[Address, int]:
        """The ports, by the address that is set. Raises Failed SETTING_INVALID; then none listens."""
        ports = dict[Address, int]()
        try:
            for each, listener in self._listeners:
                ports[each.address] = listener.start()
                log.info("listening", host=each.address.host, port=ports[each.address], laboratories=_whose(each))
        except BaseException:
            self.stop()
            raise
        if self._site.laboratories is None:
            log.warning("any_laboratory", advice=UNNAMED)
        return ports

    def stop(self) -> None:
        for _, listener in self._listeners:
            listener.stop()


@contextmanager
def listening(service: Service) -> Iterator[dict[Address, int]]:
    """While the block runs."""
    all_of_them = Listening(service)
    ports = all_of_them.start()
    try:
        yield ports
    finally:
        all_of_them.stop()


def admitted(listener: Listener, accept: Accept, shown: frozenset[str] = frozenset()) -> Accept:
    """Takes an order only where this listener may, of who shows a certificate of these names.

    It raises Refused LABORATORY_UNKNOWN, SENDER_UNKNOWN too.
    """

    def take(request: Request) -> tuple[Order, bool]:
        listener.check(request.lab, request.sender, shown)
        return accept(request)

    return take


def admitted_to_cancel(listener: Listener, cancel: Cancel, shown: frozenset[str] = frozenset()) -> Cancel:
    """Takes an order back only where this listener may take one. It raises as `admitted` does."""

    def take_back(asked: Cancellation) -> CancelOutcome:
        listener.check(asked.lab, asked.sender, shown)
        return cancel(asked)

    return take_back


def check_shown(site: Site, mllp: Mllp) -> None:
    """Raises Refused SETTING_INVALID where certificates are bound, and none is asked for."""
    if mllp.tls_client_ca is None and any(each.certificates for each in site.laboratories or ()):
        message = (
            "CHROMOGEN_MLLP_TLS_CLIENT_CA is not set, but the site file binds certificates: set it, with _CERT, _KEY"
        )
        raise Refused(ServiceReason.SETTING_INVALID, message)


def _mllp(listener: Listener, service: Service, tls: RenewedContext | None) -> MllpListener:
    def handler(shown: frozenset[str] = frozenset()) -> Intake:
        store = service.store
        return Intake(admitted(listener, store.accept, shown), admitted_to_cancel(listener, store.cancel, shown))

    at = listener.address
    return MllpListener(
        handler(), host=at.host, port=at.port, tls=tls, handler_of=lambda certificate: handler(names_in(certificate))
    )


def _whose(listener: Listener) -> str:
    return "any" if listener.laboratories is None else named(each.name for each in listener.laboratories)
