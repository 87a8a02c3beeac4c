"""What a drawn slide needs to become DICOM: the writer of `server.slides` and an invented identity."""

from server.demo.slide_header import SlideIdentity
from server.slides.slide_writer import FrameSource, JpegFrames, Pixels, encode, write_dicom_slide

__all__ = ["FrameSource", "JpegFrames", "Pixels", "SlideIdentity", "encode", "write_dicom_slide"]
