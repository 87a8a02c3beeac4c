"""Control tissue on a slide: its cells are its own, and the case's are all others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.area import Area, box_area
from inference.geometry import Region
from tests.inference.test_analyze import DotEngine, dotted, found, tiles_of


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_every_nucleus_is_of_the_control_or_of_the_case(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    slide, dots = dotted(300, 200, step=9)
    x, y = data.draw(st.integers(0, 200)), data.draw(st.integers(0, 120))
    corner = (float(data.draw(st.integers(x + 40, 300))), float(data.draw(st.integers(y + 40, 200))))
    area = Area(name="control positive", rings=(((x, y), (corner[0], y), corner, (x - 0.5, corner[1] - 0.5)),))
    folder = tmp_path_factory.mktemp("n")
    for name, options in (("core", {"within": area}), ("case", {"without": (area,)})):
        shape = tiles_of(64)
        analyze(slide, DotEngine(), NUCLEAR, folder / name, Options(shape=shape, **options))  # type: ignore[arg-type]
    core, case = found(folder / "core"), found(folder / "case")
    assert not core & case
    assert core | case == dots
    assert core


def test_the_tissue_of_a_control_is_not_the_cases(tmp_path_factory: pytest.TempPathFactory) -> None:
    slide, _ = dotted(1600, 1200, step=50)
    folder = tmp_path_factory.mktemp("n")
    half = box_area("control positive", Region(x=0, y=0, width=800, height=1200))
    whole = analyze(slide, DotEngine(), NUCLEAR, folder / "whole", Options())
    core = analyze(slide, DotEngine(), NUCLEAR, folder / "core", Options(within=half))
    case = analyze(slide, DotEngine(), NUCLEAR, folder / "case", Options(without=(half,)))
    assert core.tissue_mm2 + case.tissue_mm2 == pytest.approx(whole.tissue_mm2, rel=0.05)
    assert case.tissue_mm2 == pytest.approx(whole.tissue_mm2 / 2, rel=0.05)
