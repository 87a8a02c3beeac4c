import datetime

from chromogen.v1 import profile_pb2 as _profile_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResultState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESULT_STATE_UNSPECIFIED: _ClassVar[ResultState]
    RESULT_STATE_PRELIMINARY: _ClassVar[ResultState]
    RESULT_STATE_FINAL: _ClassVar[ResultState]
    RESULT_STATE_REJECTED: _ClassVar[ResultState]
    RESULT_STATE_CORRECTED: _ClassVar[ResultState]
    RESULT_STATE_SUPERSEDED: _ClassVar[ResultState]

class ControlStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTROL_STATUS_UNSPECIFIED: _ClassVar[ControlStatus]
    CONTROL_STATUS_PASSED: _ClassVar[ControlStatus]
    CONTROL_STATUS_FAILED: _ClassVar[ControlStatus]
    CONTROL_STATUS_ABSENT: _ClassVar[ControlStatus]
RESULT_STATE_UNSPECIFIED: ResultState
RESULT_STATE_PRELIMINARY: ResultState
RESULT_STATE_FINAL: ResultState
RESULT_STATE_REJECTED: ResultState
RESULT_STATE_CORRECTED: ResultState
RESULT_STATE_SUPERSEDED: ResultState
CONTROL_STATUS_UNSPECIFIED: ControlStatus
CONTROL_STATUS_PASSED: ControlStatus
CONTROL_STATUS_FAILED: ControlStatus
CONTROL_STATUS_ABSENT: ControlStatus

