"""A message that takes an order back, and what came of it."""

from dataclasses import dataclass, field

from server.domain.order import (
    EntityIdentifier,
    Order,
    Patient,
    ProcessingId,
    Request,
    Sender,
    SlideReference,
)
from server.domain.states import OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Of the one order of this laboratory, patient and number that nothing else it names contradicts.

    `order_id` is our own number, where it gives that; (sender, message_control_id) is known again, and answered alike.
    """

    lab: str
    sender: Sender
    message_control_id: str
    placer_order_number: EntityIdentifier
    patient: Patient
    order_id: str = ""
    procedure_code: str = ""
    specimen_id: str = ""
    slide: SlideReference = field(default_factory=SlideReference)
    processing_id: ProcessingId = ProcessingId.PRODUCTION

    def means(self, order: Order) -> bool:
        """Does nothing that both name differ? The patient must be the same, whatever else is named."""
        asked = order.request
        same_patient = (self.patient.id, self.patient.id_authority) == (asked.patient.id, asked.patient.id_authority)
        same_system = (self.lab, self.processing_id) == (asked.lab, asked.processing_id)
        return same_patient and same_system and all(not a or not b or a == b for a, b in self._pairs(order, asked))

    def _pairs(self, order: Order, asked: Request) -> list[tuple[str, str]]:
        return [
            (self.order_id, order.id),
            (self.procedure_code, asked.procedure_code),
            (self.specimen_id, asked.specimen.id),
            (self.slide.study_uid, asked.slide.study_uid),
            (self.slide.series_uid, asked.slide.series_uid),
            (self.slide.container_id, asked.slide.container_id),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOutcome:
    """`state` is CANCELLED where the order is, now or already; else the state in which it was too late.

    Without an order: `fitting` says how many there are that could be meant, none or several.
    """

    order: Order | None = None
    state: OrderState | None = None
    fitting: int = 1

    @property
    def cancelled(self) -> bool:
        return self.state is OrderState.CANCELLED
