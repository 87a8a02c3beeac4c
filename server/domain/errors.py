"""Reasons of the service, beside those of the analysis (`inference.errors`, where the tree is drawn)."""

from enum import StrEnum

from inference.errors import ChromogenError, Failed, Refused

__all__ = ["ChromogenError", "Failed", "Refused", "ServiceReason"]


class ServiceReason(StrEnum):
    """Why an order, message or delivery failed or was refused."""

    MESSAGE_INVALID = "MESSAGE_INVALID"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    CHARSET_UNDECODABLE = "CHARSET_UNDECODABLE"
    MESSAGE_TYPE_UNSUPPORTED = "MESSAGE_TYPE_UNSUPPORTED"
    FIELD_MISSING = "FIELD_MISSING"
    MARKER_UNKNOWN = "MARKER_UNKNOWN"
    NO_PROFILE = "NO_PROFILE"
    PROFILE_CONFLICT = "PROFILE_CONFLICT"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    ORDER_STATE = "ORDER_STATE"
    SLIDE_NOT_FOUND = "SLIDE_NOT_FOUND"
    SPECIMEN_MISMATCH = "SPECIMEN_MISMATCH"
    ARCHIVE_UNREACHABLE = "ARCHIVE_UNREACHABLE"
    DATABASE_UNREACHABLE = "DATABASE_UNREACHABLE"
    DATABASE_FAILED = "DATABASE_FAILED"
    WORKER_LOST = "WORKER_LOST"
    RESULT_UNKNOWN = "RESULT_UNKNOWN"
    DELIVERY_FAILED = "DELIVERY_FAILED"
    SETTING_INVALID = "SETTING_INVALID"
    ATTEMPT_LOST = "ATTEMPT_LOST"
    INTERNAL = "INTERNAL"
