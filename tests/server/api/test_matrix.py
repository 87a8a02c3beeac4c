"""G-7 and the laboratories' walls, over every method there is: complete by the descriptors, not by a list in here."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from chromogen.v1 import admin_pb2, profile_pb2, result_pb2
from chromogen.v1 import admin_service_pb2 as admin
from chromogen.v1 import analysis_service_pb2 as analysis
from chromogen.v1 import control_service_pb2 as controls
from chromogen.v1 import order_service_pb2 as orders
from chromogen.v1 import profile_service_pb2 as profiles
from chromogen.v1 import result_service_pb2 as results
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message import Message

from server import settings
from server.api.methods import operation_of
from server.api.server import methods, services
from server.api_service import start
from server.domain.access import Role
from server.domain.errors import Refused
from server.services import permissions
from tests.server.api.harness import Api, Told, hue_value, order_request, told_by
from tests.server.api.issuer import Authority

pytestmark = pytest.mark.postgres
METHODS = sorted(methods())


def described(method: str) -> Any:
    name, _, short = method[1:].partition("/")
    service = next(s for s in services() if s.full_name == name)
    return service.methods_by_name[short]


def call(api: Api, method: str, request: Message, token: str | None) -> Any:
    """Any method by its descriptor."""
    found = described(method)
    answer = message_factory.GetMessageClass(found.output_type)
    kinds = {
        (False, False): api.channel.unary_unary,
        (False, True): api.channel.unary_stream,
        (True, True): api.channel.stream_stream,
    }
    stub = kinds[found.client_streaming, found.server_streaming](
        method, type(request).SerializeToString, answer.FromString
    )
    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    return stub(iter([request]) if found.client_streaming else request, metadata=metadata, timeout=20)


def empty(method: str) -> Message:
    made: Message = message_factory.GetMessageClass(described(method).input_type)()
    return made


def outcome(api: Api, method: str, request: Message, token: str | None) -> Told | list[Message]:
    """What came: an error, or the messages."""
    try:
        answer = call(api, method, request, token)
        return [answer] if isinstance(answer, Message) else list(answer)
    except grpc.RpcError as error:
        return told_by(error)


def test_every_method_has_its_roles_and_no_role_is_for_a_method_that_there_is_not() -> None:
    of_http = permissions.PAGE | permissions.IMAGES
    assert sorted(permissions.ROLES.keys() - of_http) == sorted(operation_of(method) for method in METHODS)
    assert all(permissions.ROLES.values())
    assert len(METHODS) >= 30


def test_a_method_without_a_permission_stops_the_start() -> None:
    with pytest.raises(Refused, match="Undeclared"):
        permissions.check_declared([*permissions.ROLES, "Undeclared"])


@pytest.mark.parametrize("method", METHODS)
def test_g7_each_role_may_call_what_the_table_says_and_nothing_else(api: Api, method: str) -> None:
    for role in Role:
        answer = outcome(api, method, empty(method), api.issuer.token(str(role), lab=f"LAB-{uuid.uuid4().hex[:6]}"))
        denied = isinstance(answer, Told) and answer.code is grpc.StatusCode.PERMISSION_DENIED
        assert denied is (role not in permissions.ROLES[operation_of(method)]), (role, answer)
    stranger = outcome(api, method, empty(method), None)
    assert isinstance(stranger, Told)
    assert stranger.code is grpc.StatusCode.UNAUTHENTICATED
    nobody = outcome(api, method, empty(method), api.issuer.token("made-up"))
    assert isinstance(nobody, Told)
    assert nobody.code is grpc.StatusCode.PERMISSION_DENIED


THEIRS, OURS = "LAB-THEIRS", "LAB-OURS"


@pytest.fixture(scope="module")
def theirs(api: Api) -> dict[str, Message]:
    return requests_for(api, THEIRS)


def requests_for(api: Api, lab: str) -> dict[str, Message]:
    """For each method a request that reaches a laboratory's things, which are made here."""
    result = api.done(lab, seed=5)
    order_id = str(result.order_id)
    admin_of_theirs = api.caller("lab-admin", lab=lab)
    criteria = hue_value()
    made = profiles.CreateProfileRequest(
        request_id=str(uuid.uuid4()), profile=profile_pb2.Profile(name="theirs", criteria=criteria)
    )
    admin_of_theirs.profiles.CreateProfile(made)
    revision = profiles.ProfileRevision(name="theirs", revision=1)
    api.caller("pathologist", lab=lab).results.SignResult(results.SignResultRequest(result_id=result.id))
    delivery = api.caller("operator", lab=lab).admin.ListDeliveries(admin.ListDeliveriesRequest()).deliveries[0]
    result_id, request_id = result.id, str(uuid.uuid4())
    wanted = controls.SetControlRangeRequest(request_id=str(uuid.uuid4()), range=control_range())
    set_by_them = admin_of_theirs.controls.SetControlRange(wanted).range.id
    fit = profiles.CalibrateProfileRequest(
        request_id=str(uuid.uuid4()), name="fitted", marker="ER", result_ids=[result_id], h_scores=[150]
    )
    scored = profiles.ScoredSlide(result_id=result_id)
    scored.scores.add(region="all", measure="HSCORE", value=100)
    built_in = profiles.ProfileRevision(name="built-in", revision=2)
    validate = profiles.ValidateProfileRequest(
        request_id=str(uuid.uuid4()), profile=built_in, marker="ER", slides=[scored]
    )
    validation_id = admin_of_theirs.profiles.ValidateProfile(validate).validation.id
    calibration_id = admin_of_theirs.profiles.CalibrateProfile(fit).calibration.id
    while api.service.jobs.step():
        pass
    image = analysis.Image(data=b"\x89PNG\r\n\x1a\n", mpp=0.5)
    requests: list[Message] = [
        order_request(),
        orders.GetOrderRequest(order_id=order_id),
        orders.ListOrdersRequest(),
        orders.CancelOrderRequest(order_id=order_id),
        orders.RetryOrderRequest(order_id=order_id),
        orders.WatchOrderRequest(order_id=order_id),
        results.GetResultRequest(result_id=result_id),
        results.ListResultsRequest(),
        results.ListSlideHistoryRequest(container_id="S26-TEST-1-A-2"),
        results.GetCaseMarkersRequest(order_id=order_id),
        results.ListCellsRequest(result_id=result_id),
        results.RescoreResultRequest(request_id=request_id, result_id=result_id, profile=revision),
        results.SignResultRequest(result_id=result_id),
        results.RejectResultRequest(result_id=result_id, reason="because"),
        results.AmendResultRequest(result_id=result_id, replacement_id=result_id, reason="because"),
        results.EstimateResultRequest(result_id=result_id, values=[results.RegionEstimate(region="all", value=100)]),
        results.CompareEstimatesRequest(),
        profiles.CreateProfileRequest(
            request_id=made.request_id, profile=profile_pb2.Profile(name="ours", criteria=criteria)
        ),
        profiles.GetProfileRequest(name="theirs"),
        profiles.ListProfilesRequest(),
        profiles.CreateProfileRevisionRequest(request_id=request_id, name="theirs", criteria=criteria),
        profiles.ActivateProfileRequest(name="theirs", revision=1),
        profiles.RetireProfileRequest(name="theirs", revision=1),
        profiles.CompareProfilesRequest(
            first=profiles.ProfileRevision(name="built-in", revision=2),
            second=profiles.ProfileRevision(name="built-in", revision=2),
            result_ids=[result_id],
        ),
        profiles.CalibrateProfileRequest(
            request_id=str(uuid.uuid4()), name="theirs", marker="ER", result_ids=[result_id], h_scores=[150]
        ),
        profiles.CalibratePicturesRequest(calibration=fit, pictures=1),
        profiles.GetCalibrationRequest(calibration_id=calibration_id),
        profiles.ListCalibrationsRequest(),
        profiles.WatchCalibrationRequest(calibration_id=calibration_id),
        profiles.ValidateProfileRequest(
            request_id=str(uuid.uuid4()),
            profile=revision,
            marker="ER",
            slides=[{"result_id": result_id, "scores": [{"region": "all", "measure": "HSCORE", "value": 100}]}],
        ),
        profiles.ListValidationsRequest(profile=revision),
        profiles.SignValidationRequest(validation_id=validation_id),
        profiles.AdoptCalibrationRequest(request_id=str(uuid.uuid4()), calibration_id=calibration_id),
        profiles.RescoreCohortRequest(request_id=request_id, marker="ER", profile=revision, reason="because"),
        profiles.GetCohortRequest(cohort_id=calibration_id),
        profiles.ListCohortsRequest(),
        profiles.WatchCohortRequest(cohort_id=calibration_id),
        profiles.ConfirmCohortRequest(request_id=request_id, cohort_id=calibration_id),
        analysis.AnalyzeImageRequest(image=image, profile=revision),
        analysis.AnalyzeFieldsRequest(image=image, profile=revision),
        controls.SetControlRangeRequest(request_id=request_id, range=control_range()),
        controls.ListControlRangesRequest(),
        controls.RetireControlRangeRequest(request_id=request_id, id=set_by_them, reason="because"),
        controls.ListControlChartsRequest(),
        controls.GetControlChartRequest(key=controls.ControlChartKey(marker="ER", kind="positive", measure="HSCORE")),
        admin.ListLabsRequest(),
        admin.ListDestinationsRequest(),
        admin.ListArchivesRequest(),
        admin.ListDeliveriesRequest(),
        admin.ReplayDeliveriesRequest(delivery_id=delivery.id),
        admin.QueryAuditRequest(),
        admin.VerifyAuditRequest(),
    ]
    by_type = {type(r).DESCRIPTOR.full_name: r for r in requests}
    return {method: by_type[described(method).input_type.full_name] for method in METHODS}


