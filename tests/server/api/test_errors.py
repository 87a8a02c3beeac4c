"""Every reason has a status and something that its reader can do; none quotes a patient, a token or a library."""

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from inference.errors import Reason
from server.api.errors import DOMAIN, status_of
from server.domain.errors import Failed, Refused, ServiceReason
from server.services.advice import ADVICE, unexpected

C = grpc.StatusCode
# The contract with clients: changing a status here breaks them.
EXPECTED = {
    "NO_PIXEL_SIZE": C.INVALID_ARGUMENT,
    "TOO_COARSE": C.INVALID_ARGUMENT,
    "NOT_A_SLIDE": C.INVALID_ARGUMENT,
    "SLIDE_DAMAGED": C.INVALID_ARGUMENT,
    "UNSUPPORTED_SYNTAX": C.INVALID_ARGUMENT,
    "WRONG_COLOUR_SPACE": C.INVALID_ARGUMENT,
    "NOT_BRIGHTFIELD": C.INVALID_ARGUMENT,
    "SEVERAL_SLIDES": C.INVALID_ARGUMENT,
    "REGION_INVALID": C.INVALID_ARGUMENT,
    "NO_TISSUE": C.FAILED_PRECONDITION,
    "NOT_IHC": C.FAILED_PRECONDITION,
    "TILES_UNREADABLE": C.FAILED_PRECONDITION,
    "PROFILE_INVALID": C.INVALID_ARGUMENT,
    "MODEL_INVALID": C.FAILED_PRECONDITION,
    "DATASET_INVALID": C.INVALID_ARGUMENT,
    "MANIFEST_INVALID": C.INVALID_ARGUMENT,
    "ANNOTATION_INVALID": C.INVALID_ARGUMENT,
    "CONTROL_INVALID": C.INVALID_ARGUMENT,
    "CONTROL_FAILED": C.FAILED_PRECONDITION,
    "COHORT_EMPTY": C.FAILED_PRECONDITION,
    "ESTIMATE_MISSING": C.FAILED_PRECONDITION,
    "CONTROL_PENDING": C.FAILED_PRECONDITION,
    "CONTROL_RANGE_UNKNOWN": C.NOT_FOUND,
    "PROFILE_EXPIRED": C.FAILED_PRECONDITION,
    "CALIBRATION_IMPOSSIBLE": C.FAILED_PRECONDITION,
    "OUTPUT_NOT_WRITABLE": C.UNAVAILABLE,
    "ENGINE_FAILED": C.UNAVAILABLE,
    "MESSAGE_INVALID": C.INVALID_ARGUMENT,
    "MESSAGE_TOO_LARGE": C.RESOURCE_EXHAUSTED,
    "CHARSET_UNDECODABLE": C.INVALID_ARGUMENT,
    "MESSAGE_TYPE_UNSUPPORTED": C.INVALID_ARGUMENT,
    "FIELD_MISSING": C.INVALID_ARGUMENT,
    "MARKER_UNKNOWN": C.INVALID_ARGUMENT,
    "ASSAY_UNSUPPORTED": C.INVALID_ARGUMENT,
    "CELLS_INVALID": C.DATA_LOSS,
    "NOT_MEMBRANE": C.FAILED_PRECONDITION,
    "NOT_HE": C.FAILED_PRECONDITION,
    "NOT_NUCLEAR": C.FAILED_PRECONDITION,
    "TOO_FEW_CELLS": C.FAILED_PRECONDITION,
    "CYTOPLASMIC_BLUSH": C.FAILED_PRECONDITION,
    "SITE_UNSUPPORTED": C.INVALID_ARGUMENT,
    "COLOUR_MISSING": C.FAILED_PRECONDITION,
    "OUTLINES_MISSING": C.FAILED_PRECONDITION,
    "OUTLINES_UNSUPPORTED": C.INVALID_ARGUMENT,
    "LABORATORY_UNKNOWN": C.PERMISSION_DENIED,
    "SENDER_UNKNOWN": C.PERMISSION_DENIED,
    "NO_PROFILE": C.FAILED_PRECONDITION,
    "PROFILE_CONFLICT": C.ALREADY_EXISTS,
    "ORDER_UNKNOWN": C.NOT_FOUND,
    "ORDER_STATE": C.FAILED_PRECONDITION,
    "ENGINE_UNREACHABLE": C.UNAVAILABLE,
    "SLIDE_NOT_FOUND": C.NOT_FOUND,
    "SPECIMEN_MISMATCH": C.FAILED_PRECONDITION,
    "ARCHIVE_UNREACHABLE": C.UNAVAILABLE,
    "ARCHIVE_DENIED": C.UNAVAILABLE,
    "ARCHIVE_ANSWER": C.UNAVAILABLE,
    "OBJECT_REFUSED": C.FAILED_PRECONDITION,
    "SPOOL_FULL": C.UNAVAILABLE,
    "SPOOL_TOO_SMALL": C.FAILED_PRECONDITION,
    "DATABASE_UNREACHABLE": C.UNAVAILABLE,
    "DATABASE_FAILED": C.INTERNAL,
    "WORKER_LOST": C.ABORTED,
    "TASK_UNKNOWN": C.NOT_FOUND,
    "JOB_STATE": C.FAILED_PRECONDITION,
    "JOB_UNKNOWN": C.NOT_FOUND,
    "VALIDATION_UNKNOWN": C.NOT_FOUND,
    "VALIDATION_IMPOSSIBLE": C.FAILED_PRECONDITION,
    "RESULT_UNKNOWN": C.NOT_FOUND,
    "DELIVERY_FAILED": C.UNAVAILABLE,
    "RECEIVER_ERROR": C.UNAVAILABLE,
    "RECEIVER_REJECTED": C.FAILED_PRECONDITION,
    "SETTING_INVALID": C.INTERNAL,
    "ATTEMPT_LOST": C.ABORTED,
    "INTERNAL": C.INTERNAL,
    "UNAUTHENTICATED": C.UNAUTHENTICATED,
    "TOKEN_INVALID": C.UNAUTHENTICATED,
    "TOKEN_EXPIRED": C.UNAUTHENTICATED,
    "KEYS_UNREACHABLE": C.UNAVAILABLE,
    "PERMISSION_DENIED": C.PERMISSION_DENIED,
    "ARGUMENT_INVALID": C.INVALID_ARGUMENT,
    "PAGE_TOKEN_INVALID": C.INVALID_ARGUMENT,
    "ETAG_MISMATCH": C.ABORTED,
    "REQUEST_ID_REUSED": C.ALREADY_EXISTS,
    "RATE_LIMITED": C.RESOURCE_EXHAUSTED,
    "TOO_MANY_CALLS": C.RESOURCE_EXHAUSTED,
    "TOO_MANY_STREAMS": C.RESOURCE_EXHAUSTED,
    "DEADLINE_EXCEEDED": C.DEADLINE_EXCEEDED,
    "CANCELLED": C.CANCELLED,
    "SERVER_STOPPING": C.UNAVAILABLE,
    "NOT_IMPLEMENTED": C.UNIMPLEMENTED,
    "PROFILE_UNKNOWN": C.NOT_FOUND,
    "PROFILE_STATE": C.FAILED_PRECONDITION,
    "RESULT_STATE": C.FAILED_PRECONDITION,
    "NUCLEI_MISSING": C.DATA_LOSS,
    "DELIVERY_UNKNOWN": C.NOT_FOUND,
    "DELIVERY_STATE": C.FAILED_PRECONDITION,
    "DELIVERY_SUPERSEDED": C.FAILED_PRECONDITION,
}


