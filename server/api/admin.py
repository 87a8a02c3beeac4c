"""AdminService."""

from chromogen.v1 import admin_pb2
from chromogen.v1 import admin_service_pb2 as pb

from server.api import fields, pages
from server.api.convert_admin import STATES, audit_message, delivery_message, destination_message, lab_message
from server.api.gate import Call
from server.domain.errors import Refused, ServiceReason
from server.domain.views import AuditFilter, DeliveryFilter
from server.services.admin import AdminService


class AdminServicer:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, service: AdminService) -> None:
        self._service = service

    def ListLabs(self, request: pb.ListLabsRequest, call: Call) -> pb.ListLabsResponse:
        return pb.ListLabsResponse(labs=[lab_message(view) for view in self._service.labs(call.actor)])

    def ListDestinations(self, request: pb.ListDestinationsRequest, call: Call) -> pb.ListDestinationsResponse:
        views = self._service.destinations(call.actor)
        return pb.ListDestinationsResponse(destinations=[destination_message(view) for view in views])

    def ListArchives(self, request: pb.ListArchivesRequest, call: Call) -> pb.ListArchivesResponse:
        found = [
            admin_pb2.Archive(name=view.name, reachable=view.reachable) for view in self._service.archives(call.actor)
        ]
        return pb.ListArchivesResponse(archives=found)

    def ListDeliveries(self, request: pb.ListDeliveriesRequest, call: Call) -> pb.ListDeliveriesResponse:
        if request.state and request.state not in STATES:
            fields.invalid("state is none that is known here")
        wanted = DeliveryFilter(
            state=STATES.get(request.state), destination=fields.text(request.destination, "destination")
        )
        after = pages.key_of(request.page_token, request)
        page = self._service.deliveries(call.actor, wanted, pages.size_of(request.page_size), after)
        deliveries = [delivery_message(view) for view in page.items]
        return pb.ListDeliveriesResponse(deliveries=deliveries, next_page_token=pages.token_for(page.next, request))

    def ReplayDeliveries(self, request: pb.ReplayDeliveriesRequest, call: Call) -> pb.ReplayDeliveriesResponse:
        match request.WhichOneof("which"):
            case "delivery_id":
                delivery_id = fields.number(request.delivery_id, "delivery_id", 1, 2**63 - 1)
                return pb.ReplayDeliveriesResponse(replayed=self._service.replay(call.actor, delivery_id, ""))
            case "destination":
                destination = fields.text(request.destination, "destination", least=1)
                return pb.ReplayDeliveriesResponse(replayed=self._service.replay(call.actor, None, destination))
            case _:
                raise Refused(ServiceReason.FIELD_MISSING, "which is missing: give delivery_id or destination")

    def QueryAudit(self, request: pb.QueryAuditRequest, call: Call) -> pb.QueryAuditResponse:
        wanted = AuditFilter(
            subject=fields.text(request.subject, "subject"),
            object=fields.text(request.object, "object"),
            created_from=fields.moment(request, "created_from"),
            created_until=fields.moment(request, "created_until"),
        )
        after = pages.key_of(request.page_token, request)
        page = self._service.audit(call.actor, wanted, pages.size_of(request.page_size), after)
        entries = [audit_message(entry) for entry in page.items]
        return pb.QueryAuditResponse(entries=entries, next_page_token=pages.token_for(page.next, request))

    def VerifyAudit(self, request: pb.VerifyAuditRequest, call: Call) -> pb.VerifyAuditResponse:
        verdict = self._service.verify_audit(call.actor)
        intact = verdict.first_broken == 0
        return pb.VerifyAuditResponse(intact=intact, entries=verdict.entries, first_broken_id=verdict.first_broken)