def control_range() -> controls.ControlRange:
    return controls.ControlRange(marker="ER", kind="positive", measure="HSCORE", low=100)


HARMLESS = {"CreateOrder", "CreateProfile", "ListArchives", "VerifyAudit", "SetControlRange"}
"""Those that make something of one's own, or know no laboratory: they may be answered, of one's own."""


@pytest.fixture(scope="module")
def unbound(api: Api, authority: Authority) -> Iterator[Api]:
    """A server whose database account no row-level security binds: what it keeps apart, its queries do."""
    quiet = api.service.settings.model_copy(update={"grpc": settings.Grpc(port=0, rate=100_000)})
    server = start(replace(api.service, settings=quiet, database=api.owner))
    assert server is not None
    with grpc.secure_channel(f"localhost:{server.port}", grpc.ssl_channel_credentials(authority.pem)) as channel:
        yield replace(api, channel=channel)
    server.stop(1)


@pytest.mark.parametrize("method", METHODS)
def test_a_laboratory_sees_nothing_of_another_s_even_without_row_level_security(
    unbound: Api, theirs: dict[str, Message], method: str
) -> None:
    check_isolated(unbound, theirs, method)


@pytest.mark.parametrize("method", METHODS)
def test_a_laboratory_sees_nothing_of_another_s(api: Api, theirs: dict[str, Message], method: str) -> None:
    check_isolated(api, theirs, method)


