import datetime

from chromogen.v1 import plot_pb2 as _plot_pb2
from chromogen.v1 import profile_service_pb2 as _profile_service_pb2
from chromogen.v1 import result_pb2 as _result_pb2
from chromogen.v1 import validation_pb2 as _validation_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CellsDetail(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CELLS_DETAIL_UNSPECIFIED: _ClassVar[CellsDetail]
    CELLS_DETAIL_POINTS: _ClassVar[CellsDetail]
    CELLS_DETAIL_SQUARES: _ClassVar[CellsDetail]
CELLS_DETAIL_UNSPECIFIED: CellsDetail
CELLS_DETAIL_POINTS: CellsDetail
CELLS_DETAIL_SQUARES: CellsDetail

class GetResultRequest(_message.Message):
    __slots__ = ("result_id", "read_mask")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    read_mask: _field_mask_pb2.FieldMask
    def __init__(self, result_id: _Optional[str] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class GetResultResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.Result
    def __init__(self, result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ...) -> None: ...

class ListResultsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "order_id", "state", "created_from", "created_until")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    order_id: str
    state: _result_pb2.ResultState
    created_from: _timestamp_pb2.Timestamp
    created_until: _timestamp_pb2.Timestamp
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., order_id: _Optional[str] = ..., state: _Optional[_Union[_result_pb2.ResultState, str]] = ..., created_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListResultsResponse(_message.Message):
    __slots__ = ("results", "next_page_token")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_result_pb2.Result]
    next_page_token: str
    def __init__(self, results: _Optional[_Iterable[_Union[_result_pb2.Result, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListSlideHistoryRequest(_message.Message):
    __slots__ = ("series_uid", "container_id")
    SERIES_UID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    series_uid: str
    container_id: str
    def __init__(self, series_uid: _Optional[str] = ..., container_id: _Optional[str] = ...) -> None: ...

class ListSlideHistoryResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_result_pb2.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[_result_pb2.Result, _Mapping]]] = ...) -> None: ...

class GetCaseMarkersRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class MarkerRatio(_message.Message):
    __slots__ = ("marker", "by", "measure", "region", "value")
    MARKER_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    marker: str
    by: str
    measure: str
    region: str
    value: float
    def __init__(self, marker: _Optional[str] = ..., by: _Optional[str] = ..., measure: _Optional[str] = ..., region: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class GetCaseMarkersResponse(_message.Message):
    __slots__ = ("results", "ratios")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    RATIOS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_result_pb2.Result]
    ratios: _containers.RepeatedCompositeFieldContainer[MarkerRatio]
    def __init__(self, results: _Optional[_Iterable[_Union[_result_pb2.Result, _Mapping]]] = ..., ratios: _Optional[_Iterable[_Union[MarkerRatio, _Mapping]]] = ...) -> None: ...

class RescoreResultRequest(_message.Message):
    __slots__ = ("request_id", "result_id", "profile")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    result_id: str
    profile: _profile_service_pb2.ProfileRevision
    def __init__(self, request_id: _Optional[str] = ..., result_id: _Optional[str] = ..., profile: _Optional[_Union[_profile_service_pb2.ProfileRevision, _Mapping]] = ...) -> None: ...

class RescoreResultResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.Result
    def __init__(self, result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ...) -> None: ...

class ListCellsRequest(_message.Message):
    __slots__ = ("result_id", "window", "detail", "square_um", "region", "profile")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SQUARE_UM_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    window: _result_pb2.Window
    detail: CellsDetail
    square_um: float
    region: str
    profile: _profile_service_pb2.ProfileRevision
    def __init__(self, result_id: _Optional[str] = ..., window: _Optional[_Union[_result_pb2.Window, _Mapping]] = ..., detail: _Optional[_Union[CellsDetail, str]] = ..., square_um: _Optional[float] = ..., region: _Optional[str] = ..., profile: _Optional[_Union[_profile_service_pb2.ProfileRevision, _Mapping]] = ...) -> None: ...

class ListCellsResponse(_message.Message):
    __slots__ = ("groups", "regions", "cells", "squares")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    SQUARES_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[_result_pb2.CellGroup]
    regions: _containers.RepeatedScalarFieldContainer[str]
    cells: _result_pb2.Cells
    squares: _containers.RepeatedCompositeFieldContainer[_result_pb2.CellSquare]
    def __init__(self, groups: _Optional[_Iterable[_Union[_result_pb2.CellGroup, _Mapping]]] = ..., regions: _Optional[_Iterable[str]] = ..., cells: _Optional[_Union[_result_pb2.Cells, _Mapping]] = ..., squares: _Optional[_Iterable[_Union[_result_pb2.CellSquare, _Mapping]]] = ...) -> None: ...

class SignResultRequest(_message.Message):
    __slots__ = ("result_id", "etag")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    etag: str
    def __init__(self, result_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class SignResultResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.Result
    def __init__(self, result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ...) -> None: ...

class RejectResultRequest(_message.Message):
    __slots__ = ("result_id", "reason", "etag")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    reason: str
    etag: str
    def __init__(self, result_id: _Optional[str] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class RejectResultResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.Result
    def __init__(self, result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ...) -> None: ...

class AmendResultRequest(_message.Message):
    __slots__ = ("result_id", "replacement_id", "reason", "etag")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    replacement_id: str
    reason: str
    etag: str
    def __init__(self, result_id: _Optional[str] = ..., replacement_id: _Optional[str] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class AmendResultResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.Result
    def __init__(self, result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ...) -> None: ...

class RegionEstimate(_message.Message):
    __slots__ = ("region", "value", "category")
    REGION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    region: str
    value: float
    category: str
    def __init__(self, region: _Optional[str] = ..., value: _Optional[float] = ..., category: _Optional[str] = ...) -> None: ...

class EstimateResultRequest(_message.Message):
    __slots__ = ("result_id", "values")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    values: _containers.RepeatedCompositeFieldContainer[RegionEstimate]
    def __init__(self, result_id: _Optional[str] = ..., values: _Optional[_Iterable[_Union[RegionEstimate, _Mapping]]] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("result_id", "by", "time", "measure", "region", "value", "score_shown", "category")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SCORE_SHOWN_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    by: str
    time: _timestamp_pb2.Timestamp
    measure: str
    region: str
    value: float
    score_shown: bool
    category: str
    def __init__(self, result_id: _Optional[str] = ..., by: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., measure: _Optional[str] = ..., region: _Optional[str] = ..., value: _Optional[float] = ..., score_shown: _Optional[bool] = ..., category: _Optional[str] = ...) -> None: ...

class EstimateResultResponse(_message.Message):
    __slots__ = ("estimates",)
    ESTIMATES_FIELD_NUMBER: _ClassVar[int]
    estimates: _containers.RepeatedCompositeFieldContainer[Estimate]
    def __init__(self, estimates: _Optional[_Iterable[_Union[Estimate, _Mapping]]] = ...) -> None: ...

class CompareEstimatesRequest(_message.Message):
    __slots__ = ("marker", "reader", "made_from", "made_until", "score_shown", "picture", "picture_region")
    MARKER_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    MADE_FROM_FIELD_NUMBER: _ClassVar[int]
    MADE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SCORE_SHOWN_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_REGION_FIELD_NUMBER: _ClassVar[int]
    marker: str
    reader: str
    made_from: _timestamp_pb2.Timestamp
    made_until: _timestamp_pb2.Timestamp
    score_shown: bool
    picture: _plot_pb2.PlotFormat
    picture_region: str
    def __init__(self, marker: _Optional[str] = ..., reader: _Optional[str] = ..., made_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., made_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., score_shown: _Optional[bool] = ..., picture: _Optional[_Union[_plot_pb2.PlotFormat, str]] = ..., picture_region: _Optional[str] = ...) -> None: ...

class ComparedEstimate(_message.Message):
    __slots__ = ("estimate", "marker", "score", "score_category")
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    estimate: Estimate
    marker: str
    score: float
    score_category: str
    def __init__(self, estimate: _Optional[_Union[Estimate, _Mapping]] = ..., marker: _Optional[str] = ..., score: _Optional[float] = ..., score_category: _Optional[str] = ...) -> None: ...

class ReaderAgreement(_message.Message):
    __slots__ = ("lab", "marker", "reader", "agreement")
    LAB_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    lab: str
    marker: str
    reader: str
    agreement: _validation_pb2.ScoreAgreement
    def __init__(self, lab: _Optional[str] = ..., marker: _Optional[str] = ..., reader: _Optional[str] = ..., agreement: _Optional[_Union[_validation_pb2.ScoreAgreement, _Mapping]] = ...) -> None: ...

class CompareEstimatesResponse(_message.Message):
    __slots__ = ("agreements", "compared", "more", "picture")
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    agreements: _containers.RepeatedCompositeFieldContainer[ReaderAgreement]
    compared: _containers.RepeatedCompositeFieldContainer[ComparedEstimate]
    more: bool
    picture: bytes
    def __init__(self, agreements: _Optional[_Iterable[_Union[ReaderAgreement, _Mapping]]] = ..., compared: _Optional[_Iterable[_Union[ComparedEstimate, _Mapping]]] = ..., more: _Optional[bool] = ..., picture: _Optional[bytes] = ...) -> None: ...
