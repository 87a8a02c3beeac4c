import datetime

from chromogen.v1 import calibration_pb2 as _calibration_pb2
from chromogen.v1 import plot_pb2 as _plot_pb2
from chromogen.v1 import profile_pb2 as _profile_pb2
from chromogen.v1 import validation_pb2 as _validation_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CohortState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COHORT_STATE_UNSPECIFIED: _ClassVar[CohortState]
    COHORT_STATE_QUEUED: _ClassVar[CohortState]
    COHORT_STATE_RUNNING: _ClassVar[CohortState]
    COHORT_STATE_DONE: _ClassVar[CohortState]
    COHORT_STATE_FAILED: _ClassVar[CohortState]
COHORT_STATE_UNSPECIFIED: CohortState
COHORT_STATE_QUEUED: CohortState
COHORT_STATE_RUNNING: CohortState
COHORT_STATE_DONE: CohortState
COHORT_STATE_FAILED: CohortState

class CreateProfileRequest(_message.Message):
    __slots__ = ("request_id", "profile")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    profile: _profile_pb2.Profile
    def __init__(self, request_id: _Optional[str] = ..., profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class CreateProfileResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class GetProfileRequest(_message.Message):
    __slots__ = ("name", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class GetProfileResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class ListProfilesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "marker", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    marker: str
    state: _profile_pb2.ProfileState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., marker: _Optional[str] = ..., state: _Optional[_Union[_profile_pb2.ProfileState, str]] = ...) -> None: ...

class ListProfilesResponse(_message.Message):
    __slots__ = ("profiles", "next_page_token")
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[_profile_pb2.Profile]
    next_page_token: str
    def __init__(self, profiles: _Optional[_Iterable[_Union[_profile_pb2.Profile, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateProfileRevisionRequest(_message.Message):
    __slots__ = ("request_id", "name", "criteria", "source", "valid_from", "valid_until", "etag")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    name: str
    criteria: _profile_pb2.Criteria
    source: str
    valid_from: str
    valid_until: str
    etag: str
    def __init__(self, request_id: _Optional[str] = ..., name: _Optional[str] = ..., criteria: _Optional[_Union[_profile_pb2.Criteria, _Mapping]] = ..., source: _Optional[str] = ..., valid_from: _Optional[str] = ..., valid_until: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class CreateProfileRevisionResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class ActivateProfileRequest(_message.Message):
    __slots__ = ("name", "revision", "etag", "reason", "valid_from", "valid_until")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    etag: str
    reason: str
    valid_from: str
    valid_until: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., etag: _Optional[str] = ..., reason: _Optional[str] = ..., valid_from: _Optional[str] = ..., valid_until: _Optional[str] = ...) -> None: ...

class ActivateProfileResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class RetireProfileRequest(_message.Message):
    __slots__ = ("name", "revision", "etag", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    etag: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., etag: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RetireProfileResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class ProfileRevision(_message.Message):
    __slots__ = ("name", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class CompareProfilesRequest(_message.Message):
    __slots__ = ("first", "second", "result_ids", "marker", "created_from", "created_until", "most_results")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    RESULT_IDS_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    MOST_RESULTS_FIELD_NUMBER: _ClassVar[int]
    first: ProfileRevision
    second: ProfileRevision
    result_ids: _containers.RepeatedScalarFieldContainer[str]
    marker: str
    created_from: _timestamp_pb2.Timestamp
    created_until: _timestamp_pb2.Timestamp
    most_results: int
    def __init__(self, first: _Optional[_Union[ProfileRevision, _Mapping]] = ..., second: _Optional[_Union[ProfileRevision, _Mapping]] = ..., result_ids: _Optional[_Iterable[str]] = ..., marker: _Optional[str] = ..., created_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., most_results: _Optional[int] = ...) -> None: ...

class MeasureComparison(_message.Message):
    __slots__ = ("measure", "display", "unit", "first_value", "second_value", "first_category", "second_category")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    FIRST_VALUE_FIELD_NUMBER: _ClassVar[int]
    SECOND_VALUE_FIELD_NUMBER: _ClassVar[int]
    FIRST_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SECOND_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    measure: str
    display: str
    unit: str
    first_value: float
    second_value: float
    first_category: str
    second_category: str
    def __init__(self, measure: _Optional[str] = ..., display: _Optional[str] = ..., unit: _Optional[str] = ..., first_value: _Optional[float] = ..., second_value: _Optional[float] = ..., first_category: _Optional[str] = ..., second_category: _Optional[str] = ...) -> None: ...

class ProfileComparison(_message.Message):
    __slots__ = ("result_id", "cells", "measures")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    cells: int
    measures: _containers.RepeatedCompositeFieldContainer[MeasureComparison]
    def __init__(self, result_id: _Optional[str] = ..., cells: _Optional[int] = ..., measures: _Optional[_Iterable[_Union[MeasureComparison, _Mapping]]] = ...) -> None: ...

class MeasureDifference(_message.Message):
    __slots__ = ("measure", "display", "results", "mean", "largest")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    LARGEST_FIELD_NUMBER: _ClassVar[int]
    measure: str
    display: str
    results: int
    mean: float
    largest: float
    def __init__(self, measure: _Optional[str] = ..., display: _Optional[str] = ..., results: _Optional[int] = ..., mean: _Optional[float] = ..., largest: _Optional[float] = ...) -> None: ...

class CategoryChange(_message.Message):
    __slots__ = ("measure", "display", "results", "changed_ids")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_IDS_FIELD_NUMBER: _ClassVar[int]
    measure: str
    display: str
    results: int
    changed_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, measure: _Optional[str] = ..., display: _Optional[str] = ..., results: _Optional[int] = ..., changed_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CompareProfilesResponse(_message.Message):
    __slots__ = ("comparisons", "differences", "changes", "first")
    COMPARISONS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    comparisons: _containers.RepeatedCompositeFieldContainer[ProfileComparison]
    differences: _containers.RepeatedCompositeFieldContainer[MeasureDifference]
    changes: _containers.RepeatedCompositeFieldContainer[CategoryChange]
    first: ProfileRevision
    def __init__(self, comparisons: _Optional[_Iterable[_Union[ProfileComparison, _Mapping]]] = ..., differences: _Optional[_Iterable[_Union[MeasureDifference, _Mapping]]] = ..., changes: _Optional[_Iterable[_Union[CategoryChange, _Mapping]]] = ..., first: _Optional[_Union[ProfileRevision, _Mapping]] = ...) -> None: ...

class CalibrateProfileRequest(_message.Message):
    __slots__ = ("request_id", "name", "result_ids", "h_scores", "marker", "by", "method", "hue_by", "regions")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESULT_IDS_FIELD_NUMBER: _ClassVar[int]
    H_SCORES_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    HUE_BY_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    name: str
    result_ids: _containers.RepeatedScalarFieldContainer[str]
    h_scores: _containers.RepeatedScalarFieldContainer[float]
    marker: str
    by: str
    method: str
    hue_by: str
    regions: _containers.RepeatedCompositeFieldContainer[_calibration_pb2.CalibrationRegion]
    def __init__(self, request_id: _Optional[str] = ..., name: _Optional[str] = ..., result_ids: _Optional[_Iterable[str]] = ..., h_scores: _Optional[_Iterable[float]] = ..., marker: _Optional[str] = ..., by: _Optional[str] = ..., method: _Optional[str] = ..., hue_by: _Optional[str] = ..., regions: _Optional[_Iterable[_Union[_calibration_pb2.CalibrationRegion, _Mapping]]] = ...) -> None: ...

class AnnotatedPicture(_message.Message):
    __slots__ = ("data", "mpp", "region")
    DATA_FIELD_NUMBER: _ClassVar[int]
    MPP_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    mpp: float
    region: _calibration_pb2.CalibrationRegion
    def __init__(self, data: _Optional[bytes] = ..., mpp: _Optional[float] = ..., region: _Optional[_Union[_calibration_pb2.CalibrationRegion, _Mapping]] = ...) -> None: ...

class CalibratePicturesRequest(_message.Message):
    __slots__ = ("calibration", "picture", "pictures")
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    calibration: CalibrateProfileRequest
    picture: AnnotatedPicture
    pictures: int
    def __init__(self, calibration: _Optional[_Union[CalibrateProfileRequest, _Mapping]] = ..., picture: _Optional[_Union[AnnotatedPicture, _Mapping]] = ..., pictures: _Optional[int] = ...) -> None: ...

class CalibratePicturesResponse(_message.Message):
    __slots__ = ("pictures", "nuclei", "warnings", "calibration")
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    NUCLEI_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    pictures: int
    nuclei: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    calibration: _calibration_pb2.Calibration
    def __init__(self, pictures: _Optional[int] = ..., nuclei: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., calibration: _Optional[_Union[_calibration_pb2.Calibration, _Mapping]] = ...) -> None: ...

class CalibrateProfileResponse(_message.Message):
    __slots__ = ("profile", "leave_one_out_error", "calibration")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    LEAVE_ONE_OUT_ERROR_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    leave_one_out_error: float
    calibration: _calibration_pb2.Calibration
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ..., leave_one_out_error: _Optional[float] = ..., calibration: _Optional[_Union[_calibration_pb2.Calibration, _Mapping]] = ...) -> None: ...

class GetCalibrationRequest(_message.Message):
    __slots__ = ("calibration_id", "picture")
    CALIBRATION_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    calibration_id: str
    picture: _plot_pb2.PlotFormat
    def __init__(self, calibration_id: _Optional[str] = ..., picture: _Optional[_Union[_plot_pb2.PlotFormat, str]] = ...) -> None: ...

class GetCalibrationResponse(_message.Message):
    __slots__ = ("calibration", "nuclei", "surface", "nuclei_picture", "surface_picture")
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    NUCLEI_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    NUCLEI_PICTURE_FIELD_NUMBER: _ClassVar[int]
    SURFACE_PICTURE_FIELD_NUMBER: _ClassVar[int]
    calibration: _calibration_pb2.Calibration
    nuclei: _calibration_pb2.GradedNuclei
    surface: _calibration_pb2.ThresholdSurface
    nuclei_picture: bytes
    surface_picture: bytes
    def __init__(self, calibration: _Optional[_Union[_calibration_pb2.Calibration, _Mapping]] = ..., nuclei: _Optional[_Union[_calibration_pb2.GradedNuclei, _Mapping]] = ..., surface: _Optional[_Union[_calibration_pb2.ThresholdSurface, _Mapping]] = ..., nuclei_picture: _Optional[bytes] = ..., surface_picture: _Optional[bytes] = ...) -> None: ...

class ListCalibrationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCalibrationsResponse(_message.Message):
    __slots__ = ("calibrations", "next_page_token")
    CALIBRATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    calibrations: _containers.RepeatedCompositeFieldContainer[_calibration_pb2.Calibration]
    next_page_token: str
    def __init__(self, calibrations: _Optional[_Iterable[_Union[_calibration_pb2.Calibration, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchCalibrationRequest(_message.Message):
    __slots__ = ("calibration_id",)
    CALIBRATION_ID_FIELD_NUMBER: _ClassVar[int]
    calibration_id: str
    def __init__(self, calibration_id: _Optional[str] = ...) -> None: ...

class WatchCalibrationResponse(_message.Message):
    __slots__ = ("calibration",)
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    calibration: _calibration_pb2.Calibration
    def __init__(self, calibration: _Optional[_Union[_calibration_pb2.Calibration, _Mapping]] = ...) -> None: ...

class AdoptCalibrationRequest(_message.Message):
    __slots__ = ("request_id", "calibration_id", "clone", "stainer", "scanner", "pathologist", "valid_from", "valid_until")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ID_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    STAINER_FIELD_NUMBER: _ClassVar[int]
    SCANNER_FIELD_NUMBER: _ClassVar[int]
    PATHOLOGIST_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    calibration_id: str
    clone: str
    stainer: str
    scanner: str
    pathologist: str
    valid_from: str
    valid_until: str
    def __init__(self, request_id: _Optional[str] = ..., calibration_id: _Optional[str] = ..., clone: _Optional[str] = ..., stainer: _Optional[str] = ..., scanner: _Optional[str] = ..., pathologist: _Optional[str] = ..., valid_from: _Optional[str] = ..., valid_until: _Optional[str] = ...) -> None: ...

class AdoptCalibrationResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class ScoredSlide(_message.Message):
    __slots__ = ("result_id", "scores")
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    scores: _containers.RepeatedCompositeFieldContainer[_calibration_pb2.RegionScore]
    def __init__(self, result_id: _Optional[str] = ..., scores: _Optional[_Iterable[_Union[_calibration_pb2.RegionScore, _Mapping]]] = ...) -> None: ...

class ValidateProfileRequest(_message.Message):
    __slots__ = ("request_id", "profile", "marker", "slides")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    profile: ProfileRevision
    marker: str
    slides: _containers.RepeatedCompositeFieldContainer[ScoredSlide]
    def __init__(self, request_id: _Optional[str] = ..., profile: _Optional[_Union[ProfileRevision, _Mapping]] = ..., marker: _Optional[str] = ..., slides: _Optional[_Iterable[_Union[ScoredSlide, _Mapping]]] = ...) -> None: ...

class ValidateProfileResponse(_message.Message):
    __slots__ = ("validation",)
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    validation: _validation_pb2.Validation
    def __init__(self, validation: _Optional[_Union[_validation_pb2.Validation, _Mapping]] = ...) -> None: ...

class ListValidationsRequest(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: ProfileRevision
    def __init__(self, profile: _Optional[_Union[ProfileRevision, _Mapping]] = ...) -> None: ...

class ListValidationsResponse(_message.Message):
    __slots__ = ("validations",)
    VALIDATIONS_FIELD_NUMBER: _ClassVar[int]
    validations: _containers.RepeatedCompositeFieldContainer[_validation_pb2.Validation]
    def __init__(self, validations: _Optional[_Iterable[_Union[_validation_pb2.Validation, _Mapping]]] = ...) -> None: ...

class SignValidationRequest(_message.Message):
    __slots__ = ("validation_id",)
    VALIDATION_ID_FIELD_NUMBER: _ClassVar[int]
    validation_id: str
    def __init__(self, validation_id: _Optional[str] = ...) -> None: ...

class SignValidationResponse(_message.Message):
    __slots__ = ("validation",)
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    validation: _validation_pb2.Validation
    def __init__(self, validation: _Optional[_Union[_validation_pb2.Validation, _Mapping]] = ...) -> None: ...

class RescoreCohortRequest(_message.Message):
    __slots__ = ("request_id", "marker", "profile", "reason", "received_from", "received_until", "scored_by")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FROM_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SCORED_BY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    marker: str
    profile: ProfileRevision
    reason: str
    received_from: _timestamp_pb2.Timestamp
    received_until: _timestamp_pb2.Timestamp
    scored_by: ProfileRevision
    def __init__(self, request_id: _Optional[str] = ..., marker: _Optional[str] = ..., profile: _Optional[_Union[ProfileRevision, _Mapping]] = ..., reason: _Optional[str] = ..., received_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., scored_by: _Optional[_Union[ProfileRevision, _Mapping]] = ...) -> None: ...

class CohortChange(_message.Message):
    __slots__ = ("result_id", "order_id", "signed", "measure", "before", "after", "categories_before", "categories_after", "changed")
    class CategoriesBeforeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class CategoriesAfterEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_AFTER_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    result_id: str
    order_id: str
    signed: bool
    measure: str
    before: float
    after: float
    categories_before: _containers.ScalarMap[str, str]
    categories_after: _containers.ScalarMap[str, str]
    changed: bool
    def __init__(self, result_id: _Optional[str] = ..., order_id: _Optional[str] = ..., signed: _Optional[bool] = ..., measure: _Optional[str] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., categories_before: _Optional[_Mapping[str, str]] = ..., categories_after: _Optional[_Mapping[str, str]] = ..., changed: _Optional[bool] = ...) -> None: ...

class Cohort(_message.Message):
    __slots__ = ("id", "state", "progress", "results", "changed", "changes", "made", "left_out", "reason", "detail", "profile", "marker", "confirms_id", "asked_by", "purpose", "create_time")
    class LeftOutEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    CONFIRMS_ID_FIELD_NUMBER: _ClassVar[int]
    ASKED_BY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: CohortState
    progress: float
    results: int
    changed: int
    changes: _containers.RepeatedCompositeFieldContainer[CohortChange]
    made: _containers.RepeatedScalarFieldContainer[str]
    left_out: _containers.ScalarMap[str, str]
    reason: str
    detail: str
    profile: ProfileRevision
    marker: str
    confirms_id: str
    asked_by: str
    purpose: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[CohortState, str]] = ..., progress: _Optional[float] = ..., results: _Optional[int] = ..., changed: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[CohortChange, _Mapping]]] = ..., made: _Optional[_Iterable[str]] = ..., left_out: _Optional[_Mapping[str, str]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., profile: _Optional[_Union[ProfileRevision, _Mapping]] = ..., marker: _Optional[str] = ..., confirms_id: _Optional[str] = ..., asked_by: _Optional[str] = ..., purpose: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RescoreCohortResponse(_message.Message):
    __slots__ = ("cohort",)
    COHORT_FIELD_NUMBER: _ClassVar[int]
    cohort: Cohort
    def __init__(self, cohort: _Optional[_Union[Cohort, _Mapping]] = ...) -> None: ...

class GetCohortRequest(_message.Message):
    __slots__ = ("cohort_id", "picture")
    COHORT_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    cohort_id: str
    picture: _plot_pb2.PlotFormat
    def __init__(self, cohort_id: _Optional[str] = ..., picture: _Optional[_Union[_plot_pb2.PlotFormat, str]] = ...) -> None: ...

class GetCohortResponse(_message.Message):
    __slots__ = ("cohort", "picture")
    COHORT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    cohort: Cohort
    picture: bytes
    def __init__(self, cohort: _Optional[_Union[Cohort, _Mapping]] = ..., picture: _Optional[bytes] = ...) -> None: ...

class ListCohortsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "confirmations")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATIONS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    confirmations: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., confirmations: _Optional[bool] = ...) -> None: ...

class ListCohortsResponse(_message.Message):
    __slots__ = ("cohorts", "next_page_token")
    COHORTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    cohorts: _containers.RepeatedCompositeFieldContainer[Cohort]
    next_page_token: str
    def __init__(self, cohorts: _Optional[_Iterable[_Union[Cohort, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchCohortRequest(_message.Message):
    __slots__ = ("cohort_id",)
    COHORT_ID_FIELD_NUMBER: _ClassVar[int]
    cohort_id: str
    def __init__(self, cohort_id: _Optional[str] = ...) -> None: ...

class WatchCohortResponse(_message.Message):
    __slots__ = ("cohort",)
    COHORT_FIELD_NUMBER: _ClassVar[int]
    cohort: Cohort
    def __init__(self, cohort: _Optional[_Union[Cohort, _Mapping]] = ...) -> None: ...

class ConfirmCohortRequest(_message.Message):
    __slots__ = ("request_id", "cohort_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COHORT_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    cohort_id: str
    def __init__(self, request_id: _Optional[str] = ..., cohort_id: _Optional[str] = ...) -> None: ...

class ConfirmCohortResponse(_message.Message):
    __slots__ = ("cohort",)
    COHORT_FIELD_NUMBER: _ClassVar[int]
    cohort: Cohort
    def __init__(self, cohort: _Optional[_Union[Cohort, _Mapping]] = ...) -> None: ...