def check_isolated(api: Api, theirs: dict[str, Message], method: str) -> None:
    """It is as if it were not there: NOT_FOUND, or an answer that names nothing of theirs."""
    roles = [str(role) for role in permissions.ROLES[operation_of(method)]]
    answer = outcome(api, method, theirs[method], api.issuer.token(*roles, lab=OURS))
    name = method.rsplit("/", 1)[1]
    if isinstance(answer, Told):
        assert answer.code is grpc.StatusCode.NOT_FOUND or name in HARMLESS, answer
        assert THEIRS not in answer.message
        return
    assert THEIRS not in str(answer)
    assert name in HARMLESS or all(not list(_items(m)) for m in answer), answer


def _items(message: Message) -> Iterator[object]:
    for field, value in message.ListFields():
        if field.is_repeated:
            yield from (v for v in value if getattr(v, "lab", OURS) not in (OURS, "*"))


def test_another_laboratory_s_things_are_as_they_were(api: Api, theirs: dict[str, Message]) -> None:
    caller = api.caller("lis", "pathologist", "lab-admin", "operator", lab=THEIRS)
    get = theirs["/chromogen.v1.ResultService/GetResult"]
    assert caller.results.GetResult(get).result.state == result_pb2.RESULT_STATE_FINAL
    assert (
        caller.profiles.GetProfile(profiles.GetProfileRequest(name="theirs")).profile.state
        == profile_pb2.PROFILE_STATE_DRAFT
    )
    deliveries = caller.admin.ListDeliveries(admin.ListDeliveriesRequest()).deliveries
    assert [d.state for d in deliveries] == [admin_pb2.DELIVERY_STATE_WAITING]


