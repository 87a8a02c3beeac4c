import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrderState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_STATE_UNSPECIFIED: _ClassVar[OrderState]
    ORDER_STATE_QUEUED: _ClassVar[OrderState]
    ORDER_STATE_RUNNING: _ClassVar[OrderState]
    ORDER_STATE_DONE: _ClassVar[OrderState]
    ORDER_STATE_REFUSED: _ClassVar[OrderState]
    ORDER_STATE_DEAD: _ClassVar[OrderState]
    ORDER_STATE_CANCELLED: _ClassVar[OrderState]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_STAT: _ClassVar[Priority]
    PRIORITY_ASAP: _ClassVar[Priority]
    PRIORITY_ROUTINE: _ClassVar[Priority]
ORDER_STATE_UNSPECIFIED: OrderState
ORDER_STATE_QUEUED: OrderState
ORDER_STATE_RUNNING: OrderState
ORDER_STATE_DONE: OrderState
ORDER_STATE_REFUSED: OrderState
ORDER_STATE_DEAD: OrderState
ORDER_STATE_CANCELLED: OrderState
PRIORITY_UNSPECIFIED: Priority
PRIORITY_STAT: Priority
PRIORITY_ASAP: Priority
PRIORITY_ROUTINE: Priority

class Patient(_message.Message):
    __slots__ = ("id", "id_authority", "family_name", "given_name", "birth_date", "sex")
    ID_FIELD_NUMBER: _ClassVar[int]
    ID_AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    FAMILY_NAME_FIELD_NUMBER: _ClassVar[int]
    GIVEN_NAME_FIELD_NUMBER: _ClassVar[int]
    BIRTH_DATE_FIELD_NUMBER: _ClassVar[int]
    SEX_FIELD_NUMBER: _ClassVar[int]
    id: str
    id_authority: str
    family_name: str
    given_name: str
    birth_date: str
    sex: str
    def __init__(self, id: _Optional[str] = ..., id_authority: _Optional[str] = ..., family_name: _Optional[str] = ..., given_name: _Optional[str] = ..., birth_date: _Optional[str] = ..., sex: _Optional[str] = ...) -> None: ...

class Specimen(_message.Message):
    __slots__ = ("id", "container_id", "site_code", "site_scheme", "site_text", "clone", "stainer", "scanner", "staining_run", "role", "control_kind")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    SITE_CODE_FIELD_NUMBER: _ClassVar[int]
    SITE_SCHEME_FIELD_NUMBER: _ClassVar[int]
    SITE_TEXT_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    STAINER_FIELD_NUMBER: _ClassVar[int]
    SCANNER_FIELD_NUMBER: _ClassVar[int]
    STAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTROL_KIND_FIELD_NUMBER: _ClassVar[int]
    id: str
    container_id: str
    site_code: str
    site_scheme: str
    site_text: str
    clone: str
    stainer: str
    scanner: str
    staining_run: str
    role: str
    control_kind: str
    def __init__(self, id: _Optional[str] = ..., container_id: _Optional[str] = ..., site_code: _Optional[str] = ..., site_scheme: _Optional[str] = ..., site_text: _Optional[str] = ..., clone: _Optional[str] = ..., stainer: _Optional[str] = ..., scanner: _Optional[str] = ..., staining_run: _Optional[str] = ..., role: _Optional[str] = ..., control_kind: _Optional[str] = ...) -> None: ...

class SlideReference(_message.Message):
    __slots__ = ("study_uid", "series_uid", "container_id")
    STUDY_UID_FIELD_NUMBER: _ClassVar[int]
    SERIES_UID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    study_uid: str
    series_uid: str
    container_id: str
    def __init__(self, study_uid: _Optional[str] = ..., series_uid: _Optional[str] = ..., container_id: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("id", "lab", "placer_order_number", "placer_request", "priority", "marker", "procedure_code", "procedure_text", "patient", "specimen", "slide", "request_time", "state", "attempt", "reason", "detail", "progress", "result_id", "create_time", "update_time", "etag", "placer_namespace", "placer_universal_id", "placer_universal_type")
    ID_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    PLACER_ORDER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PLACER_REQUEST_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    PROCEDURE_CODE_FIELD_NUMBER: _ClassVar[int]
    PROCEDURE_TEXT_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    PLACER_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PLACER_UNIVERSAL_ID_FIELD_NUMBER: _ClassVar[int]
    PLACER_UNIVERSAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    id: str
    lab: str
    placer_order_number: str
    placer_request: str
    priority: Priority
    marker: str
    procedure_code: str
    procedure_text: str
    patient: Patient
    specimen: Specimen
    slide: SlideReference
    request_time: _timestamp_pb2.Timestamp
    state: OrderState
    attempt: int
    reason: str
    detail: str
    progress: float
    result_id: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    placer_namespace: str
    placer_universal_id: str
    placer_universal_type: str
    def __init__(self, id: _Optional[str] = ..., lab: _Optional[str] = ..., placer_order_number: _Optional[str] = ..., placer_request: _Optional[str] = ..., priority: _Optional[_Union[Priority, str]] = ..., marker: _Optional[str] = ..., procedure_code: _Optional[str] = ..., procedure_text: _Optional[str] = ..., patient: _Optional[_Union[Patient, _Mapping]] = ..., specimen: _Optional[_Union[Specimen, _Mapping]] = ..., slide: _Optional[_Union[SlideReference, _Mapping]] = ..., request_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[OrderState, str]] = ..., attempt: _Optional[int] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., progress: _Optional[float] = ..., result_id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., placer_namespace: _Optional[str] = ..., placer_universal_id: _Optional[str] = ..., placer_universal_type: _Optional[str] = ...) -> None: ...
