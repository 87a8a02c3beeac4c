import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
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

class HueValueThresholds(_message.Message):
    __slots__ = ("hue", "left", "right")
    HUE_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    hue: int
    left: int
    right: int
    def __init__(self, hue: _Optional[int] = ..., left: _Optional[int] = ..., right: _Optional[int] = ...) -> None: ...

class DensityThresholds(_message.Message):
    __slots__ = ("weak_centi", "moderate_centi", "strong_centi")
    WEAK_CENTI_FIELD_NUMBER: _ClassVar[int]
    MODERATE_CENTI_FIELD_NUMBER: _ClassVar[int]
    STRONG_CENTI_FIELD_NUMBER: _ClassVar[int]
    weak_centi: int
    moderate_centi: int
    strong_centi: int
    def __init__(self, weak_centi: _Optional[int] = ..., moderate_centi: _Optional[int] = ..., strong_centi: _Optional[int] = ...) -> None: ...

class Thresholds(_message.Message):
    __slots__ = ("hue_value", "density")
    HUE_VALUE_FIELD_NUMBER: _ClassVar[int]
    DENSITY_FIELD_NUMBER: _ClassVar[int]
    hue_value: HueValueThresholds
    density: DensityThresholds
    def __init__(self, hue_value: _Optional[_Union[HueValueThresholds, _Mapping]] = ..., density: _Optional[_Union[DensityThresholds, _Mapping]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("name", "revision", "lab", "marker", "clone", "stainer", "scanner", "thresholds", "valid_from", "valid_until", "source", "state", "create_time", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    STAINER_FIELD_NUMBER: _ClassVar[int]
    SCANNER_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    lab: str
    marker: str
    clone: str
    stainer: str
    scanner: str
    thresholds: Thresholds
    valid_from: str
    valid_until: str
    source: str
    state: ProfileState
    create_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., lab: _Optional[str] = ..., marker: _Optional[str] = ..., clone: _Optional[str] = ..., stainer: _Optional[str] = ..., scanner: _Optional[str] = ..., thresholds: _Optional[_Union[Thresholds, _Mapping]] = ..., valid_from: _Optional[str] = ..., valid_until: _Optional[str] = ..., source: _Optional[str] = ..., state: _Optional[_Union[ProfileState, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...
