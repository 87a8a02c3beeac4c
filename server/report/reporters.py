"""Every reporter of DICOM artifacts, for whoever wires them; each stands beside what it builds."""

from server.report.ann import AnnReporter
from server.report.seg import SegReporter
from server.report.sr import SrReporter

__all__ = ["AnnReporter", "SegReporter", "SrReporter"]
