from chromogen.v1 import profile_service_pb2 as _profile_service_pb2
from chromogen.v1 import result_pb2 as _result_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Image(_message.Message):
    __slots__ = ("data", "mpp")
    DATA_FIELD_NUMBER: _ClassVar[int]
    MPP_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    mpp: float
    def __init__(self, data: _Optional[bytes] = ..., mpp: _Optional[float] = ...) -> None: ...

class AnalyzeImageRequest(_message.Message):
    __slots__ = ("image", "profile", "with_cells", "marker")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    WITH_CELLS_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    image: Image
    profile: _profile_service_pb2.ProfileRevision
    with_cells: bool
    marker: str
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ..., profile: _Optional[_Union[_profile_service_pb2.ProfileRevision, _Mapping]] = ..., with_cells: _Optional[bool] = ..., marker: _Optional[str] = ...) -> None: ...

class AnalyzeImageResponse(_message.Message):
    __slots__ = ("scores", "cells", "groups", "warnings", "model", "profile", "seconds")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedCompositeFieldContainer[_result_pb2.Score]
    cells: _result_pb2.Cells
    groups: _containers.RepeatedCompositeFieldContainer[_result_pb2.CellGroup]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    model: _result_pb2.Model
    profile: _profile_service_pb2.ProfileRevision
    seconds: float
    def __init__(self, scores: _Optional[_Iterable[_Union[_result_pb2.Score, _Mapping]]] = ..., cells: _Optional[_Union[_result_pb2.Cells, _Mapping]] = ..., groups: _Optional[_Iterable[_Union[_result_pb2.CellGroup, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_result_pb2.Model, _Mapping]] = ..., profile: _Optional[_Union[_profile_service_pb2.ProfileRevision, _Mapping]] = ..., seconds: _Optional[float] = ...) -> None: ...

class AnalyzeFieldsRequest(_message.Message):
    __slots__ = ("field_id", "image", "profile", "with_cells", "marker", "control")
    FIELD_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    WITH_CELLS_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    field_id: int
    image: Image
    profile: _profile_service_pb2.ProfileRevision
    with_cells: bool
    marker: str
    control: str
    def __init__(self, field_id: _Optional[int] = ..., image: _Optional[_Union[Image, _Mapping]] = ..., profile: _Optional[_Union[_profile_service_pb2.ProfileRevision, _Mapping]] = ..., with_cells: _Optional[bool] = ..., marker: _Optional[str] = ..., control: _Optional[str] = ...) -> None: ...

class AnalyzeFieldsResponse(_message.Message):
    __slots__ = ("field_id", "scores", "cells", "groups", "warnings", "seconds", "running", "fields", "control")
    FIELD_ID_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    field_id: int
    scores: _containers.RepeatedCompositeFieldContainer[_result_pb2.Score]
    cells: _result_pb2.Cells
    groups: _containers.RepeatedCompositeFieldContainer[_result_pb2.CellGroup]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    seconds: float
    running: _containers.RepeatedCompositeFieldContainer[_result_pb2.Score]
    fields: int
    control: _result_pb2.Control
    def __init__(self, field_id: _Optional[int] = ..., scores: _Optional[_Iterable[_Union[_result_pb2.Score, _Mapping]]] = ..., cells: _Optional[_Union[_result_pb2.Cells, _Mapping]] = ..., groups: _Optional[_Iterable[_Union[_result_pb2.CellGroup, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., seconds: _Optional[float] = ..., running: _Optional[_Iterable[_Union[_result_pb2.Score, _Mapping]]] = ..., fields: _Optional[int] = ..., control: _Optional[_Union[_result_pb2.Control, _Mapping]] = ...) -> None: ...
