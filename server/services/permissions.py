"""Who may do what, by operation, whichever door a caller comes by: each door asks `check` before anything else."""

from collections.abc import Iterable

from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason

LIS, PATHOLOGIST, LAB_ADMIN, OPERATOR, AUDITOR = Role.LIS, Role.PATHOLOGIST, Role.LAB_ADMIN, Role.OPERATOR, Role.AUDITOR
_READS_ORDERS = frozenset({LIS, PATHOLOGIST, LAB_ADMIN, OPERATOR})
_READS_RESULTS = frozenset({LIS, PATHOLOGIST, LAB_ADMIN})
_BENCH = frozenset({PATHOLOGIST, LAB_ADMIN})
_OPERATES = frozenset({OPERATOR, LAB_ADMIN})

PAGE: dict[str, frozenset[Role]] = {
    "ListWork": _BENCH,
    "ChangeResult": _BENCH,
    "CommentResult": _BENCH,
    "ShowSlide": _BENCH,
    "DownloadResult": _BENCH,
}
"""What the page alone asks for."""
IMAGES: dict[str, frozenset[Role]] = {
    "InferImage": _BENCH,
    "PostprocessImage": _BENCH,
    "KeepImage": _BENCH,
    "GetImage": _BENCH,
}
"""What is asked of single images, by HTTP alone."""
ROLES: dict[str, frozenset[Role]] = {
    # orders
    "CreateOrder": frozenset({LIS, LAB_ADMIN}),
    "GetOrder": _READS_ORDERS,
    "ListOrders": _READS_ORDERS,
    "CancelOrder": frozenset({LIS, LAB_ADMIN, OPERATOR}),
    "RetryOrder": frozenset({LAB_ADMIN, OPERATOR}),
    "WatchOrder": _READS_ORDERS,
    # results
    "GetResult": _READS_RESULTS,
    "ListResults": _READS_RESULTS,
    "ListSlideHistory": _READS_RESULTS,
    "GetCaseMarkers": _READS_RESULTS,
    "RescoreResult": _BENCH,
    "ListCells": _BENCH,
    "SignResult": frozenset({PATHOLOGIST}),
    "RejectResult": frozenset({PATHOLOGIST}),
    "AmendResult": frozenset({PATHOLOGIST}),
    "EstimateResult": frozenset({PATHOLOGIST}),
    "CompareEstimates": _BENCH,
    # profiles
    "CreateProfile": frozenset({LAB_ADMIN}),
    "GetProfile": _BENCH,
    "ListProfiles": _BENCH,
    "CreateProfileRevision": frozenset({LAB_ADMIN}),
    "ActivateProfile": frozenset({LAB_ADMIN}),
    "RetireProfile": frozenset({LAB_ADMIN}),
    "CompareProfiles": _BENCH,
    "CalibrateProfile": frozenset({LAB_ADMIN}),
    "CalibratePictures": frozenset({LAB_ADMIN}),
    "GetCalibration": _BENCH,
    "ListCalibrations": _BENCH,
    "WatchCalibration": _BENCH,
    "AdoptCalibration": frozenset({LAB_ADMIN}),
    "ValidateProfile": _BENCH,
    "ListValidations": _BENCH,
    "SignValidation": _BENCH,
    "RescoreCohort": _BENCH,
    "GetCohort": _BENCH,
    "ListCohorts": _BENCH,
    "WatchCohort": _BENCH,
    "ConfirmCohort": _BENCH,
    # controls
    "SetControlRange": frozenset({LAB_ADMIN}),
    "ListControlRanges": _BENCH,
    "RetireControlRange": frozenset({LAB_ADMIN}),
    "ListControlCharts": _BENCH,
    "GetControlChart": _BENCH,
    # pictures
    "AnalyzeImage": _BENCH,
    "AnalyzeFields": _BENCH,
    # administration
    "ListLabs": _OPERATES,
    "ListDestinations": _OPERATES,
    "ListArchives": _OPERATES,
    "ListDeliveries": _OPERATES,
    "ReplayDeliveries": frozenset({OPERATOR}),
    "QueryAudit": frozenset({AUDITOR}),
    "VerifyAudit": frozenset({AUDITOR}),
    **PAGE,
    **IMAGES,
}
"""One of them is needed. Operations are named as the methods of the gRPC API, which are unique over its services, and
those of PAGE and IMAGES, which it doesn't have.
"""

GET_ME, GET_SESSION, END_SESSION = "GetMe", "GetSession", "EndSession"
ANYBODY = frozenset({GET_ME, GET_SESSION, END_SESSION, "ServerReflectionInfo"})
"""Operations of every caller with a token: they say nothing of a laboratory's things."""


def check_declared(operations: Iterable[str]) -> None:
    """Raises Refused SETTING_INVALID naming the operations that nobody may call."""
    missing = sorted(operation for operation in operations if operation not in ROLES and operation not in ANYBODY)
    if missing:
        raise Refused(ServiceReason.SETTING_INVALID, f"no permission is declared for {', '.join(missing)}")


def check(caller: Caller, operation: str) -> None:
    """Raises Refused PERMISSION_DENIED, also for an operation that isn't in the table."""
    if operation not in ANYBODY and not ROLES.get(operation, frozenset()) & caller.roles:
        raise Refused(ServiceReason.PERMISSION_DENIED, "none of the token's roles may call this method")
