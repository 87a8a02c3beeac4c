"""Who may call what. A method of ours that is not in this table stops the start of the server."""

from collections.abc import Iterable
from dataclasses import dataclass

from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason

PACKAGE = "chromogen.v1"

LIS, PATHOLOGIST, LAB_ADMIN, OPERATOR, AUDITOR = Role.LIS, Role.PATHOLOGIST, Role.LAB_ADMIN, Role.OPERATOR, Role.AUDITOR
_READS_ORDERS = (LIS, PATHOLOGIST, LAB_ADMIN, OPERATOR)
_READS_RESULTS = (LIS, PATHOLOGIST, LAB_ADMIN)
_BENCH = (PATHOLOGIST, LAB_ADMIN)

_TABLE: dict[str, dict[str, tuple[Role, ...]]] = {
    "OrderService": {
        "CreateOrder": (LIS, LAB_ADMIN),
        "GetOrder": _READS_ORDERS,
        "ListOrders": _READS_ORDERS,
        "CancelOrder": (LIS, LAB_ADMIN, OPERATOR),
        "RetryOrder": (LAB_ADMIN, OPERATOR),
        "WatchOrder": _READS_ORDERS,
    },
    "ResultService": {
        "GetResult": _READS_RESULTS,
        "ListResults": _READS_RESULTS,
        "ListSlideHistory": _READS_RESULTS,
        "RescoreResult": _BENCH,
        "ListCells": _BENCH,
        "SignResult": (PATHOLOGIST,),
        "RejectResult": (PATHOLOGIST,),
        "AmendResult": (PATHOLOGIST,),
    },
    "ProfileService": {
        "CreateProfile": (LAB_ADMIN,),
        "GetProfile": _BENCH,
        "ListProfiles": _BENCH,
        "CreateProfileRevision": (LAB_ADMIN,),
        "ActivateProfile": (LAB_ADMIN,),
        "RetireProfile": (LAB_ADMIN,),
        "CompareProfiles": _BENCH,
        "CalibrateProfile": (LAB_ADMIN,),
    },
    "AnalysisService": {
        "AnalyzeImage": _BENCH,
        "AnalyzeFields": _BENCH,
    },
    "AdminService": {
        "ListLabs": (OPERATOR, LAB_ADMIN),
        "ListDestinations": (OPERATOR, LAB_ADMIN),
        "ListArchives": (OPERATOR, LAB_ADMIN),
        "ListDeliveries": (OPERATOR, LAB_ADMIN),
        "ReplayDeliveries": (OPERATOR,),
        "QueryAudit": (AUDITOR,),
        "VerifyAudit": (AUDITOR,),
    },
}

ROLES: dict[str, frozenset[Role]] = {
    f"/{PACKAGE}.{service}/{method}": frozenset(roles)
    for service, methods in _TABLE.items()
    for method, roles in methods.items()
}

PUBLIC = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List"})
"""Without a token: a load balancer has none. It says SERVING or NOT_SERVING, nothing else."""

REFLECTION = frozenset({"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"})
"""With any valid token, where reflection is switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """`roles`: one of them is needed; None: any caller with a token."""

    roles: frozenset[Role] | None


def permission_of(method: str) -> Permission | None:
    """Of a full method name; None: nobody may call it."""
    if method in REFLECTION:
        return Permission(roles=None)
    return Permission(roles=ROLES[method]) if method in ROLES else None


def check_declared(methods: Iterable[str]) -> None:
    """Raises Refused SETTING_INVALID naming the methods that have no permission."""
    missing = sorted(m for m in methods if m not in PUBLIC and permission_of(m) is None)
    if missing:
        raise Refused(ServiceReason.SETTING_INVALID, f"no permission is declared for {', '.join(missing)}")


def check(actor: Caller, method: str) -> None:
    """Raises Refused PERMISSION_DENIED."""
    permission = permission_of(method)
    if permission is None or (permission.roles is not None and not permission.roles & actor.roles):
        raise Refused(ServiceReason.PERMISSION_DENIED, "none of the token's roles may call this method")
