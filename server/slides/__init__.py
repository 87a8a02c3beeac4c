"""Slides as pixels: DICOM, SVS, TIFF, PNG, JPEG."""
