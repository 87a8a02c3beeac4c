"""The exception tree.

    ChromogenError          reason (UPPER_SNAKE), retryable, and one line for a person
    ├── Refused             the input can't be scored rightly: never retried; exit code 2
    └── Failed              something here or at a neighbour broke; exit code 1; retried where `retryable`

`server.domain.errors` adds the reasons of the service. A message names the thing and what to do and holds no patient
data.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a slide, image, region or model can't be used."""

    NO_PIXEL_SIZE = "NO_PIXEL_SIZE"
    TOO_COARSE = "TOO_COARSE"
    NOT_A_SLIDE = "NOT_A_SLIDE"
    SLIDE_DAMAGED = "SLIDE_DAMAGED"
    UNSUPPORTED_SYNTAX = "UNSUPPORTED_SYNTAX"
    WRONG_COLOUR_SPACE = "WRONG_COLOUR_SPACE"
    NOT_BRIGHTFIELD = "NOT_BRIGHTFIELD"
    SEVERAL_SLIDES = "SEVERAL_SLIDES"
    REGION_INVALID = "REGION_INVALID"
    ASSAY_UNSUPPORTED = "ASSAY_UNSUPPORTED"
    NO_TISSUE = "NO_TISSUE"
    NOT_IHC = "NOT_IHC"
    NOT_MEMBRANE = "NOT_MEMBRANE"
    NOT_NUCLEAR = "NOT_NUCLEAR"
    NOT_HE = "NOT_HE"
    TOO_FEW_CELLS = "TOO_FEW_CELLS"
    CYTOPLASMIC_BLUSH = "CYTOPLASMIC_BLUSH"
    SITE_UNSUPPORTED = "SITE_UNSUPPORTED"
    TILES_UNREADABLE = "TILES_UNREADABLE"
    PROFILE_INVALID = "PROFILE_INVALID"
    MODEL_INVALID = "MODEL_INVALID"
    COLOUR_MISSING = "COLOUR_MISSING"
    OUTLINES_MISSING = "OUTLINES_MISSING"
    OUTLINES_UNSUPPORTED = "OUTLINES_UNSUPPORTED"
    CELLS_INVALID = "CELLS_INVALID"
    DATASET_INVALID = "DATASET_INVALID"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    ANNOTATION_INVALID = "ANNOTATION_INVALID"
    CONTROL_INVALID = "CONTROL_INVALID"
    CONTROL_FAILED = "CONTROL_FAILED"
    CALIBRATION_IMPOSSIBLE = "CALIBRATION_IMPOSSIBLE"
    OUTPUT_NOT_WRITABLE = "OUTPUT_NOT_WRITABLE"
    ENGINE_FAILED = "ENGINE_FAILED"


class ChromogenError(Exception):
    """Base of all errors that chromogen raises on purpose."""

    def __init__(self, reason: StrEnum, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class Refused(ChromogenError):
    """The input can't be scored rightly, and trying again changes nothing."""


class Failed(ChromogenError):
    """Something broke; `retryable` says whether another try may succeed."""
