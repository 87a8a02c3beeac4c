"""The images of a DICOM slide, each opened once: to find out which belong together, and then to read them."""

from collections.abc import Iterable, Sequence

from inference.errors import Reason, Refused
from inference.geometry import Size
from server.slides.codec import Undecodable
from server.slides.dicom_image import ENCODINGS, is_indexable, read_image, read_placed_image, wsidicom_takes
from server.slides.dicom_level import DicomLevel, LevelHeader
from server.slides.header_level import HeaderLevel
from server.slides.padding import shows_nothing_beyond
from server.slides.pyramids import Parts
from server.slides.same_picture import Shrunk, remembered, show_the_same


class OpenImages:
    """Implements `server.slides.pyramids.Pictures`. An image is opened when it is first asked for."""

    def __init__(self) -> None:
        self._open: dict[tuple[object, ...], DicomLevel] = {}
        self._shrunk: dict[tuple[object, ...], Shrunk] = {}

    def of(self, parts: Parts) -> DicomLevel:
        """Raises Refused as the readers do."""
        key = _key(parts)
        if key not in self._open:
            self._open[key] = _read(parts)
        return self._open[key]

    def is_padding(self, parts: Parts, covered: Size) -> bool:
        try:
            return shows_nothing_beyond(self.of(parts), covered)
        except Undecodable:
            return False

    def show_the_same(self, finer: Parts, coarser: Parts, ratio: float) -> bool:
        """What can't be read says nothing: it is refused where it is needed; nor does a header alone.

        Raises Failed where the disk fails.
        """
        if finer[0].pixels_left or coarser[0].pixels_left:
            return True
        key = _stamp(finer), _stamp(coarser), ratio
        try:
            return remembered(key, lambda: show_the_same(self._small(finer), self._small(coarser), ratio))
        except Refused:
            return True

    def _small(self, parts: Parts) -> Shrunk:
        key, image = _key(parts), self.of(parts)
        if key not in self._shrunk:
            self._shrunk[key] = Shrunk(image, image.lengths)
        return self._shrunk[key]

    def close_all_but(self, kept: Iterable[Parts]) -> None:
        """The images that stay open are given."""
        self._shrunk.clear()
        staying = {_key(parts) for parts in kept}
        for key in [key for key in self._open if key not in staying]:
            self._open.pop(key).close()

    def close(self) -> None:
        self.close_all_but(())


def _key(parts: Parts) -> tuple[object, ...]:
    return (*(part.who.path for part in parts), parts[0].shown, parts[0].focal_plane)


def _stamp(parts: Parts) -> tuple[object, ...]:
    files = [part.who.path.stat() for part in parts]
    return (*_key(parts), *((file.st_size, file.st_mtime_ns) for file in files))


def _read(parts: Sequence[LevelHeader]) -> DicomLevel:
    if parts[0].pixels_left:
        return HeaderLevel(header=parts[0])
    if len(parts) == 1 and is_indexable(parts[0]):
        return read_image(parts[0])
    if len(parts) == 1 and parts[0].syntax in ENCODINGS and not wsidicom_takes(parts[0]):
        return read_placed_image(parts[0])
    if any(part.packed or not part.syntax.is_little_endian for part in parts):
        what = "is deflated or big endian, and split over files or of unknown place"
        message = f"{parts[0].who.path.name} {what}: have the archive convert it"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, message)
    from server.slides.wsidicom_image import read_by_wsidicom  # importing wsidicom takes 0.9 s, and few slides need it

    return read_by_wsidicom(parts)
