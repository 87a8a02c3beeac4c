import datetime

from chromogen.v1 import plot_pb2 as _plot_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ControlRange(_message.Message):
    __slots__ = ("id", "marker", "kind", "staining_run", "clone", "stainer", "measure", "low", "high", "category", "least_cells", "target", "deviation", "valid_from", "valid_until", "source", "retired", "created_by", "create_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    STAINER_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    LEAST_CELLS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: int
    marker: str
    kind: str
    staining_run: str
    clone: str
    stainer: str
    measure: str
    low: float
    high: float
    category: str
    least_cells: int
    target: float
    deviation: float
    valid_from: str
    valid_until: str
    source: str
    retired: bool
    created_by: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., marker: _Optional[str] = ..., kind: _Optional[str] = ..., staining_run: _Optional[str] = ..., clone: _Optional[str] = ..., stainer: _Optional[str] = ..., measure: _Optional[str] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., category: _Optional[str] = ..., least_cells: _Optional[int] = ..., target: _Optional[float] = ..., deviation: _Optional[float] = ..., valid_from: _Optional[str] = ..., valid_until: _Optional[str] = ..., source: _Optional[str] = ..., retired: _Optional[bool] = ..., created_by: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SetControlRangeRequest(_message.Message):
    __slots__ = ("request_id", "range")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    range: ControlRange
    def __init__(self, request_id: _Optional[str] = ..., range: _Optional[_Union[ControlRange, _Mapping]] = ...) -> None: ...

class SetControlRangeResponse(_message.Message):
    __slots__ = ("range",)
    RANGE_FIELD_NUMBER: _ClassVar[int]
    range: ControlRange
    def __init__(self, range: _Optional[_Union[ControlRange, _Mapping]] = ...) -> None: ...

class ListControlRangesRequest(_message.Message):
    __slots__ = ("marker", "all", "page_size", "page_token")
    MARKER_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    marker: str
    all: bool
    page_size: int
    page_token: str
    def __init__(self, marker: _Optional[str] = ..., all: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListControlRangesResponse(_message.Message):
    __slots__ = ("ranges", "next_page_token")
    RANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[ControlRange]
    next_page_token: str
    def __init__(self, ranges: _Optional[_Iterable[_Union[ControlRange, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetireControlRangeRequest(_message.Message):
    __slots__ = ("request_id", "id", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    id: int
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., id: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class RetireControlRangeResponse(_message.Message):
    __slots__ = ("range",)
    RANGE_FIELD_NUMBER: _ClassVar[int]
    range: ControlRange
    def __init__(self, range: _Optional[_Union[ControlRange, _Mapping]] = ...) -> None: ...

class ControlChartKey(_message.Message):
    __slots__ = ("marker", "kind", "measure", "clone", "stainer")
    MARKER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    STAINER_FIELD_NUMBER: _ClassVar[int]
    marker: str
    kind: str
    measure: str
    clone: str
    stainer: str
    def __init__(self, marker: _Optional[str] = ..., kind: _Optional[str] = ..., measure: _Optional[str] = ..., clone: _Optional[str] = ..., stainer: _Optional[str] = ...) -> None: ...

class ControlPoint(_message.Message):
    __slots__ = ("time", "result_id", "value", "n", "passed", "staining_run", "deviations", "broken")
    TIME_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    STAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    DEVIATIONS_FIELD_NUMBER: _ClassVar[int]
    BROKEN_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    result_id: str
    value: float
    n: int
    passed: bool
    staining_run: str
    deviations: float
    broken: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., result_id: _Optional[str] = ..., value: _Optional[float] = ..., n: _Optional[int] = ..., passed: _Optional[bool] = ..., staining_run: _Optional[str] = ..., deviations: _Optional[float] = ..., broken: _Optional[_Iterable[str]] = ...) -> None: ...

class ControlChart(_message.Message):
    __slots__ = ("key", "target", "deviation", "established", "points", "alarms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    ESTABLISHED_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    key: ControlChartKey
    target: float
    deviation: float
    established: int
    points: _containers.RepeatedCompositeFieldContainer[ControlPoint]
    alarms: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[_Union[ControlChartKey, _Mapping]] = ..., target: _Optional[float] = ..., deviation: _Optional[float] = ..., established: _Optional[int] = ..., points: _Optional[_Iterable[_Union[ControlPoint, _Mapping]]] = ..., alarms: _Optional[_Iterable[str]] = ...) -> None: ...

class ListControlChartsRequest(_message.Message):
    __slots__ = ("marker",)
    MARKER_FIELD_NUMBER: _ClassVar[int]
    marker: str
    def __init__(self, marker: _Optional[str] = ...) -> None: ...

class ListControlChartsResponse(_message.Message):
    __slots__ = ("charts",)
    CHARTS_FIELD_NUMBER: _ClassVar[int]
    charts: _containers.RepeatedCompositeFieldContainer[ControlChart]
    def __init__(self, charts: _Optional[_Iterable[_Union[ControlChart, _Mapping]]] = ...) -> None: ...

class GetControlChartRequest(_message.Message):
    __slots__ = ("key", "limit", "picture")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    key: ControlChartKey
    limit: int
    picture: _plot_pb2.PlotFormat
    def __init__(self, key: _Optional[_Union[ControlChartKey, _Mapping]] = ..., limit: _Optional[int] = ..., picture: _Optional[_Union[_plot_pb2.PlotFormat, str]] = ...) -> None: ...

class GetControlChartResponse(_message.Message):
    __slots__ = ("chart", "picture")
    CHART_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    chart: ControlChart
    picture: bytes
    def __init__(self, chart: _Optional[_Union[ControlChart, _Mapping]] = ..., picture: _Optional[bytes] = ...) -> None: ...
