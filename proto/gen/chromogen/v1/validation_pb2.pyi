import datetime

from chromogen.v1 import result_pb2 as _result_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScoreAgreement(_message.Message):
    __slots__ = ("measure", "display", "region", "unit", "n", "bias", "bias_interval", "limits", "mean_absolute", "agree", "agree_interval", "kappa")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    BIAS_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MEAN_ABSOLUTE_FIELD_NUMBER: _ClassVar[int]
    AGREE_FIELD_NUMBER: _ClassVar[int]
    AGREE_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    KAPPA_FIELD_NUMBER: _ClassVar[int]
    measure: str
    display: str
    region: str
    unit: str
    n: int
    bias: float
    bias_interval: _result_pb2.Interval
    limits: _result_pb2.Interval
    mean_absolute: float
    agree: int
    agree_interval: _result_pb2.Interval
    kappa: float
    def __init__(self, measure: _Optional[str] = ..., display: _Optional[str] = ..., region: _Optional[str] = ..., unit: _Optional[str] = ..., n: _Optional[int] = ..., bias: _Optional[float] = ..., bias_interval: _Optional[_Union[_result_pb2.Interval, _Mapping]] = ..., limits: _Optional[_Union[_result_pb2.Interval, _Mapping]] = ..., mean_absolute: _Optional[float] = ..., agree: _Optional[int] = ..., agree_interval: _Optional[_Union[_result_pb2.Interval, _Mapping]] = ..., kappa: _Optional[float] = ...) -> None: ...

class ValidationSignature(_message.Message):
    __slots__ = ("by", "time")
    BY_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    by: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, by: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Validation(_message.Message):
    __slots__ = ("id", "lab", "profile", "revision", "marker", "model_sha256", "slides", "same_criteria", "agreements", "computed_by", "create_time", "signatures")
    ID_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    SAME_CRITERIA_FIELD_NUMBER: _ClassVar[int]
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    COMPUTED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    id: str
    lab: str
    profile: str
    revision: int
    marker: str
    model_sha256: str
    slides: int
    same_criteria: int
    agreements: _containers.RepeatedCompositeFieldContainer[ScoreAgreement]
    computed_by: str
    create_time: _timestamp_pb2.Timestamp
    signatures: _containers.RepeatedCompositeFieldContainer[ValidationSignature]
    def __init__(self, id: _Optional[str] = ..., lab: _Optional[str] = ..., profile: _Optional[str] = ..., revision: _Optional[int] = ..., marker: _Optional[str] = ..., model_sha256: _Optional[str] = ..., slides: _Optional[int] = ..., same_criteria: _Optional[int] = ..., agreements: _Optional[_Iterable[_Union[ScoreAgreement, _Mapping]]] = ..., computed_by: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., signatures: _Optional[_Iterable[_Union[ValidationSignature, _Mapping]]] = ...) -> None: ...
