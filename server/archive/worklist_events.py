"""What a worklist tells us of items that we subscribed to: UPS Event as SCU, at a port of our own (pynetdicom)."""

import ssl
from collections.abc import Callable
from typing import Any

import structlog
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from server.archive.association import ECHO, QUESTIONS
from server.archive.listener import begun
from server.archive.worklist import EVENT
from server.domain.errors import Failed, ServiceReason
from server.site import WorklistAddress

CANCEL_REQUESTED = 2
"""N-EVENT-REPORT's type (PS3.4, CC.2.4)."""
SUCCESS = 0x0000

log = structlog.get_logger()

CancelAsked = Callable[[str], None]
"""Called with the UID of an item that somebody asks to cancel. It raises nothing."""


class WorklistEvents:
    """Of one worklist: `start` it, and `stop` it; by TLS where there is a `context`."""

    def __init__(
        self, named: WorklistAddress, cancel_asked: CancelAsked, context: ssl.SSLContext | None = None
    ) -> None:
        self._named, self._cancel_asked, self._context = named, cancel_asked, context
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        """Raises Failed SETTING_INVALID where the port can't be opened."""
        at = self._named.at.listen
        assert at is not None, "only a worklist with `listen` tells us anything"
        ae = AE(ae_title=self._named.at.our_aet)
        ae.require_called_aet = True
        ae.add_supported_context(EVENT, QUESTIONS, scu_role=True, scp_role=True)
        ae.add_supported_context(ECHO, QUESTIONS)
        try:
            self._server = begun(ae, at, [(evt.EVT_N_EVENT_REPORT, self._told)], self._context)
        except OSError as error:
            message = f"{self._named.at.table} listen: {at} can't be opened ({type(error).__name__}): free it"
            raise Failed(ServiceReason.SETTING_INVALID, message) from None
        log.info("worklist_heard", worklist=self._named.name, host=at.host, port=at.port)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()

    def _told(self, event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        if request.EventTypeID == CANCEL_REQUESTED:
            self._cancel_asked(str(request.AffectedSOPInstanceUID))
        return SUCCESS, None
