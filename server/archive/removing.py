"""An archive that deletes what is rejected, in place of keeping a note: implements `server.domain.ports.ObjectSink`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from server.domain.ports import ObjectRemover, ObjectSink
from server.report.rejection import NOTE, named_in
from server.slides.dicom_header import read_instance_header


class Deleting(ObjectSink, ObjectRemover, Protocol):
    """Keeps objects, and can delete them."""


class RemovingSink:
    """Of an archive whose site says so."""

    def __init__(self, archive: Deleting) -> None:
        self._archive = archive

    def store(self, objects: Sequence[Path]) -> None:
        """Keep each, but of a rejection note delete what it names. Raises as `ObjectSink.store`."""
        for path in objects:
            if read_instance_header(path).sop_class_uid != NOTE:
                self._archive.store([path])
                continue
            for named in named_in(path):
                self._archive.remove(named)

    def ping(self) -> None:
        """Raises as the archive's."""
        self._archive.ping()
