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

class Compartment(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPARTMENT_UNSPECIFIED: _ClassVar[Compartment]
    COMPARTMENT_STROMA: _ClassVar[Compartment]
    COMPARTMENT_EPITHELIUM: _ClassVar[Compartment]
RESULT_STATE_UNSPECIFIED: ResultState
RESULT_STATE_PRELIMINARY: ResultState
RESULT_STATE_FINAL: ResultState
RESULT_STATE_REJECTED: ResultState
RESULT_STATE_CORRECTED: ResultState
RESULT_STATE_SUPERSEDED: ResultState
COMPARTMENT_UNSPECIFIED: Compartment
COMPARTMENT_STROMA: Compartment
COMPARTMENT_EPITHELIUM: Compartment

class Allred(_message.Message):
    __slots__ = ("proportion", "intensity", "total")
    PROPORTION_FIELD_NUMBER: _ClassVar[int]
    INTENSITY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    proportion: int
    intensity: int
    total: int
    def __init__(self, proportion: _Optional[int] = ..., intensity: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class CompartmentScore(_message.Message):
    __slots__ = ("nuclei", "counts", "h_score", "h_score_ci95", "percent_positive", "allred", "irs")
    NUCLEI_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    H_SCORE_FIELD_NUMBER: _ClassVar[int]
    H_SCORE_CI95_FIELD_NUMBER: _ClassVar[int]
    PERCENT_POSITIVE_FIELD_NUMBER: _ClassVar[int]
    ALLRED_FIELD_NUMBER: _ClassVar[int]
    IRS_FIELD_NUMBER: _ClassVar[int]
    nuclei: int
    counts: _containers.RepeatedScalarFieldContainer[int]
    h_score: float
    h_score_ci95: Interval
    percent_positive: float
    allred: Allred
    irs: int
    def __init__(self, nuclei: _Optional[int] = ..., counts: _Optional[_Iterable[int]] = ..., h_score: _Optional[float] = ..., h_score_ci95: _Optional[_Union[Interval, _Mapping]] = ..., percent_positive: _Optional[float] = ..., allred: _Optional[_Union[Allred, _Mapping]] = ..., irs: _Optional[int] = ...) -> None: ...

class Scores(_message.Message):
    __slots__ = ("stroma", "epithelium", "all")
    STROMA_FIELD_NUMBER: _ClassVar[int]
    EPITHELIUM_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    stroma: CompartmentScore
    epithelium: CompartmentScore
    all: CompartmentScore
    def __init__(self, stroma: _Optional[_Union[CompartmentScore, _Mapping]] = ..., epithelium: _Optional[_Union[CompartmentScore, _Mapping]] = ..., all: _Optional[_Union[CompartmentScore, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "version", "sha256", "engine")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    sha256: str
    engine: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ..., engine: _Optional[str] = ...) -> None: ...

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

class Result(_message.Message):
    __slots__ = ("id", "lab", "order_id", "predecessor_id", "create_time", "profile", "model", "slide", "scores", "tissue_mm2", "warnings", "state", "signed_by", "sign_time", "reason", "research_use_only", "etag", "software_version")
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
    id: str
    lab: str
    order_id: str
    predecessor_id: str
    create_time: _timestamp_pb2.Timestamp
    profile: _profile_pb2.Profile
    model: Model
    slide: SlideFacts
    scores: Scores
    tissue_mm2: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    state: ResultState
    signed_by: str
    sign_time: _timestamp_pb2.Timestamp
    reason: str
    research_use_only: bool
    etag: str
    software_version: str
    def __init__(self, id: _Optional[str] = ..., lab: _Optional[str] = ..., order_id: _Optional[str] = ..., predecessor_id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ..., model: _Optional[_Union[Model, _Mapping]] = ..., slide: _Optional[_Union[SlideFacts, _Mapping]] = ..., scores: _Optional[_Union[Scores, _Mapping]] = ..., tissue_mm2: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ..., state: _Optional[_Union[ResultState, str]] = ..., signed_by: _Optional[str] = ..., sign_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., research_use_only: _Optional[bool] = ..., etag: _Optional[str] = ..., software_version: _Optional[str] = ...) -> None: ...

class Nucleus(_message.Message):
    __slots__ = ("x_px", "y_px", "compartment", "confidence", "hue", "value", "dab_od_centi", "grade")
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    COMPARTMENT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    HUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DAB_OD_CENTI_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    x_px: float
    y_px: float
    compartment: Compartment
    confidence: float
    hue: int
    value: int
    dab_od_centi: int
    grade: int
    def __init__(self, x_px: _Optional[float] = ..., y_px: _Optional[float] = ..., compartment: _Optional[_Union[Compartment, str]] = ..., confidence: _Optional[float] = ..., hue: _Optional[int] = ..., value: _Optional[int] = ..., dab_od_centi: _Optional[int] = ..., grade: _Optional[int] = ...) -> None: ...

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

class NucleiCell(_message.Message):
    __slots__ = ("x_um", "y_um", "counts")
    X_UM_FIELD_NUMBER: _ClassVar[int]
    Y_UM_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    x_um: float
    y_um: float
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, x_um: _Optional[float] = ..., y_um: _Optional[float] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...
