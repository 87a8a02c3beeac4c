import datetime

from chromogen.v1 import profile_pb2 as _profile_pb2
from chromogen.v1 import result_pb2 as _result_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CalibrationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALIBRATION_STATE_UNSPECIFIED: _ClassVar[CalibrationState]
    CALIBRATION_STATE_QUEUED: _ClassVar[CalibrationState]
    CALIBRATION_STATE_RUNNING: _ClassVar[CalibrationState]
    CALIBRATION_STATE_DONE: _ClassVar[CalibrationState]
    CALIBRATION_STATE_FAILED: _ClassVar[CalibrationState]
CALIBRATION_STATE_UNSPECIFIED: CalibrationState
CALIBRATION_STATE_QUEUED: CalibrationState
CALIBRATION_STATE_RUNNING: CalibrationState
CALIBRATION_STATE_DONE: CalibrationState
CALIBRATION_STATE_FAILED: CalibrationState

class AnnotatedNucleus(_message.Message):
    __slots__ = ("x_px", "y_px", "grade")
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    CLASS_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    x_px: float
    y_px: float
    grade: int
    def __init__(self, x_px: _Optional[float] = ..., y_px: _Optional[float] = ..., grade: _Optional[int] = ..., **kwargs) -> None: ...

class RegionScore(_message.Message):
    __slots__ = ("region", "measure", "value")
    REGION_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    region: str
    measure: str
    value: float
    def __init__(self, region: _Optional[str] = ..., measure: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class CalibrationRegion(_message.Message):
    __slots__ = ("result_id", "slide", "window", "annotator", "nuclei", "scores")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ANNOTATOR_FIELD_NUMBER: _ClassVar[int]
    NUCLEI_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    slide: str
    window: _result_pb2.Window
    annotator: str
    nuclei: _containers.RepeatedCompositeFieldContainer[AnnotatedNucleus]
    scores: _containers.RepeatedCompositeFieldContainer[RegionScore]
    def __init__(self, result_id: _Optional[str] = ..., slide: _Optional[str] = ..., window: _Optional[_Union[_result_pb2.Window, _Mapping]] = ..., annotator: _Optional[str] = ..., nuclei: _Optional[_Iterable[_Union[AnnotatedNucleus, _Mapping]]] = ..., scores: _Optional[_Iterable[_Union[RegionScore, _Mapping]]] = ...) -> None: ...

class FittedThreshold(_message.Message):
    __slots__ = ("name", "value", "interval", "flat")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    FLAT_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    interval: _result_pb2.Interval
    flat: _result_pb2.Interval
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., interval: _Optional[_Union[_result_pb2.Interval, _Mapping]] = ..., flat: _Optional[_Union[_result_pb2.Interval, _Mapping]] = ...) -> None: ...

class LeftOutSlide(_message.Message):
    __slots__ = ("slide", "compartment", "quantity", "n", "annotated", "fitted", "error")
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    COMPARTMENT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    ANNOTATED_FIELD_NUMBER: _ClassVar[int]
    FITTED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    slide: str
    compartment: str
    quantity: str
    n: int
    annotated: float
    fitted: float
    error: float
    def __init__(self, slide: _Optional[str] = ..., compartment: _Optional[str] = ..., quantity: _Optional[str] = ..., n: _Optional[int] = ..., annotated: _Optional[float] = ..., fitted: _Optional[float] = ..., error: _Optional[float] = ...) -> None: ...

class CalibrationWarning(_message.Message):
    __slots__ = ("warning", "text")
    WARNING_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    warning: str
    text: str
    def __init__(self, warning: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class AnnotatorAgreement(_message.Message):
    __slots__ = ("names", "criteria", "n", "paired", "kappa_weighted", "kappa_class")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    PAIRED_FIELD_NUMBER: _ClassVar[int]
    KAPPA_WEIGHTED_FIELD_NUMBER: _ClassVar[int]
    KAPPA_CLASS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    criteria: _containers.RepeatedCompositeFieldContainer[_profile_pb2.Criteria]
    n: int
    paired: float
    kappa_weighted: float
    kappa_class: float
    def __init__(self, names: _Optional[_Iterable[str]] = ..., criteria: _Optional[_Iterable[_Union[_profile_pb2.Criteria, _Mapping]]] = ..., n: _Optional[int] = ..., paired: _Optional[float] = ..., kappa_weighted: _Optional[float] = ..., kappa_class: _Optional[float] = ...) -> None: ...

class GradedNuclei(_message.Message):
    __slots__ = ("brown", "blue")
    BROWN_FIELD_NUMBER: _ClassVar[int]
    BLUE_FIELD_NUMBER: _ClassVar[int]
    brown: _containers.RepeatedScalarFieldContainer[int]
    blue: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, brown: _Optional[_Iterable[int]] = ..., blue: _Optional[_Iterable[int]] = ...) -> None: ...

class ThresholdSurface(_message.Message):
    __slots__ = ("left", "right", "error")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    left: _containers.RepeatedScalarFieldContainer[int]
    right: _containers.RepeatedScalarFieldContainer[int]
    error: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, left: _Optional[_Iterable[int]] = ..., right: _Optional[_Iterable[int]] = ..., error: _Optional[_Iterable[float]] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("id", "lab", "profile", "marker", "by", "state", "progress", "reason", "detail", "asked_by", "create_time", "update_time", "criteria", "thresholds", "mean_error", "fit_error", "kappa", "nuclei", "slides", "regions", "left_out", "warnings", "annotators", "source")
    ID_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ASKED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    MEAN_ERROR_FIELD_NUMBER: _ClassVar[int]
    FIT_ERROR_FIELD_NUMBER: _ClassVar[int]
    KAPPA_FIELD_NUMBER: _ClassVar[int]
    NUCLEI_FIELD_NUMBER: _ClassVar[int]
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATORS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    lab: str
    profile: str
    marker: str
    by: str
    state: CalibrationState
    progress: float
    reason: str
    detail: str
    asked_by: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    criteria: _profile_pb2.Criteria
    thresholds: _containers.RepeatedCompositeFieldContainer[FittedThreshold]
    mean_error: float
    fit_error: float
    kappa: float
    nuclei: int
    slides: int
    regions: int
    left_out: _containers.RepeatedCompositeFieldContainer[LeftOutSlide]
    warnings: _containers.RepeatedCompositeFieldContainer[CalibrationWarning]
    annotators: AnnotatorAgreement
    source: str
    def __init__(self, id: _Optional[str] = ..., lab: _Optional[str] = ..., profile: _Optional[str] = ..., marker: _Optional[str] = ..., by: _Optional[str] = ..., state: _Optional[_Union[CalibrationState, str]] = ..., progress: _Optional[float] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., asked_by: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., criteria: _Optional[_Union[_profile_pb2.Criteria, _Mapping]] = ..., thresholds: _Optional[_Iterable[_Union[FittedThreshold, _Mapping]]] = ..., mean_error: _Optional[float] = ..., fit_error: _Optional[float] = ..., kappa: _Optional[float] = ..., nuclei: _Optional[int] = ..., slides: _Optional[int] = ..., regions: _Optional[int] = ..., left_out: _Optional[_Iterable[_Union[LeftOutSlide, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[CalibrationWarning, _Mapping]]] = ..., annotators: _Optional[_Union[AnnotatorAgreement, _Mapping]] = ..., source: _Optional[str] = ...) -> None: ...
