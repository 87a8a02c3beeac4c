"""A slide that is read only while its caller waits."""

from collections.abc import Callable

from inference.geometry import Grid, Region
from inference.slide import Rgb, Slide


class WantedSlide:
    """Stands for a `Slide`; `go_on` is asked before each read and raises where nobody waits any more, which is between
    two tiles.
    """

    def __init__(self, slide: Slide, go_on: Callable[[], None]) -> None:
        self._slide, self._go_on = slide, go_on
        self.facts, self.working = slide.facts, slide.working

    def read(self, region: Region) -> Rgb:
        self._go_on()
        return self._slide.read(region)

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        return self._slide.overview(mpp)

    def close(self) -> None:
        self._slide.close()
