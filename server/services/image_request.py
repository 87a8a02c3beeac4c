"""What is asked of an image by the endpoints: a query as values, every number in its range."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from inference.multiplex.bands import OVERLAID, READ, REFINED, SEPARATED
from inference.multiplex.nuclei import USUAL_THRESHOLD
from server.domain.errors import Refused, ServiceReason

MPP_OF = {"10x": 1.0, "20x": 0.5, "40x": 0.25}
USUAL_RESOLUTION = "40x"
FINEST_MPP, COARSEST_MPP = 0.05, 2.0
AUTO: Literal["auto"] = "auto"
LARGEST_GATE = 1 << 30
Query = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """`mpp` of the image, µm/px. Gates: `probability` 0-254 of the map, sizes in px, `marker_gate` 0-255.

    `slim` wants the classified nuclei alone; with `raw` nothing is read from the map: no overlay, no counts. `nuclei`
    asks for them as GeoJSON too.
    """

    mpp: float
    probability: int = USUAL_THRESHOLD
    least: int | Literal["auto"] = AUTO
    most: int | None = None
    marker_gate: int | Literal["auto"] | None = None
    slim: bool = False
    raw: bool = False
    marker: str = ""
    nuclei: bool = False

    @property
    def pictures(self) -> tuple[str, ...]:
        if self.slim:
            return (REFINED,)
        return SEPARATED if self.raw else (*SEPARATED, *READ)

    @property
    def read_alone(self) -> tuple[str, ...]:
        """Of those, what a map that was made before gives."""
        return (REFINED,) if self.slim else (OVERLAID, REFINED)


def asked(query: Query) -> ImageRequest:
    """In capitals or not. Raises Refused ARGUMENT_INVALID, naming the parameter and what it may be."""
    query = {name: value if name == "marker" else value.strip().lower() for name, value in query.items()}
    return ImageRequest(
        mpp=_mpp(query),
        probability=_whole(query, "prob_thresh", 0, 254) if _is_there(query, "prob_thresh") else USUAL_THRESHOLD,
        least=_whole(query, "size_thresh", 0, LARGEST_GATE) if _number(query, "size_thresh", AUTO) else AUTO,
        most=_whole(query, "size_thresh_upper", 1, LARGEST_GATE) if _number(query, "size_thresh_upper") else None,
        marker_gate=_marker_gate(query),
        slim="slim" in query,
        raw="nopost" in query,
        marker=query.get("marker", ""),
        nuclei="nuclei" in query,
    )


def _mpp(query: Query) -> float:
    """By `resolution`, or in our page's words by `mpp`."""
    if _is_there(query, "mpp"):
        try:
            mpp = float(query["mpp"])
        except ValueError:
            mpp = 0.0
        if not FINEST_MPP <= mpp <= COARSEST_MPP:
            raise _invalid("mpp", f"a number of µm per pixel, {FINEST_MPP} to {COARSEST_MPP}")
        return mpp
    found = MPP_OF.get(query.get("resolution") or USUAL_RESOLUTION)
    if found is None:
        raise _invalid("resolution", "one of 10x, 20x, 40x")
    return found


def _marker_gate(query: Query) -> int | Literal["auto"] | None:
    if query.get("marker_thresh") == AUTO:
        return AUTO
    return _whole(query, "marker_thresh", 0, 255) if _number(query, "marker_thresh") else None


def _is_there(query: Query, name: str) -> bool:
    return query.get(name, "") != ""


def _number(query: Query, name: str, *words: str) -> bool:
    return query.get(name, "") not in ("", "none", *words)


def _whole(query: Query, name: str, low: int, high: int) -> int:
    text = query[name]
    if not (text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high):
        words = {"size_thresh": " or auto", "size_thresh_upper": " or none", "marker_thresh": ", none or auto"}
        raise _invalid(name, f"a whole number from {low} to {high}{words.get(name, '')}")
    return int(text)


def _invalid(name: str, wanted: str) -> Refused:
    return Refused(ServiceReason.ARGUMENT_INVALID, f"{name} must be {wanted}")
