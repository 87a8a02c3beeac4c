"""Orders as messages and back. Pure."""

from chromogen.v1 import order_pb2 as pb

from inference.assay import assay_of
from server.api import fields
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.order import SEXES, EntityIdentifier, Patient, Priority, Request, Sender, SlideReference, Specimen
from server.domain.ports import OrderView
from server.domain.states import OrderState
from server.domain.views import order_etag

MESSAGE_TYPE = "chromogen.v1.CreateOrder"

STATES = {getattr(pb, f"ORDER_STATE_{state}"): state for state in OrderState}
STATE_NUMBERS = {state: number for number, state in STATES.items()}
PRIORITIES = {getattr(pb, f"PRIORITY_{priority}"): priority for priority in Priority}
PRIORITY_NUMBERS = {priority: number for number, priority in PRIORITIES.items()}


def request_of(asked: pb.Order, request_id: str, actor: Caller) -> Request:
    """The caller is the sender. Raises Refused FIELD_MISSING, ARGUMENT_INVALID, ASSAY_UNSUPPORTED."""
    marker = assay_of(fields.text(asked.marker, "order.marker", least=1), "order.marker").marker
    slide = _slide(asked.slide)
    named = slide.series_uid or slide.container_id or slide.study_uid
    return Request(
        lab=actor.lab,
        sender=Sender(application=actor.subject, facility=actor.lab),
        message_control_id=fields.identifier(request_id, "request_id"),
        message_type=MESSAGE_TYPE,
        placer_order_number=_placer(asked),
        placer_request=fields.text(asked.placer_request, "order.placer_request") or f"{marker}/{named}",
        priority=_priority(asked.priority),
        marker=marker,
        procedure_code=fields.text(asked.procedure_code, "order.procedure_code") or marker,
        procedure_text=fields.text(asked.procedure_text, "order.procedure_text"),
        patient=_patient(asked.patient),
        specimen=_specimen(asked.specimen),
        slide=slide,
        requested_at=fields.moment(asked, "request_time"),
    )


def _placer(asked: pb.Order) -> EntityIdentifier:
    return EntityIdentifier(
        identifier=fields.text(asked.placer_order_number, "order.placer_order_number", least=1),
        namespace=fields.text(asked.placer_namespace, "order.placer_namespace"),
        universal_id=fields.text(asked.placer_universal_id, "order.placer_universal_id"),
        universal_type=fields.text(asked.placer_universal_type, "order.placer_universal_type"),
    )


def _priority(asked: int) -> Priority:
    if asked and asked not in PRIORITIES:
        fields.invalid("order.priority is none that is known here")
    return PRIORITIES.get(pb.Priority.ValueType(asked), Priority.ROUTINE)


def _patient(asked: pb.Patient) -> Patient:
    if asked.sex and asked.sex not in SEXES:
        fields.invalid(f"order.patient.sex is none of {', '.join(SEXES)}")
    return Patient(
        id=fields.text(asked.id, "order.patient.id", least=1),
        id_authority=fields.text(asked.id_authority, "order.patient.id_authority"),
        family_name=fields.text(asked.family_name, "order.patient.family_name"),
        given_name=fields.text(asked.given_name, "order.patient.given_name"),
        birth_date=fields.day(asked.birth_date, "order.patient.birth_date"),
        sex=asked.sex,
    )


def _specimen(asked: pb.Specimen) -> Specimen:
    return Specimen(
        id=fields.text(asked.id, "order.specimen.id"),
        container_id=fields.text(asked.container_id, "order.specimen.container_id"),
        site_code=fields.text(asked.site_code, "order.specimen.site_code"),
        site_scheme=fields.text(asked.site_scheme, "order.specimen.site_scheme"),
        site_text=fields.text(asked.site_text, "order.specimen.site_text"),
        clone=fields.text(asked.clone, "order.specimen.clone"),
        stainer=fields.text(asked.stainer, "order.specimen.stainer"),
        scanner=fields.text(asked.scanner, "order.specimen.scanner"),
        staining_run=fields.text(asked.staining_run, "order.specimen.staining_run"),
        role=fields.text(asked.role, "order.specimen.role", most=20),
        control_kind=fields.text(asked.control_kind, "order.specimen.control_kind", most=20),
    )


def _slide(asked: pb.SlideReference) -> SlideReference:
    slide = SlideReference(
        study_uid=fields.uid(asked.study_uid, "order.slide.study_uid"),
        series_uid=fields.uid(asked.series_uid, "order.slide.series_uid"),
        container_id=fields.text(asked.container_id, "order.slide.container_id"),
    )
    if not (slide.study_uid or slide.series_uid or slide.container_id):
        raise Refused(ServiceReason.FIELD_MISSING, "order.slide is missing: give series_uid, container_id or study_uid")
    return slide


def order_message(view: OrderView, *, with_patient: bool = False) -> pb.Order:
    """The patient only where asked for."""
    asked = view.order.request
    specimen, slide, placer = asked.specimen, asked.slide, asked.placer_order_number
    return pb.Order(
        id=view.order.id,
        lab=asked.lab,
        placer_order_number=placer.identifier,
        placer_namespace=placer.namespace,
        placer_universal_id=placer.universal_id,
        placer_universal_type=placer.universal_type,
        placer_request=asked.placer_request,
        priority=PRIORITY_NUMBERS[asked.priority],
        marker=asked.marker,
        procedure_code=asked.procedure_code,
        procedure_text=asked.procedure_text,
        patient=_patient_message(asked.patient) if with_patient else None,
        specimen=pb.Specimen(
            id=specimen.id,
            container_id=specimen.container_id,
            site_code=specimen.site_code,
            site_scheme=specimen.site_scheme,
            site_text=specimen.site_text,
            clone=specimen.clone,
            stainer=specimen.stainer,
            scanner=specimen.scanner,
            staining_run=specimen.staining_run,
            role=specimen.role,
            control_kind=specimen.control_kind,
        ),
        slide=pb.SlideReference(
            study_uid=slide.study_uid, series_uid=slide.series_uid, container_id=slide.container_id
        ),
        request_time=fields.stamp(asked.requested_at),
        state=STATE_NUMBERS[view.state],
        attempt=view.attempt,
        reason=view.reason,
        detail=view.detail,
        progress=view.progress,
        result_id=view.result_id or "",
        create_time=fields.stamp(view.order.received_at),
        update_time=fields.stamp(view.updated_at),
        etag=order_etag(view),
    )


def _patient_message(patient: Patient) -> pb.Patient:
    return pb.Patient(
        id=patient.id,
        id_authority=patient.id_authority,
        family_name=patient.family_name,
        given_name=patient.given_name,
        birth_date="" if patient.birth_date is None else patient.birth_date.isoformat(),
        sex=patient.sex,
    )