class Interval(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("code", "scheme", "display", "region", "value", "category", "unit", "interval", "n", "measure", "comment", "rule")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    code: str
    scheme: str
    display: str
    region: str
    value: float
    category: str
    unit: str
    interval: Interval
    n: int
    measure: str
    comment: str
    rule: str
    def __init__(self, code: _Optional[str] = ..., scheme: _Optional[str] = ..., display: _Optional[str] = ..., region: _Optional[str] = ..., value: _Optional[float] = ..., category: _Optional[str] = ..., unit: _Optional[str] = ..., interval: _Optional[_Union[Interval, _Mapping]] = ..., n: _Optional[int] = ..., measure: _Optional[str] = ..., comment: _Optional[str] = ..., rule: _Optional[str] = ...) -> None: ...

class Graph(_message.Message):
    __slots__ = ("name", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    sha256: str
    def __init__(self, name: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "version", "sha256", "engine", "graphs")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    GRAPHS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    sha256: str
    engine: str
    graphs: _containers.RepeatedCompositeFieldContainer[Graph]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ..., engine: _Optional[str] = ..., graphs: _Optional[_Iterable[_Union[Graph, _Mapping]]] = ...) -> None: ...

class SlideFacts(_message.Message):
    __slots__ = ("mpp", "width_px", "height_px", "study_uid", "series_uid", "container_id", "sha256", "icc_sha256")
    MPP_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    STUDY_UID_FIELD_NUMBER: _ClassVar[int]
    SERIES_UID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    ICC_SHA256_FIELD_NUMBER: _ClassVar[int]
    mpp: float
    width_px: int
    height_px: int
    study_uid: str
    series_uid: str
    container_id: str
    sha256: str
    icc_sha256: str
    def __init__(self, mpp: _Optional[float] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., study_uid: _Optional[str] = ..., series_uid: _Optional[str] = ..., container_id: _Optional[str] = ..., sha256: _Optional[str] = ..., icc_sha256: _Optional[str] = ...) -> None: ...

class ProfileAlternative(_message.Message):
    __slots__ = ("profile", "against")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    profile: str
    against: str
    def __init__(self, profile: _Optional[str] = ..., against: _Optional[str] = ...) -> None: ...

class ProfileChoice(_message.Message):
    __slots__ = ("clone", "stainer", "scanner", "by_slide", "alternatives", "validation_id")
    CLONE_FIELD_NUMBER: _ClassVar[int]
    STAINER_FIELD_NUMBER: _ClassVar[int]
    SCANNER_FIELD_NUMBER: _ClassVar[int]
    BY_SLIDE_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_ID_FIELD_NUMBER: _ClassVar[int]
    clone: str
    stainer: str
    scanner: str
    by_slide: _containers.RepeatedScalarFieldContainer[str]
    alternatives: _containers.RepeatedCompositeFieldContainer[ProfileAlternative]
    validation_id: str
    def __init__(self, clone: _Optional[str] = ..., stainer: _Optional[str] = ..., scanner: _Optional[str] = ..., by_slide: _Optional[_Iterable[str]] = ..., alternatives: _Optional[_Iterable[_Union[ProfileAlternative, _Mapping]]] = ..., validation_id: _Optional[str] = ...) -> None: ...

class ControlCore(_message.Message):
    __slots__ = ("expected", "found", "passed", "measure", "value", "category", "low", "high", "expected_category", "n")
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    expected: str
    found: str
    passed: bool
    measure: str
    value: float
    category: str
    low: float
    high: float
    expected_category: str
    n: int
    def __init__(self, expected: _Optional[str] = ..., found: _Optional[str] = ..., passed: _Optional[bool] = ..., measure: _Optional[str] = ..., value: _Optional[float] = ..., category: _Optional[str] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., expected_category: _Optional[str] = ..., n: _Optional[int] = ...) -> None: ...

class Control(_message.Message):
    __slots__ = ("status", "cores", "withheld", "detail", "staining_run", "run_result_id", "is_slide")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    RUN_RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    IS_SLIDE_FIELD_NUMBER: _ClassVar[int]
    status: ControlStatus
    cores: _containers.RepeatedCompositeFieldContainer[ControlCore]
    withheld: str
    detail: str
    staining_run: str
    run_result_id: str
    is_slide: bool
    def __init__(self, status: _Optional[_Union[ControlStatus, str]] = ..., cores: _Optional[_Iterable[_Union[ControlCore, _Mapping]]] = ..., withheld: _Optional[str] = ..., detail: _Optional[str] = ..., staining_run: _Optional[str] = ..., run_result_id: _Optional[str] = ..., is_slide: _Optional[bool] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("id", "lab", "order_id", "predecessor_id", "create_time", "profile", "model", "slide", "scores", "tissue_mm2", "warnings", "state", "signed_by", "sign_time", "reason", "research_use_only", "etag", "software_version", "marker", "clinical_region", "profile_choice", "control")
    ID_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PREDECESSOR_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    TISSUE_MM2_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    SIGN_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESEARCH_USE_ONLY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    CLINICAL_REGION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_CHOICE_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    id: str
    lab: str
    order_id: str
    predecessor_id: str
    create_time: _timestamp_pb2.Timestamp
    profile: _profile_pb2.Profile
    model: Model
    slide: SlideFacts
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    tissue_mm2: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    state: ResultState
    signed_by: str
    sign_time: _timestamp_pb2.Timestamp
    reason: str
    research_use_only: bool
    etag: str
    software_version: str
    marker: str
    clinical_region: str
    profile_choice: ProfileChoice
    control: Control
    def __init__(self, id: _Optional[str] = ..., lab: _Optional[str] = ..., order_id: _Optional[str] = ..., predecessor_id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ..., model: _Optional[_Union[Model, _Mapping]] = ..., slide: _Optional[_Union[SlideFacts, _Mapping]] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., tissue_mm2: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ..., state: _Optional[_Union[ResultState, str]] = ..., signed_by: _Optional[str] = ..., sign_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., research_use_only: _Optional[bool] = ..., etag: _Optional[str] = ..., software_version: _Optional[str] = ..., marker: _Optional[str] = ..., clinical_region: _Optional[str] = ..., profile_choice: _Optional[_Union[ProfileChoice, _Mapping]] = ..., control: _Optional[_Union[Control, _Mapping]] = ...) -> None: ...

class CellGroup(_message.Message):
    __slots__ = ("name", "title", "region")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    region: str
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., region: _Optional[str] = ...) -> None: ...

class Measurement(_message.Message):
    __slots__ = ("name", "unit", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class Cells(_message.Message):
    __slots__ = ("x_px", "y_px", "group", "confidence", "measurements")
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    x_px: _containers.RepeatedScalarFieldContainer[float]
    y_px: _containers.RepeatedScalarFieldContainer[float]
    group: _containers.RepeatedScalarFieldContainer[int]
    confidence: _containers.RepeatedScalarFieldContainer[float]
    measurements: _containers.RepeatedCompositeFieldContainer[Measurement]
    def __init__(self, x_px: _Optional[_Iterable[float]] = ..., y_px: _Optional[_Iterable[float]] = ..., group: _Optional[_Iterable[int]] = ..., confidence: _Optional[_Iterable[float]] = ..., measurements: _Optional[_Iterable[_Union[Measurement, _Mapping]]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("x_px", "y_px", "width_px", "height_px")
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    def __init__(self, x_px: _Optional[int] = ..., y_px: _Optional[int] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ...) -> None: ...

class CellSquare(_message.Message):
    __slots__ = ("x_um", "y_um", "counts")
    X_UM_FIELD_NUMBER: _ClassVar[int]
    Y_UM_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    x_um: float
    y_um: float
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, x_um: _Optional[float] = ..., y_um: _Optional[float] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...