def test_at_least_forty_reasons_and_every_one_there_is_have_a_status() -> None:
    reasons = {str(reason) for kind in (Reason, ServiceReason) for reason in kind}
    assert reasons == {str(reason) for reason in ADVICE}
    assert len(EXPECTED) >= 40


@pytest.mark.parametrize("name", EXPECTED)
def test_g3_a_reason_has_its_status_and_says_what_to_do(name: str) -> None:
    kinds = [kind(name) for kind in (Reason, ServiceReason) if name in list(kind)]
    for reason in kinds:
        status = status_of(Refused(reason, "one line"))
        assert (status.code, status.message) == (EXPECTED[name].value[0], "one line")
        info = ErrorInfo()
        assert status.details[0].Unpack(info)
        assert (info.reason, info.domain) == (name, DOMAIN)
        assert len(info.metadata["advice"].split()) >= 3
        assert "\n" not in info.metadata["advice"]
        assert info.metadata["retryable"] in ("true", "false")


def test_g3_all_reasons_are_in_the_table_of_this_test() -> None:
    known = {str(r) for r in Reason} | {str(r) for r in ServiceReason}
    assert known - set(EXPECTED) == set()


def test_a_retryable_failure_says_so() -> None:
    info = ErrorInfo()
    status_of(Failed(ServiceReason.DELIVERY_FAILED, "x", retryable=True)).details[0].Unpack(info)
    assert info.metadata["retryable"] == "true"


def test_an_unforeseen_error_says_nothing_of_itself() -> None:
    assert "KeyError" not in status_of(unexpected()).message
