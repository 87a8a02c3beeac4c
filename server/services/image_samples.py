"""Sample images for the page: drawn when they are asked for, and computed as any other image is."""

from pathlib import Path

import cv2

from inference.draw import draw_slide
from inference.geometry import Region, Size
from server.domain.errors import Refused, ServiceReason
from server.services.image_request import ImageRequest

SAMPLES = {"weak": "Drawn, few nuclei stained", "mixed": "Drawn, half of them", "strong": "Drawn, nearly all"}
_H_SCORES = {"weak": 30.0, "mixed": 140.0, "strong": 260.0}
SIDE, MPP = 1024, 0.5


def lay_sample(name: str, path: Path) -> ImageRequest:
    """Raises Refused ARGUMENT_INVALID for a name that is none of SAMPLES."""
    if name not in _H_SCORES:
        raise Refused(ServiceReason.ARGUMENT_INVALID, f"samples are {', '.join(_H_SCORES)}")
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=11, h_score=_H_SCORES[name])
    pixels = drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))
    _, encoded = cv2.imencode(".png", pixels[..., ::-1])
    path.write_bytes(encoded.tobytes())
    return ImageRequest(mpp=MPP)