def test_an_operator_of_all_laboratories_sees_all_and_a_patient_of_none(api: Api, theirs: dict[str, Message]) -> None:
    caller = api.caller("operator", lab="*")
    assert THEIRS in [lab.name for lab in caller.admin.ListLabs(admin.ListLabsRequest()).labs]
    order = caller.orders.GetOrder(theirs["/chromogen.v1.OrderService/GetOrder"]).order
    assert (order.lab, order.HasField("patient")) == (THEIRS, False)


NASTY: dict[str, list[Any]] = {
    "str": ["", "\0", "é\u202e" * 300, "*", "'; DROP TABLE orders; --", "../../etc/passwd", "%s%n{0}", "9" * 400, "-1"],
    "int": [-1, 2**31 - 1, -(2**31)],
    "long": [-1, 2**63 - 1, -(2**63)],
    "float": [float("nan"), float("inf"), -1.0, 1e308, 5e-324],
    "bytes": [b"", b"\0", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff\xd8\xff\xe0" + bytes(50)],
    "bool": [True],
    "enum": [99, -1],
}
KINDS = {
    F.TYPE_STRING: "str",
    F.TYPE_BYTES: "bytes",
    F.TYPE_DOUBLE: "float",
    F.TYPE_FLOAT: "float",
    F.TYPE_BOOL: "bool",
    F.TYPE_ENUM: "enum",
    F.TYPE_INT32: "int",
    F.TYPE_INT64: "long",
}


def mutated(message: Message, depth: int = 4) -> Iterator[Message]:
    """Copies of a message, each with one field, at any depth, set to something nasty."""
    for field in message.DESCRIPTOR.fields:
        if field.type == F.TYPE_MESSAGE:
            if depth and not field.is_repeated:
                for inner in mutated(getattr(message, field.name), depth - 1):
                    copy = duplicate(message)
                    getattr(copy, field.name).CopyFrom(inner)
                    yield copy
            continue
        for value in NASTY[KINDS[field.type]]:
            copy = duplicate(message)
            if field.is_repeated:
                getattr(copy, field.name).append(value)
            else:
                setattr(copy, field.name, value)
            yield copy


def duplicate(message: Message) -> Message:
    made = type(message)()
    made.CopyFrom(message)
    return made


def test_s6_no_field_of_any_method_can_be_filled_so_that_something_breaks(api: Api) -> None:
    """Whatever comes, it is answered or refused with a reason.

    Nothing ends as an error of ours that we did not foresee.
    """
    requests, tried = requests_for(api, "LAB-FUZZ"), 0
    token = api.issuer.token("lis", "pathologist", "lab-admin", "operator", "auditor", lab="LAB-FUZZ")
    for method, request in requests.items():
        for message in mutated(request):
            answer, tried = outcome(api, method, message, token), tried + 1
            broken = isinstance(answer, Told) and answer.reason in (
                "INTERNAL",
                "DATABASE_FAILED",
                "DATABASE_UNREACHABLE",
            )
            assert not broken, (method, str(message)[:300], answer)
    assert tried > 1000
