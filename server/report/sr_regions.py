"""The regions that persons drew, in a structured report: a planar region of interest (TID 1410) each, with the
area inside of it."""

from collections.abc import Sequence

import numpy as np
from highdicom import sr
from pydicom import Dataset

from inference.area import Area, Ring
from server.domain.change import DrawnRegion, RegionClass
from server.domain.result import Result
from server.report import codes, identity
from server.report.identity import concept, derived_uid
from server.report.source import SlideGeometry, geometry

EXCLUDE = RegionClass.EXCLUDE.value
UM2_PER_MM2 = 1_000_000


def drawn_areas(result: Result) -> tuple[Area, ...]:
    """What a pathologist drew on a result that is changed, as areas."""
    return () if result.change is None else tuple(map(_area, result.change.regions))


def _area(region: DrawnRegion) -> Area:
    ring = tuple((x - 0.5, y - 0.5) for x, y in region.points)  # an area's corners count from a pixel's centre
    return Area(name=region.kind.value, rings=(ring,))


def region_groups(
    result: Result, image: Dataset, areas: Sequence[Area]
) -> list[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    """An outline each of what is scored: what is left out, and holes, are said by what was drawn alone."""
    slide = geometry(image, mpp=result.analysis.slide.mpp)
    outlines = [(area, ring) for area in areas if area.name != EXCLUDE for ring in _outer(area)]
    return [_group(result, image, slide, n, area, ring) for n, (area, ring) in enumerate(outlines, 1)]


def _outer(area: Area) -> list[Ring]:
    """Its rings that don't lie in another."""
    return [ring for ring in area.rings if not _inside(ring, [other for other in area.rings if other is not ring])]


def _inside(ring: Ring, others: Sequence[Ring]) -> bool:
    x, y = np.array(ring[:1], np.float64).T
    return bool(Area(name="", rings=tuple(others)).holds(x, y)[0])


def _group(
    result: Result, image: Dataset, slide: SlideGeometry, number: int, area: Area, ring: Ring
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    analyzer, name = result.assay.analyzer, f"{area.name} {number}"
    site = sr.FindingSite(anatomic_location=concept(codes.region_of(analyzer, area.name)))
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid(result.id, f"SR/drawn/{number}"),
            identifier=f"{identity.MANUFACTURER} {result.id} {name}",
        ),
        referenced_region=_outline(ring, slide, str(image.FrameOfReferenceUID)),
        finding_type=concept(codes.structure_of(analyzer)),
        finding_sites=[site],
        measurements=[_extent(ring, slide)],
    )


def _outline(ring: Ring, slide: SlideGeometry, frame_of_reference: str) -> sr.ImageRegion3D:
    """Closed: its last point is its first."""
    x, y = np.array([*ring, ring[0]], np.float64).T
    return sr.ImageRegion3D(
        graphic_type=sr.GraphicTypeValues3D.POLYGON,
        graphic_data=slide.to_slide(x, y),
        frame_of_reference_uid=frame_of_reference,
    )


def _extent(ring: Ring, slide: SlideGeometry) -> sr.Measurement:
    x, y = np.array(ring, np.float64).T
    pixels = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    um2 = round(pixels * slide.spacing[0] * slide.spacing[1] * UM2_PER_MM2)
    return sr.Measurement(name=concept(codes.AREA), value=um2, unit=concept(codes.AREA.unit or codes.ONE))
