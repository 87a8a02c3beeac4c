import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProfileState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_STATE_UNSPECIFIED: _ClassVar[ProfileState]
    PROFILE_STATE_DRAFT: _ClassVar[ProfileState]
    PROFILE_STATE_ACTIVE: _ClassVar[ProfileState]
    PROFILE_STATE_RETIRED: _ClassVar[ProfileState]
PROFILE_STATE_UNSPECIFIED: ProfileState
PROFILE_STATE_DRAFT: ProfileState
PROFILE_STATE_ACTIVE: ProfileState
PROFILE_STATE_RETIRED: ProfileState

class Criteria(_message.Message):
    __slots__ = ("method", "numbers", "texts")
    class NumbersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class TextsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METHOD_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    method: str
    numbers: _containers.ScalarMap[str, float]
    texts: _containers.ScalarMap[str, str]
    def __init__(self, method: _Optional[str] = ..., numbers: _Optional[_Mapping[str, float]] = ..., texts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("name", "revision", "lab", "marker", "clone", "stainer", "scanner", "criteria", "valid_from", "valid_until", "source", "state", "create_time", "etag", "pathologist", "state_reason", "state_by", "state_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    STAINER_FIELD_NUMBER: _ClassVar[int]
    SCANNER_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    PATHOLOGIST_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_BY_FIELD_NUMBER: _ClassVar[int]
    STATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    lab: str
    marker: str
    clone: str
    stainer: str
    scanner: str
    criteria: Criteria
    valid_from: str
    valid_until: str
    source: str
    state: ProfileState
    create_time: _timestamp_pb2.Timestamp
    etag: str
    pathologist: str
    state_reason: str
    state_by: str
    state_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., lab: _Optional[str] = ..., marker: _Optional[str] = ..., clone: _Optional[str] = ..., stainer: _Optional[str] = ..., scanner: _Optional[str] = ..., criteria: _Optional[_Union[Criteria, _Mapping]] = ..., valid_from: _Optional[str] = ..., valid_until: _Optional[str] = ..., source: _Optional[str] = ..., state: _Optional[_Union[ProfileState, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., pathologist: _Optional[str] = ..., state_reason: _Optional[str] = ..., state_by: _Optional[str] = ..., state_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
