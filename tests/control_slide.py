"""A drawn slide with control tissue at its left and the section at its right, glass between; and its laboratory."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inference.draw import draw_slide
from inference.draw.slide import Drawing
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.demo.slide_header import SlideIdentity
from server.slides.slide_writer import JpegFrames, Pixels, write_dicom_slide

CONTROL_PX, GLASS_PX, SECTION_PX = 512, 256, 768
MPP = 0.5
BOX_MM = [0.0, 0.0, CONTROL_PX * MPP / 1000, SECTION_PX * MPP / 1000]
GLASS = (244, 243, 245)
LABORATORIES = """
[laboratories.LAB]
archives = ["a"]
[laboratories.LAB.controls]
absent = "withhold"
[[laboratories.LAB.controls.tissue]]
kinds = ["positive"]
box_mm = %s
[laboratories.RUNS]
archives = ["a"]
[laboratories.RUNS.controls]
absent = "flag"
"""


@dataclass(frozen=True, slots=True)
class WithControl:
    """`control` H-score of the control tissue, None: nothing but glass there. Drawn from a seed."""

    seed: int
    control: float | None
    section: float = 150
    size: Size = field(default_factory=lambda: Size(width=CONTROL_PX + GLASS_PX + SECTION_PX, height=SECTION_PX))
    parts: list[tuple[int, Drawing]] = field(default_factory=list)

    def __post_init__(self) -> None:
        section = draw_slide(size=Size(width=SECTION_PX, height=SECTION_PX), seed=self.seed, h_score=self.section)
        self.parts.append((CONTROL_PX + GLASS_PX, section))
        if self.control is not None:
            side = Size(width=CONTROL_PX, height=CONTROL_PX)
            self.parts.append((0, draw_slide(size=side, seed=self.seed + 1000, h_score=self.control)))

    def nuclei(self) -> int:
        """Of the section."""
        return len(self.parts[0][1].truth.x)

    def read(self, region: Region) -> Rgb:
        out = np.full((region.height, region.width, 3), GLASS, np.uint8)
        for left, drawing in self.parts:
            x, right = max(region.x, left), min(region.right, left + drawing.size.width)
            bottom = min(region.bottom, drawing.size.height)
            if x < right and region.y < bottom:
                part = Region(x=x - left, y=region.y, width=right - x, height=bottom - region.y)
                out[: part.height, x - region.x : right - region.x] = drawing.read(part)
        return out


def write(archive: Path, name: str, slide: Pixels, marker: str = "ER", mpp: float = MPP) -> SlideIdentity:
    identity = SlideIdentity(key=f"control/{name}", container_id=f"INVENTED-{name}", marker=marker)
    write_dicom_slide(archive / name, JpegFrames(slide), mpp=mpp, identity=identity, levels=2)
    return identity
